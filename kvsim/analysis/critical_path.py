"""The critical path of a step: the chain of records that ends at the step's end, without gaps.

It is walked backwards. A compute interval follows what the step did before. A wait follows the transfer that
ended it: through its services, and from where it queued to the transfer that was served before it on that
lane, from where it waited for room to the transfer that made the room. A transfer that waited for nothing
follows the moment at which the step decided on it. What happened before the step began is cut off there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kvsim.sim.records import CAUSE_COLUMNS, Cause, Table, TransferClass
from kvsim.sim.result import RunResult

Kind = Literal["compute", "service", "latency", "queue", "room", "wait"]
_CLASSES = tuple(cls.name.lower().replace("_", "-") for cls in TransferClass)


@dataclass(frozen=True, slots=True)
class Span:
    """One link of the chain: what the step's end hung on from `start` to `end`, in ticks."""

    kind: Kind
    """`compute`; `service`: a transfer held a lane; `latency`: it was on its way beyond one; `queue`: it
    waited for a lane or a slot, and no record tells behind whom; `room`: it waited for room or for an earlier
    move of its page, and no record tells whose; `wait`: the step waited, and no transfer tells for what."""
    what: str
    """For people: the layer that was computed, or the class of the transfer (or `weights`) and its lane."""
    start: int
    end: int
    lane: int = -1
    """Index of the lane, -1 for none."""
    transfer: int = -1
    """Number of the transfer, -1 for none."""
    issued_cls: int = -1
    """TransferClass the transfer was issued with, -1 for none."""


@dataclass(frozen=True, slots=True)
class _Hop:
    """A row of the `hops` table."""

    transfer: int
    lane: int
    queued: int
    start: int
    end: int
    bytes: int
    nominal: int


@dataclass(frozen=True, slots=True)
class _Transfer:
    """A row of the `transfers` table."""

    number: int
    cls: int
    issued_cls: int
    page: int
    pages: int
    bytes: int
    source: int
    target: int
    step: int
    requested: int
    granted: int
    arrived: int


@dataclass(frozen=True, slots=True)
class _Act:
    """What the step did for a while: a compute interval, or a part of a wait."""

    start: int
    end: int
    layer: int
    cause: int = -1
    """-1: it computed."""
    lane: int = -1
    transfer: int = -1


class CriticalPaths:
    """The critical paths of the steps of one run, whose records are indexed once. Needs event records."""

    def __init__(self, result: RunResult) -> None:
        records = result.records
        self._lanes = [lane.name for lane in result.lanes]
        links = {link.name: link for link in result.scenario.hierarchy.links}
        specs = [links.get(lane.link) if lane.kind == "link" else None for lane in result.lanes]
        self._chunks = [spec.chunk if spec else None for spec in specs]
        self._setups = [spec.setup if spec else 0 for spec in specs]
        self._steps = records.steps
        self._layers = _Index(records.layers, "step")
        self._stalls = _Index(records.stalls, "step")
        self._hops = _Index(records.hops, "transfer")
        self._services = _Index(records.hops, "end")
        self._transfers = _Index(records.transfers, "transfer")
        self._arrivals = _Index(records.transfers, "arrived")

    def of(self, step: int) -> tuple[Span, ...]:
        """The chain of a step, first link first; its intervals tile the step from start to end exactly."""
        row = self._steps.array()[step].tolist()
        begin, at = (row[self._steps.columns.index(name)] for name in ("start", "end"))
        acts = self._acts(step)
        chain: list[Span] = []
        while at > begin:
            act = acts[bisect_left(acts, at, key=lambda one: one.end)]
            links = _Links(self._lanes, at)
            if act.cause >= 0:
                self._follow(act, links)
            if not links.spans:
                links.add("compute" if act.cause < 0 else "wait", self._about(act), act.start, act.lane)
            chain += links.spans
            at = links.at
        return tuple(
            Span(s.kind, s.what, max(s.start, begin), s.end, s.lane, s.transfer, s.issued_cls)
            for s in reversed(chain)
            if s.end > begin
        )

    def _acts(self, step: int) -> list[_Act]:
        """The step's compute intervals and waits in order; together they are the step."""
        acts = [_Act(start, end, layer) for _, layer, start, end in self._layers.rows(step) if end > start]
        acts += [
            _Act(start, end, layer, cause, lane, transfer)
            for _, layer, start, end, cause, lane, transfer in self._stalls.rows(step)
            if end > start
        ]
        return sorted(acts, key=lambda act: act.end)

    def _about(self, act: _Act) -> str:
        if act.cause < 0:
            return f"layer {act.layer}"
        what = "a new page" if act.cause == Cause.ROOM else CAUSE_COLUMNS[act.cause].replace("_", " ")
        return what if act.lane < 0 else f"{what} on {self._lanes[act.lane]}"

    def _follow(self, act: _Act, links: _Links) -> None:
        """Back along the transfer that ended the wait; a new page without one, along what made its room."""
        moved = self._transfer(act.transfer)
        if moved is None and act.cause == Cause.ROOM:
            moved = next(self._landed(links.at), None)
        if moved is not None and moved.arrived >= links.at:
            self._chain(moved, links)

    def _chain(self, moved: _Transfer, links: _Links) -> None:
        """From a transfer's last moment back to a decision of a step, over whatever held it up."""
        seen: set[int] = set()
        until = moved.arrived
        while True:
            seen.add(moved.number)
            before = self._cross(moved, until, links, seen)
            if before is None:
                return
            moved, until = before

    def _cross(
        self, moved: _Transfer, until: int, links: _Links, seen: set[int]
    ) -> tuple[_Transfer, int] | None:
        """Back over the services of a transfer that began before `until`.

        Returns the transfer that it had to wait for, and until when; None when it had not.
        """
        hops = [_Hop(*row) for row in self._hops.rows(moved.number)]
        hops = sorted((hop for hop in hops if hop.start < until), key=lambda one: (one.start, one.end))
        for index, hop in reversed(list(enumerate(hops))):
            links.of("latency", moved, hop.lane, hop.end)
            tail = self._tail_came(hop, hops[index - 1], hops) if index else hop.start
            links.of("service", moved, hop.lane, max(tail, hop.start))
            if tail > hop.start:
                continue  # fed in parts by a slower lane: the step hung on when that one let go of the last
            ahead = self._served_before(hop, seen) if hop.queued < links.at == hop.start else None
            if ahead is not None:
                return ahead, hop.start
            links.of("queue", moved, hop.lane, hop.queued)
        ahead = self._made_way(moved, links.at, seen, of_slot=True) if moved.granted < links.at else None
        if ahead is None:
            links.of("queue", moved, -1, moved.granted)
            if moved.requested < links.at:
                ahead = self._made_way(moved, links.at, seen, of_slot=False)
        if ahead is not None:
            return ahead, ahead.arrived
        links.of("room", moved, -1, moved.requested)
        return None

    def _tail_came(self, hop: _Hop, before: _Hop, hops: list[_Hop]) -> int:
        """When the last part of a transfer reached the lane; `hop.start` if that held nothing up.

        The first part tells how long the way between the two lanes is. Where others share their bandwidth
        this is the latest it can have been.
        """
        chunks = [chunk for other in hops if (chunk := self._chunks[other.lane])]
        parts = -(-hop.bytes // max(chunks, default=hop.bytes))
        if parts == 1 or hop.end - hop.start <= hop.nominal:
            return hop.start
        part = -(-hop.bytes // parts)
        last = hop.bytes - (parts - 1) * part
        setup = self._setups[before.lane]
        way = hop.queued - before.start - setup - _share(before.nominal - setup, part, hop.bytes)
        alone = _share(hop.nominal - self._setups[hop.lane], last, hop.bytes)
        return min(before.end + max(way, 0), hop.end - alone)

    def _served_before(self, hop: _Hop, seen: set[int]) -> _Transfer | None:
        """The transfer whose service on that lane ended when the one of `hop` began."""
        for row in self._services.rows(hop.start):
            other = _Hop(*row)
            if other.lane == hop.lane and other.transfer not in seen and other.start < other.end:
                return self._transfer(other.transfer)
        return None

    def _made_way(self, moved: _Transfer, at: int, seen: set[int], *, of_slot: bool) -> _Transfer | None:
        """The transfer whose arrival at that moment gave it a slot, or room (or the page itself)."""
        for other in self._landed(at):
            slot = (other.source, other.target) == (moved.source, moved.target)
            room = other.page == moved.page or other.source == moved.target
            new = other.number not in seen and other.requested < at
            if new and other.pages and (slot if of_slot else room):  # weights hold neither
                return other
        return None

    def _transfer(self, number: int) -> _Transfer | None:
        rows = self._transfers.rows(number)
        return _Transfer(*rows[0]) if rows else None

    def _landed(self, at: int) -> Iterator[_Transfer]:
        return (_Transfer(*row) for row in self._arrivals.rows(at))


def _share(ticks: int, part: int, whole: int) -> int:
    """Of the ticks that all bytes take, those of a part, rounded up."""
    return -(-ticks * part // whole)


class _Links:
    """Links of a chain, added from the last one on."""

    def __init__(self, lanes: list[str], at: int) -> None:
        self.spans: list[Span] = []
        self.at = at
        """Where the first of them begins, so far."""
        self._lanes = lanes

    def add(
        self, kind: Kind, what: str, start: int, lane: int = -1, transfer: int = -1, issued_cls: int = -1
    ) -> None:
        """A link from `start` to where the chain has come; none if that is no time."""
        if start < self.at:
            self.spans.append(Span(kind, what, start, self.at, lane, transfer, issued_cls))
            self.at = start

    def of(self, kind: Kind, moved: _Transfer, lane: int, start: int) -> None:
        """A link that is a part of a transfer's life."""
        where = f" over {self._lanes[lane]}" if lane >= 0 else ""
        what = _CLASSES[moved.issued_cls] if moved.pages else "weights"
        self.add(kind, what + where, start, lane, moved.number, moved.issued_cls)


class _Index:
    """The rows of a table by the value of one column."""

    def __init__(self, table: Table, column: str) -> None:
        self._rows = table.array()
        values = table.column(column)
        self._order = np.argsort(values, kind="stable")
        self._values = values[self._order]

    def rows(self, value: int) -> list[list[int]]:
        """Rows with that value, in the order they were written."""
        first, last = np.searchsorted(self._values, [value, value + 1])
        rows: list[list[int]] = self._rows[self._order[first:last]].tolist()
        return rows
