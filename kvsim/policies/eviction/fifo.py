"""First in, first out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import filterfalse, islice

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.registry import register_eviction

__all__ = ["Fifo"]


@register_eviction
class Fifo(EvictionPolicy):
    """Removes the page that came into the tier first, whatever was read since.

    Cost: a read nothing at all, an arrival and a removal O(1), a victim O(1) and one look at each pinned
    page before it; state: one dictionary entry a page of the tier.

    Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
    Journal 5(2), 1966; unlike lru it is no stack algorithm, so a larger tier can miss more (Belady's
    anomaly).
    """

    name = "fifo"
    any_number = True

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self._orders: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(view.tier_count)]

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        pass

    def inserted(self, page: int, tier: int) -> None:
        self._orders[tier][page] = None  # a new key goes to the young end

    def insert(self, pages: Sequence[int], tier: int) -> None:
        self._orders[tier].update(dict.fromkeys(pages))

    def removed(self, page: int, tier: int) -> None:
        del self._orders[tier][page]

    def victim(self, tier: int) -> int | None:
        pinned = self.view.is_pinned
        for page in self._orders[tier]:
            if not pinned(page):
                return page
        return None

    def evict(self, tier: int, count: int) -> list[int]:
        order = self._orders[tier]
        gone = list(islice(filterfalse(self.view.is_pinned, order), count))
        for page in gone:
            del order[page]
        return gone

    def contents(self, tier: int) -> Iterable[int]:
        return self._orders[tier].keys()
