"""Recorded KV-cache events as a table: a column for each memory."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from kvsim.analysis.kv_events import MediumEvents

__all__ = ["events_table"]

_COUNTS = {
    "blocks stored": "stored",
    "stored again after they had left": "stored_again",
    "stored while they were there": "stored_twice",
    "blocks removed": "removed",
    "removed while they were not there": "removed_absent",
    "blocks cleared": "cleared",
    "most at once": "most_resident",
    "there at the end": "resident",
}


def events_table(media: Mapping[str, MediumEvents]) -> Table:
    """What each memory took in, held and gave up."""
    table = Table("", *media, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, name in _COUNTS.items():
        table.add_row(label, *(f"{getattr(each, name):,}" for each in media.values()))
    for percent in (50, 90, 99):
        times = (each.lifetime_s(percent) for each in media.values())
        table.add_row(f"lifetime p{percent}", *("-" if time is None else f"{time:.3f} s" for time in times))
    return table
