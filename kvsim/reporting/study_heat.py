"""Heat maps of a study: coloured cells with their numbers in them, blank where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting import palette
from kvsim.reporting.study_measures import axis_title
from kvsim.reporting.study_panels import Frame, Grid, Panel, Ticks, fit_labels, panel_width, shown, text_width
from kvsim.reporting.study_points import Points
from kvsim.reporting.text import significant

__all__ = ["heat_figure"]

_DIVERGING = ("#0072B2", "#7DB4D6", "#F7F9FB", "#EDA877", "#D55E00")
"""From blue over nothing to vermilion, which every common form of colour blindness tells apart."""
_CELL, _LEAST = 34, 110
"""Pixels of a cell and at least of a panel, downwards."""
_COLOUR_BAR = 72
_TEXT, _SMALLEST = 12, 8


def heat_figure(points: Points, title: str) -> go.Figure:
    """A measure in colours, the first label of `y` on top."""
    spec, places, downs = points.figure, points.places, points.series
    length, unit = points.unit
    texts = {at: _cell_text(points, number / length) for at, number in points.numbers.items()}
    wide = max(map(text_width, texts.values())) + 10
    left = round(max(map(text_width, downs))) + 14
    around = left + _COLOUR_BAR + 27
    across = Grid.across_for(len(points.panels), len(places) * wide, around)
    width = panel_width(across, around) / len(places)
    ticks = fit_labels(places, width)
    said = axis_title(spec, unit)
    frame = Frame(title, spec.x, spec.y or "", ticks.room, left, right=_COLOUR_BAR, subtitle=said)
    figure, panels = Grid(points.panels, across, max(_CELL * len(downs), _LEAST), frame).draw()
    size = _TEXT if wide <= width else max(_SMALLEST, _TEXT * width / wide)
    for panel in panels:
        figure.add_heatmap(**_trace(panel, points, texts), textfont={"size": size})
        _axes(figure, panel, points, ticks)
    figure.update_layout(coloraxis=_colours(points, length, unit))
    return figure


def _trace(panel: Panel, points: Points, texts: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    length, unit = points.unit
    at = [[(panel.label, down, place) for place in points.places] for down in points.series]
    numbers = [[points.numbers.get(one) for one in row] for row in at]
    return {
        "x": list(points.places),
        "y": list(points.series),
        "z": [[None if value is None else value / length for value in row] for row in numbers],
        "text": [[texts.get(one, "") for one in row] for row in at],
        "texttemplate": "%{text}",
        "hovertemplate": f"%{{y}}, %{{x}}: %{{text}} {unit}<extra></extra>",
        "hoverongaps": False,
        "xgap": 2,
        "ygap": 2,
        "coloraxis": "coloraxis",
        **panel.axes,
    }


def _axes(figure: go.Figure, panel: Panel, points: Points, ticks: Ticks) -> None:
    places, downs = points.places, points.series
    common: dict[str, Any] = {"type": "category", "tickmode": "array", "showgrid": False}
    x = {**common, "tickvals": list(places), "ticktext": ticks.texts, "tickangle": ticks.angle}
    x["range"] = [-0.5, len(places) - 0.5]
    y = {**common, "tickvals": list(downs), "ticktext": [*map(shown, downs)]}
    y["range"] = [len(downs) - 0.5, -0.5]
    figure.update_layout({f"xaxis{panel.suffix}": x, f"yaxis{panel.suffix}": y})


def _cell_text(points: Points, number: float) -> str:
    """A number without its unit; 0 is told from what rounds to it."""
    return _figures(points, number).replace("-", "−") if number else "0"


def _figures(points: Points, number: float) -> str:
    spec = points.figure
    if spec.relative_to is not None and spec.relation == "rank_correlation":
        return f"{round(number, 2) + 0.0:.2f}"
    if spec.relative_to is not None and spec.relation == "change":
        return f"{number:+.1f}" if abs(number) < 99.95 else f"{number:+,.0f}"
    if number == int(number) and abs(number) < 1e15 and points.unit[0] == 1.0:
        return f"{number:,.0f}"
    return significant(number)


def _colours(points: Points, length: float, unit: str) -> dict[str, Any]:
    """The scale: centred on what means no difference, or from light to dark."""
    spec = points.figure
    bar = {
        "title": {"text": unit, "side": "top", "font": {"size": 12}},
        "thickness": 14,
        "outlinewidth": 0,
        "len": 1,
        "x": 1,
        "xpad": 12,
        "tickfont": {"size": 11},
        "nticks": 6,
    }
    if spec.relative_to is None:
        return {"colorscale": palette.INTENSITY, "colorbar": bar}
    if spec.relation == "rank_correlation":
        return {"colorscale": list(reversed(_DIVERGING)), "cmin": -1, "cmax": 1, "colorbar": bar}
    centre = 1.0 if spec.relation == "ratio" else 0.0
    reach = max(abs(number / length - centre) for number in points.numbers.values()) or 1.0
    if spec.relation != "difference":
        reach = min(
            reach, 1.0 / length
        )  # nothing falls by more than all of it: let that be the end both ways
    return {"colorscale": list(_DIVERGING), "cmin": centre - reach, "cmax": centre + reach, "colorbar": bar}
