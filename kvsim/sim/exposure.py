"""Exposed time: what exactly a step waited for, along the life of the last arrival."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.sim.lane import Lane
from kvsim.sim.move import Move
from kvsim.sim.records import Cause, TransferClass

ROOM, QUEUEING, SERVICE, CODEC = Cause.ROOM, Cause.DEMAND_QUEUEING, Cause.DEMAND_SERVICE, Cause.CODEC

Segment = tuple[int, int, Cause, int]
"""From, to (ticks), cause, lane (-1: none). Waiting for room names the lane on which it was made."""


def attribute(move: Move, begin: int, end: int, lanes: Sequence[Lane]) -> list[Segment]:
    """Split the wait from `begin` to `end`, which `move` ended, by cause and lane.

    The segments partition the wait exactly. A fetch that was issued ahead of need is late,
    whatever it was doing; any other is followed from decision to arrival.
    """
    if move.issued_cls == TransferClass.PREFETCH:
        lane = move.trail[-1][1] if move.trail else -1
        return [(begin, end, Cause.LATE_PREFETCH, lane)]
    segments: list[Segment] = []
    at = begin
    for until, cause, lane in _life(move, end, lanes):
        if until > at:
            until = min(until, end)
            segments.append((at, until, cause, lane))
            at = until
    return segments


def _life(move: Move, end: int, lanes: Sequence[Lane]) -> list[tuple[int, Cause, int]]:
    """The phases of a move: (until, cause, lane), in order, the last one reaching `end`.

    Where chunks are on several lanes at once, a moment belongs to the lane the tail is on:
    a fast lane fed by a slow one is not what holds the page up.
    """
    if not move.trail:
        return [(end, ROOM, move.room_lane)]
    phases = [(move.granted, ROOM, move.room_lane)]
    here = move.granted
    before = (QUEUEING, move.trail[0][1])  # a slot of the scheduler comes first
    for (_, lane, queued, start, over, _, nominal), hop in zip(move.trail, move.route.hops, strict=True):
        queueing, service = (CODEC, CODEC) if lanes[lane].label.kind == "codec" else (QUEUEING, SERVICE)
        if queued > here:
            here = queued  # all of it is at the lane now
        phases.append((here, *before))
        phases.append((start, queueing, lane))
        phases.append((over - nominal if over - nominal > here else here, queueing, lane))
        phases.append((over, service, lane))
        here = over + hop.delay
        before = (service, lane)
    phases.append((end, *before))
    return phases
