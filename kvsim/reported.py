"""How every command reports what is wrong: lines on standard error, and an exit code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

from kvsim.errors import KvsimError, ScenarioError, ScenarioWarning, TraceError

__all__ = ["BAD_INPUT", "reported"]

BAD_INPUT = 2


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors into lines on standard error and exit code 2, scenario warnings into one line each."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", ScenarioWarning)
        show = warnings.showwarning

        def show_short(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, ScenarioWarning):
                typer.echo(f"warning: {message}", err=True)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = show_short
        try:
            yield
        except (ScenarioError, TraceError) as error:
            typer.echo(str(error), err=True)  # each line begins with its file, as compilers do it
            raise typer.Exit(BAD_INPUT) from None
        except BrokenPipeError:
            raise
        except (KvsimError, OSError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(BAD_INPUT) from None
