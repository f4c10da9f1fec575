"""The commands `kvsim answers` and `kvsim bench-eviction`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kvsim.errors import KvsimError
from kvsim.study_cli import experiment_command

__all__ = ["answers_command", "bench_eviction_command"]


def answers_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO", help="Path of a scenario of the kind language_model, or a shipped one's name."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUE", help="Change one value first, as with `run`. Repeatable."),
    ] = None,
    reads: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the page reads of the first sample, with their attention, as a page trace "
            "(.csv, .jsonl, either with .gz).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a scenario's evictions and formats cost a real language model in answers."""
    from rich.console import Console

    from kvsim import api
    from kvsim.lm.answers import answers_of, full_answers_of
    from kvsim.lm.play import play
    from kvsim.lm.trace import page_rows
    from kvsim.reporting.answers import answers_data, print_answers
    from kvsim.scenario.workload import LanguageModel
    from kvsim.workloads.page_trace import write_pages

    scenario = api.load(source, overrides or ())
    if not isinstance(scenario.workload, LanguageModel):
        raise KvsimError(f"the workload {scenario.workload.kind!r} answers nothing; language_model does")
    here, full = answers_of(scenario), full_answers_of(scenario)
    if reads is not None:
        played = play(scenario)
        write_pages(reads, page_rows(played.reads, played.numbers))
    if as_json:
        typer.echo(json.dumps(answers_data(here, full), indent=2, allow_nan=False))
    else:
        print_answers(Console(highlight=False), scenario, here, full)


def bench_eviction_command(
    lm: Annotated[
        str | None, typer.Option(metavar="NAME[,NAME]", help="Language models. Default: all.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="NAME[,NAME]", help="Tasks. Default: all.")] = None,
    context: Annotated[
        str | None, typer.Option(metavar="TOKENS[,TOKENS]", help="Context lengths. Default: all.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME[,NAME]", help="Strategies. Default: all.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="SHARE[,SHARE]", help="Shares of the tokens kept. Default: all.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", help="Runs at the same time; -1: one per CPU.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write results and reports into DIR. Without it no file is written."
        ),
    ] = None,
) -> None:
    """Run the eviction benchmark, or a part of it: the study eviction_benchmark."""
    axes = {"lm": lm, "task": task, "context": context, "strategy": strategy, "budget": budget}
    only = [f"{axis}={labels}" for axis, labels in axes.items() if labels is not None]
    experiment_command("eviction_benchmark", jobs=jobs, out=out, only=only)
