"""The figures of a run of requests: load over time, latencies, what the time went to, hits."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kvsim.analysis.intervals import Ticks
from kvsim.analysis.serving import ServingSummary
from kvsim.analysis.serving_times import PHASES, TokenGaps, latencies, token_gaps
from kvsim.reporting import palette
from kvsim.reporting.serving_text import NOWHERE, PHASE_COLOURS, phase_title, tier_colours
from kvsim.reporting.style import new_figure
from kvsim.reporting.text import TimeUnit, duration_text, time_unit
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND

__all__ = ["LEGEND_BELOW", "hits_figure", "latencies_figure", "load_figure", "phases_figure"]

LOAD_BINS = 240
HIT_BINS = 120
MAX_REQUEST_BARS = 160
_POINTS, _GAP_POINTS = 400, 160
_PANEL_PX, _GAP_PX = 120, 44
LEGEND_BELOW = {"yref": "container", "y": 0, "yanchor": "bottom"}
"""For legends of many entries, which would run into the buttons above the figure on a narrow screen."""
Floats = NDArray[np.float64]


def load_figure(result: ServingResult) -> go.Figure:
    """How many come and end, queue and are served, and decode together: three panels over time."""
    of = result.records.requests
    end = max(result.makespan_ticks, 1)
    unit = time_unit(end / TICKS_PER_SECOND)
    edges = np.linspace(0, end, LOAD_BINS + 1)
    coarse = edges[:: LOAD_BINS // _bins(result.requests, LOAD_BINS)]
    arrival, admitted, ended = of.column("arrival"), of.column("admitted"), of.column("end")
    table = result.records.iterations
    decoding = _mean_count(table.column("start"), table.column("end"), edges, table.column("decoding"))
    width_s = float(coarse[1]) / TICKS_PER_SECOND
    panels: list[tuple[str, list[tuple[str, str, Floats]]]] = [
        (
            "requests/s",
            [
                ("arrive", palette.CLASS_COLOURS["write_back"], np.histogram(arrival, coarse)[0] / width_s),
                ("end", palette.CLASS_COLOURS["prefetch"], np.histogram(ended, coarse)[0] / width_s),
            ],
        ),
        (
            "requests",
            [
                ("queue", PHASE_COLOURS["memory"], _mean_count(arrival, admitted, edges)),
                ("admitted", palette.QUIET_INK, _mean_count(admitted, ended, edges)),
            ],
        ),
        ("sequences that decode together", [("decode", palette.CLASS_COLOURS["demand"], decoding)]),
    ]
    plot = len(panels) * (_PANEL_PX + _GAP_PX)
    figure = new_figure(plot + 60, margin={"t": 10, "b": 50, "l": 70}, showlegend=False, hovermode="x")
    for index, (title, curves) in enumerate(panels):
        top = 1 - (index * (_PANEL_PX + _GAP_PX) + _GAP_PX) / plot
        _load_panel(figure, index, len(panels), (top - _PANEL_PX / plot, top), unit, end)
        named = " ".join(
            f'<span style="color:{colour}">● {name}</span>' for name, colour, _ in curves if len(curves) > 1
        )
        _panel_title(figure, top, f"<b>{title}</b>" + (f": {named}" if named else ""))
        axes = {"xaxis": f"x{index + 1 if index else ''}", "yaxis": f"y{index + 1 if index else ''}"}
        for name, colour, values in curves:
            figure.add_scatter(
                x=np.linspace(0, end, values.size + 1) / unit.ticks,
                y=np.append(values, values[-1]),
                mode="lines",
                line={"shape": "hv", "width": 1.5, "color": colour},
                name=name,
                hovertemplate="%{y:.4~g} " + name + "<extra></extra>",
                **axes,
            )
    return figure


def _bins(requests: int, most: int) -> int:
    """So few bins that there are some requests in each, a divisor of the most."""
    wanted = min(max(requests // 4, most // 10), most)
    return next(bins for bins in range(wanted, 0, -1) if most % bins == 0)


def _load_panel(
    figure: go.Figure, index: int, count: int, domain: tuple[float, float], unit: TimeUnit, end: int
) -> None:
    number, last = "" if index == 0 else str(index + 1), index == count - 1
    axis_x: dict[str, object] = {"anchor": f"y{number}", "showticklabels": last}
    axis_x["range"] = [0, end / unit.ticks]
    if last:
        axis_x["title"] = {"text": f"time ({unit.name})"}
    if index:
        axis_x["matches"] = "x"
    axis_y = {"anchor": f"x{number}", "domain": domain, "rangemode": "tozero", "nticks": 5}
    figure.update_layout({f"xaxis{number}": axis_x, f"yaxis{number}": {**axis_y, "fixedrange": True}})


def _panel_title(figure: go.Figure, top: float, text: str) -> None:
    figure.add_annotation(
        xref="paper", yref="paper", x=0, y=top, xanchor="left", yanchor="bottom", showarrow=False, text=text
    )


def _mean_count(start: Ticks, end: Ticks, edges: Floats, weights: Ticks | None = None) -> Floats:
    """How many of the intervals [start, end) there are, on average over each bin; for the eye, in floats."""
    weight = np.ones(start.shape) if weights is None else weights.astype(np.float64)
    area = _area(start, weight, edges) - _area(end, weight, edges)
    means: Floats = np.diff(area) / np.diff(edges)
    return np.maximum(means, 0.0)


def _area(points: Ticks, weight: Floats, times: Floats) -> Floats:
    """Integral up to each time of how many of the points are past."""
    order = np.argsort(points, kind="stable")
    ordered = points[order].astype(np.float64)
    many = np.concatenate(([0.0], np.cumsum(weight[order])))
    moments = np.concatenate(([0.0], np.cumsum(weight[order] * ordered)))
    place = np.searchsorted(ordered, times, side="right")
    area: Floats = many[place] * times - moments[place]
    return area


def latencies_figure(result: ServingResult, summary: ServingSummary) -> go.Figure:
    """Which share of requests has its first token, all tokens, … within a time; objectives dotted."""
    times = latencies(result)
    curves = [
        ("TTFT", palette.CLASS_COLOURS["demand"], "requests", *_steps(times.ttft)),
        ("TPOT", palette.CLASS_COLOURS["write_back"], "requests", *_steps(times.tpot[times.has_tpot])),
        ("ITL", palette.CLASS_COLOURS["background"], "tokens", *_gap_steps(token_gaps(result))),
        ("arrival to end", palette.INK, "requests", *_steps(times.total)),
    ]
    figure = new_figure(
        400,
        xaxis={"type": "log", "title": {"text": "time (logarithmic)"}},
        yaxis={"title": {"text": "share at or below (%)"}, "range": [0, 102], "fixedrange": True},
        legend=LEGEND_BELOW,
    )
    for name, colour, of, values, shares in curves:
        if values.size:
            figure.add_scatter(
                x=values,
                y=shares * 100,
                mode="lines",
                name=name,
                line={"color": colour, "width": 2, "shape": "hv"},
                customdata=[duration_text(value) for value in values.tolist()],
                hovertemplate=f"{name}: %{{y:.1f}} % of {of} within %{{customdata}}<extra></extra>",
            )
    seen = np.concatenate([values for *_, values, _ in curves if values.size] or [np.ones(1)])
    low, high = np.floor(np.log10(seen.min())), np.ceil(np.log10(seen.max()))
    powers = range(int(low), int(high) + 1)
    figure.update_xaxes(
        range=[float(np.log10(seen.min())) - 0.1, float(np.log10(seen.max())) + 0.1],
        tickvals=[10.0**power for power in powers],
        ticktext=[_decade_text(power) for power in powers],
    )
    _objective_lines(figure, summary)
    return figure


def _decade_text(power: int) -> str:
    """A power of ten in seconds, such as `10 ms`."""
    unit = time_unit(10.0**power)
    return f"{round(10.0**power / unit.length_s):,} {unit.name}"


def _steps(ticks: Ticks) -> tuple[Floats, Floats]:
    """Values above 0 in seconds, and the share of all at or below each; thinned out to what can be seen."""
    ordered = np.sort(ticks)
    if not ordered.size:
        return np.empty(0), np.empty(0)
    pick = np.unique(np.linspace(0, ordered.size - 1, min(ordered.size, _POINTS)).astype(np.int64))
    pick = pick[ordered[pick] > 0]
    return ordered[pick] / TICKS_PER_SECOND, (pick + 1) / ordered.size


def _gap_steps(gaps: TokenGaps) -> tuple[Floats, Floats]:
    """The same of the times between tokens, at times spread evenly over the decades."""
    if not gaps.count or not gaps.longest:
        return np.empty(0), np.empty(0)
    values = np.geomspace(max(1, gaps.ranked(1)), gaps.longest, _GAP_POINTS)
    shares = np.array([gaps.at_most(int(np.ceil(value))) / gaps.count for value in values])
    return values / TICKS_PER_SECOND, shares


def _objective_lines(figure: go.Figure, summary: ServingSummary) -> None:
    colours = {"ttft": palette.CLASS_COLOURS["demand"], "tpot": palette.CLASS_COLOURS["write_back"]}
    for row, (name, limit) in enumerate(summary.objectives_s.items()):
        if not limit:
            continue
        low, high = figure.layout.xaxis.range
        right = (np.log10(limit) - low) / (high - low) > 0.75
        figure.add_vline(x=limit, line={"color": colours[name], "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=float(np.log10(limit)),
            yref="paper",
            y=0.04 + 0.08 * row,
            yanchor="bottom",
            xanchor="right" if right else "left",
            xshift=-3 if right else 3,
            showarrow=False,
            text=f"{name.upper()} ≤ {duration_text(limit)}",
            font={"size": 11, "color": colours[name]},
            bgcolor="rgba(255,255,255,0.85)",
        )


def phases_figure(result: ServingResult) -> go.Figure:
    """What the time of requests went to, in order of arrival; several in a bar where there are many."""
    table = result.records.requests
    order = np.argsort(table.column("request"), kind="stable")
    size = max(1, -(-order.size // MAX_REQUEST_BARS))
    starts = np.arange(0, order.size, size)
    width = np.diff(np.append(starts, order.size))
    means = {
        phase: np.add.reduceat(table.column(phase)[order].astype(np.float64), starts) / width
        for phase in PHASES
    }
    highest = max(float(np.sum(list(means.values()), axis=0).max()), 0.0)
    unit = time_unit(highest / TICKS_PER_SECOND)
    many = f" (mean of {size})" if size > 1 else ""
    figure = new_figure(
        420,
        barmode="stack",
        xaxis={"title": {"text": f"request, by arrival{many}"}},
        yaxis={"title": {"text": f"time per request ({unit.name})"}, "rangemode": "tozero"},
        hovermode="x unified",
        legend={"itemclick": "toggle", **LEGEND_BELOW},
    )
    for phase in ("compute", *PHASES[:-1]):
        mean = means[phase]
        if mean.any():
            figure.add_bar(
                x=starts + (width - 1) / 2,
                y=mean / unit.ticks,
                width=width * (0.86 if width.size <= 80 else 1.0),
                name=phase_title(phase),
                marker={"color": PHASE_COLOURS[phase], "line": {"width": 0}},
                hovertemplate="%{y:.4~g} " + unit.name,
            )
    return figure


def hits_figure(result: ServingResult) -> go.Figure:
    """Where the blocks of prompts were found, by the time of admission."""
    of = result.records.requests
    end = max(int(of.column("admitted").max(initial=0)), 1)
    unit = time_unit(end / TICKS_PER_SECOND)
    bins = _bins(result.requests, HIT_BINS)
    edges = np.linspace(0, end, bins + 1)
    place = np.clip(np.searchsorted(edges, of.column("admitted"), side="right") - 1, 0, bins - 1)
    tiers = [tier.name for tier in result.scenario.hierarchy.tiers]
    blocks = _binned(of.column("blocks"), place, bins)
    counts = {tier: _binned(of.column(f"found_{level}"), place, bins) for level, tier in enumerate(tiers)}
    counts[NOWHERE] = blocks - sum(counts.values())
    figure = new_figure(
        340,
        barmode="stack",
        xaxis={"title": {"text": f"time of admission ({unit.name})"}, "range": [0, end / unit.ticks]},
        yaxis={"title": {"text": "blocks of prompts (%)"}, "range": [0, 100], "fixedrange": True},
        hovermode="x unified",
        legend=LEGEND_BELOW,
    )
    colours = tier_colours(tiers)
    there = blocks > 0
    middles = ((edges[:-1] + edges[1:]) / 2 / unit.ticks)[there]
    for tier, count in counts.items():
        figure.add_bar(
            x=middles,
            y=(count[there] / blocks[there]) * 100,
            width=end / bins / unit.ticks,
            name=tier,
            marker={"color": colours[tier], "line": {"width": 0}},
            hovertemplate="%{y:.3~g} %",
        )
    return figure


def _binned(values: Ticks, place: NDArray[np.int64], bins: int) -> Floats:
    counts = np.zeros(bins)
    np.add.at(counts, place, values)
    return counts
