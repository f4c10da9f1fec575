"""The tables of a study: a measure at every combination of some axes, as text."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from kvsim.reporting.study_measures import describe, measure_text, spread_text
from kvsim.study.select import NoRun, Results, Unknown, narrowed
from kvsim.study.spec import TableSpec

__all__ = ["NOTHING", "Table", "table_of"]

NOTHING = "–"
"""Shown where the results give no number."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text, and what is said about it."""

    heads: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    how: str
    """What its numbers are."""
    lacking: str
    """Why cells are empty at which there are runs; else empty."""


def table_of(table: TableSpec, results: Results) -> Table:
    """A table of a study, its rows and columns in the order of the study."""
    there = Results(results.axes, results.chosen(table.where))
    across = [table.columns] if table.columns is not None else []
    columns = there.corners(across, table.where)
    reasons: list[str] = []
    body = []
    for corner in there.corners(table.rows, table.where):
        cells = [_cell(table, {**corner, **column}, results, reasons) for column in columns]
        body.append((*corner.values(), *cells))
    heads = tuple(label for column in columns for label in column.values()) or (table.metric,)
    return Table((*table.rows, *heads), tuple(body), _how(table), _lacking(reasons))


def _cell(table: TableSpec, corner: Mapping[str, str], results: Results, reasons: list[str]) -> str:
    where = narrowed(table.where, corner)
    try:
        number = results.measured(table, where)
    except NoRun:
        return NOTHING
    except Unknown as unknown:
        reasons.append(str(unknown))
        return NOTHING
    if not table.spread:
        return measure_text(table, number)
    values = results.values(table.metric, where)
    if len(values) < 2:  # one run has no spread, which is not a spread of 0
        return measure_text(table, number)
    return spread_text(table, number, statistics.stdev(values))


def _how(table: TableSpec) -> str:
    across = f"; across: {table.columns}" if table.columns is not None else ""
    spread = ", ± the standard deviation over the runs of a cell" if table.spread else ""
    return f"{describe(table)}{spread}{across}."


def _lacking(reasons: list[str]) -> str:
    if not reasons:
        return ""
    cells = "1 cell has" if len(reasons) == 1 else f"{len(reasons)} cells have"
    first = ": " if len(reasons) == 1 else ", the first because "
    return f"{cells} no value{first}{reasons[0]}."
