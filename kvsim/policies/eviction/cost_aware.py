"""Frequency and recency against size."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.policies.eviction.scored import ScorePolicy
from kvsim.policies.registry import register_eviction

__all__ = ["CostAware"]


@register_eviction
class CostAware(ScorePolicy):
    """Removes large pages before small ones that were read as often and as lately.

    Score: 2 × reads + last step / max(step, 1) − .4 × KiB that the page takes in its tier. Recency is
    worth at most half a read, and ever less between two given reads as the run grows longer.

    Cost: O(1) a read, a victim as in `ScorePolicy`; state: three numbers a page.

    Source: kv-hierarchy-lab, policy `cost_aware`.
    """

    name = "cost_aware"
    ageing = True

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        self.reach_all(pages)
        step = float(self.view.step)
        base, last = self.base, self.last
        for page in pages:
            base[page] += 2.0
            last[page] = step
        self.touch(pages, tier)

    def inserted(self, page: int, tier: int) -> None:
        self.reach(page)
        self.extra[page] = -0.4 * (self.view.bytes_of(page, tier) / 1024)
        super().inserted(page, tier)
