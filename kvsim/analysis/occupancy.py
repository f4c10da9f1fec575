"""How full each tier was, as a step function of time, from the space records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kvsim.analysis.intervals import Ticks
from kvsim.sim.result import RunResult
from kvsim.sim.serving.result import ServingResult


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Bytes used or reserved in one tier: `used_bytes[i]` holds from `times[i]` until `times[i + 1]`."""

    tier: str
    capacity_bytes: int
    times: Ticks
    """Ticks, strictly increasing; the first is 0."""
    used_bytes: Ticks


def occupancy(result: RunResult | ServingResult) -> tuple[Occupancy, ...]:
    """The step function of every tier; changes of one instant are taken together.

    The space records begin with the pages that are there at the start, at time 0. Without event records
    the function is the constant `TierInfo.initial_bytes`.
    """
    space = result.records.space
    time, tier, delta = space.column("time"), space.column("tier"), space.column("delta")
    curves = []
    for index, info in enumerate(result.tiers):
        mine = tier == index
        order = np.argsort(time[mine], kind="stable")
        times = np.concatenate((np.zeros(1, np.int64), time[mine][order]))
        base = 0 if result.records.keep_events else info.initial_bytes
        used = base + np.concatenate((np.zeros(1, np.int64), np.cumsum(delta[mine][order])))
        last = np.concatenate((times[1:] > times[:-1], [True]))
        curves.append(Occupancy(info.name, info.capacity_bytes, times[last], used[last]))
    return tuple(curves)
