"""Frequency against recency on the scale of hundreds of steps; goes with the prefetcher of that name."""

from __future__ import annotations

from kvsim.policies.eviction.heavy_hitter import FrequencyFirst
from kvsim.policies.registry import register_eviction

__all__ = ["Predictive"]


@register_eviction
class Predictive(FrequencyFirst):
    """Keeps what was read often, but 100 steps without a read weigh as much as one read.

    Score: 100 × reads + step of the last read (-1: never). In kv-hierarchy-lab one policy did this and the
    prefetching; here that is the prefetch policy `predictive`.

    Cost: O(1) a read, a victim as in `ScorePolicy`; state: three numbers a page.

    Source: kv-hierarchy-lab, policy `predictive`.
    """

    name = "predictive"
    weight = 100.0
