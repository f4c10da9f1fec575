"""Pareto fronts of a study: what each choice gives, what it costs, and which of them are worth it.

A point is one value of `x`, its name beside it, in the colour of its value of `colour`. Those on the front of
their panel are full and joined by steps, the edge of what can be had; the others are pale. All panels have
the same scales.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting import palette
from kvsim.reporting.study_figures import SERIES_COLOURS
from kvsim.reporting.study_measures import axis_title, measure_text
from kvsim.reporting.study_names import Box, Named, Spot, Stand, stands
from kvsim.reporting.study_panels import Frame, Grid, Panel, shown, text_width
from kvsim.reporting.study_points import Points
from kvsim.reporting.study_scale import Scale
from kvsim.study.pareto import pareto_front
from kvsim.study.spec import FigureSpec

__all__ = ["pareto_figure"]

_TALL, _LOW = 430, 330
"""Pixels of a panel in a single row, and in several."""
_LEAST = 400.0
"""Pixels across that a panel should have."""
_TICKS_BELOW, _TICKS_LEFT = 26, 52
_TEXT, _LINE = 11, 14
_PALE, _EDGE = 0.35, 0.7
"""How much is left of the colour of a dominated point, and of its edge; no transparency, so that many pale
points at one spot stay pale."""
_SIZE, _RING = 9, 5
"""Pixels of a point across, and by which it is larger than the next of another colour at its spot."""
_SYMBOLS = ("circle", "square", "diamond", "cross")
"""The next one where the colours begin again."""
_JOINT = "#9AA5B1"
_MOST_NAMES = 3
"""Names written for points at one spot; of more than that, how many there are."""


@dataclass(frozen=True, slots=True)
class _Point:
    """One point, in the units of the axes."""

    name: str
    series: int
    spot: Spot
    said: str
    full: bool
    """Whether it is on the front of its panel."""


def pareto_figure(up: Points, across: Points, title: str) -> go.Figure | None:
    """The points of every panel and their front; None where no corner has both numbers."""
    spec = up.figure
    found = {panel: _points(up, across, panel) for panel in up.panels}
    spots = [point.spot for points in found.values() for point in points]
    if not spots:
        return None
    series = up.series if spec.colour is not None else ()
    beside = Grid.across_for(len(up.panels), _LEAST, 110)
    height = _TALL if beside >= len(up.panels) else _LOW
    frame = Frame(
        title,
        _axis_title(across, spec),
        _axis_title(up, spec),
        _TICKS_BELOW,
        _TICKS_LEFT,
        legend=(*series, *(_entry_text(name, 99) for name in _LEGEND)),
        legend_title=spec.colour or "",
    )
    grid = Grid(up.panels, beside, height, frame)
    figure, panels = grid.draw()
    x = Scale.of([x for x, _ in spots], grid.width, log=spec.scale == "log")
    y = Scale.of([y for _, y in spots], height)
    shape = "vh" if spec.against in spec.more_is_better else "hv"
    for panel in panels:
        _draw(figure, panel, found[panel.label], shape)
        _axes(figure, panel, x, y)
    unnamed = [one for panel in panels for one in _name(figure, panel, found[panel.label], x, y, shape)]
    _explain(figure, series, unnamed)
    return figure


_LEGEND = ("on the Pareto front", "dominated")


def _entry_text(name: str, unnamed: int) -> str:
    """An entry of the legend, with how many points have no name for want of room."""
    return f"{name}, {unnamed} not named" if unnamed else name


def _axis_title(points: Points, spec: FigureSpec) -> str:
    """The title of an axis, with what is wanted along it."""
    wanted = "more" if points.figure.metric in spec.more_is_better else "less"
    return f"{axis_title(points.figure, points.unit[1])}; {wanted} is better"


def _points(up: Points, across: Points, panel: str) -> list[_Point]:
    """The points of a panel that have both numbers, those on its front last and in the order of the front."""
    corners = [at for at in up.numbers if at[0] == panel and at in across.numbers]
    signs = [-1 if part.figure.metric in up.figure.more_is_better else 1 for part in (across, up)]
    front = pareto_front([(across.numbers[at] * signs[0], up.numbers[at] * signs[1]) for at in corners])
    rest = [place for place in range(len(corners)) if place not in front]
    return [
        _Point(
            name=at[2],
            series=up.series.index(at[1]),
            spot=(across.numbers[at] / across.unit[0], up.numbers[at] / up.unit[0]),
            said=_said(up, across, at),
            full=place in front,
        )
        for place, at in ((place, corners[place]) for place in (*rest, *front))
    ]


def _said(up: Points, across: Points, at: tuple[str, str, str]) -> str:
    numbers = (f"{points.figure.metric} {_text(points, at)}" for points in (up, across))
    return f"{', '.join(shown(label) for label in (at[2], at[1]) if label)}: {', '.join(numbers)}"


def _text(points: Points, at: tuple[str, str, str]) -> str:
    return measure_text(points.figure, points.numbers[at]).replace("-", "−")


def _draw(figure: go.Figure, panel: Panel, points: Sequence[_Point], shape: str) -> None:
    """The dominated points, then the front over them."""
    for full in (False, True):
        some = [point for point in points if point.full == full]
        colours = [_colour(point.series) for point in some]
        figure.add_scatter(
            x=[point.spot[0] for point in some],
            y=[point.spot[1] for point in some],
            mode="lines+markers" if full else "markers",
            line={"color": palette.QUIET_INK, "width": 1.2, "shape": shape},
            marker={
                "color": colours if full else [_mixed(colour, _PALE) for colour in colours],
                "symbol": [_symbol(point.series) for point in some],
                "size": _sizes(some, _SIZE + (2 if full else 0)),  # of those with a white edge
                "opacity": 1,
                "line": {"width": 1, "color": palette.PAPER if full else [_mixed(c, _EDGE) for c in colours]},
            },
            customdata=[point.said for point in some],
            hovertemplate="%{customdata}<extra></extra>",
            showlegend=False,
            **panel.axes,
        )


def _colour(series: int) -> str:
    return SERIES_COLOURS[series % len(SERIES_COLOURS)]


def _mixed(colour: str, share: float) -> str:
    """A colour with white."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - part)):02X}" for part in parts)


def _sizes(points: Sequence[_Point], size: int) -> list[int]:
    """How large points are: at one spot those of several colours are rings around each other."""
    after: dict[Spot, dict[int, None]] = defaultdict(dict)
    sizes = []
    for point in reversed(points):
        inner = after[point.spot]
        inner.setdefault(point.series)
        sizes.append(size + _RING * list(inner).index(point.series))
    return sizes[::-1]


def _symbol(series: int) -> str:
    return _SYMBOLS[series // len(SERIES_COLOURS) % len(_SYMBOLS)]


def _name(
    figure: go.Figure, panel: Panel, points: Sequence[_Point], x: Scale, y: Scale, shape: str
) -> list[_Point]:
    """Write the names, those on the front first; the points that have none for want of room."""
    at: dict[Spot, list[_Point]] = defaultdict(list)
    for point in reversed(points):
        at[point.spot].append(point)
    texts = {spot: _together([point.name for point in some]) for spot, some in at.items()}
    pixels = {spot: (x.pixel(spot[0]), y.pixel(spot[1])) for spot in at}
    names = [
        Named(pixels[spot], max(_sizes(at[spot], _SIZE)), text_width(text, _TEXT) + 4, _LINE)
        for spot, text in texts.items()
    ]
    steps = _steps([pixels[point.spot] for point in points if point.full], shape)
    places = stands(names, Box(0, 0, x.pixels, y.pixels), steps)
    for spot, stand in zip(at, places, strict=True):
        if stand is not None:
            ink = palette.INK if at[spot][0].full else palette.QUIET_INK
            place = (x.place(spot[0]), y.place(spot[1]))
            _write(figure, panel, shown(texts[spot]), ink, place, pixels[spot], stand)
    return [point for spot, stand in zip(at, places, strict=True) if stand is None for point in at[spot]]


def _steps(spots: Sequence[Spot], shape: str) -> list[Spot]:
    """The spots with the corners between them."""
    corners = [(end[0], begin[1]) if shape == "hv" else (begin[0], end[1]) for begin, end in pairwise(spots)]
    pairs = zip_longest(spots, corners)
    return [spot for pair in pairs for spot in pair if spot is not None]


def _together(names: Sequence[str]) -> str:
    """The names of points at one spot, in the order of the study."""
    different = list(dict.fromkeys(reversed(names)))
    if len(different) <= _MOST_NAMES:
        return ", ".join(different)
    listed = different[: _MOST_NAMES - 1]
    return f"{', '.join(listed)} and {len(different) - len(listed)} more"


def _write(
    figure: go.Figure, panel: Panel, text: str, ink: str, place: Spot, pixel: Spot, stand: Stand
) -> None:
    """One name, where it stands off its point by so many pixels."""
    middle = stand.middle
    right, up = middle[0] - pixel[0], middle[1] - pixel[1]
    joint = {"ax": right, "ay": -up, "arrowhead": 0, "arrowwidth": 0.8, "arrowcolor": _JOINT}
    figure.add_annotation(
        x=place[0],
        y=place[1],
        xref=f"x{panel.suffix}",
        yref=f"y{panel.suffix}",
        showarrow=stand.joined,
        **(joint | {"standoff": _SIZE / 2} if stand.joined else {"xshift": right, "yshift": up}),
        text=text,
        font={"size": _TEXT, "color": ink},
        borderpad=0,
    )


def _axes(figure: go.Figure, panel: Panel, x: Scale, y: Scale) -> None:
    same = {"xaxis": {"matches": "x"}, "yaxis": {"matches": "y"}} if panel.number else {}
    for name, scale in (("xaxis", x), ("yaxis", y)):
        figure.update_layout({f"{name}{panel.suffix}": {**scale.axis, **same.get(name, {})}})


def _explain(figure: go.Figure, series: Sequence[str], unnamed: Sequence[_Point]) -> None:
    """The entries of the legend, which only explain."""
    for number, name in enumerate(series):
        _entry(figure, name, {"color": _colour(number), "symbol": _symbol(number)})
    colour = palette.INK if series else _colour(0)
    line = {"color": palette.QUIET_INK, "width": 1.2}
    full, pale = (_entry_text(name, sum(p.full == (name == _LEGEND[0]) for p in unnamed)) for name in _LEGEND)
    _entry(figure, full, {"color": colour}, mode="lines+markers", line=line)
    edge = {"width": 1, "color": _mixed(colour, _EDGE)}
    _entry(figure, pale, {"color": _mixed(colour, _PALE), "line": edge})
    figure.update_layout(legend={"itemclick": False, "itemdoubleclick": False})


def _entry(figure: go.Figure, name: str, marker: dict[str, Any], mode: str = "markers", **how: Any) -> None:
    figure.add_scatter(
        x=[None], y=[None], mode=mode, marker={"size": _SIZE, **marker}, name=shown(name), **how
    )
