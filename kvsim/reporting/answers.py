"""What `kvsim answers` prints: what the decisions of a scenario cost in answers."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from kvsim.lm.answers import Answers
from kvsim.lm.estimates import Estimate
from kvsim.reporting.tables import compact_table
from kvsim.reporting.text import number_text
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import LanguageModel

__all__ = ["answers_data", "print_answers"]

_WIDTH = 100
_ROWS = (
    ("right answers", "correct", True),
    ("perplexity", "perplexity", False),
    ("  over the full cache's", "perplexity_ratio", False),
    ("divergence (nats)", "divergence", False),
    ("same likeliest token", "same_top", True),
    ("attention on what is kept", "mass_kept", True),
    ("error of its output", "output_error", True),
)
"""Title, figure, and whether it is a share."""


def print_answers(console: Console, scenario: Scenario, here: Answers, full: Answers) -> None:
    """Print the figures beside those of a cache that loses nothing."""
    width = min(console.width, _WIDTH)
    console.print(Text(scenario.name, style="bold"), width=width)
    console.print(Text(_about(scenario), style="dim"), width=width)
    console.print()
    table = compact_table("answers", "", "here", "95 % interval", "full cache")
    for title, name, share in _ROWS:
        found: Estimate = getattr(here, name)
        whole: Estimate = getattr(full, name)
        low, high = (_text(end, share) for end in (found.low, found.high))
        table.add_row(title, _text(found.value, share), f"{low} to {high}", _text(whole.value, share))
    console.print(table, width=width)
    console.print()
    chance = f"{here.correct.count:,} answers; right by chance: {_text(here.chance, True)}"
    console.print(Text(chance, style="dim"), width=width)


def answers_data(here: Answers, full: Answers) -> dict[str, Any]:
    """The same as plain data; a share of what is not a number is null."""
    return {
        side: {name: None if value != value else value for name, value in found.to_dict().items()}
        for side, found in (("here", here), ("full_cache", full))
    }


def _about(scenario: Scenario) -> str:
    work = scenario.workload
    assert isinstance(work, LanguageModel)
    parts = [
        f"{work.lm}: {work.task} in {work.samples} samples of {work.context_tokens:,} tokens",
        f"{scenario.policy.eviction.name}, lossy" if scenario.policy.lossy else "nothing evicted for good",
        scenario.scheme.name,
    ]
    if work.select_pages is not None:
        parts.append(f"{work.select_pages} pages read")
    return " · ".join(parts)


def _text(value: float, share: bool) -> str:
    if value != value:
        return "n/a"
    return f"{value * 100:.3g} %" if share else number_text(value)
