"""The books of a run: time, bytes, space and pages, each summed twice from different sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kvsim.errors import AuditError
from kvsim.sim.books import lanes_balance, room_is_kept
from kvsim.sim.decode import Decoder
from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.records import CAUSE_COLUMNS, DEMAND, PREFETCH, STEP_COLUMNS, Records
from kvsim.sim.residency import MOVING
from kvsim.sim.result import PrefetchInfo
from kvsim.sim.topology import Topology

_FIRST_CAUSE = STEP_COLUMNS.index(CAUSE_COLUMNS[0])
_LAST_CAUSE = STEP_COLUMNS.index(CAUSE_COLUMNS[-1])


@dataclass(frozen=True, slots=True)
class Books:
    """The live objects of a finished run that keep accounts."""

    topology: Topology
    hierarchy: Hierarchy
    decoder: Decoder[Any]
    records: Records


def audit(books: Books) -> None:
    """Raise AuditError with every account that does not balance."""
    accounts = (_time, _bytes, _space, _pages, _reads, _prefetches)
    findings = tuple(finding for account in accounts for finding in account(books))
    if findings:
        raise AuditError(findings)


def _time(books: Books) -> Iterator[str]:
    """For each step, end - start = compute + exposed; steps and idle time are the makespan."""
    decoder = books.decoder
    steps = books.records.steps.array()
    span = books.records.steps.column("end") - books.records.steps.column("start")
    exposed = steps[:, _FIRST_CAUSE : _LAST_CAUSE + 1].sum(axis=1)
    spent = books.records.steps.column("compute") + exposed
    for row in np.flatnonzero(span != spent)[:3]:
        yield f"time: step {row} lasts {span[row]} ticks, its compute and exposed time {spent[row]}"
    total = int(span.sum()) + decoder.idle
    if total != decoder.end:
        yield f"time: steps and idle time sum to {total} ticks, the makespan is {decoder.end}"
    if books.records.keep_events:
        yield from _intervals(books.records)


def _intervals(records: Records) -> Iterator[str]:
    """The recorded intervals of each step re-sum to its compute and exposed time."""
    count = len(records.steps.array())
    steps = records.steps.array()
    for table, expected in (
        (records.layers, records.steps.column("compute")),
        (records.stalls, steps[:, _FIRST_CAUSE : _LAST_CAUSE + 1].sum(axis=1)),
    ):
        sums = np.zeros(count, dtype=np.int64)
        np.add.at(sums, table.column("step"), table.column("end") - table.column("start"))
        for row in np.flatnonzero(sums != expected)[:3]:
            name = "compute" if table is records.layers else "stalls"
            yield (
                f"time: {name} of step {row} sum to {sums[row]} ticks in the records, "
                f"{expected[row]} in the step"
            )


def _bytes(books: Books) -> Iterator[str]:
    """What enters a lane leaves it, and is what its transfers carried."""
    return lanes_balance(books.topology.lanes, books.records.hops)


def _space(books: Books) -> Iterator[str]:
    """Room in use = room taken - room given back = what the resident pages need, never above capacity."""
    resident = books.hierarchy.residency.resident_bytes()
    for tier, needed in zip(books.topology.tiers, resident, strict=True):
        balance = tier.taken - tier.released
        if balance != needed:
            yield f"space: tier {tier.name} took and gave back to {balance} bytes, its pages need {needed}"
        in_use = tier.capacity - tier.free
        if in_use != needed:
            yield f"space: tier {tier.name} has {in_use} bytes in use, its pages need {needed}"
        if books.hierarchy.used[tier.number] != needed:
            used = books.hierarchy.used[tier.number]
            yield f"space: {used} bytes were decided to be in tier {tier.name}, its pages need {needed}"
        yield from room_is_kept(tier, books.records.space)


def _pages(books: Books) -> Iterator[str]:
    """Nothing is left pinned or in flight, and the policy knows where everything is."""
    hierarchy = books.hierarchy
    residency = hierarchy.residency
    moving = np.flatnonzero(residency.codes & MOVING)
    if len(moving):
        yield f"pages: {len(moving)} pages are still in flight, the first is page {moving[0]}"
    if hierarchy.open_plans or residency.floor <= residency.epoch:
        yield f"pages: {hierarchy.open_plans} layers still pin their pages"
    tiers = residency.snapshot()
    for tier in range(residency.tier_count):
        believed = np.sort(np.fromiter(hierarchy.policy.contents(tier), np.int64))
        truly = np.flatnonzero(tiers == tier)
        if not np.array_equal(believed, truly):
            odd = [*np.setxor1d(believed, truly), *believed]
            yield (
                f"pages: policy {hierarchy.policy.name} believes {len(believed)} pages in tier {tier}, "
                f"{len(truly)} are; one of them is page {odd[0]}"
            )
        copies = residency.kept_copies(tier)
        stray = copies[(tiers[copies] < 0) | (tiers[copies] >= tier)]
        if len(stray):
            yield f"pages: tier {tier} keeps a copy of page {stray[0]}, which is nowhere above it"
    astray = [page for page in residency.staged if tiers[page] != 0]
    if astray:
        yield f"pages: page {min(astray)} is staged, but not in tier 0"


def _reads(books: Books) -> Iterator[str]:
    """Every page read was a hit, a miss, absent or lost, and found a page in a state that it can be in."""
    hierarchy, steps = books.hierarchy, books.records.steps
    accesses = int(steps.column("accesses").sum())
    found = sum(hierarchy.found)
    if accesses != found + hierarchy.absent + hierarchy.lost:
        parts = f"{found} were found, {hierarchy.absent} absent and {hierarchy.lost} lost"
        yield f"reads: {accesses} pages were read, but {parts}"
    lost = int(steps.column("lost").sum())
    if lost != hierarchy.lost:
        yield f"reads: {hierarchy.lost} were lost, but the steps lost {lost}"
    if hierarchy.fidelity is not None:
        yield from hierarchy.fidelity.findings(hierarchy.residency, accesses, hierarchy.lost)


def _prefetches(books: Books) -> Iterator[str]:
    """Every prefetch was timely, late or wasted; what they displaced is elsewhere, unless read since."""
    hierarchy = books.hierarchy
    speculation = hierarchy.speculation
    info = speculation.info()
    judged = info.timely + info.late + info.wasted
    if info.issued != judged:
        yield f"prefetches: {info.issued} were issued but {judged} judged"
    back = [page for page in speculation.displaced if hierarchy.residency.tier_of(page) == 0]
    if back:
        yield f"prefetches: {len(back)} displaced pages are in tier 0, the first is page {min(back)}"
    queue = books.decoder.queue
    if queue is not None and queue.waiting:
        yield f"prefetches: {len(queue.waiting)} guesses still wait"
    misses = hierarchy.absent + sum(hierarchy.found[1:])
    if info.polluted > misses:
        yield f"prefetches: {info.polluted} misses are laid at their door, but there were {misses}"
    if books.records.keep_events:
        yield from _fates(books.records, info, len(speculation.pending))


def _fates(records: Records, info: PrefetchInfo, unread: int) -> Iterator[str]:
    """The recorded prefetches are those that were counted, page by page.

    Neighbours that travel together are recorded under the class of the first: then moves tell nothing.
    """
    transfers = records.transfers
    ahead = transfers.column("issued_cls") == PREFETCH
    fates = len(records.prefetches.array()) + unread
    if info.issued != fates:
        yield f"prefetches: {info.issued} were issued, the records have the fate of {fates}"
    if (transfers.column("pages") > 1).any():
        return
    moved = int(ahead.sum())
    if moved > info.issued:
        yield f"prefetches: {info.issued} were issued, but {moved} pages moved as prefetches"
    late = int((ahead & (transfers.column("cls") == DEMAND)).sum())
    if late < info.late:
        yield f"prefetches: {info.late} were late, but only {late} pages became urgent on their way"
