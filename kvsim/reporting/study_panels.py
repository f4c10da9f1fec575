"""Panels in a grid, with room for what stands around them: everything is reckoned in pixels first.

Lengths of texts are estimates for the house's fonts, on the safe side; a figure is laid out for WIDTH pixels
and keeps its proportions in a wider page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from typing import Any

import plotly.graph_objects as go

from kvsim.reporting.style import new_figure

__all__ = [
    "MOST_ACROSS",
    "WIDTH",
    "Frame",
    "Grid",
    "Panel",
    "Ticks",
    "fit_labels",
    "panel_width",
    "shown",
    "text_width",
]

WIDTH = 1000
"""Pixels that a figure is laid out for."""
MOST_ACROSS = 4
_GAP = 22
_TITLE_SIZE, _TEXT_SIZE = 17, 12
_TITLE_LINE, _TEXT_LINE = 23, 15
_PANEL_TITLE = 24
_LEGEND_LINE = 20


def text_width(text: str, size: float = _TEXT_SIZE) -> float:
    """About how many pixels a text takes."""
    return 0.57 * size * len(text)


def shown(text: str) -> str:
    """A text that means itself in a figure, where `<` would begin markup."""
    return escape(text, quote=False)


def wrapped(text: str, width: float, size: float = _TEXT_SIZE) -> list[str]:
    """A text in lines that fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


@dataclass(frozen=True, slots=True)
class Ticks:
    """The labels along x as they fit: their texts, their angle and the pixels they need below the axis."""

    texts: list[str]
    angle: int
    room: int


def fit_labels(labels: Sequence[str], width: float) -> Ticks:
    """Labels for places of `width` pixels: on one line, else broken where words end, else turned."""
    for lines in ([[label] for label in labels], [_broken(label, width) for label in labels]):
        if all(text_width(line) <= width - 6 for label in lines for line in label):
            most = max(map(len, lines), default=1)
            return Ticks(["<br>".join(map(shown, label)) for label in lines], 0, 12 + _TEXT_LINE * most)
    longest = max(map(text_width, labels), default=0)
    if width < 2 * _TEXT_LINE:
        return Ticks([*map(shown, labels)], -90, round(longest) + 14)
    return Ticks([*map(shown, labels)], -40, round(0.65 * longest) + 22)


def _broken(label: str, width: float) -> list[str]:
    """A label in lines, as few as will do, broken after `_`, `-`, `/` and at spaces."""
    lines = [""]
    for part in re.findall(r"[^_\-/ ]*[_\-/ ]|[^_\-/ ]+", label):
        if lines[-1] and text_width(lines[-1] + part) > width - 6:
            lines.append(part)
        else:
            lines[-1] += part
    return [line.strip() for line in lines]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a figure shows besides its panels, and the pixels that takes at the sides and in between."""

    title: str
    """Empty for none."""
    x: str
    """Title of the x axes."""
    y: str
    """Title of all y axes together."""
    ticks_below: int
    """Room for the labels along x."""
    ticks_left: int
    """Room for the labels along y."""
    right: int = 24
    legend: tuple[str, ...] = ()
    """Entries of the legend."""
    legend_title: str = ""
    subtitle: str = ""
    """What the numbers are, where no axis says so; in the place of a legend."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: the names of its axes in traces and in the layout."""

    label: str
    number: int
    left: bool
    """Whether it is the first of its row."""
    lowest: bool
    """Whether no panel is below it."""
    x_domain: tuple[float, float]
    y_domain: tuple[float, float]

    @property
    def axes(self) -> dict[str, str]:
        """Its axes, as a trace names them."""
        return {"xaxis": f"x{self.suffix}", "yaxis": f"y{self.suffix}"}

    @property
    def suffix(self) -> str:
        """What follows the name of an axis of this panel."""
        return "" if self.number == 0 else str(self.number + 1)


@dataclass(frozen=True, slots=True)
class Grid:
    """How many panels stand side by side, how large each is, and what is around them."""

    labels: tuple[str, ...]
    """One per panel; a single empty one for a figure without panels."""
    across: int
    height: int
    """Pixels of a panel."""
    frame: Frame

    @staticmethod
    def across_for(count: int, least: float, around: float) -> int:
        """How many panels to set side by side, none narrower than `least` if possible, rows evenly filled."""
        most = min(MOST_ACROSS, count)
        while most > 1 and panel_width(most, around) < least:
            most -= 1
        return ceil(count / ceil(count / most))

    @property
    def left(self) -> int:
        """Pixels at the left of the panels."""
        return self.frame.ticks_left + 12 + _TEXT_LINE * len(self._y_lines())

    @property
    def width(self) -> float:
        """Pixels of a panel."""
        return panel_width(self.across, self.left + self.frame.right)

    def _down(self) -> int:
        return ceil(len(self.labels) / self.across)

    def _between(self) -> int:
        return _PANEL_TITLE + 18

    def _inner(self) -> int:
        return self._down() * self.height + (self._down() - 1) * self._between()

    def _y_lines(self) -> list[str]:
        return wrapped(self.frame.y, self._inner() + 40) if self.frame.y else []

    def draw(self, **layout: Any) -> tuple[go.Figure, list[Panel]]:
        """The figure without traces, and its panels."""
        frame = self.frame
        title = wrapped(frame.title, WIDTH - 40, _TITLE_SIZE) if frame.title else []
        subtitle = wrapped(frame.subtitle, WIDTH - 40) if frame.subtitle else []
        above = 10 + _TITLE_LINE * len(title)
        legend = _LEGEND_LINE * self._legend_lines() + 8 if frame.legend else 0
        top = above + legend + (_TEXT_LINE * len(subtitle) + 6 if subtitle else 0)
        top += _PANEL_TITLE if any(self.labels) else 8
        bottom = frame.ticks_below + _TEXT_LINE + 14
        height = top + self._inner() + bottom
        figure = new_figure(
            height,
            margin={"l": self.left, "r": frame.right, "t": top, "b": bottom, "autoexpand": False},
            legend={
                "title": {
                    "text": f"{shown(frame.legend_title)}  ",
                    "font": {"size": _TEXT_SIZE},
                    # beside several lines it would push them out of the figure
                    "side": "left" if self._legend_lines() < 2 else "top",
                },
                "yref": "container",
                "y": 1 - above / height,
                "yanchor": "top",
                "font": {"size": _TEXT_SIZE},
            },
            **layout,
        )
        if title:
            text = "<br>".join(f"<b>{shown(line)}</b>" for line in title)
            _above(figure, text, _TITLE_SIZE, 16 - self.left, top - 6)
        if subtitle:
            _above(figure, "<br>".join(map(shown, subtitle)), _TEXT_SIZE, 16 - self.left, top - above)
        panels = [self._panel(number) for number in range(len(self.labels))]
        for panel in panels:
            self._axes(figure, panel)
        if frame.y:
            _beside(figure, "<br>".join(map(shown, self._y_lines())), 12 - self.left)
        return figure, panels

    def _legend_lines(self) -> int:
        """Lines of the legend; where the entries need several, its title has one of its own."""
        if not self.frame.legend:
            return 0
        widths = [text_width(entry) + 44 for entry in self.frame.legend]
        space = WIDTH - self.left - self.frame.right
        if sum(widths) + text_width(self.frame.legend_title) + 16 <= space:
            return 1
        across = max(1, int(space // max(widths)))  # plotly sets them in columns of one width
        return ceil(len(widths) / across) + 1

    def _panel(self, number: int) -> Panel:
        row, column = divmod(number, self.across)
        whole = WIDTH - self.left - self.frame.right
        start = column * (self.width + _GAP) / whole
        high = 1 - row * (self.height + self._between()) / self._inner()
        return Panel(
            self.labels[number],
            number,
            column == 0,
            number + self.across >= len(self.labels),
            (start, min(1.0, start + self.width / whole)),
            (max(0.0, high - self.height / self._inner()), high),
        )

    def _axes(self, figure: go.Figure, panel: Panel) -> None:
        common: dict[str, Any] = {"automargin": False, "tickfont": {"size": _TEXT_SIZE}}
        x = {**common, "domain": panel.x_domain, "anchor": f"y{panel.suffix}"}
        x["showticklabels"] = panel.lowest
        if panel.lowest:
            x["title"] = {"text": shown(self.frame.x), "font": {"size": _TEXT_SIZE}, "standoff": 6}
        y = {**common, "domain": panel.y_domain, "anchor": f"x{panel.suffix}", "showticklabels": panel.left}
        figure.update_layout({f"xaxis{panel.suffix}": x, f"yaxis{panel.suffix}": y})
        if panel.label:
            figure.add_annotation(
                x=sum(panel.x_domain) / 2,
                y=panel.y_domain[1],
                xref="paper",
                yref="paper",
                xanchor="center",
                yanchor="bottom",
                showarrow=False,
                text=f"<b>{shown(panel.label)}</b>",
                font={"size": 13},
            )


def panel_width(across: int, around: float) -> float:
    """Pixels of one of several panels side by side, with `around` pixels beside them all."""
    return (WIDTH - around - _GAP * (across - 1)) / across


def _above(figure: go.Figure, text: str, size: int, right: float, up: float) -> None:
    """A text above all panels, its top `up` pixels over theirs."""
    figure.add_annotation(
        x=0,
        y=1,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="top",
        align="left",
        xshift=right,
        yshift=up,
        showarrow=False,
        text=text,
        font={"size": size},
    )


def _beside(figure: go.Figure, text: str, shift: float) -> None:
    """A text that runs upwards at the left of all panels."""
    figure.add_annotation(
        x=0,
        y=0.5,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="middle",
        xshift=shift,
        textangle=-90,
        showarrow=False,
        text=text,
        font={"size": _TEXT_SIZE},
    )
