"""Frequency, recency, and what it was a mistake to evict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.scored import ScorePolicy
from kvsim.policies.registry import register_eviction

__all__ = ["RegretAware"]


@register_eviction
class RegretAware(ScorePolicy):
    """Holds on to pages that were read again soon after their eviction.

    Score: 1.5 × reads + last step / max(step, 1) + weight × regret. A read first multiplies the page's
    regret by .98, then, if it was evicted (from any tier, the latest counts, once) `gap` ≤ `horizon` steps
    ago, adds (horizon − gap + 1) / horizon.

    Cost: O(1) a read, a victim as in `ScorePolicy`; state: five numbers a page.

    Source: kv-hierarchy-lab, policy `regret_aware`; the idea of learning from a history of evictions is
    that of ARC (N. Megiddo and D. Modha, FAST 2003) and LeCaR (G. Vietri et al., HotStorage 2018).
    """

    name = "regret_aware"
    ageing = True

    def __init__(
        self, view: ResidencyView, weight: float = 6.0, horizon: Annotated[int, Field(ge=1)] = 24
    ) -> None:
        super().__init__(view)
        self._weight = weight
        self._horizon = horizon
        self._regret: dict[int, float] = {}
        self._evicted_at: dict[int, int] = {}

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        self.reach_all(pages)
        now = self.view.step
        step = float(now)
        base, last, regret, evicted_at = self.base, self.last, self._regret, self._evicted_at
        for page in pages:
            base[page] += 1.5
            last[page] = step
            if page in evicted_at or page in regret:
                self._regret_again(page, now)
        self.touch(pages, tier)

    def _regret_again(self, page: int, now: int) -> None:
        regret = self._regret.get(page, 0.0) * 0.98
        gap = now - self._evicted_at.pop(page, now - self._horizon - 1)
        if gap <= self._horizon:
            regret += (self._horizon - gap + 1) / self._horizon
        if regret:
            self._regret[page] = regret
            self.extra[page] = self._weight * regret

    def evicted(self, page: int, tier: int) -> None:
        self._evicted_at[page] = self.view.step
