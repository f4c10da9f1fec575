"""What the timeline draws: rows, and groups of equally coloured intervals in them.

A row is a step, compute, stall or lane row of one or more *slots*; a lane whose transfers overlap (several
channels, processor sharing, preemption) gets a slot for each transfer that runs at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.frames import CAUSE_NAMES, CLASS_NAMES
from kvsim.analysis.intervals import Ticks, covered_before, merge, pack_rows
from kvsim.reporting import palette
from kvsim.reporting.text import cause_title, class_title
from kvsim.sim.result import RunResult

MAX_SLOTS = 6
"""Slots a lane gets at most; what overlaps more is drawn over the others."""

DETAIL = ("step", "page", "pages", "bytes", "waited")
"""Columns of `Group.detail`; for compute `page` is the layer, for stalls `pages` is -1 without a transfer
and 0 for weights.
`waited` is ticks in the lane's queue."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled row of the timeline."""

    title: str
    first_slot: int
    slots: int


@dataclass(frozen=True, slots=True)
class Group:
    """Intervals of one kind and colour, sorted by start."""

    kind: str
    """`step`, `compute`, `stall` or `transfer`."""
    title: str
    colour: str
    slot: NDArray[np.int64]
    start: Ticks
    end: Ticks
    detail: NDArray[np.float64]
    """Shape (intervals, 5): see `DETAIL`."""

    def where(self, keep: NDArray[np.bool_]) -> Group:
        """The same group with some of its intervals."""
        return replace(
            self,
            slot=self.slot[keep],
            start=self.start[keep],
            end=self.end[keep],
            detail=self.detail[keep],
        )


@dataclass(frozen=True, slots=True)
class Timeline:
    """All rows and intervals of a run."""

    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    end: int
    """Last tick of anything."""

    @property
    def count(self) -> int:
        """Intervals."""
        return sum(group.start.size for group in self.groups)

    @property
    def slots(self) -> int:
        """Slots of all rows."""
        return sum(row.slots for row in self.rows)


def collect(result: RunResult) -> Timeline:
    """Rows and intervals of a run with event records."""
    groups = [*_steps(result), *_compute(result), *_stalls(result)]
    rows = [Row("steps", 0, 1), Row("compute", 1, 1), Row("step waits", 2, 1)]
    slot_of_hop = np.zeros(result.records.hops.array().shape[0], np.int64)
    lane = result.records.hops.column("lane")
    start, end = result.records.hops.column("start"), result.records.hops.column("end")
    for index, info in enumerate(result.lanes):
        mine = np.flatnonzero(lane == index)
        if not mine.size:
            continue
        packed = pack_rows(start[mine], end[mine])
        row = Row(info.name, rows[-1].first_slot + rows[-1].slots, min(MAX_SLOTS, int(packed.max()) + 1))
        slot_of_hop[mine] = row.first_slot + packed % MAX_SLOTS
        rows.append(row)
    groups += _transfers(result, slot_of_hop)
    last = max((int(group.end.max()) for group in groups if group.end.size), default=0)
    return Timeline(tuple(rows), tuple(groups), max(last, result.makespan_ticks, 1))


def window(timeline: Timeline, limit: int) -> tuple[Timeline, tuple[int, int]]:
    """At most `limit` intervals: those of the stretch of time with the most waiting, and that stretch.

    Returns the timeline unchanged if it is small enough.
    """
    if timeline.count <= limit:
        return timeline, (0, timeline.end)
    starts = np.sort(np.concatenate([group.start for group in timeline.groups]))
    firsts = np.arange(0, starts.size - limit + 1, max(1, limit // 100))
    begin, finish = starts[firsts], starts[firsts + limit - 1]
    stalls = [group for group in timeline.groups if group.kind == "stall"]
    waits = merge(
        np.concatenate([np.empty(0, np.int64), *(group.start for group in stalls)]),
        np.concatenate([np.empty(0, np.int64), *(group.end for group in stalls)]),
    )
    waited = covered_before(*waits, finish) - covered_before(*waits, begin)
    best = int(np.argmax(waited))
    low, high = int(begin[best]), int(finish[best])
    groups = tuple(group.where((group.start >= low) & (group.start < high)) for group in timeline.groups)
    return replace(timeline, groups=groups), (low, high)


def _steps(result: RunResult) -> Iterator[Group]:
    steps = result.records.steps
    start, end, number = steps.column("start"), steps.column("end"), steps.column("step")
    detail = _detail(start.size, step=number)
    for parity, colour in ((0, palette.STEP_EVEN), (1, palette.STEP_ODD)):
        whole = Group("step", "step", colour, np.zeros_like(start), start, end, detail)
        yield whole.where(np.arange(start.size) % 2 == parity)


def _compute(result: RunResult) -> Iterator[Group]:
    layers = result.records.layers
    start, end = layers.column("start"), layers.column("end")
    detail = _detail(start.size, step=layers.column("step"), page=layers.column("layer"))
    yield Group("compute", "compute", palette.COMPUTE, np.ones_like(start), start, end, detail)


def _stalls(result: RunResult) -> Iterator[Group]:
    stalls, moves = result.records.stalls, result.records.transfers
    start, end, cause = stalls.column("start"), stalls.column("end"), stalls.column("cause")
    found = _find(moves.column("transfer"), stalls.column("transfer"))
    detail = _detail(
        start.size,
        step=stalls.column("step"),
        page=_take(moves.column("page"), found),
        pages=_take(moves.column("pages"), found),
        bytes=_take(moves.column("bytes"), found),
    )
    for index, name in enumerate(CAUSE_NAMES):
        whole = Group(
            "stall",
            cause_title(name),
            palette.CAUSE_COLOURS[name],
            np.full(start.size, 2),
            start,
            end,
            detail,
        )
        yield whole.where(cause == index)


def _transfers(result: RunResult, slot: NDArray[np.int64]) -> Iterator[Group]:
    hops, moves = result.records.hops, result.records.transfers
    found = _find(moves.column("transfer"), hops.column("transfer"))
    # The class it was issued with: a prefetch that turns urgent is still what the step finds late.
    cls = _take(moves.column("issued_cls"), found)
    start = hops.column("start")
    detail = _detail(
        start.size,
        step=_take(moves.column("step"), found),
        page=_take(moves.column("page"), found),
        pages=_take(moves.column("pages"), found),
        bytes=hops.column("bytes"),
        waited=start - hops.column("queued"),
    )
    order = np.argsort(start, kind="stable")
    whole = Group("transfer", "", "", slot[order], start[order], hops.column("end")[order], detail[order])
    for index, name in enumerate(CLASS_NAMES):
        named = replace(whole, title=class_title(name), colour=palette.CLASS_COLOURS[name])
        yield named.where(cls[order] == index)


def _detail(rows: int, **columns: NDArray[np.int64]) -> NDArray[np.float64]:
    table = np.zeros((rows, len(DETAIL)))
    for name, values in columns.items():
        table[:, DETAIL.index(name)] = values
    return table


def _find(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row of each wanted key, -1 where there is none."""
    if not keys.size:
        return np.full(wanted.shape, -1)
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), keys.size - 1)
    rows: NDArray[np.int64] = order[place]
    return np.where(keys[rows] == wanted, rows, -1)


def _take(values: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values at the given rows, -1 where the row is -1."""
    if not values.size:
        return np.full(rows.shape, -1)
    taken: NDArray[np.int64] = np.where(rows >= 0, values[rows], -1)
    return taken
