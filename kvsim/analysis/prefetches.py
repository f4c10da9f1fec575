"""What became of each prefetch: timely, late and what that saved, wasted, and what it took from others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.attribution import rows_of
from kvsim.analysis.intervals import Ticks, exact_sum, merge
from kvsim.sim.records import Cause, TransferClass
from kvsim.sim.result import RunResult

FATES = ("timely", "late", "wasted")
"""Names of the fates, indexed by `Prefetches.fate`."""
TIMELY, LATE, WASTED = range(len(FATES))


@dataclass(frozen=True, slots=True)
class Prefetches:
    """The transfers issued as prefetches, as arrays of equal length in order of their numbers."""

    transfer: Ticks
    page: Ticks
    """First page."""
    pages: Ticks
    """Pages moved together; they share a fate unless some were wasted."""
    step: Ticks
    """Step that issued it."""
    requested: Ticks
    arrived: Ticks
    needed: Ticks
    """When a layer began to wait for it; -1 unless it was late."""
    wasted: Ticks
    """Pages that left tier 0, or were left there at the end, without having been read."""
    stolen: Ticks
    """Transfer-ticks in which demand queued on a lane while this prefetch was in service there."""

    @property
    def fate(self) -> Ticks:
        """Late if a layer waited for it, wasted if no page of it was read, else timely."""
        unread = np.where(self.wasted >= self.pages, WASTED, TIMELY)
        found: Ticks = np.where(self.needed >= 0, LATE, unread).astype(np.int64)
        return found

    @property
    def waited(self) -> Ticks:
        """From need to arrival; 0 unless late."""
        found: Ticks = np.where(self.needed >= 0, self.arrived - self.needed, 0)
        return found

    @property
    def saved(self) -> Ticks:
        """What a late prefetch saved.

        Started when it was needed, the fetch would have taken what it did take, from decision to arrival;
        less what was waited that is its head start.
        """
        found: Ticks = np.where(self.needed >= 0, self.needed - self.requested, 0)
        return found


def prefetches(result: RunResult) -> Prefetches:
    """Every prefetch of a run, from its records."""
    table = result.records.transfers
    number = table.column("transfer")
    rows = np.flatnonzero(table.column("issued_cls") == TransferClass.PREFETCH)
    rows = rows[np.argsort(number[rows], kind="stable")]
    page, pages, arrived = (table.column(name)[rows] for name in ("page", "pages", "arrived"))
    wasted = _wasted(result, page, pages, arrived)
    # one that left unread may have become urgent all the same: a later fetch of its page waits for it
    late = (table.column("cls")[rows] != TransferClass.PREFETCH) & (wasted < pages)
    needed = np.where(late, _needed(result, arrived), -1)
    return Prefetches(
        transfer=number[rows],
        page=page,
        pages=pages,
        step=table.column("step")[rows],
        requested=table.column("requested")[rows],
        arrived=arrived,
        needed=needed,
        wasted=wasted,
        stolen=_stolen_by_each(result, number[rows], needed),
    )


def late_saved_ticks(result: RunResult) -> int:
    """By how much longer steps would have waited, had late prefetches started when they were needed.

    Only the prefetch that ended a wait counts: what others of the same layer saved, it had to wait out.
    """
    stalls, table = result.records.stalls, result.records.transfers
    mine = stalls.column("cause") == Cause.LATE_PREFETCH
    at, known = rows_of(table.column("transfer"), stalls.column("transfer")[mine])
    begin, at = stalls.column("start")[mine][known], at[known]
    late = table.column("cls")[at] != table.column("issued_cls")[at]  # in `serial` none was wanted yet
    return exact_sum((begin - table.column("requested")[at])[late])


def stolen_ticks(result: RunResult, found: Prefetches) -> int:
    """Transfer-ticks that demand queued on a lane while a prefetch was in service there.

    From when it is needed a late prefetch is demand itself, and steals no more. Where several were in
    service at once the time counts once.
    """
    service = _service(result, found.transfer, found.needed)
    lanes = range(len(result.lanes))
    return sum(
        int(_queued_within(result, lane, *merge(service.start[mine], service.end[mine])).sum())
        for lane in lanes
        if (mine := service.lane == lane).any()
    )


def _needed(result: RunResult, arrived: Ticks) -> Ticks:
    """When the wait began in which each of these arrivals falls; -1 where there is none."""
    stalls = result.records.stalls
    start, end = stalls.column("start"), stalls.column("end")
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    if not start.size:
        return np.full(arrived.shape, -1, dtype=np.int64)
    step, layer = stalls.column("step")[order], stalls.column("layer")[order]
    same = (step[1:] == step[:-1]) & (layer[1:] == layer[:-1]) & (start[1:] == end[:-1])
    new = np.concatenate(([True], ~same))
    begin = start[new][np.cumsum(new) - 1]
    row = np.searchsorted(start, arrived, side="left") - 1  # a wait does not hold its first moment
    inside = (row >= 0) & (arrived <= end[row])
    found: Ticks = np.where(inside, begin[row], -1)
    return found


def _wasted(result: RunResult, page: Ticks, pages: Ticks, arrived: Ticks) -> Ticks:
    """Unread pages of each prefetch: the n-th fate of a page is that of its n-th prefetch."""
    fates = result.records.prefetches
    order = np.argsort(fates.column("page"), kind="stable")
    fate_page, fate = fates.column("page")[order], fates.column("wasted")[order]
    owner = np.repeat(np.arange(len(pages)), pages)
    first = np.repeat(np.cumsum(pages) - pages, pages)
    each = page[owner] + np.arange(len(owner)) - first
    turn = np.lexsort((arrived[owner], each))
    each, owner = each[turn], owner[turn]
    rank = np.arange(len(each)) - np.searchsorted(each, each, side="left")
    at = np.searchsorted(fate_page, each, side="left") + rank
    told = at < np.searchsorted(fate_page, each, side="right")
    unread = np.ones(len(each), dtype=np.int64)  # nobody had read it when the run ended
    unread[told] = fate[at[told]]
    counts = np.zeros(len(pages), dtype=np.int64)
    np.add.at(counts, owner, unread)
    return counts


@dataclass(frozen=True, slots=True)
class _Service:
    """When prefetches held a lane and nobody waited for them yet."""

    row: NDArray[np.intp]
    """Index of the prefetch."""
    lane: Ticks
    start: Ticks
    end: Ticks


def _service(result: RunResult, transfer: Ticks, needed: Ticks) -> _Service:
    hops = result.records.hops
    row, known = rows_of(transfer, hops.column("transfer"))
    row = row[known]
    start, end = hops.column("start")[known], hops.column("end")[known]
    end = np.where(needed[row] >= 0, np.clip(needed[row], start, end), end)
    return _Service(row, hops.column("lane")[known], start, end)


def _stolen_by_each(result: RunResult, transfer: Ticks, needed: Ticks) -> Ticks:
    found = np.zeros(len(transfer), dtype=np.int64)
    if not len(transfer):
        return found
    service = _service(result, transfer, needed)
    for lane in range(len(result.lanes)):
        mine = service.lane == lane
        queued = _queued_within(result, lane, service.start[mine], service.end[mine])
        np.add.at(found, service.row[mine], queued)
    return found


def _queued_within(result: RunResult, lane: int, start: Ticks, end: Ticks) -> Ticks:
    """Transfer-ticks that demand queued for the lane within each of the intervals."""
    hops, table = result.records.hops, result.records.transfers
    demand = table.column("transfer")[table.column("issued_cls") == TransferClass.DEMAND]
    mine = hops.column("lane") == lane
    mine[mine] = np.isin(hops.column("transfer")[mine], demand)
    begun, over = np.sort(hops.column("queued")[mine]), np.sort(hops.column("start")[mine])
    # Sums may leave 64 bits; wrapping around cancels in the differences, which do not.
    return (_since(begun, end) - _since(begun, start)) - (_since(over, end) - _since(over, start))


def _since(moments: Ticks, times: Ticks) -> Ticks:
    """Sum over the (sorted) moments before each of `times` of the time since, modulo 2**64."""
    sums = np.concatenate(([0], np.cumsum(moments)))
    before = np.searchsorted(moments, times, side="left")
    found: Ticks = before * times - sums[before]
    return found
