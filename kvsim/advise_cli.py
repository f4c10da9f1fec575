"""The command `kvsim advise`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kvsim.errors import KvsimError

__all__ = ["advise_command"]


def advise_command(
    use: Annotated[
        str, typer.Argument(metavar="USE", help="dialogue, documents, copying, or anything of these.")
    ],
    gpu: Annotated[str, typer.Option(metavar="NAME", help="A GPU of the catalog.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="A model of the catalog.")] = "llama-3.1-8b",
    context: Annotated[int, typer.Option(min=1, help="Tokens of each sequence.")] = 131_072,
    batch: Annotated[int, typer.Option(min=1, help="Number of sequences.")] = 1,
    loss: Annotated[
        str,
        typer.Option(
            metavar="none|little|some|SHARE",
            help="Most that may be lost, of right answers or of perplexity: nothing, 2 %, 10 %, or a share.",
        ),
    ] = "little",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, times in seconds, sizes in bytes.")
    ] = False,
) -> None:
    """Advise on a KV cache: what loses no more than allowed, the fastest first, with what was measured."""
    from rich.console import Console

    from kvsim.reporting.advice import advice_data, print_advice
    from kvsim.study.advise import Need, advise

    advice = advise(Need(use, gpu, model, context, batch, _share(loss)))
    if as_json:
        typer.echo(json.dumps(advice_data(advice), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_advice(Console(highlight=False), advice)


def _share(text: str) -> float:
    from kvsim.study.advise import LOSSES

    if text in LOSSES:
        return LOSSES[text]
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise KvsimError(f"--loss must be {', '.join(LOSSES)}, or a share from 0 to 1, not {text!r}")
    return share
