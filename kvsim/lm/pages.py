"""How the KV cache of a sequence is cut into pages, and how these are numbered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["PageNumbers", "Pages"]

Pages = NDArray[np.int64]


class PageNumbers:
    """The pages of every sequence of a batch: all are of one length, so all number their pages alike.

    A page holds `page_tokens` consecutive tokens of one layer and one head group. Pages are numbered in
    order of birth: those of the first chunk layer by layer, then those that each layer creates at its end;
    of several at once the head groups one after another, each in order of position. So in a layer and head
    group a higher number is a later position.
    """

    def __init__(
        self, layers: Sequence[int], groups: int, page_tokens: int, page_scalars: int, scalar_bytes: int = 2
    ) -> None:
        self.groups = groups
        """Head groups of a layer."""
        self.page_tokens = page_tokens
        self.page_scalars = page_scalars
        """Scalars, keys and values, of a page."""
        self.page_bytes = page_scalars * scalar_bytes
        self.count = 0
        """Pages born so far."""
        self.initial = 0
        """Pages that there are before the first token."""
        self._grid: dict[int, Pages] = {layer: np.empty((groups, 0), dtype=np.int64) for layer in layers}
        self._places: list[tuple[int, int, int]] = []

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have pages."""
        return tuple(self._grid)

    def grow(self, layer: int, tokens: int) -> Pages:
        """The pages, now numbered, that the layer lacks to hold so many tokens."""
        grid = self._grid[layer]
        have = grid.shape[1]
        more = max(0, -(-tokens // self.page_tokens) - have)
        born = np.arange(self.count, self.count + more * self.groups, dtype=np.int64)
        if more:
            self._grid[layer] = np.concatenate((grid, born.reshape(self.groups, more)), axis=1)
            self._places += [(layer, g, have + i) for g in range(self.groups) for i in range(more)]
            self.count += len(born)
        return born

    def of(self, layer: int, tokens: int) -> Pages:
        """The pages of the layer that hold its first so many tokens: [groups, pages], by position."""
        return self._grid[layer][:, : -(-tokens // self.page_tokens)]

    def place(self, page: int) -> tuple[int, int, int]:
        """Layer, head group, and index in the sequence, of a page."""
        return self._places[page]

    def group(self, page: int) -> int:
        """Number of the layer and head group of a page."""
        layer, group, _ = self._places[page]
        return layer * self.groups + group

    def tokens_of(self, page: int, tokens: int) -> int:
        """Tokens that the page holds when the sequence has so many."""
        return min(self.page_tokens, tokens - self._places[page][2] * self.page_tokens)
