"""A finished run between its bounds: how much of the overlap that was possible took place.

The same work, transfers and compute, is put together in other ways: one after another (the additive law),
perfectly overlapped (the max law), and along the steps' own waits with all contention taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.intervals import Ticks, exact_sum, merge, total_ticks
from kvsim.analysis.streams import page_rows, waited_for_weights
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult
from kvsim.units import TICKS_PER_SECOND

__all__ = ["BoundsSummary", "RunBounds", "run_bounds"]

COMPUTE = "compute"
"""What the max law is called after where no lane takes longer than compute with idle time."""


@dataclass(frozen=True, slots=True)
class BoundsSummary:
    """The makespan against its bounds in seconds; a ratio is the makespan over the bound.

    Ratios are 1 where both are 0, and None where only the bound is."""

    additive_law_s: float
    """Idle time, compute and all transfers one after another: the makespan where nothing overlaps."""
    additive_law_ratio: float | None
    critical_s: float | None
    """Idle time, compute and what steps waited for service and codecs: no queues, no waits for room. None
    but in `demand` mode without chunked links and reads during compute, where no machine of equal lanes takes
    less."""
    critical_ratio: float | None
    max_law_s: float
    """The longest of compute with idle time and each lane's service: perfect overlap, a lower bound."""
    max_law_ratio: float | None
    longest: str
    """What that is: `compute`, or the name of a lane."""
    overlapped: float
    """How far the run is from the additive law (0) on the way to the max law (1); 1 if they agree."""
    transfer_s: float
    """All transfers one after another: the additive law without compute and idle time."""


@dataclass(frozen=True, slots=True)
class RunBounds:
    """The makespan of a run and what bounds it, in ticks; `summary` gives seconds."""

    makespan_ticks: int
    compute_ticks: int
    idle_ticks: int
    """Waiting for arrivals and for placement decisions, which no overlap removes."""
    transfer_ticks: int
    """Sum over transfers of the time they are served or in a latency: not queued, not waiting for room.
    Weights count only as far as steps wait for them after computing.

    Where lanes share their bandwidth that time is as long as the sharing made it."""
    lane_ticks: tuple[tuple[str, int], ...]
    """Of each lane by name, the time its service takes up to the makespan: channel time over channels,
    and at most the time in which it serves anybody (flows that share bandwidth overlap)."""
    critical_ticks: int
    """Idle time, compute, and what the steps waited for service: no queues, no waits for room, nothing late.

    A machine of equal lanes without contention takes no less in `demand` mode, if no route is chunked and no
    page is read in place during compute:
    each wait was ended by a transfer, of which this counts service and latency alone."""
    critical_holds: bool
    """Whether the run is such a one."""

    @property
    def additive_ticks(self) -> int:
        """Idle time, compute and all transfers, one after another: the makespan in `serial` and `ideal` mode,
        and no less in any: there is a transfer served or in a latency at every moment of a wait, and what
        copies by a kernel take from compute is less than their service."""
        return self.idle_ticks + self.compute_ticks + self.transfer_ticks

    @property
    def busiest_lane(self) -> str:
        """Name of the lane whose service takes longest, the first of equals; empty if none served."""
        name, ticks = max(self.lane_ticks, key=lambda lane: lane[1], default=("", 0))
        return name if ticks else ""

    @property
    def max_ticks(self) -> int:
        """The longest of compute with idle time and each lane's service, never above the makespan."""
        return max([self.idle_ticks + self.compute_ticks, *(ticks for _, ticks in self.lane_ticks)])

    @property
    def longest(self) -> str:
        """What `max_ticks` is the time of: `compute` (idle time included), or the name of a lane."""
        taken = max((ticks for _, ticks in self.lane_ticks), default=0)
        return self.busiest_lane if taken > self.idle_ticks + self.compute_ticks else COMPUTE

    @property
    def lower_ticks(self) -> int:
        """The larger of the two lower bounds."""
        return max(self.max_ticks, self.critical_ticks)

    @property
    def overlapped(self) -> float:
        """How far the run is from the additive law (0) on the way to the max law (1); 1 if they agree."""
        room = self.additive_ticks - self.max_ticks
        return (self.additive_ticks - self.makespan_ticks) / room if room else 1.0

    def summary(self) -> BoundsSummary:
        """Seconds and ratios."""
        return BoundsSummary(
            additive_law_s=self.additive_ticks / TICKS_PER_SECOND,
            additive_law_ratio=self._ratio(self.additive_ticks),
            critical_s=self.critical_ticks / TICKS_PER_SECOND if self.critical_holds else None,
            critical_ratio=self._ratio(self.critical_ticks) if self.critical_holds else None,
            max_law_s=self.max_ticks / TICKS_PER_SECOND,
            max_law_ratio=self._ratio(self.max_ticks),
            longest=self.longest,
            overlapped=self.overlapped,
            transfer_s=self.transfer_ticks / TICKS_PER_SECOND,
        )

    def _ratio(self, bound: int) -> float | None:
        if bound:
            return self.makespan_ticks / bound
        return None if self.makespan_ticks else 1.0


def run_bounds(result: RunResult) -> RunBounds:
    """Hold a run against its bounds. Raises ValueError without event records (`records: summary`)."""
    if not result.records.keep_events:
        raise ValueError("the bounds of a run need its events: run it with execution.records: all")
    exposed, execution = result.exposed_ticks, result.scenario.execution
    chunked = any(link.chunk is not None for link in result.scenario.hierarchy.links)
    idle = result.idle_ticks + exposed[Cause.DECISION]
    own = exposed[Cause.DEMAND_SERVICE] + exposed[Cause.CODEC]
    return RunBounds(
        makespan_ticks=result.makespan_ticks,
        compute_ticks=result.compute_ticks,
        idle_ticks=idle,
        transfer_ticks=_transfer_ticks(result) + waited_for_weights(result),
        lane_ticks=_lane_ticks(result),
        critical_ticks=idle + result.compute_ticks + own,
        critical_holds=execution.overlap == "demand" and execution.in_place == "before" and not chunked,
    )


def _lane_ticks(result: RunResult) -> tuple[tuple[str, int], ...]:
    hops = result.records.hops
    lane = hops.column("lane")
    start, end = (np.minimum(hops.column(name), result.makespan_ticks) for name in ("start", "end"))
    found = []
    for number, info in enumerate(result.lanes):
        mine = lane == number
        held = exact_sum(end[mine] - start[mine])
        served = total_ticks(merge(start[mine], end[mine]))
        found.append((info.name, min(-(-held // info.channels), served)))
    return tuple(found)


def _transfer_ticks(result: RunResult) -> int:
    """Sum over transfers of the union of their services and latencies.

    The hops of a transfer end one after the other. Between the end of one and the beginning of the next is
    a latency until it is queued there, and then a queue; a chunked transfer is queued before the end.
    Weights are left out: reading them is a part of compute.
    """
    hops, rows = result.records.hops, page_rows(result)
    columns = (hops.column(name)[rows] for name in ("transfer", "queued", "start", "end"))
    transfer, queued, start, end = columns
    order = np.lexsort((end, start, transfer))
    transfer, queued, start, end = transfer[order], queued[order], start[order], end[order]
    follows = np.concatenate(([False], transfer[1:] == transfer[:-1])) if transfer.size else _none()
    before = np.where(follows, np.roll(end, 1), start)
    served = end - np.maximum(start, before)
    latency = np.where(follows, np.maximum(queued - before, 0), 0)
    return exact_sum(served) + exact_sum(latency) + exact_sum(_last_latency(result, transfer, end))


def _last_latency(result: RunResult, transfer: Ticks, end: Ticks) -> Ticks:
    """Of each transfer, from the end of its last hop to its arrival; all of it if it has no hop."""
    moves = result.records.transfers
    pages = moves.column("pages") > 0
    number, granted, arrived = (moves.column(name)[pages] for name in ("transfer", "granted", "arrived"))
    if not transfer.size:
        return arrived - granted
    at = np.searchsorted(transfer, number, side="right") - 1
    left = np.where((at >= 0) & (transfer[at] == number), end[at], granted)
    return arrived - left


def _none() -> NDArray[np.bool_]:
    return np.zeros(0, dtype=np.bool_)
