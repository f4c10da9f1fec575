"""Reads within a sliding window, then recency."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.scored import ScorePolicy
from kvsim.policies.registry import register_eviction

__all__ = ["WindowedRecency"]


@register_eviction
class WindowedRecency(ScorePolicy):
    """Keeps what was read most often within the last `window` page reads; among equals the latest read.

    Score: 1e6 × reads in the window + step of the last read (-1: never). Against lru it needs two reads
    close together before it trusts a page; what lies further back than the window counts for nothing.

    Cost: O(1) a read (one page enters the window, one leaves), a victim as in `ScorePolicy`; state: the
    window and three numbers a page.

    Source: kv-hierarchy-lab, policy `windowed_recency`.
    """

    name = "windowed_recency"

    def __init__(self, view: ResidencyView, window: Annotated[int, Field(ge=1)] = 32) -> None:
        super().__init__(view)
        self._window = window
        self._reads: deque[int] = deque()

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        self.reach_all(pages)
        step = float(self.view.step)
        base, last, reads = self.base, self.last, self._reads
        for page in pages:
            reads.append(page)
            base[page] += 1e6
            last[page] = step
            if len(reads) > self._window:
                gone = reads.popleft()
                base[gone] -= 1e6
                self.touch((gone,), self.view.tier_of(gone))
        self.touch(pages, tier)
