"""The command `kvsim explain`: thin, like the rest of the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from kvsim.errors import KvsimError

__all__ = ["explain_command"]


def explain_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Path of a scenario file, the name of a shipped one, or the directory of a finished run.",
        ),
    ],
    step: Annotated[
        int | None, typer.Option("--step", metavar="N", help="Explain this step, from 0, not the slowest.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUE", help="Change one value first, as with `run`. Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds.")] = False,
) -> None:
    """Say what the slowest steps wait for, and which single change would shorten steps most."""
    from rich.console import Console

    from kvsim import api
    from kvsim.reporting.explanation import explanation_data, print_explanation
    from kvsim.study.explain import explain

    scenario = api.load(_scenario_of(source), overrides or ())
    with _bar() as progress:
        told = explain(scenario, step, progress)
    if as_json:
        typer.echo(json.dumps(explanation_data(told), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_explanation(Console(highlight=False), told)


def _scenario_of(source: str) -> str | Path:
    """The scenario itself, or the one that the directory of a run keeps."""
    from kvsim.scenario.shipped import available_scenarios

    directory = Path(source).expanduser()
    if source in available_scenarios() or not directory.is_dir():
        return source
    kept = directory / "scenario.yaml"
    if not kept.is_file():
        raise KvsimError(f"{source} is a directory, but not of a run: it has no scenario.yaml")
    return kept


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar over the changes, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        changes = bar.add_task("changes", total=None)
        yield lambda done, total: bar.update(changes, completed=done, total=total)
