"""The formats of request traces: one table, from which readers, writers, `auto` and the tests go."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kvsim.errors import RegistryError
from kvsim.scenario.requests import BLOCK_TOKENS
from kvsim.workloads.requests import mooncake, plain_csv, public_traces
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.fields import cells
from kvsim.workloads.requests.lines import BadLine, Lines, OnError

__all__ = ["FORMATS", "RequestFormat", "TraceReader", "format_named", "format_of"]


@dataclass(frozen=True, slots=True)
class RequestFormat:
    """A way to write requests down."""

    name: str
    read: Callable[[Lines, int], Iterator[Request]]
    """From lines, and the tokens of a block."""
    told_by: str
    """Field of its first line, or column of its header, that no format before it in the table has."""


FORMATS: dict[str, RequestFormat] = {
    each.name: each
    for each in (
        RequestFormat("bailian", public_traces.read_bailian, "chat_id"),
        RequestFormat("mooncake", mooncake.read, "hash_ids"),
        RequestFormat("llmservingsim", public_traces.read_llmservingsim, "input_toks"),
        RequestFormat("azure", public_traces.read_azure, "ContextTokens"),
        RequestFormat("burstgpt", public_traces.read_burstgpt, "Request tokens"),
        RequestFormat("csv", plain_csv.read, "arrival_s"),
    )
}
"""Every format by name."""


def format_named(name: str) -> RequestFormat:
    """The format of that name; RegistryError if there is none."""
    if name not in FORMATS:
        raise RegistryError("format of requests", name, tuple(FORMATS))
    return FORMATS[name]


def format_of(path: str | Path) -> RequestFormat | None:
    """The format of a file, by its first line; None if that is of none. TraceError if it cannot be read."""
    first = next(Lines(path).each(_fields), frozenset())
    return _told_by(first)


def _told_by(first: frozenset[str]) -> RequestFormat | None:
    return next((each for each in FORMATS.values() if each.told_by in first), None)


def _format_there(path: str | Path) -> RequestFormat:
    """The format of a file, which it must have."""
    lines = Lines(path)
    first = next(lines.each(_fields), None)
    if first is None:
        lines.refuse_empty()
    found = _told_by(first)
    if found is None:
        lines.refuse(f"its first line tells no format (known: {', '.join(FORMATS)}); say which")
    return found


def _fields(raw: bytes) -> frozenset[str]:
    """Fields of an object in JSON, or columns of a header."""
    try:
        record = json.loads(raw)
        return frozenset(record) if isinstance(record, dict) else frozenset()
    except (ValueError, RecursionError):
        pass
    try:
        return frozenset(cells(raw))
    except BadLine:
        return frozenset()


class TraceReader:
    """A trace of requests, to be read any number of times.

    `format` is a name or `auto`; `block_tokens` defaults to those of the format. With `on_error: skip` a
    line that cannot be used is left out. Raises TraceError for a file that cannot be read, or whose format
    cannot be told.
    """

    def __init__(
        self,
        path: str | Path,
        format: str = "auto",
        block_tokens: int | None = None,
        on_error: OnError = "strict",
    ) -> None:
        self.path = Path(path)
        self.format = _format_there(path) if format == "auto" else format_named(format)
        self.block_tokens = block_tokens or BLOCK_TOKENS[self.format.name]
        self.left_out: Counter[str] = Counter()
        """Lines left out so far by the last reading, by reason."""
        self._on_error: OnError = on_error

    def requests(self) -> Iterator[Request]:
        """Those that are no follow-ups, in order of arrival. Raises TraceError where one cannot be used."""
        lines = Lines(self.path, self._on_error)
        self.left_out = lines.left_out
        found = False
        for request in self.format.read(lines, self.block_tokens):
            found = True
            yield request
        if not found:
            lines.refuse_empty()
