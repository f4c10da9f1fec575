"""Adaptive replacement cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import chain

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.registry import register_eviction

__all__ = ["Arc"]

Queue = OrderedDict[int, None]


class _Lists:
    """One tier's four lists, least recent page first, and the target size of the first."""

    __slots__ = ("b1", "b2", "coming", "from_b2", "pages", "t1", "t2", "target")

    def __init__(self) -> None:
        self.t1: Queue = OrderedDict()
        self.t2: Queue = OrderedDict()
        self.b1: Queue = OrderedDict()
        self.b2: Queue = OrderedDict()
        self.target = 0.0
        self.pages = 0
        """Pages the tier holds when it has to evict: the paper's c."""
        self.coming: dict[int, bool] = {}
        """Pages remembered when they were read, on their way here."""
        self.from_b2 = False
        """Whether the page read last was remembered in b2."""


@register_eviction
class Arc(EvictionPolicy):
    """Splits the tier between pages used once and pages used again, and learns where to split.

    t1 holds pages used once since they came, t2 those used again, both in lru order; b1 and b2 remember what
    each lost. A read of a page in b1 moves the split towards t1, one in b2 towards t2, by at least one page.
    The split is learned at the read for tier 0, where a read page is bound to go, and at the arrival for
    the other tiers. The paper's c is the number of pages in the tier when it must evict, so pages count
    alike, whatever their size. Where several absent pages are read at once, "x is in b2" is the last one's.

    Cost: every operation O(1), a victim one look at each pinned page before it; state: one entry a page, and
    at most one a page remembered.

    Source: N. Megiddo and D. Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003.
    """

    name = "arc"

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self._lists = [_Lists() for _ in range(view.tier_count)]
        self._from_t1 = False

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        if tier == 0:
            self._lists[0].coming.clear()  # those that stayed in a tier that is read in place
        if tier >= 0:
            lists = self._lists[tier]
            for page in pages:
                if page in lists.t2:
                    lists.t2.move_to_end(page)
                else:
                    del lists.t1[page]
                    lists.t2[page] = None
        if tier != 0:
            lists = self._lists[0]
            for page in pages:
                lists.from_b2 = page in lists.b2
                if self._learn(lists, page):
                    lists.coming[page] = True

    @staticmethod
    def _learn(lists: _Lists, page: int) -> bool:
        """Whether the page was remembered; if so, move the split and forget it."""
        b1, b2 = lists.b1, lists.b2
        if page in b1:
            lists.target = min(lists.target + max(len(b2) / len(b1), 1.0), lists.pages)
            del b1[page]
        elif page in b2:
            lists.target = max(lists.target - max(len(b1) / len(b2), 1.0), 0.0)
            del b2[page]
        else:
            return False
        return True

    def inserted(self, page: int, tier: int) -> None:
        lists = self._lists[tier]
        again = lists.coming.pop(page, False) or self._learn(lists, page)
        (lists.t2 if again else lists.t1)[page] = None
        lists.from_b2 = False

    def removed(self, page: int, tier: int) -> None:
        lists = self._lists[tier]
        self._from_t1 = page in lists.t1
        del (lists.t1 if self._from_t1 else lists.t2)[page]

    def evicted(self, page: int, tier: int) -> None:
        lists = self._lists[tier]
        c = lists.pages
        if not lists.coming:  # the page that needs the room is not remembered: keep the lists' lengths
            if len(lists.t1) + self._from_t1 + len(lists.b1) >= c:
                if not lists.b1:
                    if self._from_t1:
                        return  # t1 is all there is: nothing to learn from what it loses
                else:
                    lists.b1.popitem(last=False)
            elif len(lists.t1) + len(lists.t2) + 1 + len(lists.b1) + len(lists.b2) >= 2 * c and lists.b2:
                lists.b2.popitem(last=False)
        (lists.b1 if self._from_t1 else lists.b2)[page] = None
        while len(lists.b1) + len(lists.b2) > 2 * c:  # the tier may hold fewer, larger pages than before
            (lists.b1 or lists.b2).popitem(last=False)

    def victim(self, tier: int) -> int | None:
        lists = self._lists[tier]
        t1 = len(lists.t1)
        lists.pages = t1 + len(lists.t2)
        first = t1 > lists.target or (lists.from_b2 and t1 == lists.target)
        pinned = self.view.is_pinned
        for page in chain(lists.t1, lists.t2) if first else chain(lists.t2, lists.t1):
            if not pinned(page):
                return page
        return None

    def contents(self, tier: int) -> Iterable[int]:
        lists = self._lists[tier]
        return chain(lists.t1, lists.t2)
