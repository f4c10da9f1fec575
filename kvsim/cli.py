"""The command line: thin, every command a few calls into the floors below.

Exit codes: 0 fine, 1 the reader of the output went away, 2 something is wrong with the input or the output
directory, 130 interrupted. Results go to standard output; errors, warnings and progress to standard error.
The heavy imports wait until a command needs them, so that `kvsim --help` is quick.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from kvsim import __version__
from kvsim.advise_cli import advise_command
from kvsim.answers_cli import answers_command
from kvsim.capacity_cli import capacity_command
from kvsim.capture_cli import capture_command
from kvsim.catalog_cli import catalog_command
from kvsim.errors import ScenarioError
from kvsim.explain_cli import explain_command
from kvsim.pool_cli import pool_command
from kvsim.reported import reported
from kvsim.size_cli import size_command
from kvsim.study_cli import bench_eviction_command, experiment_command
from kvsim.trace_cli import app as trace_app
from kvsim.tune_cli import tune_command

if TYPE_CHECKING:
    from kvsim.api import Run, ServingRun

__all__ = ["app", "main"]

OUTPUT_GONE = 1
INTERRUPTED = 130
BAR_AFTER_S = 1.0
BAR_EVERY_S = 0.1

app = typer.Typer(
    name="kvsim",
    help="Simulate the KV-cache memory hierarchy of LLM inference: which transfer time do users wait for?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(trace_app)

_Source = Annotated[
    str,
    typer.Argument(metavar="SCENARIO", help="Path of a scenario file, or the name of a shipped one."),
]
_Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="A.B=VALUE",
        help="Change one value, such as 'hierarchy.tiers.hbm.capacity=80 GiB'. Repeatable.",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Also write scenario, tables, report and trace into DIR, in place of an earlier run there. "
        "Without it no file is written.",
    ),
]


def main() -> None:
    """Entry point of the `kvsim` script: runs the command and exits with its code."""
    # A `module:Class` of a scenario may stand in the working directory, as with `python -m`; it comes last,
    # so that nothing there takes the place of a library.
    sys.path.append(os.getcwd())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows only ASCII gets ? for what it lacks
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output stopped. What is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OUTPUT_GONE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kvsim {__version__}")
        raise typer.Exit


@app.callback()
def _kvsim(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Take the options that stand before the command."""


@app.command("run")
def run_command(source: _Source, overrides: _Overrides = None, out: _Out = None) -> None:
    """Simulate one scenario and print where its time went."""
    with reported():
        from kvsim import api
        from kvsim.sim.run import prepare

        scenario = api.load(source, overrides or ())
        with _ready_directory(out):
            prepared = prepare(scenario)
            with _run_bar(prepared.counts, prepared.total) as progress:
                run = api.finished(prepared.run(progress))
            if out is not None:
                run.write(out)
        _print(run)
        if out is not None:
            typer.echo(f"wrote {out}", err=True)


@app.command("list")
def list_command() -> None:
    """List the shipped scenarios and studies, the policies and the workloads."""
    with reported():
        from rich.console import Console
        from rich.table import Table

        from kvsim.policies.registry import EVICTION, PLACEMENT, PREFETCH
        from kvsim.scenario.shipped import available_experiments, available_scenarios
        from kvsim.workloads.registry import WORKLOADS
        from kvsim.workloads.requests.registry import REQUEST_WORKLOADS

        listing = {"scenario": [(name, _description(path)) for name, path in available_scenarios().items()]}
        listing["study"] = [(name, _description(path)) for name, path in available_experiments().items()]
        for registry in (EVICTION, PREFETCH, PLACEMENT, WORKLOADS, REQUEST_WORKLOADS):
            listing[registry.kind] = [(name, _headline(registry.get(name))) for name in registry.names()]
        console = Console(highlight=False)
        for kind, entries in listing.items():
            table = Table(kind, "", box=None, pad_edge=False)
            for name, text in entries:
                table.add_row(name, text)
            console.print(table, "")


@app.command("check")
def check_command(source: _Source, overrides: _Overrides = None) -> None:
    """Check a scenario without running it: one line if it is fine, else every problem found."""
    with reported():
        from kvsim import api

        scenario = api.load(source, overrides or ())
        tiers = ", ".join(tier.name for tier in scenario.hierarchy.tiers)
        typer.echo(f"{source}: ok: {scenario.name} ({scenario.workload.kind} on {tiers})")


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    with reported():
        from kvsim.scenario import loader

        typer.echo(json.dumps(loader.schema(), indent=2, ensure_ascii=False))


app.command("experiment")(reported()(experiment_command))
app.command("explain")(reported()(explain_command))
app.command("catalog")(reported()(catalog_command))
app.command("size")(reported()(size_command))
app.command("advise")(reported()(advise_command))
app.command("answers")(reported()(answers_command))
app.command("bench-eviction")(reported()(bench_eviction_command))
app.command("pool")(reported()(pool_command))
app.command("capacity")(reported()(capacity_command))
app.command("tune")(reported()(tune_command))
app.command("capture")(reported()(capture_command))


@contextmanager
def _ready_directory(directory: Path | None) -> Iterator[None]:
    """See that the run's directory can be written before any time is spent on the run.

    The folders above it are made, and taken away again if nothing comes into them. Raises OSError if the
    directory cannot be there.
    """
    if directory is None:
        yield
        return
    from kvsim.reporting.output import check_directory

    check_directory(directory)
    parent = directory.resolve().parent
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
        yield
    finally:
        for path in made:
            if any(path.iterdir()):
                break
            path.rmdir()


@contextmanager
def _run_bar(counts: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over `total` steps or requests (None: unknown) for runs of more than a second, on a
    terminal only.

    Yields what the engine calls with the number that is finished.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(counts, total=total)
    next_look = monotonic() + BAR_AFTER_S

    def show(finished: int) -> None:
        nonlocal next_look
        now = monotonic()
        if now < next_look:  # called after every step, which may take only microseconds
            return
        next_look = now + BAR_EVERY_S
        bar.update(task, completed=finished)
        bar.start()

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


def _print(run: Run | ServingRun) -> None:
    from rich.console import Console

    from kvsim.reporting.serving_tables import print_any

    print_any(Console(highlight=False), run.summary, run.scenario)


def _description(path: Path) -> str:
    """What a shipped scenario says of itself; read only, because some need a trace to be complete."""
    from kvsim.scenario.document import read_file
    from kvsim.scenario.tree import Problems

    problems = Problems()
    root = read_file(path, problems)
    if root is None:
        raise ScenarioError(problems.ordered())
    described = root.get("description")
    return " ".join(str(described.value).split()) if described else ""


def _headline(cls: type[object]) -> str:
    """The first sentence of a class's docstring."""
    paragraph = (cls.__doc__ or "").strip().partition("\n\n")[0]
    sentence, stop, _ = " ".join(paragraph.split()).partition(". ")
    return sentence + stop.strip()
