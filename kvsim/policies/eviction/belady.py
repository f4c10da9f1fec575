"""The clairvoyant policies: farthest next use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.eviction.heap import KeyHeap
from kvsim.policies.eviction.keyed import Key, KeyedPolicy
from kvsim.policies.registry import register_eviction

__all__ = ["Belady", "BeladySize"]


@register_eviction
class Belady(KeyedPolicy):
    """Removes the page whose next read lies farthest ahead; among equals the one touched longest ago.

    For one tier of equal pages, all of which must be let in, no policy misses less: the bound to measure
    the others by. With pages of different sizes, pins or several tiers it is a strong rule but no bound.

    Cost: a read and an arrival O(log n), a victim O(log n) amortised, and that for each pinned page
    before it; state: a key and at most two heap entries a page. Needs the future: the workload is read twice.

    Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
    Journal 5(2), 1966.
    """

    name = "belady"
    needs_future = True

    def count(self, page: int, tier: int) -> None:
        pass

    def key(self, page: int, tier: int) -> Key:
        return (-self.future.next_read(page), self.events)


@register_eviction
class BeladySize(EvictionPolicy):
    """Removes the page with the largest product of its size and the distance to its next read.

    A heuristic for pages of different sizes, no bound (the optimum is NP-hard). Among pages never read
    again the largest goes, among equals the one touched longest ago. Where all pages are equal it is
    belady. The distance counts from the reads announced so far.

    Cost: a read and an arrival O(log n), a victim O(log n) for each size there is in the tier; state: a key
    and at most two heap entries a page. Needs the future: the workload is read twice.

    Source: the rule `BeladySize` of libCacheSim, there with sampled candidates; the problem is treated by
    D. Berger, N. Beckmann and M. Harchol-Balter, "Practical bounds on optimal caching with variable object
    sizes", SIGMETRICS 2018.
    """

    name = "belady_size"
    needs_future = True

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self._heaps: list[dict[int, KeyHeap[Key]]] = [{} for _ in range(view.tier_count)]
        self._sizes: list[dict[int, int]] = [{} for _ in range(view.tier_count)]
        self._reads = 0
        self._events = 0

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        self._reads += len(pages)
        if tier >= 0:
            for page in pages:
                self._put(page, tier)

    def inserted(self, page: int, tier: int) -> None:
        self._sizes[tier][page] = self.view.bytes_of(page, tier)
        self._put(page, tier)

    def _put(self, page: int, tier: int) -> None:
        self._events += 1
        size = self._sizes[tier][page]
        heaps = self._heaps[tier]
        if size not in heaps:
            heaps[size] = KeyHeap()
        heaps[size].put(page, (-self.future.next_read(page), self._events))

    def removed(self, page: int, tier: int) -> None:
        size = self._sizes[tier].pop(page)
        heap = self._heaps[tier][size]
        heap.drop(page)
        if not heap.keys:
            del self._heaps[tier][size]

    def victim(self, tier: int) -> int | None:
        best: tuple[bool, float, float] | None = None
        found = None
        for size, heap in self._heaps[tier].items():
            page = heap.first(self.view.is_pinned)
            if page is None:
                continue
            ahead, event = heap.keys[page]
            again = -ahead < self.future.never
            rank = (again, size * (ahead + self._reads), event)
            if best is None or rank < best:
                best, found = rank, page
        return found

    def contents(self, tier: int) -> Iterable[int]:
        return self._sizes[tier].keys()
