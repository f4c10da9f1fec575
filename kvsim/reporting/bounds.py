"""A run between its bounds: what people see of `analysis.run_bounds`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from kvsim.analysis.metrics import Summary
from kvsim.reporting import palette
from kvsim.reporting.style import new_figure
from kvsim.reporting.text import duration_text, number_text, percent_text, time_unit

__all__ = ["Bound", "bounds_figure", "bounds_of", "bounds_sentence"]

_ROW = 40


@dataclass(frozen=True, slots=True)
class Bound:
    """One way to put the work of a run together, the run itself among them."""

    name: str
    note: str
    """What it assumes, or what it consists of."""
    time_s: float
    ratio: float | None
    """The makespan over it; None of the run itself."""
    idle_s: float
    compute_s: float
    """Of that time; what is left are transfers."""

    @property
    def ratio_text(self) -> str:
        """`1.63 ×`; empty where there is none."""
        return "" if self.ratio is None else f"{number_text(self.ratio)} ×"


def bounds_of(summary: Summary) -> Iterator[Bound]:
    """The run among its bounds, additive law first and max law last; nothing for a run without events."""
    bounds, idle, compute = summary.bounds, summary.idle_s, summary.compute_s
    if bounds is None:
        return
    law, alone = ("additive law", "one after another"), ("without contention", "no queue, no wait for room")
    yield Bound(*law, bounds.additive_law_s, bounds.additive_law_ratio, idle, compute)
    yield Bound("this run", "as simulated", summary.makespan_s, None, idle, compute)
    if bounds.critical_s is not None:
        yield Bound(*alone, bounds.critical_s, bounds.critical_ratio, idle, compute)
    whole = (idle, compute) if bounds.longest == "compute" else (0.0, 0.0)
    limit = f"perfect overlap: {bounds.longest} alone"
    yield Bound("max law", limit, bounds.max_law_s, bounds.max_law_ratio, *whole)


def bounds_sentence(summary: Summary) -> str:
    """The run between the two laws, in a sentence; empty for a run without events."""
    bounds = summary.bounds
    if bounds is None:
        return ""
    if not bounds.transfer_s:
        return "No transfer took time: there was nothing to overlap."
    text = f"One after another, compute and transfers would take {duration_text(bounds.additive_law_s)}"
    text += f", with perfect overlap {duration_text(bounds.max_law_s)} (the time of {bounds.longest})"
    if bounds.additive_law_s == bounds.max_law_s:
        return f"{text}: there was nothing to overlap."
    return f"{text}; {percent_text(bounds.overlapped)} of the difference was saved."


def bounds_figure(summary: Summary) -> go.Figure:
    """Bounds and run as bars of idle time, compute and transfers, one below the other."""
    found = list(bounds_of(summary))
    longest = max((bound.time_s for bound in found), default=0.0)
    unit = time_unit(longest)
    names = [
        f"{bound.name}<br><span style='font-size:11px'>{escape(bound.note, quote=False)}</span>"
        for bound in found
    ]
    figure = new_figure(
        110 + _ROW * len(found),
        barmode="stack",
        bargap=0.3,
        margin={"l": 210},
        xaxis={"title": {"text": f"time ({unit.name})"}, "range": [0, 1.4 * longest / unit.length_s or 1]},
        yaxis={"autorange": "reversed", "ticks": "", "showgrid": False, "automargin": False},
    )
    parts = {
        "idle (no request)": (palette.NEITHER, [bound.idle_s for bound in found]),
        "compute": (palette.COMPUTE, [bound.compute_s for bound in found]),
        "transfers, or waiting for them": (
            palette.WAITED_FOR,
            [max(0.0, bound.time_s - bound.idle_s - bound.compute_s) for bound in found],
        ),
    }
    for title, (colour, times) in parts.items():
        if any(times):
            figure.add_bar(
                y=names,
                x=[time_s / unit.length_s for time_s in times],
                orientation="h",
                name=title,
                marker={"color": colour, "line": {"width": 0}},
                hovertemplate=f"%{{x:.4~g}} {unit.name} {title}<extra></extra>",
            )
    for name, bound in zip(names, found, strict=True):
        ratio = f" · the run takes {bound.ratio_text} as long" if bound.ratio is not None else ""
        figure.add_annotation(
            x=bound.time_s / unit.length_s,
            y=name,
            text=f"<b>{duration_text(bound.time_s)}</b>{ratio}",
            showarrow=False,
            xanchor="left",
            xshift=6,
        )
    return figure
