"""The figures beside the timeline: steps, latency, lanes."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kvsim.analysis.frames import CAUSE_NAMES
from kvsim.analysis.intervals import merge, overlap_ticks, total_ticks
from kvsim.analysis.metrics import Summary, compute_intervals
from kvsim.analysis.summaries import AnyResult, AnySummary
from kvsim.reporting import palette
from kvsim.reporting.style import new_figure
from kvsim.reporting.text import cause_title, duration_text, percent_text, time_unit
from kvsim.sim.result import RunResult
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND

MAX_STEP_BARS = 400
HISTOGRAM_BINS = 60


def steps_figure(result: RunResult) -> go.Figure:
    """Where each step's time went: compute and the causes of waiting, stacked; binned when many."""
    steps = result.records.steps
    count = steps.array().shape[0]
    size = -(-count // MAX_STEP_BARS)
    edges = np.append(np.arange(0, count, size), count)
    means = {name: _bin_means(steps.column(name), edges) for name in ("compute", *CAUSE_NAMES)}
    highest = max((float(value.max()) for value in means.values() if value.size), default=0.0)
    unit = time_unit(highest / TICKS_PER_SECOND)
    figure = new_figure(
        380,
        barmode="stack",
        xaxis={"title": {"text": f"step (each bar: mean of {size} steps)" if size > 1 else "step"}},
        yaxis={"title": {"text": f"time per step ({unit.name})"}, "rangemode": "tozero"},
        hovermode="x unified",
        legend={"itemclick": "toggle"},
    )
    colours = {"compute": palette.COMPUTE} | palette.CAUSE_COLOURS
    width = np.diff(edges)
    for name, mean in means.items():
        if name == "compute" or mean.any():
            figure.add_bar(
                x=edges[:-1] + (width - 1) / 2,
                y=mean / unit.ticks,
                width=width * (0.86 if width.size <= 80 else 1.0),
                name=cause_title(name),
                marker={"color": colours[name], "line": {"width": 0}},
                hovertemplate="%{y:.4~g} " + unit.name,
            )
    return figure


def latency_figure(result: RunResult, summary: Summary) -> go.Figure:
    """Histogram of step latency with its cumulative share and percentiles."""
    steps = result.records.steps
    latency = np.sort(steps.column("end") - steps.column("start"))
    unit = time_unit(summary.step_latency_s["p50"] or summary.step_latency_s["max"])
    values = latency / unit.ticks
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS if np.ptp(values) else 1)
    pick = np.unique(np.linspace(0, values.size - 1, min(values.size, 1_000)).astype(np.int64))
    figure = new_figure(
        380,
        margin={"r": 70},
        xaxis={"title": {"text": f"step latency ({unit.name})"}},
        yaxis={"title": {"text": "steps"}, "rangemode": "tozero"},
        yaxis2={
            "title": {"text": "share of steps at or below (%)"},
            "overlaying": "y",
            "side": "right",
            "range": [0, 102],
            "tickvals": [0, 25, 50, 75, 100],
            "showgrid": False,
            "automargin": True,
        },
        legend={"y": 1.1},
    )
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=np.diff(edges),
        name="steps",
        marker={"color": palette.COMPUTE, "line": {"width": 0}},
        hovertemplate="%{y} steps around %{x:.4~g} " + unit.name + "<extra></extra>",
    )
    figure.add_scatter(
        x=values[pick],
        y=(pick + 1) / values.size * 100,
        yaxis="y2",
        name="cumulative share",
        mode="lines",
        line={"color": palette.INK, "width": 2, "shape": "hv"},
        hovertemplate="%{y:.1f} % of steps take at most %{x:.4~g} " + unit.name + "<extra></extra>",
    )
    _percentile_lines(figure, summary, unit.length_s, float(values[0]), float(values[-1]))
    return figure


def _percentile_lines(
    figure: go.Figure, summary: Summary, unit_s: float, shortest: float, longest: float
) -> None:
    """Dotted lines; percentiles that coincide share one label."""
    named: dict[str, list[str]] = {}
    for name in ("p50", "p95", "p99"):
        named.setdefault(duration_text(summary.step_latency_s[name]), []).append(name)
    span = max(longest - shortest, 1e-30)
    for row, (value, names) in enumerate(named.items()):
        x = summary.step_latency_s[names[0]] / unit_s
        right = (x - shortest) / span > 0.8
        figure.add_vline(x=x, line={"color": palette.QUIET_INK, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=x,
            yref="paper",
            y=0.98 - 0.09 * row,
            yanchor="top",
            xanchor="right" if right else "left",
            xshift=-3 if right else 3,
            showarrow=False,
            text=f"{', '.join(names)} = {value}",
            font={"size": 11},
            bgcolor="rgba(255,255,255,0.85)",
        )


def lanes_figure(result: AnyResult, summary: AnySummary) -> go.Figure:
    """How busy each lane was and over what, and how long transfers queued for it."""
    lanes = [lane for lane in result.lanes if lane.transfers]
    names = [lane.name for lane in lanes]
    queue = [summary.links[name].mean_queue_s for name in names]
    unit = time_unit(max(queue, default=0.0))
    axis_y = {"autorange": "reversed", "ticks": "", "showgrid": False}
    longest = max(queue, default=0.0) / unit.length_s
    figure = new_figure(
        112 + 36 * len(names),
        barmode="stack",
        bargap=0.35,
        margin={"l": 130},
        xaxis={"title": {"text": "share of the run in use (%)"}, "domain": [0, 0.6], "range": [0, 112]},
        yaxis=axis_y,
        xaxis2={
            "title": {"text": f"mean time in queue ({unit.name})"},
            "domain": [0.68, 1],
            "anchor": "y2",
            "range": [0, 1.3 * longest if longest else 1],
            "showticklabels": longest > 0,
        },
        yaxis2={**axis_y, "anchor": "x2", "showticklabels": False},
    )
    totals = [0.0] * len(names)
    for title, colour, shares in _lane_shares(result, summary, names):
        totals = [total + share for total, share in zip(totals, shares, strict=True)]
        figure.add_bar(
            y=names,
            x=[share * 100 for share in shares],
            orientation="h",
            name=title,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{y}: %{x:.3~g} % " + title + "<extra></extra>",
        )
    for name, total in zip(names, totals, strict=True):
        figure.add_annotation(
            x=total * 100, y=name, text=percent_text(total), showarrow=False, xanchor="left", xshift=4
        )
    figure.add_bar(
        y=names,
        x=[value / unit.length_s for value in queue],
        orientation="h",
        xaxis="x2",
        yaxis="y2",
        showlegend=False,
        marker={"color": palette.CAUSE_COLOURS["demand_queueing"]},
        text=[duration_text(value) for value in queue],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: transfers queue %{text} on average<extra></extra>",
    )
    return figure


def _lane_shares(
    result: AnyResult, summary: AnySummary, names: list[str]
) -> list[tuple[str, str, list[float]]]:
    """Shares of the makespan in which each lane served something: under compute, under waits, neither."""
    if isinstance(result, ServingResult) or not result.records.keep_events:
        return [("in use", palette.COMPUTE, [summary.links[name].utilisation for name in names])]
    hops, stalls = result.records.hops, result.records.stalls
    compute = compute_intervals(result)
    waits = merge(stalls.column("start"), stalls.column("end"))
    lane, start, end = hops.column("lane"), hops.column("start"), hops.column("end")
    hidden, waited, neither = [], [], []
    length = max(result.makespan_ticks, 1)
    for index, info in enumerate(result.lanes):
        if info.transfers:
            mine = lane == index
            busy = merge(start[mine], np.minimum(end[mine], length))
            under = overlap_ticks(busy, compute), overlap_ticks(busy, waits)
            hidden.append(under[0] / length)
            waited.append(under[1] / length)
            neither.append((total_ticks(busy) - sum(under)) / length)
    shares = [
        ("under compute (hidden)", palette.HIDDEN, hidden),
        ("while a step waits", palette.WAITED_FOR, waited),
    ]
    return [*shares, ("between steps", palette.NEITHER, neither)] if any(neither) else shares


def _bin_means(values: NDArray[np.int64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of each bin, in floating point: these are for the eye."""
    if edges.size < 2:
        return np.zeros(0)
    sums: NDArray[np.float64] = np.add.reduceat(values.astype(np.float64), edges[:-1])
    means: NDArray[np.float64] = sums / np.diff(edges)
    return means
