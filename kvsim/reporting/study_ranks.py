"""The ranks of a study: a bump chart, one line a label, that shows where an order changes along an axis.

Lines of equal rank run side by side, so that none hides another. The names stand at the right end of the
lines, each in a place of its own, joined to its line where the rank is shared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting.study_figures import line_style
from kvsim.reporting.study_measures import axis_title, measure_text
from kvsim.reporting.study_panels import Frame, Grid, Panel, fit_labels, shown, text_width
from kvsim.reporting.study_points import Points
from kvsim.study.ranks import average_ranks

__all__ = ["ranks_figure"]

_ROW = 27
_TICKS = 30
_JOINT = 16
"""Pixels between the last rank and its name."""
_APART = 4.0
"""Pixels between lines of equal rank."""


def ranks_figure(points: Points, title: str) -> go.Figure:
    """The rank of every label of `colour` along `x`, 1 for the least."""
    spec, places, names = points.figure, points.places, points.series
    named = max(map(text_width, names)) + _JOINT + 6
    least = named + (len(places) - 0.4) * min(70.0, max(map(text_width, places)) + 8)
    across = Grid.across_for(len(points.panels), least, 94)
    height = max(_ROW * len(names), 110)
    width = Grid(points.panels, across, height, Frame("", "", "rank", 0, _TICKS)).width
    step = max(width - named, 40.0) / (len(places) - 0.4 if len(places) > 1 else 1.0)
    ticks = fit_labels(places, step)
    text = f"rank by {axis_title(spec, '')}, 1 for the least; equal ranks side by side"
    frame = Frame(title, spec.x, "rank", ticks.room, _TICKS, subtitle=text)
    figure, panels = Grid(points.panels, across, height, frame).draw()
    reach = [-0.3, len(places) - 1 + named / step]
    for panel in panels:
        ranks = _ranks(points, panel.label)
        ends = _ends(names, len(places), ranks)
        apart = _aside(ranks, height / len(names))
        for number, name in enumerate(names):
            trace = _line(points, panel, name, ranks, apart, ends.get(name), _JOINT / step)
            line = {**line_style(number), "width": 3}
            sizes = [9.0] * len(places) + [0.0] * (len(trace["x"]) - len(places))
            marker = {"color": line["color"], "size": sizes, "line": {"width": 0}, "opacity": 1}
            figure.add_scatter(line=line, marker=marker, **trace)
        x: dict[str, Any] = {"tickmode": "array", "tickvals": [*range(len(places))], "ticktext": ticks.texts}
        x |= {"tickangle": ticks.angle, "range": reach, "showgrid": False}
        y: dict[str, Any] = {
            "tickmode": "array",
            "tickvals": [*range(1, len(names) + 1)],
            "range": [len(names) + 0.6, 0.4],
        }
        figure.update_layout({f"xaxis{panel.suffix}": x, f"yaxis{panel.suffix}": y})
    return figure


def _ranks(points: Points, panel: str) -> dict[tuple[str, int], float]:
    """The rank of each name at each place along x, among those that have a number there."""
    found: dict[tuple[str, int], float] = {}
    for place, x in enumerate(points.places):
        present = [name for name in points.series if (panel, name, x) in points.numbers]
        ranks = average_ranks([points.numbers[panel, name, x] for name in present])
        found |= {(name, place): rank for name, rank in zip(present, ranks, strict=True)}
    return found


def _ends(names: Sequence[str], places: int, ranks: Mapping[tuple[str, int], float]) -> dict[str, int]:
    """The place of each name at the right: in the order of the last ranks, then that of the study."""
    last = {name: ranks[name, places - 1] for name in names if (name, places - 1) in ranks}
    return {name: number for number, name in enumerate(sorted(last, key=last.__getitem__), 1)}


def _aside(ranks: Mapping[tuple[str, int], float], row: float) -> dict[tuple[str, int], float]:
    """How far each line is moved aside where it shares its rank."""
    sharing: dict[tuple[int, float], list[str]] = defaultdict(list)
    for (name, place), rank in ranks.items():
        sharing[place, rank].append(name)
    moved = {}
    for (place, _), names in sharing.items():
        for number, name in enumerate(names):
            moved[name, place] = (number - (len(names) - 1) / 2) * _APART / row
    return moved


def _line(
    points: Points,
    panel: Panel,
    name: str,
    ranks: Mapping[tuple[str, int], float],
    apart: Mapping[tuple[str, int], float],
    end: int | None,
    joint: float,
) -> dict[str, Any]:
    """The line of one name in one panel, its name at the end."""
    labels = points.places
    places = range(len(labels))
    x: list[float] = [float(place) for place in places]
    y = [ranks[name, place] + apart[name, place] if (name, place) in ranks else None for place in places]
    text, hover = (
        [""] * len(x),
        [_said(points, panel.label, name, labels[p], ranks.get((name, p))) for p in places],
    )
    if end is not None:
        x.append(len(labels) - 1 + joint)
        y.append(float(end))
        text.append(f"\u00a0{shown(name)}")
        hover.append("")
    return {
        "x": x,
        "y": y,
        "mode": "lines+markers+text",
        "text": text,
        "textposition": "middle right",
        "textfont": {"size": 12},
        "cliponaxis": False,
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
        "name": shown(name),
        "showlegend": False,
        **panel.axes,
    }


def _said(points: Points, panel: str, name: str, x: str, rank: float | None) -> str:
    if rank is None:
        return ""
    value = measure_text(points.figure, points.numbers[panel, name, x])
    return f"{shown(name)}, {shown(x)}: rank {rank:g}, {value}"
