"""The command `kvsim tune`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kvsim.errors import KvsimError
from kvsim.run_bar import run_bar

__all__ = ["tune_command"]


def tune_command(
    source: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="Path of a scenario file, or the name of a shipped one.")
    ],
    over: Annotated[
        list[str],
        typer.Option(
            metavar="PATH=V1,V2,…",
            help="A field and the values it may take, such as execution.depth=1,2,4. Repeatable.",
        ),
    ],
    objective: Annotated[
        str, typer.Option(metavar="METRIC", help="Figure to make as small as possible: step_latency_s.p99.")
    ],
    greatest: Annotated[bool, typer.Option("--max", help="Make it as large as possible instead.")] = False,
    budget: Annotated[int, typer.Option(metavar="N", help="Most settings that are tried.")] = 100,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUE", help="Change one value first, as with `run`. Repeatable."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", help="Runs at the same time; -1: one per CPU.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in seconds and bytes.")] = False,
) -> None:
    """Find the values of some fields, such as a policy's thresholds, that make a figure of the run best."""
    from rich.console import Console

    from kvsim.reporting.found import print_tuned, tuned_data
    from kvsim.study.tune import parse_axis, tune

    if jobs == 0 or jobs < -1:
        raise KvsimError(f"--jobs must be 1 or more, or -1 for one per CPU, not {jobs}")
    axes = [parse_axis(text) for text in over]
    with run_bar() as progress:
        tuned = tune(
            source,
            axes,
            objective,
            greatest=greatest,
            overrides=overrides or (),
            budget=budget,
            jobs=jobs,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(tuned_data(tuned), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_tuned(Console(highlight=False), tuned)
