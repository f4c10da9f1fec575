"""The shared ground of the score policies: the page of the smallest score leaves."""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kvsim.policies.base import EvictionPolicy, ResidencyView

__all__ = ["ScorePolicy"]

Scores = NDArray[np.float64]
Pages = NDArray[np.int64]
Entry = tuple[float, int, int]
"""Score, number of the arrival in the tier, page: the order in which pages leave."""

SHORTLIST = 64
"""Entries sorted at a time."""


class _Shelf:
    """Per tier: the pages that can leave next, so that a victim does not cost a look at all of them.

    `pool` holds the pages of the smallest scores when all pages were last looked at; all others that nobody
    has touched since scored at least `rest` at that time. `sorted` holds the front of the pool in order, with
    the scores of divisor `divisor`; whatever is not in it comes after `limit`. Where very many pages are
    alike in all three numbers, as at the start, only the first of them are in the pool; `twin` is the first
    that is not, and stands for the others, which stay tied with it. Touched pages wait in
    `fresh` to be sorted in, and in `touched` for the next pool.
    """

    __slots__ = (
        "divisor",
        "fresh",
        "limit",
        "low",
        "pool",
        "pool_divisor",
        "rest",
        "sorted",
        "touched",
        "twin",
    )

    def __init__(self) -> None:
        self.pool: Pages = np.empty(0, np.int64)
        self.pool_divisor = 0.0
        self.rest = 0.0
        self.low = 0.0
        self.twin: tuple[float, float, float, int] | None = None
        self.sorted: list[Entry] = []
        self.divisor = -1.0
        self.limit: tuple[float, int] = (0.0, 0)
        self.fresh: list[int] = []
        self.touched: list[int] = []


class ScorePolicy(EvictionPolicy):
    """Smallest score first; among equals the page that came into the tier first.

    score = (base + last / divisor) + extra, where the divisor is the running step (at least 1) if the
    class is `ageing`, else 1. Subclasses keep `base`, `last` and `extra`, which are tables over page
    numbers, up to date and call `_touch` for pages whose entries they change.

    Cost: O(1) a read and an arrival. A victim looks at all pages of the tier (vectorised) once in every
    pages / 32 victims, at that many once in 64 victims or (ageing) a step, and else takes the head of a
    sorted list: amortised O(log 64). How it stays exact: an untouched page that scored `rest` or more at
    divisor d scores at least rest × r + low × (1 − r) at divisor d / r, if no base + extra is under `low`.
    """

    ageing: ClassVar[bool] = False

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self._members: list[dict[int, None]] = [{} for _ in range(view.tier_count)]
        self._shelves = [_Shelf() for _ in range(view.tier_count)]
        self._counted = 0
        self._plain_up_to = 96 if self.ageing else 12
        self.base = array("d")
        self.last = array("d")
        self.extra = array("d")
        self._arrival = array("q")
        self._home = array("b")
        self.size = 0
        self._resize(256)

    def _resize(self, size: int) -> None:
        """Make the tables this long: base 0, last step −1, extra 0 for pages never seen."""
        more = size - self.size
        self.base = self.base + array("d", [0.0]) * more
        self.last = self.last + array("d", [-1.0]) * more
        self.extra = self.extra + array("d", [0.0]) * more
        self._arrival = self._arrival + array("q", [0]) * more
        self._home = self._home + array("b", [-1]) * more
        # The same memory, as numpy sees it.
        self._bases: Scores = np.frombuffer(self.base)
        self._lasts: Scores = np.frombuffer(self.last)
        self._extras: Scores = np.frombuffer(self.extra)
        self._arrivals: Pages = np.frombuffer(self._arrival, np.int64)
        self._homes: NDArray[np.int8] = np.frombuffer(self._home, np.int8)
        self._marks: Pages = np.zeros(size, np.int64)
        self.size = size

    def reach(self, page: int) -> None:
        """Make sure that the tables hold the page."""
        if page >= self.size:
            self._resize(max(2 * self.size, page + 1))

    def reach_all(self, pages: Sequence[int]) -> None:
        """Make sure that the tables hold the pages."""
        if pages and (last := max(pages)) >= self.size:
            self.reach(last)

    def touch(self, pages: Sequence[int], tier: int) -> None:
        """The scores of these pages of the tier have changed (-1: they are in none)."""
        if tier >= 0 and (shelf := self._shelves[tier]).divisor >= 0:
            shelf.fresh.extend(pages)
            # What nobody asks about is not worth keeping: the next victim looks at all pages.
            if len(shelf.fresh) + len(shelf.touched) > len(self._members[tier]) + 1024:
                self._shelves[tier] = _Shelf()

    def inserted(self, page: int, tier: int) -> None:
        if page >= self.size:
            self.reach(page)
        self._counted += 1
        self._arrival[page] = self._counted
        self._home[page] = tier
        self._members[tier][page] = None
        if self._shelves[tier].divisor >= 0:
            self.touch((page,), tier)

    def removed(self, page: int, tier: int) -> None:
        del self._members[tier][page]
        self._home[page] = -1

    def contents(self, tier: int) -> Iterable[int]:
        return self._members[tier].keys()

    def score(self, page: int) -> float:
        """The page's score now."""
        return self.base[page] + self.last[page] / self._divisor() + self.extra[page]

    def victim(self, tier: int) -> int | None:
        members = self._members[tier]
        divisor = self._divisor()
        if len(members) <= self._plain_up_to:
            if self._shelves[tier].divisor >= 0:
                self._shelves[tier] = _Shelf()
            return self._plain(members, divisor)
        shelf = self._shelves[tier]
        if shelf.divisor != divisor:
            self._sort(shelf, tier, divisor, SHORTLIST)
        elif shelf.fresh:
            self._sort_in(shelf, tier, divisor)
        wanted = max(SHORTLIST, 2 * len(shelf.sorted)) if len(shelf.sorted) > SHORTLIST // 2 else SHORTLIST
        while (page := self._head(shelf, tier)) is None and len(shelf.sorted) < len(members):
            self._sort(shelf, tier, divisor, wanted)
            wanted *= 4  # pinned pages are in the way: look further
        return page

    def _divisor(self) -> float:
        return float(max(self.view.step, 1)) if self.ageing else 1.0

    def _plain(self, members: dict[int, None], divisor: float) -> int | None:
        """For a tier of a few pages: nothing beats looking at each."""
        best = self._least(members, divisor)
        if best is None or not self.view.is_pinned(best):
            return best
        return self._least([page for page in members if not self.view.is_pinned(page)], divisor)

    def _least(self, pages: Iterable[int], divisor: float) -> int | None:
        """Of pages in order of arrival the first of the smallest score."""
        base, last, extra = self.base, self.last, self.extra
        least = float("inf")
        best = None
        for page in pages:
            score = base[page] + last[page] / divisor + extra[page]
            if score < least:
                least = score
                best = page
        return best

    def _head(self, shelf: _Shelf, tier: int) -> int | None:
        """The first entry that still holds and is not pinned; those that do not hold are dropped."""
        base, last, extra, divisor = self.base, self.last, self.extra, shelf.divisor
        members, arrivals = self._members[tier], self._arrival
        entries = shelf.sorted
        at = 0
        while at < len(entries):
            score, arrival, page = entries[at]
            if (
                page not in members
                or arrivals[page] != arrival
                or base[page] + last[page] / divisor + extra[page] != score
                or (at and entries[at - 1][1] == arrival)  # touched twice
            ):
                del entries[at]
            elif self.view.is_pinned(page):
                at += 1
            else:
                return page
        return None

    def _sort_in(self, shelf: _Shelf, tier: int, divisor: float) -> None:
        """Give pages touched since the list was sorted their places in it, if they are before its end."""
        fresh = shelf.fresh
        shelf.touched.extend(fresh)
        limit = shelf.limit
        if len(fresh) > 24:
            pages = np.array(fresh, np.int64)
            fresh = pages[self._scores(pages, divisor) <= limit[0]].tolist()
        base, last, extra, members = self.base, self.last, self.extra, self._members[tier]
        for page in fresh:
            if page in members:
                score = base[page] + last[page] / divisor + extra[page]
                arrival = self._arrival[page]
                if (score, arrival) < limit:
                    insort(shelf.sorted, (score, arrival, page))
        shelf.fresh = []

    def _sort(self, shelf: _Shelf, tier: int, divisor: float, wanted: int) -> None:
        """Sort the `wanted` pages that leave first, from the pool if it still knows them, else from all."""
        shelf.divisor = divisor
        shelf.touched.extend(shelf.fresh)
        shelf.fresh = []
        known = wanted == SHORTLIST and 0 < shelf.pool_divisor <= divisor
        if known and self._sort_pool(shelf, tier, divisor):
            return
        members = self._members[tier]
        pages = np.fromiter(members.keys(), np.int64, len(members))
        scores = self._scores(pages, divisor)
        count = max(4 * SHORTLIST, len(members) // 32, wanted)
        shelf.touched = []
        shelf.pool_divisor = divisor
        shelf.twin = None
        if count < len(pages):
            bar = np.partition(scores, count)[count]
            inside = scores <= bar + _margin(bar)  # equal pages are not parted, unless they are very many
            if np.count_nonzero(inside) > 2 * count:
                self._part_twins(shelf, pages, scores, inside, count)
            outside = scores[~inside & self._unlike_twin(shelf, pages)]
            shelf.rest = float(outside.min()) if len(outside) else float("inf")
            shelf.low = float((self._bases[pages] + self._extras[pages]).min())
            shelf.pool = pages[inside]
            scores = scores[inside]
        else:
            shelf.rest = float("inf")
            shelf.low = 0.0
            shelf.pool = pages
        self._shortlist(shelf, shelf.pool, scores, wanted, shelf.rest)

    def _sort_pool(self, shelf: _Shelf, tier: int, divisor: float) -> bool:
        """Sort the front of the pool; False if a page outside of it might come first."""
        if len(shelf.touched) > len(shelf.pool) + 4 * SHORTLIST:
            return False
        pages = shelf.pool
        if shelf.touched:
            pages = np.concatenate((pages, np.array(shelf.touched, np.int64)))
            numbers = np.arange(len(pages))
            self._marks[pages] = numbers
            pages = pages[self._marks[pages] == numbers]  # each once
        bar = shelf.rest
        if bar != float("inf"):
            kept = shelf.pool_divisor / divisor
            bar = bar * kept + shelf.low * (1.0 - kept)
            bar -= _margin(max(abs(bar), abs(shelf.low)))
        # Pages beyond the bar stay in the pool: only their order among the rest is unknown.
        shelf.pool = pages = pages[self._homes[pages] == tier]
        shelf.touched = []
        self._shortlist(shelf, pages, self._scores(pages, divisor), SHORTLIST, bar)
        return bool(shelf.sorted)

    def _part_twins(
        self, shelf: _Shelf, pages: Pages, scores: Scores, inside: NDArray[np.bool_], count: int
    ) -> None:
        """Of the pages alike to the last ones inside, leave only the first `count` there."""
        last = int(pages[np.argmax(np.where(inside, scores, -np.inf))])
        alike = self._alike(pages, (self.base[last], self.last[last], self.extra[last])).nonzero()[0]
        if len(alike) > count:
            twin = int(pages[alike[count]])
            inside[alike[count:]] = False
            shelf.twin = (self.base[twin], self.last[twin], self.extra[twin], self._arrival[twin])

    def _alike(self, pages: Pages, numbers: tuple[float, float, float]) -> NDArray[np.bool_]:
        base, last, extra = numbers
        found: NDArray[np.bool_] = (
            (self._bases[pages] == base) & (self._lasts[pages] == last) & (self._extras[pages] == extra)
        )
        return found

    def _unlike_twin(self, shelf: _Shelf, pages: Pages) -> NDArray[np.bool_]:
        if shelf.twin is None:
            return np.ones(len(pages), np.bool_)
        return ~self._alike(pages, shelf.twin[:3])

    @staticmethod
    def _twin_now(shelf: _Shelf, divisor: float) -> tuple[float, int]:
        """Where the pages left out of the pool for being alike begin."""
        if shelf.twin is None:
            return (float("inf"), 0)
        base, last, extra, arrival = shelf.twin
        return (base + last / divisor + extra, arrival)

    def _shortlist(self, shelf: _Shelf, pages: Pages, scores: Scores, wanted: int, bar: float) -> None:
        """Sort the first `wanted` of these pages, as far as they come before all that are not among them.

        Those score `bar` or more, or are alike to the twin.
        """
        limit = min((bar, 0), self._twin_now(shelf, shelf.divisor))
        before = scores < limit[0]
        if limit[1]:
            before |= (scores == limit[0]) & (self._arrivals[pages] < limit[1])
        pages = pages[before]
        scores = scores[before]
        if wanted < len(pages):
            level = np.partition(scores, wanted)[wanted]
            near = scores <= level
            pages = pages[near]
            scores = scores[near]
        arrivals = self._arrivals[pages]
        order = np.lexsort((arrivals, scores))
        if wanted < len(order):
            after = order[wanted]
            shelf.limit = (float(scores[after]), int(arrivals[after]))
            order = order[:wanted]
        else:
            shelf.limit = limit
        shelf.sorted = list(
            zip(scores[order].tolist(), arrivals[order].tolist(), pages[order].tolist(), strict=True)
        )

    def _scores(self, pages: Pages, divisor: float) -> Scores:
        scores: Scores = self._bases[pages] + self._lasts[pages] / divisor + self._extras[pages]
        return scores


def _margin(value: float) -> float:
    """More than the rounding of a bound of this size."""
    return 1e-9 * max(1.0, abs(value))
