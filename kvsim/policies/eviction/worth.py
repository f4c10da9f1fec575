"""The page that is worth least leaves: the shared ground of the policies that rank the pages of a group."""

from __future__ import annotations

import sys
from abc import abstractmethod
from math import ceil

import numpy as np
from numpy.typing import NDArray

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.grouped import GroupedPolicy, Pages

__all__ = ["KEPT", "Worth", "WorthPolicy", "keep_newest"]

Worth = NDArray[np.float64]

KEPT = sys.float_info.max
"""Worth of a page that leaves only if no other of its group can."""
NOBODY = float("inf")
"""Worth of what a group loses next if no page of it can leave."""


class _Next:
    """Of one tier, who leaves each group first, pinned or not (-1: nobody is there), and its worth.

    Out of date for the groups in `stale`.
    """

    __slots__ = ("first", "least", "stale")

    def __init__(self) -> None:
        self.first: Pages = np.zeros(0, np.int64)
        self.least: Worth = np.zeros(0)
        self.stale: set[int] = set()

    def reach(self, groups: int) -> None:
        """Make sure that there is an entry for each of so many groups."""
        if groups > len(self.first):
            more = groups - len(self.first)
            self.first = np.concatenate((self.first, np.full(more, -1)))
            self.least = np.concatenate((self.least, np.full(more, NOBODY)))


class WorthPolicy(GroupedPolicy):
    """Of a group the page of the least worth leaves first; among equals that of the lowest number.

    If `even`, the victim is of the group with the most pages in the tier (among equals the lowest group);
    else it is the page of the least worth in any group (among equals of the lowest group).

    Cost: an arrival and a removal O(log n). A victim a vectorised look at the pages of its group, or, if
    not `even`, of all groups that have changed; and, if the first page is pinned, a sort of the group and a
    look at each pinned page before it.
    """

    def __init__(self, view: ResidencyView, even: bool) -> None:
        super().__init__(view, even)
        self._next = [_Next() for _ in range(view.tier_count)]

    @abstractmethod
    def worth(self, pages: Pages, group: int) -> Worth:
        """What it is worth to keep each of these pages: all that a tier holds of the group, ascending."""

    def stale(self, *groups: int) -> None:
        """The worth of pages of these groups has changed; of all groups, if none is named."""
        for known, tier in zip(self._next, self.tiers, strict=True):
            known.stale.update(groups or range(len(tier.pages)))

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        self._next[tier].stale.add(self.view.group_of(page))

    def removed(self, page: int, tier: int) -> None:
        super().removed(page, tier)
        self._next[tier].stale.add(self.view.group_of(page))

    def victim(self, tier: int) -> int | None:
        self._next[tier].reach(len(self.tiers[tier].pages))
        return self._of_largest(tier) if self.even else self._of_all(tier)

    def _of_largest(self, tier: int) -> int | None:
        for group in self.tiers[tier].largest_first():
            page = self._leaving(tier, group)[1]
            if page >= 0:
                return page
        return None

    def _of_all(self, tier: int) -> int | None:
        known = self._next[tier]
        for group in list(known.stale):
            self._look_at(tier, group)
        least = known.least.copy()
        unpinned: dict[int, int] = {}
        while len(least) and least[group := int(least.argmin())] < NOBODY:
            if group in unpinned:
                return unpinned[group]
            least[group], unpinned[group] = self._leaving(tier, group)
        return None

    def _look_at(self, tier: int, group: int) -> None:
        """Find out who of the group leaves first."""
        known, pages = self._next[tier], self._pages(tier, group)
        known.stale.discard(group)
        if len(pages):
            worth = self.worth(pages, group)
            at = int(worth.argmin())
            known.first[group], known.least[group] = pages[at], worth[at]
        elif group < len(known.first):
            known.first[group], known.least[group] = -1, NOBODY

    def _leaving(self, tier: int, group: int) -> tuple[float, int]:
        """Worth and number of the page that leaves the group first; -1 if all are pinned."""
        known = self._next[tier]
        if group in known.stale:
            self._look_at(tier, group)
        pinned = self.view.is_pinned
        first = int(known.first[group])
        if first < 0 or not pinned(first):
            return float(known.least[group]), first
        pages = self._pages(tier, group)
        worth = self.worth(pages, group)
        order = np.argsort(worth, kind="stable")
        for at, page in zip(order.tolist(), pages[order].tolist(), strict=True):
            if not pinned(page):
                return float(worth[at]), page
        return NOBODY, -1

    def _pages(self, tier: int, group: int) -> Pages:
        """The pages of the group in the tier; not to be held on to: nobody can come or go meanwhile."""
        groups = self.tiers[tier].pages
        if group >= len(groups) or not groups[group]:
            return np.empty(0, np.int64)
        return np.frombuffer(groups[group], np.int64)


def keep_newest(worth: Worth, share: float) -> Worth:
    """The worth of a group's pages with the newest kept: that share of all, rounded up."""
    newest = ceil(len(worth) * share)
    if newest:
        worth[-newest:] = KEPT
    return worth
