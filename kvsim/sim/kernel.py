"""Copies by a kernel: while a lane moves bytes that way, compute gets only what the copies leave of the GPU.

Compute is fluid: while lanes with shares s_i are in service it progresses at the rate 1 - sum(s_i). Nobody
follows that as it happens. A lane keeps when it was in service, and compute that has had its plain time asks
how much of it was lost, waits as long again, and asks anew for what was lost meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvsim.sim.lane import Lane

FOREVER = 1 << 80
"""End of a service that nobody knows yet."""


class CopyKernel:
    """What moves the bytes of a lane: a share of the compute, while at least one transfer is in service."""

    def __init__(self, lane: Lane, share: float) -> None:
        self.lane = lane
        self.share = Fraction(repr(share))
        self._over = 0
        """Ticks in service of the periods that are over."""
        self._periods: deque[list[int]] = deque()
        """Periods in service, [start, end], in order and apart: the one now and those booked after it."""

    def serves(self, start: int, end: int = FOREVER) -> None:
        """A transfer is in service from `start` to `end`; of several, the first to start comes first."""
        periods = self._periods
        if periods and start <= periods[-1][1]:
            periods[-1][1] = max(periods[-1][1], end)
        else:
            periods.append([start, end])

    def rests(self, now: int) -> None:
        """The last transfer in service has just left."""
        self._periods[-1][1] = now

    def active(self, now: int) -> int:
        """Ticks before now in which a transfer was in service."""
        periods = self._periods
        while periods and periods[0][1] <= now:
            start, end = periods.popleft()
            self._over += end - start
        return self._over + (max(0, now - periods[0][0]) if periods else 0)


class Taken:
    """What the copies take from compute that begins now."""

    def __init__(self, kernels: Sequence[CopyKernel], now: int) -> None:
        self._before = [(kernel, kernel.active(now)) for kernel in kernels]

    def _parts(self, now: int) -> Iterator[tuple[int, Fraction]]:
        """Ticks taken so far, by lane."""
        for kernel, before in self._before:
            yield kernel.lane.number, kernel.share * (kernel.active(now) - before)

    def ticks(self, now: int) -> int:
        """All that was taken until now."""
        return floor(sum(part for _, part in self._parts(now)))

    def by_lane(self, now: int) -> Iterator[tuple[int, int]]:
        """The same in parts: lane, and ticks of at least 1."""
        total, told = Fraction(0), 0
        for lane, part in self._parts(now):
            total += part
            if ticks := floor(total) - told:
                yield lane, ticks
                told += ticks
