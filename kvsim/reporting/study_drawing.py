"""From what a study says of a figure to the figure itself."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go

from kvsim.reporting.study_heat import heat_figure
from kvsim.reporting.study_pareto import pareto_figure
from kvsim.reporting.study_points import Points
from kvsim.reporting.study_ranks import ranks_figure
from kvsim.reporting.study_series import series_figure
from kvsim.reporting.study_tornado import tornado_figure
from kvsim.reporting.study_waterfall import waterfall_figure
from kvsim.study.select import Results
from kvsim.study.spec import FigureSpec

__all__ = ["draw_figure"]

_KINDS: dict[str, Callable[[Points, str], go.Figure]] = {
    "bars": series_figure,
    "lines": series_figure,
    "heat": heat_figure,
    "ranks": ranks_figure,
    "tornado": tornado_figure,
}


def draw_figure(figure: FigureSpec, results: Results, *, titled: bool = True) -> go.Figure | None:
    """A figure of a study; None where the results give no number for it.

    `titled` puts its title into the figure, for where no heading stands above it.
    """
    found = [points for points in (Points.of(part, results) for part in figure.parts) if points.numbers]
    if not found:
        return None
    title = figure.title if titled else ""
    if figure.kind == "waterfall":
        return waterfall_figure(found, title)
    if figure.kind == "pareto":
        return pareto_figure(found[0], found[1], title) if len(found) == 2 else None
    return _KINDS[figure.kind](found[0], title)
