"""Says while a run goes on whether it can still reach its objective.

What the steps so far have used up never comes back: once too many of them are too long, no percentile over
all of them can be short enough. The figures are compared exactly as those of the finished run would be, so a
run that is given up would not have reached its objective either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from kvsim.sim.records import CAUSE_COLUMNS, STEP_COLUMNS
from kvsim.study.objective import Objective
from kvsim.units import TICKS_PER_SECOND, seconds

__all__ = ["Lost", "watch"]

Lost = Callable[[Sequence[int]], bool]
"""Told the row of each step that ends, in order; true once the objective cannot be reached any more."""

_SPANS = {"step_latency_s": "start", "step_response_s": "arrival"}
"""Metrics over the lengths of steps, by the column that a length begins with."""
_PERCENT = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
_SUMS = {"compute_s": ("compute",), "exposed_s.total": CAUSE_COLUMNS} | {
    f"exposed_s.{cause}": (cause,) for cause in CAUSE_COLUMNS
}
"""Metrics that only grow, by the columns they sum up."""
_AT = {name: place for place, name in enumerate(STEP_COLUMNS)}


def watch(objective: Objective, steps: int | None) -> Lost | None:
    """The watch over a run of so many steps (None: unknown); None if only its end can tell."""
    first, _, part = objective.metric.partition(".")
    if first in _SPANS and steps:
        begin = _AT[_SPANS[first]]
        if part in _PERCENT:
            return _percentile(objective, begin, steps, -(-_PERCENT[part] * steps // 100))
        return _mean(objective, begin, steps) if part == "mean" and objective.bounds_above else None
    if not objective.bounds_above:
        return None
    if objective.metric == "makespan_s":
        return lambda row: not objective.met(seconds(row[_AT["end"]]))
    if objective.metric in _SUMS:
        return _sum(objective, [_AT[name] for name in _SUMS[objective.metric]])
    return None


def _percentile(objective: Objective, begin: int, steps: int, rank: int) -> Lost:
    """The nearest rank: the `rank`-th of `steps` lengths in rising order."""
    spare = steps - rank if objective.bounds_above else rank - 1
    """How many steps may miss the objective, each by itself."""
    missed = 0

    def lost(row: Sequence[int]) -> bool:
        nonlocal missed
        missed += not objective.met(seconds(row[_AT["end"]] - row[begin]))
        return missed > spare

    return lost


def _mean(objective: Objective, begin: int, steps: int) -> Lost:
    total = 0

    def lost(row: Sequence[int]) -> bool:
        nonlocal total
        total += row[_AT["end"]] - row[begin]
        return not objective.met(float(Fraction(total, steps * TICKS_PER_SECOND)))

    return lost


def _sum(objective: Objective, columns: Sequence[int]) -> Lost:
    total = 0

    def lost(row: Sequence[int]) -> bool:
        nonlocal total
        total += sum(row[column] for column in columns)
        return not objective.met(seconds(total))

    return lost
