"""The numbers of a figure that a study asks for: its measure at every combination of the figure's axes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from kvsim.reporting.study_measures import unit_of
from kvsim.study.select import Results, Unknown, narrowed
from kvsim.study.spec import FigureSpec, Where

__all__ = ["Points"]


@dataclass(frozen=True, slots=True)
class Points:
    """The numbers of a figure and the labels of its axes, in the order of the study."""

    figure: FigureSpec
    results: Results
    panels: tuple[str, ...]
    """The label of each panel; a single empty one where no axis is named. So are the other two."""
    series: tuple[str, ...]
    """The labels of the axis `colour`, or in a heat map or tornado of `y`."""
    places: tuple[str, ...]
    """The labels of the axis `x`."""
    numbers: Mapping[tuple[str, str, str], float]
    """At panel, series and place, where the results give one."""

    @classmethod
    def of(cls, figure: FigureSpec, results: Results) -> Points:
        """The numbers of a figure; there may be none."""
        there = Results(results.axes, results.chosen(figure.where))
        panels, series, places = (_labels(axis, figure, there) for axis in _axes(figure))
        numbers = {}
        for at in product(panels, series, places):
            try:
                numbers[at] = results.measured(figure, _where(figure, at))
            except Unknown:
                continue
        return cls(figure, results, panels, series, places, numbers)

    @property
    def unit(self) -> tuple[float, str]:
        """The unit that suits the largest of them: how much one is, and its name."""
        return unit_of(self.figure, max(map(abs, self.numbers.values()), default=0.0))

    def whisker(self, panel: str, series: str, place: str) -> tuple[float | None, float | None]:
        """How far the whisker goes down and up from a mean; one run has none."""
        at = (panel, series, place)
        if at not in self.numbers:
            return None, None
        values = self.results.values(self.figure.metric, _where(self.figure, at))
        if len(values) < 2:
            return None, None
        if self.figure.spread == "range":
            return self.numbers[at] - min(values), max(values) - self.numbers[at]
        std = statistics.stdev(values)
        return std, std


def _axes(figure: FigureSpec) -> tuple[str | None, str | None, str | None]:
    return figure.panels, figure.y if figure.kind in ("heat", "tornado") else figure.colour, figure.x


def _labels(axis: str | None, figure: FigureSpec, there: Results) -> tuple[str, ...]:
    if axis is None:
        return ("",)
    return tuple(corner[axis] for corner in there.corners([axis], figure.where))


def _where(figure: FigureSpec, at: tuple[str, str, str]) -> Where:
    named = zip(_axes(figure), at, strict=True)
    return narrowed(figure.where, {axis: label for axis, label in named if axis is not None})
