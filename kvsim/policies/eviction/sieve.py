"""A queue, one bit a page, and a hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.registry import register_eviction

__all__ = ["Sieve"]

END = -1


class _Ring:
    """One tier's pages in order of arrival, linked both ways through `END`, and the hand."""

    __slots__ = ("hand", "newer", "older", "visited")

    def __init__(self) -> None:
        self.newer: dict[int, int] = {END: END}
        self.older: dict[int, int] = {END: END}
        self.visited: dict[int, bool] = {}
        self.hand = END


@register_eviction
class Sieve(EvictionPolicy):
    """Removes the first page, from the hand towards the young end, that was not read since the hand passed.

    The hand clears the mark of the pages it passes and starts over at the old end. Unlike in clock, pages
    stay where they are, so new ones are sifted between the hand and the young end: quick demotion without
    a queue of its own. Pinned pages are passed and keep their mark.

    Cost: a read one dictionary store, an arrival and a removal O(1), a victim O(1) amortised and one look at
    each pinned page before it; state: three dictionary entries a page.

    Source: Y. Zhang et al., "SIEVE is simpler than LRU", NSDI 2024.
    """

    name = "sieve"

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self._rings = [_Ring() for _ in range(view.tier_count)]

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        if tier >= 0:
            visited = self._rings[tier].visited
            for page in pages:
                visited[page] = True

    def inserted(self, page: int, tier: int) -> None:
        ring = self._rings[tier]
        youngest = ring.older[END]
        ring.older[page], ring.newer[page] = youngest, END
        ring.newer[youngest] = page
        ring.older[END] = page
        ring.visited[page] = False

    def removed(self, page: int, tier: int) -> None:
        ring = self._rings[tier]
        newer, older = ring.newer.pop(page), ring.older.pop(page)
        ring.newer[older] = newer
        ring.older[newer] = older
        if ring.hand == page:
            ring.hand = newer
        del ring.visited[page]

    def victim(self, tier: int) -> int | None:
        ring = self._rings[tier]
        pinned = self.view.is_pinned
        start = page = ring.hand
        ends = 0
        # The first time round clears the marks, the second finds a page, or all are pinned; a third start
        # at the old end covers what lies before the hand.
        while ends < 3:
            if page == END:
                ends += 1
            elif pinned(page):
                pass
            elif ring.visited[page]:
                ring.visited[page] = False
            else:
                ring.hand = page
                return page
            page = ring.newer[page]
        ring.hand = start
        return None

    def contents(self, tier: int) -> Iterable[int]:
        return self._rings[tier].visited.keys()
