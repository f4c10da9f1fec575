"""Attention sinks and the newest."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.worth import KEPT, Worth, WorthPolicy
from kvsim.policies.registry import register_eviction

__all__ = ["Streaming"]


@register_eviction
class Streaming(WorthPolicy):
    """Keeps the first `sinks` pages of each layer and head group, and of the others the newest.

    The paper keeps the first four tokens; a page holds at least as many, so one page is enough. The kept
    keys keep their positions, which the paper closes up instead.

    Cost: a read nothing at all, an arrival and a removal O(log n), a victim O(pages of the group),
    vectorised; state: one number a page, and the sinks.

    Source: G. Xiao et al., "Efficient streaming language models with attention sinks", ICLR 2024.
    """

    name = "streaming"

    def __init__(
        self, view: ResidencyView, sinks: Annotated[int, Field(ge=0)] = 1, even: bool = True
    ) -> None:
        super().__init__(view, even)
        self._count = sinks
        self._sinks: dict[int, list[int]] = {}
        """The first pages of each group that ever came, ascending."""

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        pass

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        group = self.view.group_of(page)
        sinks = self._sinks.setdefault(group, [])
        if page not in sinks and (len(sinks) < self._count or (sinks and page < sinks[-1])):
            insort(sinks, page)
            del sinks[self._count :]
            self.stale(group)

    def worth(self, pages: Pages, group: int) -> Worth:
        worth = pages.astype(np.float64)
        sinks = self._sinks[group]
        if sinks:
            worth[: np.searchsorted(pages, sinks[-1], side="right")] = KEPT
        return worth
