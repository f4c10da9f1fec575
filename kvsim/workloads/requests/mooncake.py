"""Mooncake's format of requests, JSON lines, and Dynamo's superset of it.

Sources: R. Qin et al., "Mooncake: a KVCache-centric disaggregated architecture for LLM serving", FAST 2025,
and the traces published with it; NVIDIA Dynamo, `lib/data-gen/src/mooncake.rs`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.fields import Clock, Record, count, json_object, kind, required, ticks, whole
from kvsim.workloads.requests.ids import Blocks
from kvsim.workloads.requests.lines import BadLine, Lines

__all__ = ["TICKS_PER_MS", "MooncakeRows", "read"]

TICKS_PER_MS = 10**9
_ALIASES = {
    "timestamp": "created_time",
    "input_length": "input_tokens",
    "output_length": "output_tokens",
    "delay": "delay_ms",
}
"""Names that stand for others."""


@dataclass(slots=True)
class _Loop:
    """A session so far: its last turn, and when that came if the trace says."""

    number: int
    last: Request
    at: int | None


def read(lines: Lines, block_tokens: int) -> Iterator[Request]:
    """The requests of a trace; rows with a `session_id` are the turns of a closed loop.

    A later turn comes `delay` milliseconds after the one before has ended, or as long after it as its
    timestamp says. Once there is a session the rest of the trace is held until its end is read, because its
    turns may be anywhere; sessions are numbered in order of first appearance. Of `output_token_ids` only
    their number is used: which blocks they make cannot be told without the prompt's tokens.
    """
    rows = MooncakeRows(lines, block_tokens)
    requests = lines.each(rows.request)
    for request in requests:
        if rows.in_loops:
            yield from [request, *requests]
        else:
            yield request


class MooncakeRows:
    """Turns lines into requests; without `loops`, every row into one that arrives at its timestamp."""

    def __init__(self, lines: Lines, block_tokens: int, *, loops: bool = True) -> None:
        self._blocks = Blocks(block_tokens)
        self._clock = Clock(lines)
        self._with_loops = loops
        self._loops: dict[Hashable, _Loop] = {}

    @property
    def in_loops(self) -> bool:
        """Whether there was a session."""
        return bool(self._loops)

    def request(self, raw: bytes) -> Request | None:
        """The request of a line; None if it is the later turn of one that was given."""
        record = json_object(raw)
        session = record.get("session_id") if self._with_loops else None
        if session is None:
            return self._first(record)
        if type(session) not in (int, str):
            raise BadLine("session_id", f"must be a text or a number, not {kind(session)}", "wrong type")
        loop = self._loops.get(session)
        if loop is None:
            request = self._first(record)
            request.session = len(self._loops)
            self._loops[session] = _Loop(request.session, request, request.arrival_ticks)
            return request
        self._later(record, loop, session)
        return None

    def _first(self, record: Record) -> Request:
        field = _name(record, "timestamp")
        at = ticks(required(record, field), field, TICKS_PER_MS, "milliseconds")
        request = self._made(record, at)
        self._clock.advance(at, record[field], field)
        return request

    def _later(self, record: Record, loop: _Loop, session: object) -> None:
        field, delay = _name(record, "timestamp"), _name(record, "delay")
        at = None if record.get(field) is None else ticks(record[field], field, TICKS_PER_MS, "milliseconds")
        if record.get(delay) is not None:
            think = ticks(record[delay], delay, TICKS_PER_MS, "milliseconds")
        elif at is None or loop.at is None:
            text = f"is missing: a later turn of session {session!r} needs it, or timestamps"
            raise BadLine(delay, text, "is missing")
        elif at < loop.at:
            text = f"{record[field]} comes before the last turn of session {session!r}"
            raise BadLine(field, text, "goes back in time")
        else:
            think = at - loop.at
        request = self._made(record, think)
        request.session = loop.number
        loop.last.follow_up = request
        loop.last, loop.at = request, at

    def _made(self, record: Record, at: int) -> Request:
        tokens = count(record, _name(record, "input_length"), 1)
        blocks = self._blocks.of(required(record, "hash_ids"), "hash_ids", tokens)
        request = Request(at, tokens, _output(record), blocks)
        if record.get("priority") is not None:
            request.priority = whole(record["priority"], "priority", -(2**31))
        return request


def _name(record: Record, field: str) -> str:
    """What a field is called in this row."""
    alias = _ALIASES[field]
    return alias if alias in record and field not in record else field


def _output(record: Record) -> int:
    field, ids = _name(record, "output_length"), record.get("output_token_ids")
    if ids is None:
        return count(record, field, 0)
    if type(ids) is not list or any(type(each) is not int for each in ids):
        raise BadLine("output_token_ids", "must be a list of whole numbers", "wrong type")
    tokens = count(record, field, 0) if field in record else len(ids)
    if tokens != len(ids):
        text = f"has {len(ids)} tokens, but {field} says {tokens}"
        raise BadLine("output_token_ids", text, "wrong number of tokens")
    return tokens
