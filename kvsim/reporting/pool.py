"""What `kvsim pool` prints: how much of a pool each way to allocate uses and wastes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from kvsim.analysis.pool import PoolRun
from kvsim.reporting.tables import compact_table
from kvsim.reporting.text import count_text, percent_text

__all__ = ["pool_data", "pool_table"]

WASTES = ("reserved", "internal", "external")


def pool_table(runs: Mapping[str, PoolRun]) -> Table:
    """A row for each way to allocate; shares are of the slots it takes, on average over time."""
    table = compact_table("", "allocation", "peak slots", "used", *WASTES, "refused", "dropped", "copied")
    for name, run in runs.items():
        shares = _shares(run)
        table.add_row(
            name,
            count_text(run.peak),
            *(percent_text(share) for share in shares.values()),
            percent_text(run.refused / run.requests),
            percent_text(run.dropped / run.requests),
            count_text(run.copied),
        )
    return table


def pool_data(runs: Mapping[str, PoolRun]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        name: {
            "peak_slots": run.peak,
            "mean_slots": run.mean.total,
            "shares": _shares(run),
            "requests": run.requests,
            "refused": run.refused,
            "dropped": run.dropped,
            "fragmented": run.fragmented,
            "copied_tokens": run.copied,
        }
        for name, run in runs.items()
    }


def _shares(run: PoolRun) -> dict[str, float | None]:
    """Shares of the slots that are taken; None if none ever was."""
    total = run.mean.total
    return {name: getattr(run.mean, name) / total if total else None for name in ("used", *WASTES)}
