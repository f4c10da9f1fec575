"""The command `kvsim answers`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kvsim.errors import KvsimError

__all__ = ["answers_command"]


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
