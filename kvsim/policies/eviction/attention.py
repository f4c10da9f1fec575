"""The shared ground of the policies that weigh pages by the attention they receive."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.worth import Worth, WorthPolicy

__all__ = ["AttentionPolicy", "Share", "even_shares"]

Share = Annotated[float, Field(ge=0, le=1)]


class AttentionPolicy(WorthPolicy):
    """Sees attention mass where the workload knows it, else the reads: each counts as a mass of 1.

    From the first mass told on, reads count no more, and what they counted before is forgotten.
    """

    def __init__(self, view: ResidencyView, even: bool) -> None:
        super().__init__(view, even)
        self._told = False
        self._group = self.table(-1, np.int64)

    @abstractmethod
    def observed(self, pages: Pages, mass: Worth, groups: Pages) -> None:
        """The pages, of these groups and all in the tables, are read and receive this attention."""

    @abstractmethod
    def forget(self) -> None:
        """Start anew: what was observed were reads, but the workload knows attention."""

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        if not self._told and pages:
            self._observe(np.array(pages, np.int64), np.ones(len(pages)))

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> None:
        if not self._told:
            self._told = True
            self.forget()
            self.stale()
        if pages:
            self._observe(np.array(pages, np.int64), np.array(mass))

    def _observe(self, pages: Pages, mass: Worth) -> None:
        self.reach(int(pages.max()))
        groups = self._groups_of(pages)
        self.observed(pages, mass, groups)
        self.stale(*np.unique(groups).tolist())

    def _groups_of(self, pages: Pages) -> Pages:
        known = self._group.values
        groups: Pages = known[pages]
        if groups.min() < 0:
            groups = np.array([self.view.group_of(page) for page in pages.tolist()])
            known[pages] = groups
        return groups


def even_shares(mass: Worth, groups: Pages) -> Worth:
    """The mass of each page in even shares: parts of the mean of those of its group.

    0 where the group receives nothing; exactly 1 where all receive alike."""
    totals = np.bincount(groups, mass)[groups]
    counts = np.bincount(groups)[groups]
    shares: Worth = np.divide(mass * counts, totals, out=np.zeros(len(mass)), where=totals > 0)
    return shares
