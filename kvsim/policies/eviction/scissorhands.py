"""Persistence of importance."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.attention import Share, even_shares
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.history import HistoryPolicy
from kvsim.policies.eviction.worth import Worth, keep_newest
from kvsim.policies.registry import register_eviction

__all__ = ["Scissorhands"]


@register_eviction
class Scissorhands(HistoryPolicy):
    """Keeps the pages that were important most often lately, and the newest.

    A page is important in a step if it receives at least the mean attention of the pages of its layer and
    head group that are read with it. Counted are the last `history` steps in which the group was read. The
    share `recent` of the group's pages, rounded up, is kept for being the newest. The paper evicts half of
    a buffer of tokens at a time, this a page when room is needed; it may give layers different budgets,
    this does not. Where the workload knows no attention, each read is important.

    Cost: an access O(its pages), vectorised; an arrival and a removal O(log n), a victim O(pages of the
    group), vectorised; state: three numbers a page, and two for each time it was important in the history.

    Source: Z. Liu et al., "Scissorhands: exploiting the persistence of importance hypothesis for LLM KV
    cache compression at test time", NeurIPS 2023.
    """

    name = "scissorhands"

    def __init__(
        self,
        view: ResidencyView,
        history: Annotated[int, Field(ge=1)] = 64,
        recent: Share = 0.25,
        even: bool = True,
    ) -> None:
        super().__init__(view, history, even)
        self._recent = recent

    def counted(self, mass: Worth, groups: Pages) -> Worth:
        return (even_shares(mass, groups) >= 1).astype(np.float64)

    def worth(self, pages: Pages, group: int) -> Worth:
        return keep_newest(self.sums(pages), self._recent)
