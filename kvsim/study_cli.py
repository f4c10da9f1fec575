"""The commands `kvsim experiment` and `kvsim bench-eviction`: thin, like the rest of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kvsim import __version__
from kvsim.errors import KvsimError
from kvsim.run_bar import run_bar

__all__ = ["bench_eviction_command", "experiment_command"]


def experiment_command(
    source: Annotated[
        str, typer.Argument(metavar="STUDY", help="Path of a study file, or the name of a shipped one.")
    ],
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", help="Runs at the same time; -1: one per CPU.")
    ] = 1,
    backend: Annotated[
        str,
        typer.Option(
            metavar="loky|dask|ray",
            help="Where they run: processes on this machine (loky), or a cluster (dask, ray).",
        ),
    ] = "loky",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write results, claims and reports into DIR. Without it no file is written."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier call with the same DIR was stopped.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="AXIS=LABEL[,LABEL]",
            help="Run only these values of an axis. Repeatable. Claims on others alone are left out.",
        ),
    ] = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help="Also write the figures that the study names as SVG into DIR/figures and show them in "
            "report.md. Needs the extra `images` and a Chrome or Chromium.",
        ),
    ] = False,
) -> None:
    """Run a study: every combination of its axes, then check its claims."""
    from rich.console import Console

    from kvsim.reporting import study_images, study_output, study_tables
    from kvsim.study import loader, runner
    from kvsim.study.backends import BACKENDS
    from kvsim.study.claims import check_claims
    from kvsim.study.grid import labels

    chosen = next((name for name in BACKENDS if name == backend), None)
    if chosen is None:
        raise KvsimError(f"unknown backend {backend!r} (known: {', '.join(BACKENDS)})")
    if jobs == 0 or jobs < -1:
        raise KvsimError(f"--jobs must be 1 or more, or -1 for one per CPU, not {jobs}")
    if resume and out is None:
        raise KvsimError("--resume needs --out DIR, where the earlier call kept its runs")
    if images and out is None:
        raise KvsimError("--images needs --out DIR, where the images go")
    study = loader.load(source).part(_wanted(only or ()))
    if images:
        if not study.spec.figures:
            raise KvsimError(f"--images: {study.spec.name} names no `figures`")
        study_images.check_images()
    if out is not None:
        study_output.prepare(out, resume=resume)
    with run_bar() as progress:
        rows = runner.run_study(
            study,
            __version__,
            directory=out,
            resume=resume,
            jobs=jobs,
            backend=chosen,
            progress=progress,
        )
    verdicts = check_claims(study.spec, labels(study.spec), rows)
    if out is not None:
        study_output.write_study(study.spec, rows, verdicts, out, images=images)
    study_tables.print_study(Console(highlight=False), study.spec, rows, verdicts)
    if out is not None:
        typer.echo(f"wrote {out}", err=True)


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


def _wanted(only: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Axes and their labels, as `--only` names them."""
    found: dict[str, tuple[str, ...]] = {}
    for text in only:
        axis, sign, some = text.partition("=")
        names = tuple(part.strip() for part in some.split(","))
        if not sign or not all(names):
            raise KvsimError(f"--only {text!r} must be AXIS=LABEL or AXIS=LABEL,LABEL")
        found[axis.strip()] = found.get(axis.strip(), ()) + names
    return found
