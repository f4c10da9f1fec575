"""The generic figures of a study: one a metric, over the axes, in the house style.

The last axis is the colour, the one before it runs along x, the one before that makes the panels; over what
is left, seeds included, a bar is the mean and its whisker goes from the least to the greatest. Where the
values along x are numbers, lines take the place of bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting import palette
from kvsim.reporting.study_measures import unit_of
from kvsim.reporting.study_text import varied
from kvsim.reporting.style import new_figure
from kvsim.study.select import Row
from kvsim.study.spec import MeasureSpec

__all__ = ["SERIES_COLOURS", "bar_marker", "is_number", "line_style", "metric_figure"]

SERIES_COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442"),
    palette.COMPUTE,
)
"""Okabe and Ito's colours for things without a colour of their own; then again, hatched."""
_HATCHES = ("", "/", "x", ".")
_DASHES = ("solid", "dash", "dot", "dashdot")
_MOST_PANELS = 6


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which axis is drawn how; empty where there is none."""

    colour: str
    x: str
    panel: str


def metric_figure(metric: str, rows: Sequence[Row]) -> go.Figure | None:
    """One metric over the axes of a study; None if no run has it."""
    good = [row for row in rows if row.metrics.get(metric) is not None]
    if not good:
        return None
    roles = _roles(good)
    length, unit = unit_of(MeasureSpec(metric=metric), max(abs(_value(row, metric)) for row in good))
    panels = _labels(good, roles.panel)
    places = _labels(good, roles.x)
    numeric = len(places) > 2 and all(is_number(place) for place in places)
    title = f"{metric} ({unit})" if unit else metric
    figure = new_figure(400, barmode="group", bargap=0.25, legend={"title": {"text": roles.colour}})
    _lay_out(figure, panels, roles, title, numeric)
    for number, colour in enumerate(_labels(good, roles.colour)):
        for column, panel in enumerate(panels):
            chosen = [row for row in good if _at(row, roles.colour, colour) and _at(row, roles.panel, panel)]
            means, low, high = [], [], []
            for place in places:
                values = [_value(row, metric) / length for row in chosen if _at(row, roles.x, place)]
                mean = fmean(values) if values else None
                means.append(mean)
                low.append(mean - min(values) if mean is not None else None)
                high.append(max(values) - mean if mean is not None else None)
            spread = any(low) or any(high)
            _add(
                figure,
                numeric,
                number,
                x=[float(place) for place in places] if numeric else places,
                y=means,
                error_y={"type": "data", "array": high, "arrayminus": low, "thickness": 1}
                if spread
                else None,
                name=colour or metric,
                legendgroup=colour,
                showlegend=bool(roles.colour) and column == 0,
                xaxis="x" if column == 0 else f"x{column + 1}",
                hovertemplate=f"{colour or metric}, %{{x}}: %{{y:.4~g}} {unit}<extra></extra>",
            )
    return figure


def _roles(rows: Sequence[Row]) -> _Roles:
    axes = [axis for axis in varied(rows) if axis != "seed" and len(_labels(rows, axis)) > 1]
    if not axes and len(_labels(rows, "seed")) > 1:
        axes = ["seed"]
    *_, panel, x, colour = ["", "", "", *axes]
    if not x:
        x, colour = colour, ""
    if panel and len(_labels(rows, panel)) > _MOST_PANELS:
        panel = ""
    return _Roles(colour, x, panel)


def _labels(rows: Sequence[Row], axis: str) -> list[str]:
    """The labels of an axis in the order of the study; one empty label for no axis."""
    return list(dict.fromkeys(row.coordinates.get(axis, "") for row in rows)) if axis else [""]


def _at(row: Row, axis: str, label: str) -> bool:
    return not axis or row.coordinates.get(axis) == label


def _value(row: Row, metric: str) -> float:
    return float(row.metrics[metric] or 0)


def is_number(text: str) -> bool:
    """Whether a label is a number, so that it has a place on an axis of numbers."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lay_out(figure: go.Figure, panels: list[str], roles: _Roles, title: str, numeric: bool) -> None:
    """Panels side by side over one y axis."""
    share = 1 / len(panels)
    for column, panel in enumerate(panels):
        key = "xaxis" if column == 0 else f"xaxis{column + 1}"
        domain = [column * share, (column + 1) * share - (0.015 if column + 1 < len(panels) else 0)]
        kind = "linear" if numeric else "category"
        figure.update_layout({key: {"domain": domain, "title": {"text": roles.x}, "type": kind}})
        if panel:
            figure.add_annotation(
                x=sum(domain) / 2,
                y=0.99,
                xref="paper",
                yref="paper",
                xanchor="center",
                yanchor="top",
                showarrow=False,
                text=f"<b>{panel}</b>",
                bgcolor="rgba(255,255,255,0.85)",
            )
    figure.update_layout(yaxis={"title": {"text": title}, "rangemode": "tozero"})


def _add(figure: go.Figure, numeric: bool, number: int, **trace: Any) -> None:
    if numeric:
        line = line_style(number)
        figure.add_scatter(
            mode="lines+markers", line=line, marker={"color": line["color"], "size": 7}, **trace
        )
    else:
        figure.add_bar(marker=bar_marker(number), **trace)


def bar_marker(number: int) -> dict[str, Any]:
    """How the bars of a series look; `number` counts the series."""
    colour, again = SERIES_COLOURS[number % len(SERIES_COLOURS)], number // len(SERIES_COLOURS)
    shape = _HATCHES[again % len(_HATCHES)]
    return {"color": colour, "line": {"width": 0}, "pattern": {"shape": shape}}


def line_style(number: int) -> dict[str, Any]:
    """How the line of a series looks."""
    colour, again = SERIES_COLOURS[number % len(SERIES_COLOURS)], number // len(SERIES_COLOURS)
    return {"color": colour, "width": 2, "dash": _DASHES[again % len(_DASHES)]}
