"""The timeline figure: steps, compute, waits and every lane over one time axis.

Up to `MAX_BARS` intervals are drawn as bars. Beyond, plotly's bars take minutes, so intervals become thick
WebGL line segments under a heatmap of how busy each row is. The report page draws even those by itself:
of all segments only what the screen can show, and details of what is under the pointer (see `page.py`).
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kvsim.analysis.intervals import binned_cover, merge
from kvsim.reporting import palette
from kvsim.reporting.style import new_figure
from kvsim.reporting.text import WEIGHTS, TimeUnit, bytes_text, count_text, duration_text, time_unit
from kvsim.reporting.timeline_data import Group, Timeline, collect, window
from kvsim.sim.result import RunResult
from kvsim.units import TICKS_PER_SECOND

MAX_BARS = 2_000
MAX_SEGMENTS = 200_000
"""Intervals drawn at most; of longer runs the stretch with the most waiting is drawn."""
OVERVIEW_BINS = 2_000

_SLOT_PX, _OVERVIEW_ROW_PX, _GAP_PX = 24, 15, 34
_TOP_PX, _BOTTOM_PX = 78, 52


def timeline_figure(result: RunResult) -> go.Figure:
    """The timeline of a run with event records.

    `layout.meta` tells the report's script how to show details: see `page.py`.
    """
    whole = collect(result)
    shown, (low, high) = window(whole, MAX_SEGMENTS)
    unit = time_unit(whole.end / TICKS_PER_SECOND)
    large = whole.count > MAX_BARS
    figure = _frame(whole, unit, large, (low, high))
    for group in shown.groups:
        if group.start.size:
            figure.add_trace(_segments(group, unit) if large else _bars(group, unit, _slot_titles(whole)))
    if large:
        figure.add_trace(_overview(whole, unit))
    return figure


def timeline_note(result: RunResult) -> str:
    """What of the run the timeline shows, in a sentence; empty if all of it."""
    whole = collect(result)
    shown, (low, high) = window(whole, MAX_SEGMENTS)
    if shown is whole:
        return ""
    return (
        f"The run has {count_text(whole.count)} intervals. The bars are the {count_text(shown.count)} of the "
        f"stretch with the most waiting, from {duration_text(low / TICKS_PER_SECOND)} to "
        f"{duration_text(high / TICKS_PER_SECOND)}; the strip above them covers the whole run (double-click "
        "twice)."
    )


def _frame(timeline: Timeline, unit: TimeUnit, large: bool, shown: tuple[int, int]) -> go.Figure:
    """Axes, row labels, separators and legends."""
    slot_px = _SLOT_PX if timeline.slots <= 24 else 15
    main_px = slot_px * timeline.slots
    over_px = _OVERVIEW_ROW_PX * len(timeline.rows) + _GAP_PX if large else 0
    plot_px = main_px + over_px
    centres = [row.first_slot + (row.slots - 1) / 2 for row in timeline.rows]
    titles = [row.title for row in timeline.rows]
    figure = new_figure(
        plot_px + _TOP_PX + _BOTTOM_PX,
        margin={"l": 130, "r": 24, "t": _TOP_PX, "b": _BOTTOM_PX},
        barmode="overlay",
        hovermode="closest",
        dragmode="zoom",
        meta={"titles": _slot_titles(timeline), "unit": unit.name, "unit_s": unit.length_s},
        xaxis={"title": {"text": f"time ({unit.name})"}, "range": [0, timeline.end / unit.ticks]},
        yaxis={
            "tickvals": centres,
            "ticktext": titles,
            "range": [timeline.slots - 0.5, -0.5],
            "fixedrange": True,
            "showgrid": False,
            "ticks": "",
            "domain": [0, main_px / plot_px],
        },
        legend=_legend("step:", 1 + 26 / plot_px),
        legend2=_legend("lanes:", 1 + 2 / plot_px),
    )
    for row in timeline.rows[1:]:
        _separator(figure, row.first_slot - 0.5)
    if large:
        figure.update_layout(
            xaxis2={"matches": "x", "anchor": "y2", "showticklabels": False, "ticks": "", "showgrid": False},
            yaxis2={
                "domain": [1 - (over_px - _GAP_PX) / plot_px, 1],
                "anchor": "x2",
                "tickvals": list(range(len(titles))),
                "ticktext": titles,
                "tickfont": {"size": 11},
                "range": [len(titles) - 0.5, -0.5],
                "fixedrange": True,
                "showgrid": False,
                "ticks": "",
            },
        )
        if shown != (0, timeline.end):
            figure.update_xaxes(range=[shown[0] / unit.ticks, shown[1] / unit.ticks])
    return figure


def _slot_titles(timeline: Timeline) -> list[str]:
    return [row.title for row in timeline.rows for _ in range(row.slots)]


def _legend(title: str, y: float) -> dict[str, object]:
    return {
        "title": {"text": title, "side": "left", "font": {"size": 13, "color": palette.QUIET_INK}},
        "orientation": "h",
        "x": 0,
        "y": y,
        "yanchor": "bottom",
        "traceorder": "normal",
        "itemsizing": "constant",
    }


def _separator(figure: go.Figure, y: float) -> None:
    line = {"color": palette.GRID, "width": 1}
    figure.add_shape(type="line", xref="paper", x0=0, x1=1, yref="y", y0=y, y1=y, line=line, layer="below")


def _common(group: Group) -> dict[str, object]:
    return {
        "name": group.title,
        "legend": "legend2" if group.kind == "transfer" else "legend",
        "showlegend": group.kind != "step",
        "meta": group.kind,
    }


def _bars(group: Group, unit: TimeUnit, titles: list[str]) -> go.Bar:
    return go.Bar(
        orientation="h",
        base=group.start / unit.ticks,
        x=(group.end - group.start) / unit.ticks,
        y=group.slot,
        width=0.78,
        marker={"color": group.colour, "line": {"width": 0}},
        customdata=_hover_texts(group, unit, titles),
        hovertemplate="%{customdata}<extra></extra>",
        **_common(group),
    )


def _segments(group: Group, unit: TimeUnit) -> go.Scattergl:
    """Each interval is two points and a gap; typed arrays keep the page small."""
    x = np.full((group.start.size, 3), np.nan)
    x[:, 0], x[:, 1] = group.start / unit.ticks, group.end / unit.ticks
    small = np.abs(group.detail[:, :4]).max(initial=0) < 1 << 24
    detail = group.detail.astype(np.float32) if small else group.detail
    return go.Scattergl(
        x=x.ravel(),
        y=np.repeat(group.slot, 3).astype(np.uint8),
        mode="lines",
        line={"color": group.colour, "width": 13},
        customdata=detail,
        hoverinfo="skip",
        **_common(group),
    )


def _overview(timeline: Timeline, unit: TimeUnit) -> go.Heatmap:
    """Share of each bin in which a row was in use."""
    bins = min(OVERVIEW_BINS, timeline.end)
    edges = np.linspace(0, timeline.end, bins + 1).astype(np.int64)
    slots = np.concatenate([group.slot for group in timeline.groups])
    start = np.concatenate([group.start for group in timeline.groups])
    end = np.concatenate([group.end for group in timeline.groups])
    used: NDArray[np.float64] = np.zeros((len(timeline.rows), bins))
    for index, row in enumerate(timeline.rows):
        mine = (slots >= row.first_slot) & (slots < row.first_slot + row.slots)
        used[index] = binned_cover(merge(start[mine], end[mine]), edges) / np.diff(edges)
    return go.Heatmap(
        z=np.rint(used * 100).astype(np.uint8),
        x0=timeline.end / bins / 2 / unit.ticks,
        dx=timeline.end / bins / unit.ticks,
        xaxis="x2",
        yaxis="y2",
        zmin=0,
        zmax=100,
        colorscale=[list(stop) for stop in palette.INTENSITY],
        showscale=False,
        hovertemplate="%{x:.4~g} " + unit.name + ": in use %{z} %<extra></extra>",
    )


def _hover_texts(group: Group, unit: TimeUnit, titles: list[str]) -> list[str]:
    texts = []
    places = zip(group.start.tolist(), group.end.tolist(), group.slot.tolist(), strict=True)
    for (start, end, slot), detail in zip(places, group.detail.tolist(), strict=True):
        step, page, pages, size, waited = (int(value) for value in detail)
        lines = [f"<b>{_heading(group, titles[slot], step, page)}</b>"]
        if group.kind in ("transfer", "stall") and pages >= 0:
            lines.append(f"{_pages_text(page, pages)} · {bytes_text(size)} · step {step}")
        if group.kind == "transfer":
            lines.append(f"queued {duration_text(waited / TICKS_PER_SECOND)}")
        lines.append(
            f"{start / unit.ticks:.8g} to {end / unit.ticks:.8g} {unit.name}"
            f" ({duration_text((end - start) / TICKS_PER_SECOND)})"
        )
        texts.append("<br>".join(lines))
    return texts


def _heading(group: Group, row: str, step: int, page: int) -> str:
    if group.kind == "step":
        return f"step {step}"
    if group.kind == "compute":
        return f"compute, step {step}, layer {page}"
    return f"waits: {group.title}" if group.kind == "stall" else f"{group.title} on {row}"


def _pages_text(page: int, pages: int) -> str:
    if not pages:
        return WEIGHTS
    return f"page {page}" if pages == 1 else f"pages {page} to {page + pages - 1}"
