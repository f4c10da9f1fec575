"""Tornados of a study: what each single change does to a base case, the change that does most on top.

Rows are the values of `y`, bars those of `x`, such as half and twice. A bar starts at the base case, in the
middle, and a text at its end says what it is. Bars of a row that point to the same side share the row.
Panels, one below the other, each have an order of their own and all one scale; a row without any number is
left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting import palette
from kvsim.reporting.study_measures import axis_title, measure_text
from kvsim.reporting.study_panels import Frame, Grid, Panel, shown, text_width
from kvsim.reporting.study_points import Points
from kvsim.reporting.study_waterfall import BETTER, WORSE

__all__ = ["tornado_figure"]

_ROW, _TICKS = 30, 26
"""Pixels of a row, and of the labels below."""
_THICK = 0.72
"""Share of its row that the bars take."""
_TEXT = 11
_BESIDE = 10
"""Pixels between the end of a bar and its text, and after that."""


@dataclass(frozen=True, slots=True)
class _Bar:
    row: int
    """From the top, 0 first."""
    at: float
    """Where its middle is, in rows from the top."""
    thickness: float
    length: float
    """Signed, in the unit of the figure."""
    text: str


def tornado_figure(points: Points, title: str) -> go.Figure:
    """Horizontal bars from the base case, sorted in every panel by the longest of a row."""
    spec = points.figure
    ordered = {panel: _ordered(points, panel) for panel in points.panels}
    bars = {panel: [*_bars(points, panel, rows)] for panel, rows in ordered.items()}
    left = round(max(map(text_width, points.series))) + 14
    frame = Frame(title, axis_title(spec, points.unit[1]), spec.y or "", _TICKS, left, legend=_LEGEND)
    grid = Grid(points.panels, 1, _ROW * max(map(len, ordered.values())) + 8, frame)
    figure, panels = grid.draw(barmode="overlay")
    reach = _reach([bar for some in bars.values() for bar in some], grid.width)
    for panel in panels:
        _draw(figure, panel, bars[panel.label], more=spec.metric in spec.more_is_better)
        _axes(figure, panel, ordered[panel.label], max(map(len, ordered.values())), reach)
    for name, colour in zip(_LEGEND, (BETTER, WORSE), strict=True):
        marker = {"color": colour, "size": 11, "symbol": "square"}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name)
    return figure


_LEGEND = ("better than the base case", "worse")


def _ordered(points: Points, panel: str) -> list[str]:
    """The rows of a panel that have a number, the one with the largest on top; as in the study, if alike."""
    most = {
        row: max(
            abs(number) for (at, series, _), number in points.numbers.items() if (at, series) == (panel, row)
        )
        for row in points.series
        if any((panel, row, place) in points.numbers for place in points.places)
    }
    return sorted(most, key=lambda row: -most[row])


def _bars(points: Points, panel: str, rows: Sequence[str]) -> Iterator[_Bar]:
    """The bars of a panel; several to one side lie below one another in their row."""
    length = points.unit[0]
    for number, row in enumerate(rows):
        found = {
            place: points.numbers[panel, row, place]
            for place in points.places
            if (panel, row, place) in points.numbers
        }
        texts = {place: _text(points, value) for place, value in found.items()}
        if set(texts.values()) in ({"0"}, {"≈ 0"}):  # what all alike have in common is not said twice
            yield _Bar(number, number, _THICK, 0.0, next(iter(texts.values())))
            continue
        for side in (True, False):
            some = [place for place, value in found.items() if (value >= 0) == side]
            thickness = _THICK / max(len(some), 1)
            for lane, place in enumerate(some):
                at = number - _THICK / 2 + thickness * (lane + 0.5)
                text = f"{points.figure.x} {place}: {texts[place]}"
                yield _Bar(number, at, thickness, found[place] / length, text)


def _text(points: Points, value: float) -> str:
    """A number with its unit; 0 is told from what rounds to it."""
    text = measure_text(points.figure, value).replace("-", "−")
    return text if re.search("[1-9]", text) else "≈ 0" if value else "0"


def _reach(bars: Sequence[_Bar], width: float) -> list[float]:
    """The ends of the scale, 0 among them, with room for the texts at the ends of the bars."""
    low, high = min(0.0, *(bar.length for bar in bars)), max(0.0, *(bar.length for bar in bars))
    before = max((_room(bar) for bar in bars if bar.length < 0), default=0.0)
    after = max((_room(bar) for bar in bars if bar.length >= 0), default=0.0)
    pixel = ((high - low) or 1.0) / max(width - before - after, width / 4)
    return [low - before * pixel, high + after * pixel]


def _room(bar: _Bar) -> float:
    return text_width(bar.text, _TEXT) + 2 * _BESIDE


def _draw(figure: go.Figure, panel: Panel, bars: Sequence[_Bar], *, more: bool) -> None:
    better = [(bar.length > 0) == more for bar in bars]
    figure.add_bar(
        orientation="h",
        x=[bar.length for bar in bars],
        y=[bar.at for bar in bars],
        width=[bar.thickness for bar in bars],
        marker={
            "color": [BETTER if good else WORSE for good in better],
            "line": {"width": 0},
        },
        customdata=[bar.text for bar in bars],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
        **panel.axes,
    )
    figure.add_scatter(
        x=[bar.length for bar in bars],
        y=[bar.at for bar in bars],
        text=[shown(bar.text) for bar in bars],
        mode="markers+text",
        marker={"size": _BESIDE, "opacity": 0},
        textposition=["middle right" if bar.length >= 0 else "middle left" for bar in bars],
        textfont={"size": _TEXT},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
        **panel.axes,
    )


def _axes(figure: go.Figure, panel: Panel, rows: Sequence[str], most: int, reach: list[float]) -> None:
    x = {
        "range": reach,
        "zeroline": True,
        "zerolinecolor": palette.QUIET_INK,
        "zerolinewidth": 1,
        "nticks": 9,
    }
    y: dict[str, Any] = {
        "tickmode": "array",
        "tickvals": [*range(len(rows))],
        "ticktext": [*map(shown, rows)],
    }
    y |= {"range": [most - 0.5, -0.5], "showgrid": False, "zeroline": False}
    figure.update_layout({f"xaxis{panel.suffix}": x, f"yaxis{panel.suffix}": y})
