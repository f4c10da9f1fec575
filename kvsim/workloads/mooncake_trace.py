"""Requests in Mooncake's format one line at a time, sessions left aside: for who looks at each by itself.

Source: R. Qin et al., "Mooncake: a KVCache-centric disaggregated architecture for LLM serving", FAST 2025,
and the traces published with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from kvsim.workloads.requests.lines import LATEST_TICKS, Lines
from kvsim.workloads.requests.mooncake import TICKS_PER_MS, MooncakeRows

__all__ = ["LATEST_MS", "MooncakeRequest", "read_mooncake"]

LATEST_MS = LATEST_TICKS // TICKS_PER_MS
"""Latest timestamp in ms, 53 days: half of what the clock of picoseconds can count."""


@dataclass(slots=True)
class MooncakeRequest:
    """One line of a trace."""

    line: int
    """Line of the file, from 1."""
    timestamp_ms: int | float
    """Arrival, in milliseconds since the start of the trace."""
    input_length: int
    """Tokens of the prompt, at least 1."""
    output_length: int
    """Tokens generated, at least 0."""
    hash_ids: list[int]
    """Prefix blocks of the prompt, in order; the last may be partial. An id stands for the whole prefix up
    to its block, so no id comes twice in a request."""


def read_mooncake(path: str | Path, block_tokens: int = 512) -> Iterator[MooncakeRequest]:
    """The requests of a trace, one by one; a file of any length is read in constant memory.

    Whether a file is compressed is told by its first bytes, not by its name. Blank lines and fields beyond
    the four of the format are ignored. Raises TraceError, with line and field, for a file that is missing,
    a directory, unreadable, empty, cut short or not UTF-8, and for a line that is no JSON object, lacks a
    field, or has one of the wrong type, negative, out of order (timestamps) or of the wrong length (blocks).
    """
    lines = Lines(path)
    rows = MooncakeRows(lines, block_tokens, loops=False)
    found = False
    for request in lines.each(rows.request):
        found = True
        whole, part = divmod(request.arrival_ticks, TICKS_PER_MS)
        timestamp = request.arrival_ticks / TICKS_PER_MS if part else whole
        blocks = cast(list[int], request.blocks)
        yield MooncakeRequest(lines.number, timestamp, request.input_tokens, request.output_tokens, blocks)
    if not found:
        lines.refuse_empty()
