"""What pages were worth in the last steps in which their group was read."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque

import numpy as np

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.attention import AttentionPolicy
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.worth import Worth

__all__ = ["HistoryPolicy"]

UNIT = float(2**40)
"""Sums are kept in parts of this, whole numbers, so that what leaves the window leaves no rounding behind."""

Look = tuple[int, list[tuple[Pages, Pages]]]
"""A step, and what the pages of a group counted in it."""


class HistoryPolicy(AttentionPolicy):
    """Sums, for each page, what `counted` says over the last `window` steps in which its group was read."""

    def __init__(self, view: ResidencyView, window: int, even: bool) -> None:
        super().__init__(view, even)
        self._window = window
        self._looks: dict[int, deque[Look]] = {}
        self._sums = self.table(0, np.int64)

    @abstractmethod
    def counted(self, mass: Worth, groups: Pages) -> Worth:
        """What this attention of pages of these groups counts."""

    def sums(self, pages: Pages) -> Worth:
        """What the pages counted in the window, altogether."""
        sums: Worth = self._sums.values[pages] / UNIT
        return sums

    def observed(self, pages: Pages, mass: Worth, groups: Pages) -> None:
        units = np.rint(self.counted(mass, groups) * UNIT).astype(np.int64)
        self._sums.values[pages] += units
        some = units > 0
        for group in np.unique(groups).tolist():
            of = some & (groups == group)
            self._remember(group, pages[of], units[of])

    def _remember(self, group: int, pages: Pages, units: Pages) -> None:
        looks = self._looks.setdefault(group, deque())
        if not looks or looks[-1][0] != self.view.step:
            looks.append((self.view.step, []))
        looks[-1][1].append((pages, units))
        if len(looks) > self._window:
            for gone, counted in looks.popleft()[1]:
                self._sums.values[gone] -= counted

    def forget(self) -> None:
        self._looks.clear()
        self._sums.values[:] = 0
