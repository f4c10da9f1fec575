"""The command `kvsim capacity`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Annotated

import typer

from kvsim.errors import KvsimError
from kvsim.run_bar import run_bar

if TYPE_CHECKING:
    from kvsim.analysis.cost import Prices

__all__ = ["capacity_command"]


def capacity_command(
    source: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="Path of a scenario file, or the name of a shipped one.")
    ],
    of: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The whole-number field to make as large as possible, such as workload.batch. "
            "`context` and `batch` are short for those of the workload.",
        ),
    ],
    objective: Annotated[
        str,
        typer.Option(
            metavar="'METRIC <= VALUE'",
            help="What must hold, such as 'step_latency_s.p99 <= 50 ms'; also <, >= and >.",
        ),
    ],
    low: Annotated[
        int | None, typer.Option(metavar="N", help="Least value tried. Default: the step.")
    ] = None,
    high: Annotated[
        int | None, typer.Option(metavar="N", help="Largest value tried. Default: 1024 times the scenario's.")
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(metavar="N", help="Distance of the values tried. Default: 1; for `context` a page."),
    ] = None,
    checks: Annotated[
        int, typer.Option(metavar="N", help="Further runs that look for exceptions to what is assumed.")
    ] = 2,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUE", help="Change one value first, as with `run`. Repeatable."),
    ] = None,
    gpu_hour: Annotated[
        float, typer.Option(metavar="PRICE", help="Price of a GPU hour, for the cost of a million tokens.")
    ] = 0.0,
    gb_hour: Annotated[
        list[str] | None,
        typer.Option(metavar="TIER=PRICE", help="Price of a GB in use and hour. Repeatable."),
    ] = None,
    gb_month: Annotated[
        list[str] | None,
        typer.Option(metavar="TIER=PRICE", help="Price of a GB in use and month of 730 h. Repeatable."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", help="Runs at the same time; -1: one per CPU.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in seconds and bytes.")] = False,
) -> None:
    """Find the largest value of a field, such as the context, at which an objective holds."""
    from rich.console import Console

    from kvsim.reporting.found import found_data, print_found
    from kvsim.study.objective import parse_objective
    from kvsim.study.search import search

    if jobs == 0 or jobs < -1:
        raise KvsimError(f"--jobs must be 1 or more, or -1 for one per CPU, not {jobs}")
    if checks < 0:
        raise KvsimError(f"--checks must be 0 or more, not {checks}")
    wanted = parse_objective(objective)
    prices = _prices(gpu_hour, gb_hour or (), gb_month or ())
    with run_bar() as progress:
        found = search(
            source,
            of,
            wanted,
            text=objective,
            overrides=overrides or (),
            low=low,
            high=high,
            step=step,
            checks=checks,
            prices=prices,
            jobs=jobs,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(found_data(found), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_found(Console(highlight=False), found, objective)


def _prices(gpu_hour: float, gb_hour: Sequence[str], gb_month: Sequence[str]) -> Prices | None:
    from kvsim.analysis.cost import HOURS_PER_MONTH, Prices

    if not isfinite(gpu_hour) or gpu_hour < 0:
        raise KvsimError(f"--gpu-hour must be a price, 0 or more, not {gpu_hour}")
    by_tier: dict[str, float] = {}
    for option, texts, hours in (("--gb-hour", gb_hour, 1), ("--gb-month", gb_month, HOURS_PER_MONTH)):
        for text in texts:
            tier, price = _price(option, text)
            if tier in by_tier:
                raise KvsimError(f"{option} {text}: a price of {tier!r} is given already")
            by_tier[tier] = price / hours
    return Prices(gpu_hour, by_tier) if gpu_hour or by_tier else None


def _price(option: str, text: str) -> tuple[str, float]:
    tier, sign, said = text.rpartition("=")
    try:
        price = float(said)
    except ValueError:
        price = -1.0
    if not sign or not tier or not isfinite(price) or price < 0:
        raise KvsimError(f"{option} {text}: is written as TIER=PRICE, such as dram=0.005; 0 or more")
    return tier.strip(), price
