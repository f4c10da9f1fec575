"""A residency tracker with three classes of pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.policies.base import PlacementPolicy, PlacementView
from kvsim.policies.registry import register_placement

__all__ = ["HotWarmCold"]

COLD, WARM, HOT = 0, 1, 2


@register_placement
class HotWarmCold(PlacementPolicy):
    """Keeps pages that are read often in tier 0, those read sometimes in `warm_tier`, and the rest in
    `cold_tier` or below.

    The read rate of a page is the share of steps that read it, the latest counting most: each step
    multiplies it by 1 - `weight`, and adds `weight` if it has read the page. A page whose rate reaches `warm`
    is warm, one whose rate reaches `hot` wants to be hot, and both fall back only when the rate is more
    than `hysteresis` below. Of those that want to be hot the most often read are, as many as take
    `hot_share` of tier 0 (among equals: who is hot already, then the lower number).

    A page that is not hot is staged when it is read: it passes tier 0 and keeps its place below. So tier 0
    is a scratch memory, of which hot pages have their share and staging the rest. After each step at most
    `moves` pages that have become warm go up to `warm_tier`, the most often read first, and as many that
    have become cold go down to `cold_tier`, the least often read first. Pages that exist at the start are
    warm or cold, as `start` says.

    Cost: O(pages of the layer) a read, O(pages) after a step, vectorised; state: three numbers a page.

    Source: the classes and their tiers are those of KVFlow (hot in SRAM and HBM, warm in HBM, cold in CXL
    and DRAM), whose thresholds are not published; the weighted rate and the hysteresis are ours.
    """

    name = "hot_warm_cold"
    watches = True

    def __init__(
        self,
        view: PlacementView,
        hot: float = 0.9,
        warm: float = 0.5,
        hysteresis: float = 0.1,
        weight: float = 0.5,
        hot_share: float = 0.5,
        warm_tier: int = 1,
        cold_tier: int = 2,
        start: Literal["warm", "cold"] = "warm",
        moves: int = 256,
    ) -> None:
        super().__init__(view)
        last = view.tier_count - 1
        self._thresholds = (warm, hot)
        self._hysteresis = hysteresis
        self._weight = weight
        self._hot_share = hot_share
        self._warm_tier = min(warm_tier, last)
        self._cold_tier = min(cold_tier, last)
        self._first = self._warm_tier if start == "warm" else self._cold_tier
        self._moves = moves
        self._rate = np.zeros(0)
        self._read = np.zeros(0, dtype=np.bool_)
        """Whether the running step has read the page."""
        self._class = np.zeros(0, dtype=np.int8)
        self._hot: set[int] = set()
        self._cooling: set[int] = set()
        """Pages that became cold and have not been moved yet."""
        self._warming: set[int] = set()
        """Pages that became warm or hot and have not been moved yet."""

    def start(self, page: int) -> int:
        if page >= len(self._rate):
            self._grow(page + 1)
        if self._first == self._warm_tier:
            self._class[page] = WARM
            self._rate[page] = self._thresholds[0]
        return self._first

    def accessed(self, pages: NDArray[np.int64]) -> None:
        if not len(pages):
            return
        top = int(pages.max())
        if top >= len(self._rate):
            self._grow(top + 1)
        self._read[pages] = True

    def keeps(self, page: int) -> bool:
        return page in self._hot

    def class_of(self, page: int) -> str:
        """`hot`, `warm` or `cold`."""
        if page in self._hot:
            return "hot"
        return "warm" if page < len(self._class) and self._class[page] >= WARM else "cold"

    def weighs(self) -> int:
        return int(np.count_nonzero(self.view.homes()[: len(self._rate)] >= 0))

    def migrations(self) -> Iterator[tuple[int, int]]:
        self._rate *= 1 - self._weight
        self._rate[self._read] += self._weight
        self._read[:] = False
        left = self._classify()
        yield from ((page, self._warm_tier) for page in left)
        yield from self._upward()
        yield from self._downward()

    def _grow(self, pages: int) -> None:
        more = max(pages, 2 * len(self._rate)) - len(self._rate)
        self._rate = np.concatenate((self._rate, np.zeros(more)))
        self._read = np.concatenate((self._read, np.zeros(more, dtype=np.bool_)))
        self._class = np.concatenate((self._class, np.zeros(more, dtype=np.int8)))

    def _classify(self) -> list[int]:
        """Set every page's class; returns the pages that are hot no longer, in order."""
        rate, before = self._rate, self._class
        warm, hot = (
            (rate >= threshold) | ((before >= grade) & (rate >= threshold - self._hysteresis))
            for grade, threshold in zip((WARM, HOT), self._thresholds, strict=True)
        )
        now = np.where(hot, HOT, np.where(warm, WARM, COLD)).astype(np.int8)
        self._cooling.update(np.flatnonzero((now == COLD) & (before > COLD)).tolist())
        self._warming.update(np.flatnonzero((now > COLD) & (before == COLD)).tolist())
        self._class = now
        chosen = self._hottest(np.flatnonzero(hot))
        left = sorted(self._hot - chosen)
        self._hot = chosen
        return left

    def _hottest(self, wanting: NDArray[np.int64]) -> set[int]:
        """Those that fit their share of tier 0."""
        already = np.array([page not in self._hot for page in wanting.tolist()], dtype=np.bool_)
        room = int(self._hot_share * self.view.capacity_of(0))
        chosen: set[int] = set()
        for page in wanting[np.lexsort((wanting, already, -self._rate[wanting]))].tolist():
            room -= self.view.bytes_of(page, 0)
            if room < 0:
                break
            chosen.add(page)
        return chosen

    def _upward(self) -> Iterator[tuple[int, int]]:
        self._warming = {
            p for p in self._warming if self._class[p] > COLD and self._below(p, self._warm_tier)
        }
        wanting = sorted(self._warming, key=lambda page: (-self._rate[page], page))
        for page in wanting[: self._moves]:
            yield page, self._warm_tier

    def _downward(self) -> Iterator[tuple[int, int]]:
        self._cooling = {
            p for p in self._cooling if self._class[p] == COLD and self._above(p, self._cold_tier)
        }
        leaving = sorted(self._cooling, key=lambda page: (self._rate[page], page))
        for page in leaving[: self._moves]:
            yield page, self._cold_tier

    def _below(self, page: int, tier: int) -> bool:
        return self.view.tier_of(page) > tier

    def _above(self, page: int, tier: int) -> bool:
        return 0 <= self.view.tier_of(page) < tier
