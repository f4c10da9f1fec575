"""Frequency, then recency."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.policies.eviction.scored import ScorePolicy
from kvsim.policies.registry import register_eviction

__all__ = ["HeavyHitter"]


class FrequencyFirst(ScorePolicy):
    """A weight for each read a page ever had, plus the step of its last."""

    weight: float

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        self.reach_all(pages)
        step = float(self.view.step)
        base, last, weight = self.base, self.last, self.weight
        for page in pages:
            base[page] += weight
            last[page] = step
        self.touch(pages, tier)


@register_eviction
class HeavyHitter(FrequencyFirst):
    """Keeps what was read most often in the whole run; among equals the latest read.

    Score: 10,000 × reads + step of the last read (-1: never). Reads are never forgotten, not even by
    eviction, so a page that was hot long ago stays; `lfu` forgets at eviction.

    Cost: O(1) a read, a victim as in `ScorePolicy`; state: three numbers a page.

    Source: kv-hierarchy-lab, policy `heavy_hitter`; the name is that of Z. Zhang et al., "H2O:
    Heavy-Hitter Oracle", NeurIPS 2023, which counts attention instead of reads.
    """

    name = "heavy_hitter"
    weight = 10_000.0
