"""Requests as plain csv: the format that holds all there is to say of a request."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from typing import IO, Any

from kvsim.errors import KvsimError
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.fields import Clock, count, decimal_text, required, ticks, whole
from kvsim.workloads.requests.ids import Blocks, Ids
from kvsim.workloads.requests.lines import BadLine, Lines
from kvsim.workloads.requests.table import Row, Table

__all__ = ["read", "write"]

TICKS_PER_S = 10**12
_NEEDED = ("arrival_s", "input_tokens", "output_tokens")
_OPTIONAL = ("tenant", "session", "priority", "blocks", "output_blocks", "think_s")


def read(lines: Lines, block_tokens: int) -> Iterator[Request]:
    """Rows of `arrival_s`, `input_tokens`, `output_tokens`, and perhaps more columns; others are ignored.

    `tenant` is a name; `session`, and the `blocks` and `output_blocks` between semicolons or spaces, are
    whole numbers, or else texts, which are numbered in order of first appearance. A row with `think_s` is the
    next turn of the row above it in a closed loop, so long after that has ended; it needs no arrival.
    """
    held: Request | None = None
    for request in lines.each(_Rows(lines, block_tokens).first_turn):
        if held is not None:
            yield held
        held = request  # until all its later turns are read
    if held is not None:
        yield held


class _Rows:
    """Turns lines into requests."""

    def __init__(self, lines: Lines, block_tokens: int) -> None:
        self._table = Table(lines, _NEEDED, _OPTIONAL)
        self._blocks = Blocks(block_tokens)
        self._sessions = Ids()
        self._clock = Clock(lines)
        self._above: Request | None = None

    def first_turn(self, raw: bytes) -> Request | None:
        """The request of a line; None if it is the header, or the later turn of one that was given."""
        above, self._above = self._above, None  # of a line that is left out there is no next turn
        row = self._table.row(raw)
        if row is None:
            return None
        field = "think_s" if "think_s" in row else "arrival_s"
        made = self._made(row, ticks(required(row, field), field, TICKS_PER_S, "seconds"))
        if field == "arrival_s":
            self._clock.advance(made.arrival_ticks, row["arrival_s"], "arrival_s")
            self._above = made
            return made
        if above is None:
            raise BadLine("think_s", "there is no row above it that it could follow", "without a first turn")
        above.follow_up = self._above = made
        return None

    def _made(self, row: Row, at: int) -> Request:
        tokens = count(row, "input_tokens", 1)
        made = Request(at, tokens, count(row, "output_tokens", 0), tenant=row.texts.get("tenant", ""))
        if "session" in row:
            [session] = self._sessions.of([row["session"]])
            made.session = whole(session, "session", 0)
        if "priority" in row:
            made.priority = whole(row["priority"], "priority", -(2**31))
        if "blocks" in row:
            made.blocks = self._blocks.of_cell(row.texts["blocks"], "blocks", tokens)
        if "output_blocks" in row:
            cell = row.texts["output_blocks"]
            made.output_blocks = self._blocks.output_of_cell(cell, "output_blocks", made.blocks)
        return made


def write(file: IO[bytes], requests: Iterable[Request]) -> int:
    """Write requests, each followed by the later turns of its closed loop, and return their number.

    Nothing is lost. Raises KvsimError for a tenant whose name has a line break.
    """
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_NEEDED, *_OPTIONAL))
    count = 0
    for request in requests:
        turn: Request | None = request
        while turn is not None:
            writer.writerow(_cells(turn, first=turn is request))
            count += 1
            turn = turn.follow_up
    text.detach()
    return count


def _cells(turn: Request, *, first: bool) -> list[Any]:
    if "\n" in turn.tenant or "\r" in turn.tenant:
        raise KvsimError(f"tenant {turn.tenant!r}: csv holds no line break in a name")
    time = decimal_text(turn.arrival_ticks, 12)
    return [
        time if first else "",
        turn.input_tokens,
        turn.output_tokens,
        turn.tenant,
        turn.session,
        turn.priority or "",
        ";".join(map(str, turn.blocks)),
        ";".join(map(str, turn.output_blocks)),
        "" if first else time,
    ]
