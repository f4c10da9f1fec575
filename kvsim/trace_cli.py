"""`kvsim trace`: look at traces, convert them, make them, and ask what a cache would make of them.

Results go to standard output, the rest to standard error; exit code 2 means that something is wrong with
the input or cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvsim.reported import reported
from kvsim.trace_files import (
    request_reader,
    tell_left_out,
    trace_rows,
    workload_rows,
    write_pages,
    write_requests,
)

if TYPE_CHECKING:
    from rich.table import Table

    from kvsim.scenario.scenario import Scenario
    from kvsim.workloads.page_trace import PageRow

__all__ = ["app"]

CURVE_POINTS = 1000
WIDEST = 1000
"""Characters that a table may need."""

app = typer.Typer(
    name="trace",
    help="Inspect, convert and generate traces; miss ratio against capacity, reuse and locality.",
    no_args_is_help=True,
)


class TraceFormat(StrEnum):
    """How a trace file is written."""

    auto = "auto"
    csv = "csv"
    jsonl = "jsonl"
    oracle_general = "oracle_general"
    mooncake = "mooncake"
    bailian = "bailian"
    azure = "azure"
    burstgpt = "burstgpt"
    llmservingsim = "llmservingsim"


class WrittenFormat(StrEnum):
    """How a trace file is to be written."""

    auto = "auto"
    csv = "csv"
    jsonl = "jsonl"
    oracle_general = "oracle_general"
    mooncake = "mooncake"
    burstgpt = "burstgpt"
    mlperf_storage = "mlperf_storage"
    page_csv = "page_csv"
    page_jsonl = "page_jsonl"


class PageClasses(StrEnum):
    """What puts pages into classes."""

    auto = "auto"
    layer = "layer"
    head_group = "head_group"
    popularity = "popularity"


_Trace = Annotated[
    Path,
    typer.Argument(metavar="TRACE", help="Trace of pages (csv, jsonl, oracleGeneral) or of requests."),
]
_FormatOption = Annotated[
    TraceFormat,
    typer.Option("--format", help="How it is written; auto: as its first line, or its name, says."),
]
_Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Change one value, such as 'workload.length=10000'."),
]
_Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the random numbers.")]
_Steps = Annotated[int | None, typer.Option(min=1, help="Take the first steps, or requests, only.")]
_OutFile = Annotated[
    Path, typer.Argument(metavar="OUT", help="File to write, such as x.csv, x.jsonl.gz, x.oracleGeneral.")
]
_ToOption = Annotated[WrittenFormat, typer.Option("--to", help="How to write it; auto: as its name says.")]
_BlockTokens = Annotated[
    int | None, typer.Option(min=1, help="Tokens of a block, of requests. Default: as the format has.")
]
_Skip = Annotated[
    bool, typer.Option("--skip", help="Leave out requests that cannot be used, and count them.")
]


@app.command("info")
def info_command(
    trace: _Trace,
    format: _FormatOption = TraceFormat.auto,
    block_tokens: _BlockTokens = None,
    skip: _Skip = False,
) -> None:
    """Say what is in a trace: reads, pages, sizes, how often and how soon pages come again; or requests."""
    with reported():
        from rich.table import Table

        from kvsim.analysis.request_info import request_info
        from kvsim.analysis.trace_info import trace_info

        reader = request_reader(trace, format.value, block_tokens, skip=skip)
        if reader is None:
            found = trace_info(trace_rows(trace, format.value))
        else:
            found = request_info(reader.requests(), reader.block_tokens)
            tell_left_out(reader)
        table = Table(str(trace), "", box=None, pad_edge=False)
        for name, value in found.items():
            table.add_row(name, value)
        _print_wide([table])


@app.command("convert")
def convert_command(
    trace: _Trace,
    out: _OutFile,
    format: Annotated[
        TraceFormat,
        typer.Option("--from", help="How it is written; auto: as its first line, or its name, says."),
    ] = TraceFormat.auto,
    to: _ToOption = WrittenFormat.auto,
    block_tokens: _BlockTokens = None,
    block_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Bytes of a block, of requests, such as '2 MB'.")
    ] = None,
    skip: _Skip = False,
) -> None:
    """Write a trace in another format: pages as pages, requests as requests or as their blocks."""
    with reported():
        from kvsim.workloads.requests.writers import BlockSize

        reader = request_reader(trace, format.value, block_tokens, skip=skip)
        if reader is None:
            write_pages(out, trace_rows(trace, format.value), to.value)
            return
        size = BlockSize(reader.block_tokens, _bytes("--block-bytes", block_bytes))
        write_requests(out, reader.requests(), to.value, size)
        tell_left_out(reader)


@app.command("synthesise")
def synthesise_command(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Trace of requests that tell their blocks.")],
    out: _OutFile,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Number of requests. Default: as many as the trace has.")
    ] = None,
    speedup: Annotated[
        float, typer.Option(min=1e-6, max=1e6, help="Factor by which requests arrive faster.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 0,
    format: _FormatOption = TraceFormat.auto,
    to: _ToOption = WrittenFormat.auto,
    block_tokens: _BlockTokens = None,
    skip: _Skip = False,
) -> None:
    """Make up requests after those of a trace: as long, shared alike, as bursty; more of them, or faster."""
    with reported():
        from kvsim.errors import KvsimError
        from kvsim.workloads.requests.resampling import generate
        from kvsim.workloads.requests.synthesis import fit
        from kvsim.workloads.requests.writers import BlockSize

        reader = request_reader(trace, format.value, block_tokens, skip=skip)
        if reader is None:
            raise KvsimError(f"{trace}: a trace of pages; made up are requests after requests")
        try:
            model = fit(reader.requests(), reader.block_tokens)
        except ValueError as error:
            raise KvsimError(f"{trace}: {error}") from None
        tell_left_out(reader)
        made_up = generate(model, requests, speedup, seed)
        write_requests(out, made_up, to.value, BlockSize(reader.block_tokens))


@app.command("events")
def events_command(
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="KV-cache events of vLLM, in msgpack.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the blocks stored as a page trace, by its name."),
    ] = None,
) -> None:
    """Sum up recorded KV-cache events: blocks stored and removed by memory, how many, how long, how often."""
    with reported():
        from kvsim.analysis.kv_events import sum_up
        from kvsim.reporting.kv_events import events_table
        from kvsim.workloads.requests.kv_events import read_kv_events, stored_pages

        _print_wide([events_table(sum_up(read_kv_events(recording)))])
        if out is not None:
            write_pages(out, stored_pages(read_kv_events(recording)), WrittenFormat.auto.value)


@app.command("generate")
def generate_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help="Kind of a workload (`kvsim list`), or a scenario, whose workload is taken.",
        ),
    ],
    out: _OutFile,
    overrides: _Overrides = None,
    seed: _Seed = None,
    steps: _Steps = None,
    to: _ToOption = WrittenFormat.auto,
) -> None:
    """Write the page reads of a workload as a trace; of a workload of requests the requests."""
    with reported():
        from kvsim.workloads.requests import asks_requests, make_requests
        from kvsim.workloads.requests.arrivals import limited
        from kvsim.workloads.requests.writers import BlockSize

        scenario = _scenario_of(source, _changes(overrides, seed))
        if asks_requests(scenario):
            workload = make_requests(scenario)
            size = BlockSize(workload.block_tokens, workload.block_bytes)
            write_requests(out, limited(workload.requests(), steps), to.value, size)
            return
        write_pages(out, _first_steps(workload_rows(scenario), steps), to.value)


@app.command("reuse")
def reuse_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="TRACE|SCENARIO",
            help="Page trace, or kind of a workload (`kvsim list`), or a scenario, whose workload is taken.",
        ),
    ],
    format: _FormatOption = TraceFormat.auto,
    by: Annotated[
        PageClasses, typer.Option(help="What puts pages into classes; auto: the first that tells two apart.")
    ] = PageClasses.auto,
    window: Annotated[
        int, typer.Option(min=1, help="Pages in the window whose regretted pages are ranked.")
    ] = 64,
    block_tokens: _BlockTokens = None,
    overrides: _Overrides = None,
    seed: _Seed = None,
    steps: _Steps = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how soon pages are read again, how deep in the LRU stack, and how well that can be foretold.

    Recency, frequency, regret and a Markov chain each rank the next page before it is read.
    """
    with reported():
        from kvsim.analysis.reuse import analyse, page_reads
        from kvsim.errors import KvsimError
        from kvsim.reporting.reuse import reuse_json, reuse_tables

        changes = _changes(overrides, seed)
        if format is TraceFormat.auto and _names_a_scenario(source):
            rows = workload_rows(_scenario_of(source, changes), placed=True)
        elif changes:
            raise KvsimError(f"{source} is a trace: --set and --seed are for scenarios")
        else:
            rows = trace_rows(Path(source), format.value, block_tokens)
        reads = page_reads(_first_steps(rows, steps))
        try:
            found = analyse(reads, by.value, window)
        except ValueError as error:
            raise KvsimError(f"{source}: {error}") from None
        if as_json:
            typer.echo(reuse_json(found))
            return
        _print_wide(reuse_tables(found))


@app.command("mrc")
def mrc_command(
    trace: _Trace,
    format: _FormatOption = TraceFormat.auto,
    policies: Annotated[
        list[str] | None,
        typer.Option("--policy", help="Eviction policy, or `all`. Repeatable. Default: lru."),
    ] = None,
    sizes: Annotated[
        list[int] | None,
        typer.Option("--size", min=1, help="Capacity in pages. Repeatable. Default: --points."),
    ] = None,
    points: Annotated[
        int, typer.Option(min=2, max=CURVE_POINTS, help="Capacities from one page to all, on a log scale.")
    ] = 16,
    block_tokens: _BlockTokens = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also plot the curves into FILE.")] = None,
) -> None:
    """Print the miss ratio of a cache of equal pages at several capacities.

    LRU is exact at every capacity in one pass; other policies are run at each.
    """
    with reported():
        from kvsim.analysis import mrc
        from kvsim.policies.registry import EVICTION

        wanted = list(dict.fromkeys(policies or ["lru"]))
        names = list(EVICTION.names()) if "all" in wanted else wanted
        for name in names:
            EVICTION.get(name)  # an unknown name is told before the trace is read
        pages = mrc.dense(row.page for row in trace_rows(trace, format.value, block_tokens))
        distinct = int(pages.max()) + 1
        shown = sorted(set(sizes or ())) or mrc.sizes_to_show(distinct, points)
        ratios = {name: mrc.miss_ratios(name, pages, shown) for name in names}
        _print_ratios(shown, ratios)
        if html is not None:
            from kvsim.reporting.mrc import mrc_html

            curves: dict[str, Any] = {name: (shown, values) for name, values in ratios.items()}
            if "lru" in curves:  # it costs no more to draw it everywhere
                dense_sizes = mrc.sizes_to_show(max(distinct, shown[-1]), CURVE_POINTS)
                curves["lru"] = (dense_sizes, mrc.miss_ratios("lru", pages, dense_sizes))
            html.write_text(
                mrc_html(curves, f"{trace.name}: {len(pages):,} reads of {distinct:,} pages"), "utf-8"
            )
            typer.echo(f"wrote {html}", err=True)


def _bytes(option: str, text: str | None) -> int | None:
    from kvsim.errors import KvsimError
    from kvsim.units import parse_bytes

    try:
        return None if text is None else parse_bytes(text)
    except ValueError as error:
        raise KvsimError(f"{option}: {error}") from None


def _names_a_scenario(source: str) -> bool:
    """Whether it is a scenario file, or a bare name of which there is no file."""
    path = Path(source)
    return path.suffix.lower() in (".yaml", ".yml") or (
        path.name == source and not path.suffix and not path.exists()
    )


def _changes(overrides: list[str] | None, seed: int | None) -> list[str]:
    return [*(overrides or ()), *(() if seed is None else (f"seed={seed}",))]


def _first_steps(rows: Iterator[PageRow], steps: int | None) -> Iterator[PageRow]:
    """The rows of the first steps; all if None."""
    seen, last = 0, -1
    for row in rows:
        seen += row.step != last
        last = row.step
        if steps is not None and seen > steps:
            return
        yield row


def _scenario_of(source: str, changes: list[str]) -> Scenario:
    from kvsim import api
    from kvsim.policies import check_policies
    from kvsim.scenario.loader import loads
    from kvsim.workloads import check_workload
    from kvsim.workloads.registry import WORKLOADS

    if source not in WORKLOADS.names():
        return api.load(source, changes)
    text = (
        "name: generate\nexecution: {compute_time: 1 us}\n"
        f"hierarchy: {{tiers: [{{name: memory, capacity: 1 PB}}]}}\nworkload: {{kind: {source}}}\n"
    )
    return loads(text, changes, checks=(check_policies, check_workload))


def _print_wide(tables: list[Table]) -> None:
    """One below the other, rather too wide for a screen than cut."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(highlight=False)
    wide = console.options.update(max_width=WIDEST)
    console.width = max(console.width, *(Measurement.get(console, wide, table).maximum for table in tables))
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(table)


def _print_ratios(sizes: list[int], ratios: dict[str, list[float]]) -> None:
    from rich.table import Table

    table = Table("capacity", *ratios, box=None, pad_edge=False)
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    for index, size in enumerate(sizes):
        table.add_row(f"{size:,}", *(f"{values[index]:.4f}" for values in ratios.values()))
    _print_wide([table])
