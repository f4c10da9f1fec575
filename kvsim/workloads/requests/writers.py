"""Requests written down: Mooncake's format, BurstGPT's, plain csv; as block references; as reads and writes.

MLPerf Storage's benchmark of KV caches (mlcommons/storage, `kv_cache_benchmark`) reads requests in BurstGPT's
format and writes what a storage is asked for as `Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import IO

from kvsim.errors import KvsimError, RegistryError
from kvsim.workloads.page_trace import Format, PageRow, replacing, write_pages
from kvsim.workloads.requests import plain_csv
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.fields import decimal_text
from kvsim.workloads.requests.loops import in_time

__all__ = ["BLOCK_WRITERS", "WRITERS", "BlockSize", "block_rows", "write_requests"]

TICKS_PER_US = 10**6


@dataclass(frozen=True, slots=True)
class BlockSize:
    """What a block holds and takes."""

    tokens: int
    bytes: int | None = None
    """None: not known."""


def block_rows(requests: Iterable[Request], size: BlockSize) -> Iterator[PageRow]:
    """The prompts' block references, each request a step, in the order of `in_time`: a page trace."""
    line = 0
    for step, (_, request) in enumerate(in_time(requests)):
        for block in request.blocks:
            line += 1
            yield PageRow(line, step, block, tokens=size.tokens, bytes=size.bytes)


def write_mooncake(file: IO[bytes], requests: Iterable[Request], size: BlockSize) -> int:
    """Mooncake's format; closed loops as Dynamo's superset has them, `session_id` and `delay`, turn by turn.

    Tenants, sessions without a closed loop and blocks of the output are lost. Where no request tells its
    blocks, each gets blocks of its own; KvsimError if only some tell.
    """
    own = _OwnBlocks(size.tokens)
    loops = count()
    rows = 0
    for request in _in_line(requests):
        loop = None if request.follow_up is None else next(loops)
        turn: Request | None = request
        while turn is not None:
            row = _mooncake_row(turn, own.of(turn), loop, first=turn is request)
            file.write(row.encode() + b"\n")
            rows += 1
            turn = turn.follow_up
    return rows


def _in_line(requests: Iterable[Request]) -> Iterator[Request]:
    """The requests, as long as each has at most one that follows."""
    for first in requests:
        turn: Request | None = first
        while turn is not None:
            if turn.forks:
                raise KvsimError("a request starts several others at once, which this format cannot hold")
            turn = turn.follow_up
        yield first


def _mooncake_row(turn: Request, blocks: Iterable[int], loop: int | None, *, first: bool) -> str:
    """A line, made by hand: a time in JSON's own numbers would not be exact."""
    fields = {
        "timestamp" if first else "delay": decimal_text(turn.arrival_ticks, 9),
        "input_length": str(turn.input_tokens),
        "output_length": str(turn.output_tokens),
        "hash_ids": json.dumps(list(blocks)),
    }
    if loop is not None:
        fields["session_id"] = f'"{loop}"'
    if turn.priority:
        fields["priority"] = str(turn.priority)
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"


class _OwnBlocks:
    """The blocks of requests, or blocks that no other has for all of them."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._made = 0
        self._told: bool | None = None

    def of(self, request: Request) -> Iterable[int]:
        told = len(request.blocks) > 0
        if self._told not in (None, told):
            raise KvsimError("some requests tell their blocks, others do not: this format needs them of all")
        self._told = told
        if told:
            return request.blocks
        first, blocks = self._made, -(-request.input_tokens // self._block_tokens)
        self._made += blocks
        return range(first, first + blocks)


def write_csv(file: IO[bytes], requests: Iterable[Request], size: BlockSize) -> int:
    """Plain csv, which holds everything; see `plain_csv`."""
    return plain_csv.write(file, _in_line(requests))


def write_burstgpt(file: IO[bytes], requests: Iterable[Request], size: BlockSize) -> int:
    """BurstGPT's csv, which MLPerf Storage's benchmark of KV caches takes: times and lengths are kept.

    Follow-ups come as if serving took no time. KvsimError for a request without output, which would mean one
    that failed.
    """
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type"))
    rows = 0
    for rows, (time, each) in enumerate(in_time(requests), 1):
        if each.output_tokens == 0:
            raise KvsimError(f"request {rows} has no output, which in BurstGPT's format means that it failed")
        total = each.input_tokens + each.output_tokens
        kind = "API log" if each.session is None else "Conversation log"
        seconds = decimal_text(time, 12)
        writer.writerow((seconds, "unknown", each.input_tokens, each.output_tokens, total, kind))
    text.detach()
    return rows


def write_mlperf_storage(file: IO[bytes], requests: Iterable[Request], size: BlockSize) -> int:
    """What MLPerf Storage's benchmark logs with `--io-trace-log`: a row for each block read or written.

    As a storage sees it (Tier-2) that keeps every block for ever: a prompt's blocks that were there before
    are read, the others written, and so are those of the output, if known. KvsimError without the bytes of a
    block. Memory grows with the distinct blocks.
    """
    if size.bytes is None:
        raise KvsimError("reads and writes have a size: say how many bytes a block has")
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("Timestamp", "Operation", "Object_Size_Bytes", "Tier", "Key", "Phase"))
    stored: set[int] = set()
    rows = 0
    for time, request in in_time(requests):
        at = f"{time // TICKS_PER_US / 1e6:.6f}"
        for blocks, phase in ((request.blocks, "Prefill"), (request.output_blocks, "Decode")):
            for block in blocks:
                there = block in stored
                if there and phase == "Decode":
                    continue
                stored.add(block)
                row = ("Read", "Decode") if there else ("Write", phase)
                writer.writerow((at, row[0], size.bytes, "Tier-2", f"block{block}", row[1]))
                rows += 1
    text.detach()
    return rows


Writer = Callable[[IO[bytes], Iterable[Request], BlockSize], int]
WRITERS: dict[str, Writer] = {
    "mooncake": write_mooncake,
    "csv": write_csv,
    "burstgpt": write_burstgpt,
    "mlperf_storage": write_mlperf_storage,
}
"""Formats that requests are written in, by name."""
BLOCK_WRITERS: dict[str, Format] = {
    "page_csv": "csv",
    "page_jsonl": "jsonl",
    "oracle_general": "oracle_general",
}
"""Formats that their block references are written in: page traces, which libCacheSim reads too."""


def write_requests(path: str | Path, requests: Iterable[Request], format: str, size: BlockSize) -> int:
    """Write requests in a format of `WRITERS` or `BLOCK_WRITERS` and return the number of rows.

    The file appears when it is complete; a name that ends in `.gz` is compressed. Raises KvsimError for a
    format that is not known or cannot hold a request, OSError if the file cannot be written.
    """
    if format in BLOCK_WRITERS:
        return write_pages(path, block_rows(requests, size), BLOCK_WRITERS[format])
    if format not in WRITERS:
        raise RegistryError("format to write requests in", format, (*WRITERS, *BLOCK_WRITERS))
    with replacing(Path(path)) as file:
        return WRITERS[format](file, requests, size)
