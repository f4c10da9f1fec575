"""Placements decided once, for the cache as large as it will be."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kvsim.errors import SimulationError
from kvsim.policies.base import PlacementPolicy, PlacementView
from kvsim.policies.placement.room import first_room, positions, spread
from kvsim.policies.registry import register_placement

__all__ = ["Assigned", "Parallel", "Static", "StaticSplit"]

Part = Annotated[float, Field(ge=0, le=1)]
"""A share, none and all included."""
_HALVINGS = 40
"""Steps of the search for the largest share that fits."""


class Assigned(PlacementPolicy):
    """Every page has its tier from the start, those to be born too.

    A page is born in tier 0 all the same, and goes to its tier after the step. What is not for tier 0 is
    read in place or staged, never promoted. Subclasses say which tier each page has.

    Cost: O(pages) once and, vectorised, after a step; state: a byte a page.
    """

    watches = True

    def __init__(self, view: PlacementView) -> None:
        super().__init__(view)
        layers = view.page_layers()
        self._later = 0
        """The tier of pages that the workload does not tell of."""
        self._tier = self._assign(layers) if len(layers) else np.zeros(0, dtype=np.int8)
        self._stays = (self._tier == 0).tobytes()

    @abstractmethod
    def _assign(self, layers: NDArray[np.int64]) -> NDArray[np.int8]:
        """The tier of each page, by its number; given the layer of each."""

    def start(self, page: int) -> int:
        return int(self._tier[page]) if page < len(self._tier) else self._later

    def keeps(self, page: int) -> bool:
        return bool(self._stays[page]) if page < len(self._stays) else not self._later

    def migrations(self) -> Iterator[tuple[int, int]]:
        homes = self.view.homes()
        wanted = np.full(len(homes), self._later, dtype=np.int8)
        told = min(len(homes), len(self._tier))
        wanted[:told] = self._tier[:told]
        for astray in ((homes >= 0) & (homes < wanted), homes > wanted):  # room first, then who wants it
            pages = np.flatnonzero(astray)
            yield from zip(pages.tolist(), wanted[pages].tolist(), strict=True)


@register_placement
class Static(Assigned):
    """Offloads the KV cache once it does not fit tier 0: all of it, or by `layers` as many as do not fit.

    What is offloaded goes to the nearest lower tier that holds all of it. The cache counts with the pages
    that will be born, as far as the workload tells of them. By layers the last ones stay in tier 0, beside
    the share `reserve` of it for staging (default: what two layers take, at most half; nothing where all
    other tiers are read in place). A workload that does not tell of layers has one.

    Source: llama.cpp, which allocates the cache for the whole context up front, in host memory as a whole
    (`--no-kv-offload`) or for all but the last `--n-gpu-layers` layers.
    """

    name = "static"

    def __init__(
        self, view: PlacementView, by: Literal["cache", "layers"] = "cache", reserve: Part | None = None
    ) -> None:
        self._by = by
        self._reserve = reserve
        super().__init__(view)

    def _assign(self, layers: NDArray[np.int64]) -> NDArray[np.int8]:
        view = self.view
        tiers = np.zeros(len(layers), dtype=np.int8)
        sizes = view.sizes_of(np.arange(len(layers)), 0)
        if sizes.sum() <= view.capacity_of(0):
            return tiers
        leaving = np.arange(len(layers))
        if self._by == "layers":
            from_last = np.cumsum(np.bincount(layers, weights=sizes)[::-1])
            staying = int(np.searchsorted(from_last, first_room(view, self._reserve), side="right"))
            leaving = np.flatnonzero(layers < len(from_last) - staying)
        tiers[leaving] = spread(view, leaving, 1)
        self._later = int(tiers.max()) if self._by == "cache" else 0
        return tiers


class _Split(Assigned):
    """A share of every layer's pages in tier 0; the others in the tiers from `_below` on, as much of every
    layer in each as fits."""

    _share: float | None
    """None: as much as fits."""
    _room: int
    """Bytes of tier 0 for it; never more than fits is there."""
    _below: int

    def _assign(self, layers: NDArray[np.int64]) -> NDArray[np.int8]:
        view = self.view
        tiers = np.full(len(layers), view.tier_count - 1, dtype=np.int8)
        left = np.arange(len(layers))
        for tier in (0, *range(self._below, view.tier_count - 1)):
            room = view.capacity_of(tier) if tier else self._room
            share = 1.0 if tier or self._share is None else self._share
            near = self._nearest(left, layers[left], tier, room, share)
            tiers[left[near]] = tier
            left = left[~near]
            if not len(left):
                break
        return tiers

    def _nearest(
        self, pages: NDArray[np.int64], layers: NDArray[np.int64], tier: int, room: int, share: float
    ) -> NDArray[np.bool_]:
        """Which of the pages are in the tier: the share, or the largest one that fits."""
        sizes = self.view.sizes_of(pages, tier)
        position = positions(layers)
        initial = layers[pages < self.view.initial_pages]
        first = np.bincount(initial, minlength=int(layers.max()) + 1)[layers]
        if sizes[_near(position, first, share)].sum() > room:
            low, high = 0.0, share
            for _ in range(_HALVINGS):
                share = (low + high) / 2
                fits = sizes[_near(position, first, share)].sum() <= room
                low, high = (share, high) if fits else (low, share)
            share = low
        return _near(position, first, share)


def _near(position: NDArray[np.int64], first: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Of the `first` pages of a layer the lowest, neighbours, are near; later ones now and then, such that
    the share holds at any length."""

    def so_many(pages: NDArray[np.int64]) -> NDArray[np.int64]:
        count: NDArray[np.int64] = np.floor(pages * share + 0.5).astype(np.int64)
        return count

    early = position < so_many(first)
    near: NDArray[np.bool_] = np.where(position < first, early, so_many(position + 1) > so_many(position))
    return near


@register_placement
class StaticSplit(_Split):
    """The share `share` of every layer's pages in tier 0, the rest in the next tier, as much as it holds,
    and so on.

    Default, and at most: what fits beside the share `reserve` of tier 0 for staging (by default as in
    `static`). The share holds while the cache grows.

    Source: the percentages of the KV cache on GPU and host in FlexGen (Y. Sheng et al., ICML 2023).
    """

    name = "static_split"

    def __init__(self, view: PlacementView, share: Part | None = None, reserve: Part | None = None) -> None:
        self._share = share
        self._room = first_room(view, reserve)
        self._below = 1
        super().__init__(view)


@register_placement
class Parallel(_Split):
    """Splits every layer's pages between tier 0 and a tier that is read in place, so that both are read at
    once.

    The share `share` is in tier 0, or what fits; the rest in the nearest tier with `access: direct`, and
    what does not fit there further down.

    Default: the share at which both are done at once, x = B_h / (B_h + B_d), with the bandwidths at which
    compute reads tier 0 and at which the route from the other can be read (in pages, where their formats
    differ). The gain comes with `execution.in_place: during`. Where tier 0 has to stream much else (weights)
    meanwhile, or compute is not bound by reading, a smaller share is better.
    """

    name = "parallel"
    needs_direct = True

    def __init__(self, view: PlacementView, share: Part | None = None) -> None:
        below = [tier for tier in range(1, view.tier_count) if view.reads_in_place(tier)]
        if not below:
            raise SimulationError("placement policy 'parallel' needs a tier with `access: direct`")
        self._below = below[0]
        self._room = view.capacity_of(0)
        self._share = share if share is not None else self._best(view)
        super().__init__(view)

    def _assign(self, layers: NDArray[np.int64]) -> NDArray[np.int8]:
        tiers = super()._assign(layers)
        if tiers.max() > self._below:  # then something is staged, and needs room
            self._room = first_room(self.view, None)
            tiers = super()._assign(layers)
        return tiers

    def _best(self, view: PlacementView) -> float:
        near_rate, far_rate = view.bandwidth_of(0), view.bandwidth_of(self._below)
        if near_rate is None or far_rate is None:
            raise SimulationError(
                "placement policy 'parallel' does not know how fast tier 0 is read: give it the option "
                "`share`, the tier a `read_bandwidth`, or the scenario a GPU"
            )
        pages = np.arange(len(view.page_layers()))
        if not len(pages):
            return 1.0
        near = near_rate / view.sizes_of(pages, 0).sum()
        far = far_rate / view.sizes_of(pages, self._below).sum()
        return float(near / (near + far))
