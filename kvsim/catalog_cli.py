"""The command `kvsim catalog`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from kvsim.errors import RegistryError

__all__ = ["catalog_command"]


def catalog_command(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="gpus, llms, schemes, links, memories or hierarchies."),
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One entry of that kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the catalog of GPUs, models, schemes, links, memories and hierarchies, with their sources."""
    from rich.console import Console

    from kvsim.reporting.catalog import print_entry, print_kind, print_kinds
    from kvsim.scenario.references import CATALOGS, catalog, entry

    console = Console(highlight=False)
    if kind is None:
        counts: dict[str, int] = {each: len(catalog(each)) for each in CATALOGS}
        _echo(counts) if as_json else print_kinds(console, counts)
        return
    known = next((each for each in CATALOGS if each == kind), None)
    if known is None:
        raise RegistryError("kind of entry", kind, tuple(CATALOGS))
    if name is None:
        entries: dict[str, Any] = {each: entry(known, each) for each in catalog(known)}
        _echo(entries) if as_json else print_kind(console, known, entries)
        return
    found = entry(known, name)
    _echo(found) if as_json else print_entry(console, known, name, found)


def _echo(data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))
