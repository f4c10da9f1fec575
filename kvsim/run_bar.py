"""The progress bar over runs, of the commands that make many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["run_bar"]


class RunsDone(Protocol):
    """Told how many runs have been made, and of how many, if that is known."""

    def __call__(self, finished: int, total: int | None = None, /) -> None:
        """Show it."""


@contextmanager
def run_bar() -> Iterator[RunsDone | None]:
    """A progress bar over the runs, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        runs = bar.add_task("runs", total=None)

        def show(finished: int, total: int | None = None, /) -> None:
            bar.update(runs, completed=finished, total=total)

        yield show
