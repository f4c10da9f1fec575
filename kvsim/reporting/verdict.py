"""The answer to what a run was made for, in a sentence."""

from __future__ import annotations

from kvsim.analysis.metrics import Summary
from kvsim.reporting.text import cause_title, percent_text


def verdict(summary: Summary) -> str:
    """The run in a sentence: how much of their time steps wait, and what for."""
    waited, step_time = summary.exposed_s["total"], summary.compute_s + summary.exposed_s["total"]
    if not step_time:
        return "Steps took no time."
    if not waited:
        return "Steps never wait: all of their time is compute."
    causes = {name: value for name, value in summary.exposed_s.items() if name != "total"}
    worst = max(causes, key=lambda name: causes[name])
    text = (
        f"Steps wait for {percent_text(waited / step_time)} of their time, "
        f"{percent_text(causes[worst] / waited)} of it because of {cause_title(worst)}"
    )
    lanes = {name: lane.exposed_s for name, lane in summary.links.items() if lane.exposed_s}
    if lanes:
        slowest = max(lanes, key=lambda name: lanes[name] or 0.0)
        text += f"; the lane most waited for is {slowest} ({percent_text((lanes[slowest] or 0.0) / waited)})"
    return text + "."
