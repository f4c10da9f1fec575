"""Waterfalls of a study: how a number becomes another, one case after another along `x`.

Every bar carries its number and every metric a scale of its own, so there is none at the side; panels of one
metric share their scale. Where a case has no number, the chain ends; the total is shown all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from math import isclose
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting import palette
from kvsim.reporting.study_measures import against, axis_title
from kvsim.reporting.study_panels import Frame, Grid, Panel, Ticks, fit_labels, panel_width, shown, text_width
from kvsim.reporting.study_points import Points
from kvsim.study.select import Unknown, narrowed

__all__ = ["TOTAL", "waterfall_figure"]

TOTAL = "total"
BETTER, WORSE, WHOLE = "#0072B2", "#D55E00", palette.COMPUTE
_HIGH, _LOW = 280, 210
"""Pixels of a panel in a single row, and in several."""
_LEAST_SLOT = 40.0
"""Pixels that a bar and its distance to the next should have."""
_TEXT, _SMALLEST = 12, 8
_ABOVE = 26
"""Pixels for a number above the highest bar."""
_BESIDE = 0.95
"""Bars' places at the right, for the number of the reference."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """One panel: the cases with their numbers, in its unit."""

    label: str
    levels: tuple[float | None, ...]
    """The number of every case."""
    reference: float | None
    unit: str
    decimals: int
    """As many for all, so that the numbers of a panel are seen to add up."""
    more_is_better: bool

    @property
    def steps(self) -> tuple[float, ...]:
        """Of each case after the first what it adds, up to the first that has no number."""
        known = [
            level for level in takewhile(lambda level: level is not None, self.levels) if level is not None
        ]
        return tuple(_difference(old, new) for old, new in pairwise(known))

    @property
    def known(self) -> list[float]:
        """All numbers that are there."""
        return [number for number in (*self.levels, self.reference) if number is not None]

    def text(self, number: float, *, signed: bool = False) -> str:
        """A number without its unit; 0 is told from what rounds to it."""
        plain = f"{number:,.{self.decimals}f}" if number else "0"
        if number and not float(plain.replace(",", "")):
            return "≈ 0"
        return (f"+{plain}" if signed and number > 0 else plain).replace("-", "−")


def waterfall_figure(parts: Sequence[Points], title: str) -> go.Figure:
    """The waterfalls of one or several metrics, a panel for every one of them and value of `panels`."""
    spec, places = parts[0].figure, parts[0].places
    groups = [[*_chains(points, alone=len(parts) == 1)] for points in parts]
    chains = [chain for group in groups for chain in group]
    slots = len(places) + 1 + (_BESIDE if spec.reference is not None else 0)
    texts = [text for chain in chains for _, _, text, _ in _bars(chain, places)]
    wide = max(map(text_width, texts), default=0.0) + 8
    least = max(slots * max(wide, _LEAST_SLOT), *(text_width(chain.label, 13) + 12 for chain in chains))
    y = axis_title(spec, chains[0].unit) if len(parts) == 1 else ""
    across = _across(len(groups[0]), len(parts), least)
    height = _HIGH if across >= len(chains) else _LOW
    width = panel_width(across, 70) / slots
    ticks = fit_labels([*places, TOTAL], width)
    frame = Frame(title, spec.x, y, ticks.room, 8, legend=_legend(parts[0]))
    figure, panels = Grid(tuple(chain.label for chain in chains), across, height, frame).draw()
    size = max(_SMALLEST, min(_TEXT, _TEXT * width / wide))
    free = iter(panels)
    for group in groups:
        reach = _reach([number for chain in group for number in chain.known], height)
        for chain, panel in zip(group, free, strict=False):
            _draw(figure, panel, chain, places, size)
            _axes(figure, panel, reach, ticks, slots)
    _explain(figure, parts[0])
    return figure


def _chains(points: Points, *, alone: bool) -> Iterator[_Chain]:
    """The panels of one metric; where it is not the only one, they are called after it."""
    spec, (length, unit) = points.figure, points.unit
    whole = length == 1.0 and all(number == int(number) for number in points.numbers.values())
    largest = max(map(abs, points.numbers.values())) / length
    decimals = 0 if whole or largest >= 999.5 else 1 if largest >= 9.995 else 2
    for panel in points.panels:
        found = [points.numbers.get((panel, "", place)) for place in points.places]
        label = ": ".join(part for part in (panel, "" if alone else axis_title(spec, unit)) if part)
        reference = _reference(points, panel)
        yield _Chain(
            label=label,
            levels=tuple(None if number is None else number / length for number in found),
            reference=None if reference is None else reference / length,
            unit=unit,
            decimals=decimals,
            more_is_better=spec.metric in spec.more_is_better,
        )


def _reference(points: Points, panel: str) -> float | None:
    spec = points.figure
    if spec.reference is None:
        return None
    where = narrowed(spec.where, {spec.panels: panel} if spec.panels is not None else {})
    try:
        return points.results.measured(spec, where, spec.reference)
    except Unknown:
        return None


def _difference(old: float, new: float) -> float:
    """What differs by rounding alone does not differ."""
    return 0.0 if isclose(old, new, rel_tol=1e-12) else new - old


def _across(panels: int, metrics: int, least: float) -> int:
    """Panels side by side; with several metrics the panels of one fill whole rows, if it has several."""
    if panels == 1 or metrics == 1:
        return Grid.across_for(panels * metrics, least, 70)
    most = Grid.across_for(panels, least, 70)
    return next(across for across in range(most, 0, -1) if panels % across == 0)


def _bars(chain: _Chain, places: Sequence[str]) -> Iterator[tuple[int, float, str, str]]:
    """Place, upper end, number and explanation of every bar."""
    levels, unit = chain.levels, f" {chain.unit}".rstrip()
    if levels[0] is not None:
        text = chain.text(levels[0])
        yield 0, max(levels[0], 0.0), text, f"{shown(places[0])}: {text}{unit}"
    for number, step in enumerate(chain.steps, 1):
        old, new = levels[number - 1] or 0.0, levels[number] or 0.0
        text = chain.text(step, signed=True)
        share = f" ({step / abs(old) * 100:+.1f} %)".replace("-", "−") if old else ""
        said = f"{shown(places[number])}: {text}{unit}{share}, together {chain.text(new)}{unit}"
        yield number, max(old, new), text, said
    if levels[-1] is not None:
        text = chain.text(levels[-1])
        yield len(levels), max(levels[-1], 0.0), text, f"{TOTAL}: {text}{unit}"


def _draw(figure: go.Figure, panel: Panel, chain: _Chain, places: Sequence[str], size: float) -> None:
    """The bars of a panel, their numbers above them, and the reference."""
    found = [*_bars(chain, places)]
    steps = dict(enumerate(chain.steps, 1))
    more, less = (BETTER, WORSE) if chain.more_is_better else (WORSE, BETTER)
    quiet = {"color": palette.QUIET_INK, "width": 1}
    figure.add_waterfall(
        x=[place for place, *_ in found],
        y=[steps.get(place, chain.levels[min(place, len(places) - 1)]) for place, *_ in found],
        measure=["relative" if place in steps else "absolute" for place, *_ in found],
        width=0.72,
        increasing={"marker": {"color": more}},
        decreasing={"marker": {"color": less}},
        totals={"marker": {"color": WHOLE}},
        connector={"line": quiet, "mode": "between"},
        customdata=[said for *_, said in found],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
        **panel.axes,
    )
    figure.add_scatter(
        x=[place for place, *_ in found],
        y=[upper for _, upper, *_ in found],
        text=[text for _, _, text, _ in found],
        mode="markers+text",
        marker=_LIFT,
        textposition="top center",
        textfont={"size": size},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
        **panel.axes,
    )
    if chain.reference is not None:
        end = len(places) + 0.5
        figure.add_scatter(
            x=[-0.5, end, end + _BESIDE - 0.1],
            y=[chain.reference] * 3,
            mode="lines+markers+text",
            marker=_LIFT,
            text=["", f" {chain.text(chain.reference)}", ""],
            textposition="top right",
            textfont={"size": size, "color": palette.QUIET_INK},
            line=_LINE,
            hovertemplate=f"{chain.text(chain.reference)} {chain.unit}<extra></extra>",
            showlegend=False,
            **panel.axes,
        )


_LIFT = {"size": 5, "opacity": 0}
"""What nobody sees, and a text keeps its distance from."""
_LINE = {"color": palette.QUIET_INK, "width": 1.5, "dash": "dash"}


def _reach(numbers: Sequence[float], height: int) -> list[float]:
    """The ends of the scale, 0 among them, with room for the numbers above the bars."""
    low, high = min(0.0, *numbers), max(0.0, *numbers)
    room = (high - low or 1.0) * _ABOVE / (height - _ABOVE)
    return [low, high + room]


def _axes(figure: go.Figure, panel: Panel, reach: list[float], ticks: Ticks, slots: float) -> None:
    x: dict[str, Any] = {"tickmode": "array", "tickvals": [*range(len(ticks.texts))], "ticktext": ticks.texts}
    x |= {"tickangle": ticks.angle, "range": [-0.5, slots - 0.5], "showgrid": False}
    y = {"range": reach, "showgrid": False, "showticklabels": False, "ticks": "", "showline": False}
    y |= {"zeroline": True, "zerolinecolor": palette.QUIET_INK, "zerolinewidth": 1}
    figure.update_layout({f"xaxis{panel.suffix}": x, f"yaxis{panel.suffix}": y})


def _legend(points: Points) -> tuple[str, ...]:
    spec = points.figure
    line = [] if spec.reference is None else [against(spec, spec.reference)]
    return ("first and total", "better than the case before", "worse", *line)


def _explain(figure: go.Figure, points: Points) -> None:
    """The entries of the legend, which belong to no bar in particular."""
    whole, better, worse, *line = map(shown, _legend(points))
    for name, colour in ((whole, WHOLE), (better, BETTER), (worse, WORSE)):
        marker = {"color": colour, "size": 11, "symbol": "square"}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name)
    for name in line:
        figure.add_scatter(x=[None], y=[None], mode="lines", line=_LINE, name=name)
