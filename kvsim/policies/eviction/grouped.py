"""Pages by the layer and head group they are of: the shared ground of the policies that know positions."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvsim.policies.base import EvictionPolicy, ResidencyView

__all__ = ["GroupedPolicy", "Groups", "Pages", "Table"]

Pages = NDArray[np.int64]


class Groups:
    """One tier's pages by group, each group's in order of their numbers."""

    __slots__ = ("counts", "pages")

    def __init__(self) -> None:
        self.pages: list[array[int]] = []
        self.counts: Pages = np.zeros(0, np.int64)

    def add(self, page: int, group: int) -> None:
        """The page came into the tier."""
        if group >= len(self.pages):
            more = max(group + 1, 2 * len(self.pages)) - len(self.pages)
            self.pages += [array("q") for _ in range(more)]
            self.counts = np.concatenate((self.counts, np.zeros(more, np.int64)))
        insort(self.pages[group], page)
        self.counts[group] += 1

    def drop(self, page: int, group: int) -> None:
        """The page left the tier."""
        pages = self.pages[group]
        del pages[bisect_left(pages, page)]
        self.counts[group] -= 1

    def largest_first(self) -> Iterator[int]:
        """The groups that have pages, those of the most pages first; among equals the lowest number."""
        counts = self.counts
        if len(counts) and counts[largest := int(counts.argmax())]:
            yield largest
            others = np.argsort(-counts, kind="stable")[1:]
            yield from others[counts[others] > 0].tolist()


class Table:
    """A number for each page, by its number; `GroupedPolicy` sees to its length."""

    __slots__ = ("fill", "values")

    def __init__(self, fill: float, dtype: type[np.generic]) -> None:
        self.fill = fill
        self.values: NDArray[Any] = np.empty(0, dtype)

    def resize(self, size: int) -> None:
        """Make the table this long; what is new has the value `fill`."""
        more = np.full(size - len(self.values), self.fill, self.values.dtype)
        self.values = np.concatenate((self.values, more))


class GroupedPolicy(EvictionPolicy):
    """Knows the pages of each tier by group (one layer and head group), in order of their numbers.

    The newest pages of a group are those of the highest numbers, because pages are numbered in order of
    birth. Where several sequences share the tiers, a group holds pages of all of them. Pages count, not
    tokens or bytes: that is what a policy knows. `even` policies take the victim from the group that has
    the most pages in the tier, so that all keep about as many; a group of which every page is pinned is
    passed over.
    """

    def __init__(self, view: ResidencyView, even: bool) -> None:
        super().__init__(view)
        self.even = even
        self.tiers = [Groups() for _ in range(view.tier_count)]
        self._tables: list[Table] = []
        self._reach = 0

    def table(self, fill: float = 0.0, dtype: type[np.generic] = np.float64) -> Table:
        """A new number for each page that has come into a tier, or that was reached."""
        self._tables.append(Table(fill, dtype))
        return self._tables[-1]

    def reach(self, page: int) -> None:
        """Make sure that the tables hold the page."""
        if page >= self._reach:
            self._reach = max(2 * self._reach, page + 1, 256)
            for table in self._tables:
                table.resize(self._reach)

    def inserted(self, page: int, tier: int) -> None:
        self.reach(page)
        self.tiers[tier].add(page, self.view.group_of(page))

    def removed(self, page: int, tier: int) -> None:
        self.tiers[tier].drop(page, self.view.group_of(page))

    def contents(self, tier: int) -> Iterable[int]:
        return chain.from_iterable(self.tiers[tier].pages)
