"""Words and colours for runs of requests."""

from __future__ import annotations

from kvsim.analysis.serving import ServingSummary
from kvsim.analysis.serving_times import PARTS
from kvsim.reporting import palette
from kvsim.reporting.text import count_text, duration_text, percent_text

__all__ = [
    "LATENCIES",
    "NOWHERE",
    "PART_TITLES",
    "PHASE_COLOURS",
    "objectives_text",
    "phase_title",
    "serving_verdict",
    "tier_colours",
    "tier_rows",
]

LATENCIES = {
    "ttft_s": "time to first token (TTFT)",
    "tpot_s": "time per output token (TPOT)",
    "itl_s": "between two tokens (ITL)",
    "latency_s": "arrival to end",
    "queue_s": "of it queueing",
    "exposed_s": "of it exposed",
}
"""The distributions that are shown, with what they are of."""
PART_TITLES = {"queue": "queueing", "exposed": "exposed to transfers", "compute": "in iterations"}
_PHASE_TITLES = {
    "turn": "its turn",
    "slots": "a slot in the batch",
    "memory": "room in memory",
    "prefix": "a prefix others compute",
    "batch": "the next iteration",
    "preempted": "after a preemption",
    "room": "write-backs making room",
    "load": "loads",
    "stall": "parts of layers",
    "handover": "handover of prompts",
    "overhead": "lookups and launches",
    "compute": "in iterations",
}
# Queueing in one hue, exposed time in the colours of the traffic behind it, compute in quiet grey.
PHASE_COLOURS = {
    "turn": "#D9CCE5",
    "slots": "#B79BD0",
    "memory": "#7B4FA3",
    "prefix": "#E6B8D4",
    "batch": "#9FA8DA",
    "preempted": "#3F1D5C",
    "room": palette.CAUSE_COLOURS["room"],
    "load": palette.CAUSE_COLOURS["demand_service"],
    "stall": palette.CAUSE_COLOURS["demand_queueing"],
    "handover": palette.CAUSE_COLOURS["late_prefetch"],
    "overhead": palette.CAUSE_COLOURS["copy_kernel"],
    "compute": palette.COMPUTE,
}
_TIERS = ("#009E73", "#56B4E9", "#0072B2", "#E69F00", "#CC79A7", "#D55E00")
NOWHERE = "nowhere"
"""Where blocks are that must be computed."""


def phase_title(name: str) -> str:
    """What the time of a phase is spent on, for people."""
    return _PHASE_TITLES[name]


def tier_colours(tiers: list[str]) -> dict[str, str]:
    """A colour for blocks found in each tier, and for those that are nowhere."""
    return {name: _TIERS[place % len(_TIERS)] for place, name in enumerate(tiers)} | {
        NOWHERE: palette.COMPUTE
    }


def serving_verdict(summary: ServingSummary) -> str:
    """The run in a sentence or two: how long users wait, and what for."""
    latency = summary.parts_s["latency"]
    if not summary.requests or not latency:
        return "Requests took no time." if summary.requests else "There were no requests."
    waited = summary.parts_s["queue"] + summary.parts_s["exposed"]
    text = (
        f"Users wait {duration_text(summary.ttft_s['p50'])} for their first token (median; "
        f"p99 {duration_text(summary.ttft_s['p99'])}), then {duration_text(summary.tpot_s['p50'])} a token. "
    )
    if not waited:
        return text + "Requests never wait: all of their time is compute."
    said = [
        f"{percent_text(summary.parts_s[part] / latency)} {verb}{_mostly(summary, part)}"
        for part, verb in (("queue", "in queues"), ("exposed", "for transfers"))
        if summary.parts_s[part]
    ]
    return f"{text}Requests spend {' and '.join(said)}."


def _mostly(summary: ServingSummary, part: str) -> str:
    """What most of a part is spent on."""
    phases = {name: summary.phases_s[name] for name in PARTS[part]}
    worst = max(phases, key=lambda name: phases[name])
    share = phases[worst] / summary.parts_s[part]
    return f" ({percent_text(share)} of it: {phase_title(worst)})"


def objectives_text(summary: ServingSummary) -> str:
    """What share of requests keep the objectives; empty if there are none."""
    if summary.goodput_share is None:
        return ""
    wanted = " and ".join(
        f"{name.upper()} ≤ {duration_text(limit)}" for name, limit in summary.objectives_s.items()
    )
    kept = percent_text(summary.goodput_share)
    return f"{kept} of {count_text(summary.requests)} requests keep {wanted}"


def tier_rows(summary: ServingSummary) -> list[tuple[str, str, str | None]]:
    """The rows of a table of tiers: the name, the share of blocks found there, and the memory there is of
    it; a tier that is there once for each instance has a row of its own, without memory, before theirs."""
    rows: list[tuple[str, str, str | None]] = []
    for tier, rate in summary.tier_hit_rate.items():
        own = [name for name in summary.peak_bytes if name.startswith(f"{tier}/")]
        rows.append((tier, percent_text(rate), tier if tier in summary.peak_bytes else None))
        rows += [(f"  {name}", "", name) for name in own]
    return [*rows, (NOWHERE, percent_text(max(0.0, 1 - summary.hit_rate)), None)]
