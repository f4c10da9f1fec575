"""What `kvsim advise` prints: the caches to choose, with what was measured of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.reporting.tables import compact_table
from kvsim.reporting.text import bytes_text, duration_text, number_text
from kvsim.study.advise import Advice, Evidence, Option

__all__ = ["advice_data", "print_advice"]

_WIDTH = 100
_SHOWN = 5


def print_advice(console: Console, advice: Advice) -> None:
    """Print the first choices, what they rest on, and what comes close but loses too much."""
    width = min(console.width, _WIDTH)
    need = advice.need
    console.print(Text(f"{need.use} with {need.model} on {need.gpu}", style="bold"), width=width)
    console.print(Text(_about(advice), style="dim"), width=width)
    if not advice.options:
        console.print(Text("No cache that was measured loses so little."), width=width)
    else:
        console.print(Text(_first(advice.options[0])), width=width)
        console.print()
        console.print(_choices(advice.options[:_SHOWN]), width=width)
        console.print()
        console.print(_rows("measured", advice.options[:_SHOWN]), width=width)
    if advice.too_lossy:
        console.print()
        console.print(_rows("loses too much", advice.too_lossy[:3]), width=width)
    console.print()
    source = (
        "Answers: the study eviction_benchmark, tiny models; time and memory: simulated for this machine."
    )
    console.print(Text(source, style="dim"), width=width)


def advice_data(advice: Advice) -> dict[str, Any]:
    """All of it as plain data; times in seconds, sizes in bytes."""
    return {
        **asdict(advice),
        "options": [asdict(option) | {"loss": option.loss} for option in advice.options],
        "too_lossy": [asdict(option) | {"loss": option.loss} for option in advice.too_lossy],
    }


def _about(advice: Advice) -> str:
    need = advice.need
    sequences = "1 sequence" if need.batch == 1 else f"{need.batch} sequences"
    return (
        f"{sequences} of {need.context_tokens:,} tokens · at most {_percent(need.loss)} lost · "
        f"{bytes_text(advice.free_bytes)} of HBM for keys and values"
    )


def _first(option: Option) -> str:
    where = "in HBM" if option.in_hbm else "partly in host memory"
    lost = "nothing lost in what was measured" if not option.loss else f"at most {_percent(option.loss)} lost"
    return (
        f"{_name(option)}: {duration_text(option.token_time_s)} a token, "
        f"{bytes_text(option.kv_bytes)} {where}, {lost}."
    )


def _choices(options: Sequence[Option]) -> Table:
    table = compact_table("choices, the fastest first", "", "a token", "keys and values", "in HBM", "lost")
    for option in options:
        table.add_row(
            _name(option),
            duration_text(option.token_time_s),
            bytes_text(option.kv_bytes),
            "all" if option.in_hbm else "not all",
            _percent(option.loss),
        )
    return table


def _rows(title: str, options: Sequence[Option]) -> Table:
    table = compact_table(title, "", "task", "model", "context", "full cache", "with this one", left=3)
    for option in options:
        for number, row in enumerate(option.evidence):
            table.add_row(
                "" if number else _name(option),
                row.task,
                row.lm,
                f"{row.context_tokens:,}",
                _value(row, row.full),
                _value(row, row.measured),
            )
    return table


def _value(row: Evidence, value: float) -> str:
    if row.metric == "perplexity":
        return f"perplexity {number_text(value)}"
    return f"{_percent(value)} right"


def _name(option: Option) -> str:
    return option.strategy if option.budget == 1 else f"{option.strategy} {_percent(option.budget)}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
