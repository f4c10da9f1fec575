"""A measure evaluated on results: select runs, make one number of them. No code of a study is evaluated."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite, log

from kvsim.study.grid import label_of
from kvsim.study.measure import Number
from kvsim.study.ranks import rank_correlation
from kvsim.study.spec import EVERY, Aggregate, MeasureSpec, ReachSpec, SelectionSpec, Where

__all__ = [
    "AllAlike",
    "NoRun",
    "Results",
    "Row",
    "Unknown",
    "describe_where",
    "narrowed",
]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results: where a run lies, and its figures or why it failed."""

    coordinates: Mapping[str, str]
    metrics: Mapping[str, Number]
    error: str | None = None


class Unknown(Exception):
    """A number that the results do not give; the reason is the argument."""


class NoRun(Unknown):
    """There is no run where the number was looked for."""


class AllAlike(Unknown):
    """One side of a rank correlation is all alike: there is no order to compare, whatever is run."""


@dataclass(frozen=True, slots=True)
class Results:
    """The rows of a study and the labels of its axes; answers measures."""

    axes: Mapping[str, Sequence[str]]
    rows: Sequence[Row]

    def labels(self, axis: str, where: Where) -> list[str]:
        """The labels of an axis that a selection leaves, in the order of the study."""
        wanted = {label_of(value) for value in where.get(axis, (EVERY,))}
        return [label for label in self.axes[axis] if EVERY in wanted or label in wanted]

    def corners(self, axes: Sequence[str], where: Where) -> list[dict[str, str]]:
        """The combinations of labels within a selection at which runs lie; the first if there are none."""
        sides = [self.labels(axis, where) for axis in axes]
        there = {tuple(row.coordinates.get(axis) for axis in axes) for row in self.rows}
        corners = [corner for corner in product(*sides) if corner in there] or list(product(*sides))[:1]
        return [dict(zip(axes, corner, strict=True)) for corner in corners]

    def chosen(self, where: Where) -> list[Row]:
        """The runs of a selection."""
        wanted = [(axis, {label_of(value) for value in values}) for axis, values in where.items()]
        bounds = [(axis, labels) for axis, labels in wanted if EVERY not in labels]
        return [
            row for row in self.rows if all(row.coordinates.get(axis) in labels for axis, labels in bounds)
        ]

    def values(self, metric: str, where: Where) -> list[float]:
        """A figure of every run of a selection. Raises Unknown if there is none, or one does not have it."""
        chosen = self.chosen(where)
        said = describe_where(where) or "all runs"
        if not chosen:
            raise NoRun(f"no run lies at {said}")
        failed = [row for row in chosen if row.error is not None]
        if failed:
            raise Unknown(f"{len(failed)} of {len(chosen)} runs at {said} failed: {failed[0].error}")
        values = [row.metrics.get(metric) for row in chosen]
        numbers = [value for value in values if value is not None and isfinite(value)]
        if len(numbers) < len(values):
            missing = len(values) - len(numbers)
            raise Unknown(f"{missing} of {len(values)} runs at {said} have no {metric}")
        return numbers

    def measured(self, measure: MeasureSpec, where: Where, part: SelectionSpec | None = None) -> float:
        """The number of a measure at `where`, or that of the runs that `part` selects in its place.

        Raises Unknown where the results do not give it, AllAlike where a rank correlation has no order.
        """
        here = part or SelectionSpec()
        if measure.relation == "rank_correlation" and measure.relative_to is not None:
            return self._correlation(measure, where, here, measure.relative_to)
        number = self._number(measure, here, where)
        if measure.relative_to is None:
            return number
        baseline = self._number(measure, measure.relative_to, where)
        if measure.relation == "difference":
            return number - baseline
        if measure.relation == "elasticity":
            return self._elasticity(measure, where, number, baseline)
        if baseline == 0:
            raise Unknown("the baseline is 0, nothing is relative to it")
        return number / baseline - (1 if measure.relation == "change" else 0)

    def _number(self, measure: MeasureSpec, part: SelectionSpec, where: Where) -> float:
        """One number of the runs that a selection, laid over the measure's, leaves."""
        wanted = {**where, **part.where}
        if part.previous is not None:
            wanted[part.previous] = (self._before(part.previous, where),)
        if measure.reach is not None:
            return self._reach(measure, measure.reach, part, wanted)
        return self._aggregated(measure, part, wanted)

    def _reach(self, measure: MeasureSpec, reach: ReachSpec, part: SelectionSpec, wanted: Where) -> float:
        """The last label of an axis up to which the number keeps the bound."""
        last = 0.0
        for label in self.labels(reach.along, wanted):
            if self._aggregated(measure, part, narrowed(wanted, {reach.along: label})) > reach.at_most:
                break
            last = float(label)
        return last

    def _aggregated(self, measure: MeasureSpec, part: SelectionSpec, wanted: Where) -> float:
        """The figures of the runs of a selection as one number."""
        numbers = self.values(part.metric or measure.metric, wanted)
        aggregate = part.aggregate or measure.aggregate
        if aggregate == "std" and len(numbers) < 2:
            said = describe_where(wanted) or "all runs"
            raise Unknown(f"a standard deviation needs two runs or more, there is one at {said}")
        return float(_AGGREGATES[aggregate](numbers))

    @staticmethod
    def _elasticity(measure: MeasureSpec, where: Where, number: float, baseline: float) -> float:
        """By how many percent the number grows with one percent more of what the axis `over` multiplies."""
        axis, part = measure.over or "", measure.relative_to or SelectionSpec()
        if number <= 0 or baseline <= 0:
            raise Unknown("an elasticity is one of numbers above 0")
        factors = [float(label_of(place[axis][0])) for place in (where, part.where)]
        return log(number / baseline) / log(factors[0] / factors[1])

    def _before(self, axis: str, where: Where) -> str:
        """The label before the only one that a selection leaves of an axis."""
        here = self.labels(axis, where)
        if len(here) != 1:
            raise Unknown(f"there are several values of {axis}, and so no one before")
        place = list(self.axes[axis]).index(here[0])
        if not place:
            raise NoRun(f"nothing comes before {axis} {here[0]}")
        return self.axes[axis][place - 1]

    def _correlation(
        self, measure: MeasureSpec, where: Where, here: SelectionSpec, baseline: SelectionSpec
    ) -> float:
        axis = measure.over or ""
        labels = self.labels(axis, where)
        places = [narrowed(where, {axis: label}) for label in labels]
        sides = [[self._number(measure, part, place) for place in places] for part in (here, baseline)]
        found = rank_correlation(*sides)
        if found is None:
            raise AllAlike(_alike(measure, where, (here, baseline), sides, len(labels)))
        return found


def _alike(
    measure: MeasureSpec,
    where: Where,
    parts: Sequence[SelectionSpec],
    sides: Sequence[list[float]],
    count: int,
) -> str:
    """Which side is all alike, in words."""
    part = next(part for part, side in zip(parts, sides, strict=True) if len(set(side)) < 2)
    wanted = {**where, **part.where}
    wanted.pop(measure.over or "", None)
    at = describe_where(wanted)
    metric = part.metric or measure.metric
    return f"all {count} values of {measure.over} have the same {metric}" + (f" at {at}" if at else "")


def narrowed(where: Where, corner: Mapping[str, str]) -> Where:
    """A selection with one label each for some axes."""
    return {**where, **{axis: (label,) for axis, label in corner.items()}}


def describe_where(where: Where) -> str:
    """A selection in words; empty for all runs."""
    return ", ".join(f"{axis} {' or '.join(map(label_of, of))}" for axis, of in where.items())


_AGGREGATES: dict[Aggregate, Callable[[list[float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "max": max,
    "median": statistics.median,
    "sum": sum,
    "std": statistics.stdev,
    "count": len,
}
