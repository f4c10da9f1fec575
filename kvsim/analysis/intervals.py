"""Arithmetic on sets of half-open time intervals `[start, end)`, vectorised and exact.

Times are integer ticks (picoseconds). Every function takes two int64 arrays of equal length and none
loops over rows in Python, so a million intervals take well under a second.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

Ticks = NDArray[np.int64]

_HALF = 31
_LOW = (1 << _HALF) - 1


def exact_sum(values: Ticks) -> int:
    """Sum of `values` as a Python integer; unlike `numpy.sum` it cannot wrap around at 2**63.

    A million transfers that queue for ten seconds each already exceed 63 bits of picoseconds.
    """
    return (int((values >> _HALF).sum()) << _HALF) + int((values & _LOW).sum())


def exact_dot(counts: Ticks, lengths: Ticks) -> int:
    """Sum of products as a Python integer, for counts below 2**31."""
    return (exact_sum(counts * (lengths >> _HALF)) << _HALF) + exact_sum(counts * (lengths & _LOW))


def merge(start: Ticks, end: Ticks) -> tuple[Ticks, Ticks]:
    """The union as sorted disjoint intervals; touching ones are joined and empty ones vanish."""
    keep = end > start
    start, end = start[keep], end[keep]
    if not start.size:
        return start, end
    order = np.argsort(start, kind="stable")
    start = start[order]
    reach = np.maximum.accumulate(end[order])
    first = np.concatenate(([True], start[1:] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return start[first], reach[last]


def covered_before(start: Ticks, end: Ticks, times: Ticks) -> Ticks:
    """How much of the intervals lies before each of `times`; the intervals must be merged."""
    if not start.size:
        return np.zeros(times.shape, dtype=np.int64)
    total = np.concatenate(([0], np.cumsum(end - start)))
    begun = np.searchsorted(start, times, side="right")
    beyond = np.maximum(end[begun - 1] - times, 0)
    covered: Ticks = np.where(begun > 0, total[begun] - beyond, 0)
    return covered


def overlap_ticks(a: tuple[Ticks, Ticks], b: tuple[Ticks, Ticks]) -> int:
    """Length of the intersection of two merged sets of intervals."""
    return exact_sum(covered_before(*b, a[1]) - covered_before(*b, a[0]))


def binned_cover(merged: tuple[Ticks, Ticks], edges: Ticks) -> Ticks:
    """Ticks covered inside each bin `[edges[i], edges[i+1])` by merged intervals."""
    return np.diff(covered_before(*merged, edges))


def total_ticks(merged: tuple[Ticks, Ticks]) -> int:
    """Length of merged intervals."""
    return exact_sum(merged[1] - merged[0])


def pack_rows(start: Ticks, end: Ticks) -> NDArray[np.int64]:
    """Give each interval the lowest row in which it overlaps no earlier one (first fit by start).

    Uses as few rows as intervals ever overlap. The common case, nothing overlaps, needs no loop.
    """
    rows = np.zeros(start.shape, dtype=np.int64)
    order = np.lexsort((end, start))
    begins, ends = start[order], end[order]
    if not np.any(begins[1:] < ends[:-1]):
        return rows
    free: list[int] = []
    running: list[tuple[int, int]] = []
    count = 0
    for index, begin, finish in zip(order.tolist(), begins.tolist(), ends.tolist(), strict=True):
        while running and running[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(running)[1])
        if free:
            row = heapq.heappop(free)
        else:
            row, count = count, count + 1
        rows[index] = row
        heapq.heappush(running, (finish, row))
    return rows
