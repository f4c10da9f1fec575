"""The K-th last read."""

from __future__ import annotations

from collections import deque
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.keyed import Key, KeyedPolicy
from kvsim.policies.registry import register_eviction

__all__ = ["LruK"]


@register_eviction
class LruK(KeyedPolicy):
    """Removes the page whose `k`-th last read lies furthest back; pages read less often than that go first.

    Among those the page goes that was read, or arrived, longest ago. With k = 2 a single read, as by a
    scan, earns a page nothing. Reads are remembered for the whole run, also of pages that are gone: the
    paper's "retained information period" without end. Correlated reads are not merged.

    Cost: a read O(1), an arrival O(log n), a victim O(log n) amortised, and that for each pinned page
    before it; state: k numbers for every page ever read, and a key and at most two heap entries a page held.

    Source: E. O'Neil, P. O'Neil and G. Weikum, "The LRU-K page replacement algorithm for database disk
    buffering", SIGMOD 1993.
    """

    name = "lru_k"

    def __init__(self, view: ResidencyView, k: Annotated[int, Field(ge=1)] = 2) -> None:
        super().__init__(view)
        self._k = k
        self._reads: dict[int, deque[int]] = {}

    def count(self, page: int, tier: int) -> None:
        reads = self._reads.get(page)
        if reads is None:
            reads = self._reads[page] = deque(maxlen=self._k)
        reads.append(self.events)

    def key(self, page: int, tier: int) -> Key:
        reads = self._reads.get(page)
        return (reads[0] if reads and len(reads) == self._k else -1, self.events)
