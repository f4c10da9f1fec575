"""Little's law on the lanes: L (mean number in the system) = lambda (arrival rate) x W (mean sojourn).

The three are computed independently of each other, so that the law tests the records instead of
restating them: L by integrating the number in the system over time, lambda by counting arrivals,
W by averaging each transfer's own time from reaching the lane to leaving it.

J. D. C. Little, "A Proof for the Queuing Formula L = lambda W", Operations Research 9(3), 1961.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from kvsim.analysis.intervals import Ticks, exact_dot, exact_sum
from kvsim.sim.result import RunResult
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Queueing:
    """One lane's queue over a window that begins at 0 and holds every arrival and departure."""

    count: int
    window_ticks: int
    area_ticks: int
    """Integral over time of the number of transfers waiting or in service."""
    sojourn_ticks: int
    """Sum over transfers of departure minus arrival."""

    @property
    def mean_in_system(self) -> float:
        """L, in transfers."""
        return float(Fraction(self.area_ticks, self.window_ticks)) if self.window_ticks else 0.0

    @property
    def arrival_rate_per_s(self) -> float:
        """Lambda, in transfers per second."""
        if not self.window_ticks:
            return 0.0
        return float(Fraction(self.count * TICKS_PER_SECOND, self.window_ticks))

    @property
    def mean_sojourn_s(self) -> float:
        """W, in seconds."""
        return float(Fraction(self.sojourn_ticks, self.count * TICKS_PER_SECOND)) if self.count else 0.0


def queueing(arrival: Ticks, departure: Ticks, window_ticks: int) -> Queueing:
    """Measure one lane; the window is stretched to the last departure where that is later."""
    if not arrival.size:
        return Queueing(0, window_ticks, 0, 0)
    times = np.concatenate((arrival, departure))
    change = np.concatenate((np.ones_like(arrival), -np.ones_like(departure)))
    order = np.argsort(times, kind="stable")
    present = np.cumsum(change[order])
    area = exact_dot(present[:-1], np.diff(times[order]))
    window = max(window_ticks, int(departure.max()))
    return Queueing(arrival.size, window, area, exact_sum(departure - arrival))


def littles_law(result: RunResult | ServingResult) -> dict[str, Queueing]:
    """Queueing of every lane by name, from the hop records (empty with `records: summary`)."""
    hops = result.records.hops
    lane, queued, end = hops.column("lane"), hops.column("queued"), hops.column("end")
    return {
        info.name: queueing(queued[lane == index], end[lane == index], result.makespan_ticks)
        for index, info in enumerate(result.lanes)
    }
