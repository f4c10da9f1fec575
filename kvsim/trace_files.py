"""Traces as `kvsim trace` is given them: of pages or of requests, told by their content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from kvsim.errors import KvsimError

if TYPE_CHECKING:
    from kvsim.scenario.scenario import Scenario
    from kvsim.workloads.page_trace import Format, PageRow
    from kvsim.workloads.requests import Request
    from kvsim.workloads.requests.formats import TraceReader
    from kvsim.workloads.requests.writers import BlockSize

__all__ = ["request_reader", "tell_left_out", "trace_rows", "workload_rows", "write_pages", "write_requests"]

_SUFFIXES = {".jsonl": "mooncake", ".json": "mooncake", ".csv": "csv", ".oraclegeneral": "oracle_general"}


def request_reader(
    trace: Path, format: str, block_tokens: int | None = None, *, skip: bool = False
) -> TraceReader | None:
    """The reader of a trace of requests; None for one of pages, which `csv` may mean too."""
    from kvsim.workloads.requests.formats import FORMATS, TraceReader, format_of

    if format in ("auto", "csv"):
        found = format_of(trace)
        if found is None:
            return None
        format = found.name
    if format not in FORMATS:
        return None
    return TraceReader(trace, format, block_tokens, "skip" if skip else "strict")


def tell_left_out(reader: TraceReader) -> None:
    """Say which lines were left out, if any."""
    if reader.left_out:
        reasons = "; ".join(f"{reason} {count:,}" for reason, count in reader.left_out.items())
        typer.echo(f"{reader.path}: left out {reader.left_out.total():,} lines: {reasons}", err=True)


def trace_rows(trace: Path, format: str, block_tokens: int | None = None) -> Iterator[PageRow]:
    """The page reads of a trace; of one of requests its block references."""
    from kvsim.workloads.page_trace import read_pages

    reader = request_reader(trace, format, block_tokens)
    return read_pages(trace, cast("Format", format)) if reader is None else _block_rows(reader)


def _block_rows(reader: TraceReader) -> Iterator[PageRow]:
    from kvsim.workloads.requests.writers import BlockSize, block_rows

    row = None
    for row in block_rows(reader.requests(), BlockSize(reader.block_tokens)):
        yield row
    tell_left_out(reader)
    if row is None:
        raise KvsimError(f"{reader.path}: its requests do not tell their blocks")


def workload_rows(scenario: Scenario, *, placed: bool = False) -> Iterator[PageRow]:
    """The page reads of a scenario's workload; of one of requests its block references.

    If `placed`, with the layer and head group of each page where the workload tells them; otherwise with the
    layer of each access.
    """
    from kvsim.workloads.requests import asks_requests, make_requests
    from kvsim.workloads.requests.writers import BlockSize, block_rows

    if not asks_requests(scenario):
        return _step_rows(scenario, placed)
    workload = make_requests(scenario)
    return block_rows(workload.requests(), BlockSize(workload.block_tokens, workload.block_bytes))


def _step_rows(scenario: Scenario, placed: bool) -> Iterator[PageRow]:
    from kvsim.workloads import make_workload
    from kvsim.workloads.base import places_of
    from kvsim.workloads.page_trace import PageRow

    workload = make_workload(scenario)
    scalars, size = workload.page_scalars, scenario.scheme.bytes
    layers = places_of(workload, "page_layers") if placed else None
    groups = places_of(workload, "page_head_groups") if placed else None
    line = 0
    for number, step in enumerate(workload.steps()):
        for access in step.layers:
            masses = [None] * len(access.pages) if access.mass is None else access.mass.tolist()
            for page, mass in zip(access.pages.tolist(), masses, strict=True):
                line += 1
                held = size(scalars if isinstance(scalars, int) else int(scalars[page]))
                layer = access.layer if layers is None else int(layers[page])
                group = None if groups is None else int(groups[page])
                yield PageRow(line, number, page, layer, group, bytes=held, mass=mass)


def write_pages(out: Path, rows: Iterator[PageRow], format: str) -> None:
    """Write page reads, and say how many."""
    from kvsim.workloads.page_trace import FORMATS, write_pages

    chosen = format.removeprefix("page_")
    if chosen not in ("auto", *FORMATS):
        chosen = "mooncake"  # a format of requests, which is refused
    count = write_pages(out, rows, cast("Format", chosen))
    typer.echo(f"wrote {out}: {count} rows", err=True)


def write_requests(out: Path, requests: Iterator[Request], format: str, size: BlockSize) -> None:
    """Write requests, say how many rows, and what who reads them has to know."""
    from kvsim.scenario.requests import BLOCK_TOKENS
    from kvsim.workloads.requests.writers import write_requests

    chosen = _named(out) if format == "auto" else format
    count = write_requests(out, requests, chosen, size)
    typer.echo(f"wrote {out}: {count} rows", err=True)
    if BLOCK_TOKENS.get(chosen, size.tokens) != size.tokens:
        typer.echo(f"its blocks have {size.tokens} tokens: say so when it is read (block_tokens)", err=True)


def _named(out: Path) -> str:
    suffixes = [suffix.lower() for suffix in out.suffixes]
    found = next((_SUFFIXES[suffix] for suffix in reversed(suffixes) if suffix in _SUFFIXES), None)
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise KvsimError(f"{out}: its name does not tell the format (known: {known}); say which")
    return found
