"""Reuse and locality of a trace, as tables and as JSON."""

from __future__ import annotations

import json

from rich.table import Table

from kvsim.analysis.foresight import RANKS, Score
from kvsim.analysis.reuse import ClassReuse, Position, Reuse, Spread

__all__ = ["reuse_json", "reuse_tables"]

_HEADS = {"layer": "layer", "head_group": "head group", "popularity": "pages"}


def reuse_json(found: Reuse) -> str:
    """All figures, the same bytes for the same trace."""
    return json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)


def reuse_tables(found: Reuse) -> list[Table]:
    """Classes, positions in the stack, and predictors."""
    return [_classes(found), _positions(found.positions), _predictors(found.predictors)]


def _table(*heads: str) -> Table:
    table = Table(*heads, box=None, pad_edge=False)
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    table.columns[0].justify = "left"
    return table


def _classes(found: Reuse) -> Table:
    """Pages between: others since the last read of the same; reads and steps since."""
    counts = ("reads", "distinct", "first reads")
    since = ("pages between p50", "p90", "max", "reads since p50", "p90", "steps since p50", "p90")
    table = _table(_HEADS[found.by], *counts, *since)
    for each in (found.total, *found.classes):
        table.add_row(*_class(each))
    return table


def _class(each: ClassReuse) -> list[str]:
    counts = [each.reads, each.pages, each.first_reads]
    return [
        each.name,
        *(f"{count:,}" for count in counts),
        *_figures(each.distance, "p50", "p90", "max"),
        *_figures(each.gap_reads, "p50", "p90"),
        *_figures(each.gap_steps, "p50", "p90"),
    ]


def _figures(spread: Spread | None, *names: str) -> list[str]:
    return ["-" if spread is None else f"{getattr(spread, name):,}" for name in names]


def _positions(positions: tuple[Position, ...]) -> Table:
    """Where in the LRU stack the next read is."""
    table = _table("stack position", "reads", "each position", "hit rate so far")
    for each in positions:
        name = f"{each.low:,}" if each.low == each.high else f"{each.low:,} to {each.high:,}"
        table.add_row(name, f"{each.share:.4f}", f"{each.each:.3g}", f"{each.hit_rate:.4f}")
    return table


def _predictors(scores: tuple[Score, ...]) -> Table:
    """How well the next page is foretold."""
    table = _table("next page by", "mean 1/rank", *(f"hit@{rank}" for rank in RANKS))
    for score in scores:
        table.add_row(
            score.name, f"{score.reciprocal_rank:.4f}", *(f"{rate:.4f}" for rate in score.hit_rates)
        )
    return table
