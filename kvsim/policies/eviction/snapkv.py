"""The attention of a window of observations, pooled over neighbours."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.attention import Share
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.history import HistoryPolicy
from kvsim.policies.eviction.worth import Worth, keep_newest
from kvsim.policies.registry import register_eviction

__all__ = ["SnapKv"]


@register_eviction
class SnapKv(HistoryPolicy):
    """Keeps the pages on which, or next to which, the latest queries looked most, and the newest.

    Worth: the attention summed over the last `observations` steps in which the page's layer and head group
    was read, then the largest such sum among the page and the `pool` pages on each side of it that are
    still in the tier. The share `recent` of the group's pages, rounded up, is kept for being the newest.
    The paper chooses once, at the end of the prompt, and tokens, pooled over seven; here every victim is
    chosen by the steps before it, and two pages that others parted become neighbours. Where the workload
    knows no attention, each read counts as a mass of 1.

    Cost: an access O(its pages), vectorised; an arrival and a removal O(log n), a victim O(pages of the
    group x pool), vectorised; state: three numbers a page, and two for each observation of it.

    Source: Y. Li et al., "SnapKV: LLM knows what you are looking for before generation", NeurIPS 2024.
    """

    name = "snapkv"

    def __init__(
        self,
        view: ResidencyView,
        observations: Annotated[int, Field(ge=1)] = 32,
        pool: Annotated[int, Field(ge=0)] = 1,
        recent: Share = 0.25,
        even: bool = True,
    ) -> None:
        super().__init__(view, observations, even)
        self._pool = pool
        self._recent = recent

    def counted(self, mass: Worth, groups: Pages) -> Worth:
        return mass

    def worth(self, pages: Pages, group: int) -> Worth:
        sums = self.sums(pages)
        pooled = sums.copy()
        for away in range(1, min(self._pool, len(sums) - 1) + 1):
            np.maximum(pooled[away:], sums[:-away], out=pooled[away:])
            np.maximum(pooled[:-away], sums[away:], out=pooled[:-away])
        return keep_newest(pooled, self._recent)
