"""Cross-layer sharing: layers that read the keys and values of an earlier one and keep none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Sharing", "in_groups"]


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which layer's keys and values each layer uses."""

    owners: tuple[int, ...]
    """For each layer the layer that keeps what it reads: itself, or an earlier one that keeps its own."""

    def __post_init__(self) -> None:
        for layer, owner in enumerate(self.owners):
            if not 0 <= owner <= layer or self.owners[owner] != owner:
                raise ValueError(
                    f"layer {layer} cannot use the keys and values of layer {owner}: "
                    "only its own, or those of an earlier layer that keeps its own"
                )

    @property
    def keepers(self) -> tuple[int, ...]:
        """The layers that keep keys and values, in order."""
        return tuple(layer for layer, owner in enumerate(self.owners) if layer == owner)

    def bytes(self, layer_bytes: Sequence[int]) -> int:
        """Bytes of a cache whose layers would take so many, each by itself."""
        if len(layer_bytes) != len(self.owners):
            raise ValueError(f"there are {len(self.owners)} layers, not {len(layer_bytes)}")
        return sum(layer_bytes[layer] for layer in self.keepers)

    @property
    def kept(self) -> Fraction:
        """Share of the layers that keep keys and values."""
        return Fraction(len(self.keepers), len(self.owners))


def in_groups(layers: int, group: int, first: int = 0) -> Sharing:
    """From layer `first` on, every `group` neighbours use the first one's; those before keep their own.

    Source: W. Brandon et al., "Reducing transformer key-value cache size with cross-layer attention", NeurIPS
    2024, where the model is trained that way; a model that is not loses much.
    """
    if layers < 1 or group < 1 or first < 0:
        raise ValueError(f"layers and group are 1 or more, first is 0 or more: {layers}, {group}, {first}")
    return Sharing(tuple(layer - max(0, layer - first) % group for layer in range(layers)))
