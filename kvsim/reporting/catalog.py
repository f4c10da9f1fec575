"""What `kvsim catalog` prints: what there is, the main figures of a kind, all of one entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.reporting.tables import compact_table
from kvsim.reporting.text import count_text, number_text

Entry = Mapping[str, Any]
Column = tuple[str, Callable[[Entry], str]]


def print_kinds(console: Console, counts: Mapping[str, int]) -> None:
    """Print the kinds of entries, and how many there are of each."""
    table = compact_table("catalog", "kind", "entries")
    for kind, count in counts.items():
        table.add_row(kind, str(count))
    console.print(table)


def print_kind(console: Console, kind: str, entries: Mapping[str, Entry]) -> None:
    """Print the main figures of every entry of a kind."""
    columns = _COLUMNS[kind]
    left = 2 if kind == "hierarchies" else 1
    table = compact_table(kind, "name", *(head for head, _ in columns), left=left)
    table.columns[-1].no_wrap = kind != "hierarchies"
    for name, entry in entries.items():
        table.add_row(name, *(show(entry) for _, show in columns))
    console.print(table)


def print_entry(console: Console, kind: str, name: str, entry: Entry) -> None:
    """Print everything that one entry says, its source last."""
    console.print(Text(f"{name} ({kind})", style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for key, value in entry.items():
        if key not in ("name", "source") and not isinstance(value, list):
            table.add_row(key, _shown(value))
    for group in (key for key, value in entry.items() if isinstance(value, list)):
        for item in entry[group]:
            table.add_row(group, _shown(item))
    table.add_row("source", " ".join(str(entry.get("source", "")).split()))
    console.print(table)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " – ".join(map(_shown, value))
    return f"{value:,}" if type(value) is int else str(value)


def _text(key: str) -> Callable[[Entry], str]:
    """A figure as the catalog writes it, with its unit."""
    return lambda entry: str(entry.get(key, ""))


def _heads(entry: Entry) -> str:
    return "MLA" if "mla" in entry else f"{entry['heads']}/{entry['kv_heads']}"


def _kv(entry: Entry) -> str:
    scalars = entry.get("mla") or 2 * entry["kv_heads"] * entry["head_dim"]
    return count_text(2 * scalars * entry["layers"])


def _down(entry: Entry) -> str:
    return str(entry.get("bandwidth_down", entry["bandwidth"]))


def _tiers(entry: Entry) -> str:
    return ", ".join(f"{tier['name']} {tier['capacity']}" for tier in entry["tiers"])


_COLUMNS: dict[str, list[Column]] = {
    "gpus": [
        ("memory", _text("memory")), ("bandwidth", _text("bandwidth")), ("fp16", _text("flops")),
        ("L2", _text("l2")), ("host link", _text("host_link")), ("W", _text("power_w")),
    ],
    "llms": [
        ("layers", _text("layers")), ("hidden", _text("hidden")), ("q/kv", _heads),
        ("dim", _text("head_dim")),
        ("param. (B)", lambda entry: number_text(entry["parameters"] / 1e9)),
        ("KV B/token", _kv),
    ],
    "schemes": [("bits/scalar", _text("bits"))],
    "links": [
        ("up", _text("bandwidth")), ("down", _down), ("latency", _text("latency")), ("setup", _text("setup")),
    ],
    "memories": [
        ("read", _text("read_bandwidth")), ("write", _text("write_bandwidth")),
        ("read latency", _text("read_latency")), ("write latency", _text("write_latency")),
    ],
    "hierarchies": [("tiers", _tiers)],
}  # fmt: skip
"""Main figures of each kind: head of the column, and how to show an entry's."""
