"""The command `kvsim pool`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvsim.errors import KvsimError

if TYPE_CHECKING:
    from kvsim.analysis.allocation import Allocation, Request

__all__ = ["pool_command"]

TICKS_PER_MS = 10**9


def pool_command(
    trace: Annotated[
        Path, typer.Argument(metavar="TRACE", help="Trace of requests in Mooncake's format (jsonl).")
    ],
    block: Annotated[int, typer.Option(min=1, help="Tokens of a block of paged allocation.")] = 16,
    maximum: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens that are reserved at most. Default: those of the longest request."),
    ] = None,
    capacity: Annotated[
        int | None, typer.Option(min=1, help="Slots of the pool, one a token. Default: as many as it takes.")
    ] = None,
    prefill: Annotated[
        str, typer.Option(metavar="TIME", help="Time a request takes for each token of its prompt.")
    ] = "0.1 ms",
    decode: Annotated[
        str, typer.Option(metavar="TIME", help="Time it takes for each token of its output.")
    ] = "30 ms",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what paged and contiguous allocation make of the same requests: peak memory, wastes, refusals."""
    from rich.console import Console

    from kvsim.analysis.pool import run_pool
    from kvsim.reporting.pool import pool_data, pool_table

    requests = _requests(trace, _ticks("--prefill", prefill), _ticks("--decode", decode))
    longest = max(request.tokens for request in requests)
    if maximum is not None and maximum < longest:
        raise KvsimError(
            f"--maximum: the longest request has {longest} tokens, so at least that, not {maximum}"
        )
    runs = {
        name: run_pool(requests, allocation, capacity)
        for name, allocation in _allocations(block, maximum or longest).items()
    }
    if as_json:
        typer.echo(json.dumps(pool_data(runs), indent=2, allow_nan=False))
    else:
        Console(highlight=False).print(pool_table(runs))


def _allocations(block: int, maximum: int) -> dict[str, Allocation]:
    from kvsim.analysis.allocation import Doubling, Paged, Reserved

    return {
        f"paged, blocks of {block}": Paged(block),
        f"reserved: maximum of {maximum}": Reserved("maximum", maximum),
        "reserved: power of two": Reserved("power_of_two", maximum),
        "reserved: exact, an oracle": Reserved("exact", maximum),
        "doubling with copies": Doubling(),
    }


def _requests(trace: Path, prefill: int, decode: int) -> list[Request]:
    """The requests of the trace; each takes as long as its tokens do, at least a tick."""
    from kvsim.analysis.allocation import Request
    from kvsim.workloads.mooncake_trace import read_mooncake

    found = []
    for each in read_mooncake(trace):
        arrival = round(each.timestamp_ms * TICKS_PER_MS)
        lasts = max(1, prefill * each.input_length + decode * each.output_length)
        try:
            found.append(Request(arrival, arrival + lasts, each.input_length, each.output_length))
        except ValueError as error:
            raise KvsimError(f"{trace}:{each.line}: {error}") from None
    return found


def _ticks(option: str, text: str) -> int:
    from kvsim.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise KvsimError(f"{option}: {error}") from None
