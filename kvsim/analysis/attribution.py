"""Exposed time, attributed: which step waited for which lane, for a transfer of which class, and why.

Two readings of the same records. `exposure` follows the steps: every moment a step waited belongs to one
lane, one class and one cause, so its sums are the exposed time exactly. `outstanding` follows the lanes: of
the time a lane had work, how much fell under compute, under a wait, or between steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.intervals import Ticks, exact_sum, merge, overlap_ticks, total_ticks
from kvsim.sim.records import TransferClass
from kvsim.sim.result import RunResult

NO_CLASS = -1
"""Class of a wait that no transfer ended: a new page waited for room, kernels took from compute, or the
placement policy decided."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Exposed ticks by step, lane, class and cause: five arrays of equal length, sorted in that order."""

    step: Ticks
    lane: Ticks
    """Index of the lane, -1 for none."""
    issued_cls: Ticks
    """TransferClass with which the transfer that ended the wait was issued, NO_CLASS for none. A late
    prefetch was issued as a prefetch, whatever it has become."""
    cause: Ticks
    ticks: Ticks

    def by_class(self) -> dict[int, int]:
        """Ticks of each class, NO_CLASS among them."""
        classes = (*map(int, TransferClass), NO_CLASS)
        return {cls: exact_sum(self.ticks[self.issued_cls == cls]) for cls in classes}


def exposure(result: RunResult) -> Exposure:
    """Every exposed tick of a run, once; the sums by step are those of the `steps` table."""
    stalls = result.records.stalls
    classes = issued_classes(result, stalls.column("transfer"))
    keys = np.stack([stalls.column("step"), stalls.column("lane"), classes, stalls.column("cause")])
    order = np.lexsort(keys[::-1])
    keys, length = keys[:, order], (stalls.column("end") - stalls.column("start"))[order]
    if length.size:
        first = np.flatnonzero(np.concatenate(([True], (keys[:, 1:] != keys[:, :-1]).any(axis=0))))
        keys, length = keys[:, first], np.add.reduceat(length, first)
    return Exposure(step=keys[0], lane=keys[1], issued_cls=keys[2], cause=keys[3], ticks=length)


def issued_classes(result: RunResult, transfers: Ticks) -> Ticks:
    """The class each of these transfers was issued with; NO_CLASS where a number names none."""
    table = result.records.transfers
    at, known = rows_of(table.column("transfer"), transfers)
    classes: Ticks = np.full(transfers.shape, NO_CLASS, dtype=np.int64)
    classes[known] = table.column("issued_cls")[at[known]]
    return classes


def rows_of(numbers: Ticks, wanted: Ticks) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where in `numbers`, in any order but each once, the wanted ones stand; and which of them are there."""
    if not numbers.size:
        return np.zeros(wanted.shape, dtype=np.intp), np.zeros(wanted.shape, dtype=np.bool_)
    order = np.argsort(numbers, kind="stable")
    near = np.minimum(np.searchsorted(numbers[order], wanted), numbers.size - 1)
    at = order[near]
    return at, numbers[at] == wanted


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Ticks in which a lane had work, by what the running step did meanwhile."""

    hidden: int
    """It computed: the user noticed nothing."""
    waiting: int
    """It waited, for this lane or another: exposed."""
    between: int
    """No step ran: between steps, or after the last."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.hidden + self.waiting + self.between


def outstanding(result: RunResult) -> list[Outstanding]:
    """When each lane was outstanding, by lane.

    A lane is outstanding while at least one transfer is queued for it or in service on it: the union over
    its hops of [queued, end). Latencies after the service occupy nothing and do not count. A running step
    either computes or waits, so every such moment is hidden, waited under, or between steps, and the three
    add up to the length of the union. No lane rests while something is queued for it, so the union is that
    of the services too, and `hidden` here is the hidden time of a lane's summary.

    `waiting` is not the exposed time of the lane: that counts a moment for the one lane that held the step
    up, in latencies and while room was made too; this one for every lane that had work then.
    """
    records = result.records
    compute = merge(records.layers.column("start"), records.layers.column("end"))
    waits = merge(records.stalls.column("start"), records.stalls.column("end"))
    lane, queued, end = (records.hops.column(name) for name in ("lane", "queued", "end"))
    found: list[Outstanding] = []
    for index in range(len(result.lanes)):
        mine = lane == index
        union = merge(queued[mine], end[mine])
        hidden, waiting = overlap_ticks(union, compute), overlap_ticks(union, waits)
        found.append(Outstanding(hidden, waiting, total_ticks(union) - hidden - waiting))
    return found
