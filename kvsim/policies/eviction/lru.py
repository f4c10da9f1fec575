"""Least recently used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.registry import register_eviction

__all__ = ["Lru"]


@register_eviction
class Lru(EvictionPolicy):
    """Removes the page whose last read, or arrival in the tier, lies longest ago.

    The yardstick of the others: it looks at recency alone, so one scan longer than the tier empties it.

    Cost: a read, an arrival and a removal O(1). A victim is the first unpinned page from the old end:
    O(1) in practice, because pinned pages have just been read and sit at the young end; O(pages of the
    tier) only when all of them are pinned.

    Source: P. J. Denning, "The working set model for program behavior", CACM 11(5), 1968; the
    competitive bound is Sleator and Tarjan, "Amortized efficiency of list update and paging rules",
    CACM 28(2), 1985.
    """

    name = "lru"

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self._orders: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(view.tier_count)]

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        if tier < 0:
            return
        # The hot loop of every hit. A bound C method in a plain loop: `map` into a zero-length deque
        # is 7 % faster per page but makes the common short lists more than three times as slow.
        to_young_end = self._orders[tier].move_to_end
        for page in pages:
            to_young_end(page)

    def inserted(self, page: int, tier: int) -> None:
        self._orders[tier][page] = None  # a new key goes to the young end

    def removed(self, page: int, tier: int) -> None:
        del self._orders[tier][page]

    def victim(self, tier: int) -> int | None:
        pinned = self.view.is_pinned
        for page in self._orders[tier]:
            if not pinned(page):
                return page
        return None

    def contents(self, tier: int) -> Iterable[int]:
        return self._orders[tier].keys()
