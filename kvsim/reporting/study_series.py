"""Bars and lines of a study: one series a colour, in panels over one y axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting import palette
from kvsim.reporting.study_figures import bar_marker, is_number, line_style
from kvsim.reporting.study_measures import axis_title
from kvsim.reporting.study_panels import Frame, Grid, Panel, Ticks, fit_labels, shown
from kvsim.reporting.study_points import Points

__all__ = ["series_figure"]

_WHISKERS = {"none": "", "std": ", whiskers ± std", "range": ", whiskers from least to greatest"}
_TICKS = 52
_BAR, _POINT = 13.0, 34.0
"""Pixels that a bar and a place of a line should have."""
_TALL, _LOW = 300, 220
"""Pixels of a panel in a single row, and in several."""


def series_figure(points: Points, title: str) -> go.Figure:
    """Bars or lines; lines along numbers keep the distances of the numbers."""
    spec, places = points.figure, points.places
    numeric = spec.kind == "lines" and len(places) > 1 and all(map(is_number, places))
    each = _BAR * len(points.series) + 8 if spec.kind == "bars" else _POINT
    across = Grid.across_for(len(points.panels), max(180.0, each * len(places)), 110)
    height = _TALL if across >= len(points.panels) else _LOW
    y = axis_title(spec, points.unit[1]) + _WHISKERS[spec.spread]
    width = Grid(points.panels, across, height, Frame("", spec.x, y, 0, _TICKS)).width
    ticks = fit_labels(places, width / len(places))
    legend = points.series if spec.colour is not None else ()
    frame = Frame(title, spec.x, y, ticks.room, _TICKS, legend=legend, legend_title=spec.colour or "")
    figure, panels = Grid(points.panels, across, height, frame).draw(barmode="group", bargap=0.22)
    for panel in panels:
        _axes(figure, panel, points, ticks, numeric)
        for number, series in enumerate(points.series):
            _add(figure, number, points, _trace(panel, points, series, numeric))
    return figure


def _axes(figure: go.Figure, panel: Panel, points: Points, ticks: Ticks, numeric: bool) -> None:
    spec, places = points.figure, points.places
    x: dict[str, Any] = {"tickmode": "array", "ticktext": ticks.texts, "tickangle": ticks.angle}
    if numeric:
        x |= _number_axis([float(place) for place in places])
    else:
        x |= {"type": "category", "tickvals": list(places), "range": [-0.5, len(places) - 0.5]}
        x |= {"categoryorder": "array", "categoryarray": list(places)}
    plain = spec.relative_to is None
    y: dict[str, Any] = {"rangemode": "tozero" if plain or spec.kind == "bars" else "normal"}
    y |= {"zeroline": not plain, "zerolinecolor": palette.QUIET_INK, "zerolinewidth": 1, "nticks": 7}
    if spec.scale == "log":
        y = {"type": "log", "dtick": 1, "minor": {"dtick": "D1", "showgrid": False}}
    if panel.number:
        y["matches"] = "y"
    figure.update_layout({f"xaxis{panel.suffix}": x, f"yaxis{panel.suffix}": y})
    if spec.relative_to is not None and spec.relation == "ratio":
        line = {"color": palette.QUIET_INK, "width": 1}
        ends = {"x0": 0, "x1": 1, "xref": f"x{panel.suffix} domain", "y0": 1, "y1": 1}
        figure.add_shape(type="line", **ends, yref=f"y{panel.suffix}", line=line)


def _number_axis(places: Sequence[float]) -> dict[str, Any]:
    """An axis with the places themselves as ticks, logarithmic where they are spread out like that."""
    wide = min(places) > 0 and max(places) >= 16 * min(places)
    return {"type": "log" if wide else "linear", "tickvals": list(places)}


def _trace(panel: Panel, points: Points, series: str, numeric: bool) -> dict[str, Any]:
    """One series in one panel."""
    spec, places = points.figure, points.places
    length, unit = points.unit
    found = [points.numbers.get((panel.label, series, place)) for place in places]
    name = shown(series or spec.metric)
    trace: dict[str, Any] = {
        "x": [float(place) for place in places] if numeric else list(places),
        "y": [None if value is None else value / length for value in found],
        "name": name,
        "legendgroup": series,
        "showlegend": spec.colour is not None and panel.number == 0,
        "hovertemplate": f"{name}, %{{x}}: %{{y:.4~g}} {unit}<extra></extra>",
        **panel.axes,
    }
    if spec.spread != "none":
        ends = [points.whisker(panel.label, series, place) for place in places]
        trace["error_y"] = {
            "type": "data",
            "arrayminus": [None if down is None else down / length for down, _ in ends],
            "array": [None if up is None else up / length for _, up in ends],
            "thickness": 1.2,
            "width": 3,
            "color": palette.INK,
        }
    return trace


def _add(figure: go.Figure, number: int, points: Points, trace: dict[str, Any]) -> None:
    if points.figure.kind == "bars":
        figure.add_bar(marker=bar_marker(number), **trace)
        return
    line = line_style(number)
    figure.add_scatter(mode="lines+markers", line=line, marker={"color": line["color"], "size": 7}, **trace)
