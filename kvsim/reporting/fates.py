"""The fates of prefetches in words: of the report's cards and of what a run prints."""

from __future__ import annotations

from collections.abc import Iterator

from kvsim.analysis.metrics import Summary
from kvsim.reporting.text import count_text, duration_text, percent_text


def fate_count(summary: Summary, name: str) -> int:
    """One of the counts: issued, timely, late, wasted, dropped, cancelled, polluted."""
    return int(summary.prefetch[name] or 0)


def prefetch_lines(summary: Summary) -> Iterator[str]:
    """How many prefetches were timely, late and wasted, and what else they did; nothing without any."""
    issued, dropped = fate_count(summary, "issued"), fate_count(summary, "dropped")
    cancelled = fate_count(summary, "cancelled")
    if not (issued or dropped or cancelled):
        return
    shares = " · ".join(
        f"{name} {percent_text(fate_count(summary, name) / issued if issued else 0.0)}"
        for name in ("timely", "late", "wasted")
    )
    waited = f" · {count_text(cancelled)} cancelled while they waited" if cancelled else ""
    yield f"{count_text(issued)} prefetches: {shares} · {count_text(dropped)} more dropped{waited}"
    side = side_effects(summary)
    if side:
        yield f"they {', '.join(side)}"


def side_effects(summary: Summary) -> list[str]:
    """What prefetches saved although late, and what they took from demand: only what there was."""
    found: list[str] = []
    saved, stolen = summary.prefetch["late_saved_s"], summary.prefetch["stolen_s"]
    polluted = fate_count(summary, "polluted")
    if saved:
        found.append(f"saved {duration_text(saved)} where late")
    if polluted:
        found.append(f"caused {count_text(polluted)} misses on pages they displaced")
    if stolen:
        found.append(f"kept demand queueing for {duration_text(stolen)}")
    return found
