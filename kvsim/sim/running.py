"""What runs of steps and runs of requests share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kvsim.sim.lane import Lane
from kvsim.sim.result import LaneInfo, TierInfo
from kvsim.sim.tier import Tier
from kvsim.sim.topology import UNBOUNDED

__all__ = ["Progress", "lane_info", "patient_collector", "tier_info"]

Progress = Callable[[int], None]
"""Told how many steps, or requests, are over."""


@contextmanager
def patient_collector() -> Iterator[None]:
    """Look for reference cycles less often: the hot path makes none, and at the default
    threshold the collector's walks over live objects take a fifth of a run."""
    thresholds = gc.get_threshold()
    gc.set_threshold(max(thresholds[0], 100_000), *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def lane_info(lane: Lane, weights: int = 0) -> LaneInfo:
    """A lane with its totals; `weights` of its bytes are those of weights."""
    classes = lane.bytes_by_class
    return LaneInfo(
        name=lane.label.name,
        link=lane.label.part_of,
        direction=lane.label.direction,
        kind=lane.label.kind,
        channels=lane.channels,
        bandwidth=0 if lane.bandwidth == UNBOUNDED else lane.bandwidth,
        transfers=lane.transfers,
        bytes_in=lane.bytes_in,
        bytes_out=lane.bytes_out,
        busy_ticks=lane.busy,
        queue_ticks=lane.queueing,
        bytes_by_class=(classes[0], classes[1], classes[2], classes[3]),
        weights_bytes=weights,
    )


def tier_info(
    tier: Tier, found: int, evictions: int, discards: int, read_bytes: int, written_bytes: int
) -> TierInfo:
    """A tier with its totals: those of its room, and what was counted of it elsewhere."""
    return TierInfo(
        name=tier.name,
        capacity_bytes=tier.capacity,
        initial_bytes=tier.initial,
        arrived_bytes=tier.taken - tier.initial,
        departed_bytes=tier.released,
        resident_bytes=tier.capacity - tier.free,
        peak_bytes=tier.capacity - tier.least_free,
        found=found,
        evictions=evictions,
        discards=discards,
        read_bytes=read_bytes,
        written_bytes=written_bytes,
    )
