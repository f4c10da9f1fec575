"""Reader of request traces in Mooncake's format: JSON lines, plain or gzip, one request a line.

Source: R. Qin et al., "Mooncake: a KVCache-centric disaggregated architecture for LLM serving", FAST 2025,
and the traces published with it.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from kvsim.errors import Problem, TraceError

__all__ = ["LATEST_MS", "MooncakeRequest", "read_mooncake"]

LATEST_MS = 2**62 // 10**9
"""Latest timestamp in ms, 53 days: half of what the clock of picoseconds can count."""
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
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
    parse = _Parser(str(path), block_tokens)
    with ExitStack() as stack:
        try:
            lines = _open(Path(path), stack)
            for raw in lines:
                request = parse.line(raw)
                if request is not None:
                    yield request
        except EOFError:
            parse.refuse("", "the compressed file is cut short", after=True)
        except (gzip.BadGzipFile, zlib.error) as error:
            parse.refuse("", f"the compressed file is damaged: {error}", after=True)
        except OSError as error:
            parse.refuse("", f"cannot be read: {error.strerror or error}", whole=True)
    if parse.requests == 0:
        parse.refuse("", "is empty: there is no request in it", whole=True)


def _open(path: Path, stack: ExitStack) -> BinaryIO:
    file = stack.enter_context(path.open("rb"))
    compressed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    if not compressed:
        return file
    return cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file)))


class _Parser:
    """Turns lines into requests, and remembers where it is for messages."""

    def __init__(self, file: str, block_tokens: int) -> None:
        self.requests = 0
        self._file = file
        self._block_tokens = block_tokens
        self._line = 0
        self._latest: int | float = 0
        self._latest_line = 0

    def line(self, raw: bytes) -> MooncakeRequest | None:
        """The request on the next line, None if it is blank."""
        self._line += 1
        if self._line == 1:
            raw = raw.removeprefix(_BOM)
        if raw.isspace() or not raw:
            return None
        record = self._decoded(raw)
        timestamp = self._timestamp(record)
        tokens = self._count(record, "input_length", 1)
        request = MooncakeRequest(
            self._line,
            timestamp,
            tokens,
            self._count(record, "output_length", 0),
            self._blocks(record, tokens),
        )
        self.requests += 1
        return request

    def refuse(
        self, field: str, message: str, column: int | None = None, *, after: bool = False, whole: bool = False
    ) -> NoReturn:
        """Raise the TraceError of this line (of the next one, of the whole file)."""
        line = None if whole else self._line + after
        raise TraceError(Problem(self._file, line, column, field, message)) from None

    def _decoded(self, raw: bytes) -> dict[str, Any]:
        try:
            record = json.loads(raw.decode("utf-8"), parse_constant=self._constant)
        except UnicodeDecodeError as error:
            self.refuse("", f"is not UTF-8: {error.reason}", error.start + 1)
        except json.JSONDecodeError as error:
            self.refuse("", f"is not JSON: {error.msg}", error.colno)
        except (RecursionError, ValueError) as error:  # nested too deeply; a number of thousands of digits
            self.refuse("", f"is not usable JSON: {error}")
        if not isinstance(record, dict):
            self.refuse("", f"must be a JSON object, not {_kind(record)}")
        return record

    def _constant(self, text: str) -> NoReturn:
        self.refuse("", f"is not JSON: {text} is no number")

    def _field(self, record: dict[str, Any], field: str) -> Any:
        if field not in record:
            self.refuse(field, "is missing")
        return record[field]

    def _timestamp(self, record: dict[str, Any]) -> int | float:
        value = self._field(record, "timestamp")
        if type(value) is not int and type(value) is not float:
            self.refuse("timestamp", f"must be a number of milliseconds, not {_kind(value)}")
        if not 0 <= value <= LATEST_MS:
            self.refuse("timestamp", f"must be 0 to {LATEST_MS} ms after the start of the trace, not {value}")
        if value < self._latest:
            self.refuse("timestamp", f"{value} comes after {self._latest} of line {self._latest_line}")
        self._latest, self._latest_line = value, self._line
        return value

    def _count(self, record: dict[str, Any], field: str, least: int) -> int:
        value = self._field(record, field)
        if type(value) is not int:
            self.refuse(field, f"must be a whole number of tokens, not {_kind(value)}")
        if not least <= value < 2**31:
            self.refuse(field, f"must be {least} to {2**31 - 1} tokens, not {value}")
        return value

    def _blocks(self, record: dict[str, Any], tokens: int) -> list[int]:
        ids = self._field(record, "hash_ids")
        if type(ids) is not list:
            self.refuse("hash_ids", f"must be a list of block ids, not {_kind(ids)}")
        for index, block in enumerate(ids):
            if type(block) is not int:
                self.refuse(f"hash_ids[{index}]", f"must be a whole number, not {_kind(block)}")
            if block < 0:
                self.refuse(f"hash_ids[{index}]", f"must not be negative: {block}")
        expected = math.ceil(tokens / self._block_tokens)
        if len(ids) != expected:
            blocks = f"{tokens} tokens are {expected} blocks of {self._block_tokens}"
            self.refuse("hash_ids", f"has {len(ids)} ids, but {blocks}")
        if len(set(ids)) != len(ids):
            index = next(i for i, block in enumerate(ids) if block in ids[:i])
            self.refuse(f"hash_ids[{index}]", f"block {ids[index]} comes twice in one request")
        return ids


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    for kind, name in ((dict, "an object"), (list, "a list"), (str, "text")):
        if isinstance(value, kind):
            return name
    return f"the number {value}"
