"""A heap whose keys may change: the shared ground of policies with one number a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Generic, TypeVar

__all__ = ["KeyHeap"]

K = TypeVar("K", bound=tuple[float, ...])


class KeyHeap(Generic[K]):
    """Pages by key, the smallest first; keys are tuples, and no two pages have equal ones.

    A key that grows is only noted: the old entry is put right when it comes to the top. So a read costs a
    dictionary store, a smaller key O(log n), the first unpinned page O(log n) amortised plus that for each
    pinned page before it. What is out of date is swept away when it outweighs the rest.
    """

    __slots__ = ("_heap", "keys")

    def __init__(self) -> None:
        self.keys: dict[int, K] = {}
        self._heap: list[tuple[K, int]] = []

    def put(self, page: int, key: K) -> None:
        """Add the page, or change its key."""
        old = self.keys.get(page)
        self.keys[page] = key
        if old is None or key < old:
            heappush(self._heap, (key, page))
            if len(self._heap) > 2 * len(self.keys) + 64:
                self._heap = [(key, page) for page, key in self.keys.items()]
                heapify(self._heap)

    def drop(self, page: int) -> K:
        """Remove the page; returns its key."""
        return self.keys.pop(page)

    def first(self, skip: Callable[[int], bool]) -> int | None:
        """The page of the smallest key that `skip` does not want skipped, or None."""
        heap = self._heap
        skipped: list[tuple[K, int]] = []
        found = None
        while heap and found is None:
            key, page = heap[0]
            now = self.keys.get(page)
            if now is None or now < key or (skipped and skipped[-1] == heap[0]):
                heappop(heap)
            elif now != key:
                heapreplace(heap, (now, page))
            elif skip(page):
                skipped.append(heappop(heap))
            else:
                found = page
        for entry in skipped:
            heappush(heap, entry)
        return found

    def pages(self) -> Iterable[int]:
        """The pages, in the order they were added."""
        return self.keys.keys()
