"""What ran when: the iterations of every instance, and the transfers of blocks over every lane.

Up to `MAX_BARS` intervals are drawn as bars; beyond, a heatmap shows for every row how much of the time it
was in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kvsim.analysis.frames import CLASS_NAMES
from kvsim.analysis.intervals import Ticks, binned_cover, merge
from kvsim.reporting import palette
from kvsim.reporting.serving_figures import LEGEND_BELOW
from kvsim.reporting.style import new_figure
from kvsim.reporting.text import TimeUnit, bytes_text, class_title, count_text, duration_text, time_unit
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND

__all__ = ["MAX_BARS", "serving_timeline"]

MAX_BARS = 2_000
BINS = 1_500
_ROW_PX = 30
PROMPTS, MIXED, DECODE = "prompts", "prompts and decode", "decode"
_KINDS = {PROMPTS: "#E69F00", MIXED: "#F0C66B", DECODE: palette.COMPUTE}


@dataclass(frozen=True, slots=True)
class Bars:
    """Intervals of one row and one colour."""

    row: str
    title: str
    colour: str
    start: Ticks
    end: Ticks
    notes: NDArray[np.int64]
    """Of iterations: how many, sequences that decode, tokens of prompts; of transfers: request, bytes,
    ticks in the queue."""
    of_lane: bool


def serving_timeline(result: ServingResult) -> go.Figure:
    """Iterations, and transfers where they were recorded."""
    groups = [group for group in (*_iterations(result), *_transfers(result)) if group.start.size]
    last = max((int(group.end.max()) for group in groups), default=0)
    end = max(result.makespan_ticks, last, 1)
    unit = time_unit(end / TICKS_PER_SECOND)
    small = sum(group.start.size for group in groups) <= MAX_BARS
    rows = list(dict.fromkeys(group.row if small else _heat_row(group) for group in groups))
    figure = new_figure(
        _ROW_PX * max(len(rows), 1) + 130,
        barmode="overlay",
        hovermode="closest",
        margin={"l": 130, "t": 34, "b": 52},
        legend=LEGEND_BELOW,
        xaxis={"title": {"text": f"time ({unit.name})"}, "range": [0, end / unit.ticks]},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": rows[::-1],
            "fixedrange": True,
            "showgrid": False,
            "ticks": "",
        },
    )
    if small:
        named: set[str] = set()
        for group in groups:
            figure.add_trace(_drawn(group, unit, group.title not in named))
            named.add(group.title)
    else:
        figure.add_trace(_heat(groups, rows, end, unit))
    return figure


def _iterations(result: ServingResult) -> Iterator[Bars]:
    table = result.records.iterations
    names = ("instance", "start", "end", "iterations", "decoding", "prompt")
    instance, start, end, steps, decoding, prompt = map(table.column, names)
    notes = np.stack((steps, decoding, prompt), axis=1)
    kinds = {
        PROMPTS: (prompt > 0) & (decoding == 0),
        MIXED: (prompt > 0) & (decoding > 0),
        DECODE: prompt == 0,
    }
    several = len(result.busy_ticks) > 1
    for number in range(len(result.busy_ticks)):
        row = f"instance {number}" if several else "iterations"
        for title, kind in kinds.items():
            mine = kind & (instance == number)
            yield Bars(row, title, _KINDS[title], start[mine], end[mine], notes[mine], False)


def _transfers(result: ServingResult) -> Iterator[Bars]:
    hops, moves = result.records.hops, result.records.transfers
    order = np.argsort(moves.column("transfer"), kind="stable")
    numbers = moves.column("transfer")[order]
    place = order[np.searchsorted(numbers, hops.column("transfer"))] if order.size else order
    cls, request = moves.column("cls")[place], moves.column("step")[place]
    lane, queued, start, end = map(hops.column, ("lane", "queued", "start", "end"))
    notes = np.stack((request, hops.column("bytes"), start - queued), axis=1)
    for index, info in enumerate(result.lanes):
        for number, name in enumerate(CLASS_NAMES):
            mine = (lane == index) & (cls == number)
            colour = palette.CLASS_COLOURS[name]
            yield Bars(info.name, class_title(name), colour, start[mine], end[mine], notes[mine], True)


def _drawn(group: Bars, unit: TimeUnit, first: bool) -> go.Bar:
    return go.Bar(
        orientation="h",
        base=group.start / unit.ticks,
        x=(group.end - group.start) / unit.ticks,
        y=[group.row] * group.start.size,
        width=0.78,
        name=group.title,
        legendgroup=group.title,
        showlegend=first,
        marker={"color": group.colour, "line": {"width": 0 if group.of_lane else 0.5, "color": "#FFFFFF"}},
        customdata=_hover_texts(group, unit),
        hovertemplate="%{customdata}<extra></extra>",
    )


def _hover_texts(group: Bars, unit: TimeUnit) -> list[str]:
    texts = []
    for start, end, notes in zip(group.start.tolist(), group.end.tolist(), group.notes.tolist(), strict=True):
        lines = [f"<b>{group.title}</b> on {group.row}" if group.of_lane else f"<b>{group.title}</b>"]
        if group.of_lane:
            request, size, queued = notes
            lines.append(f"request {request} · {bytes_text(size)}")
            lines.append(f"queued {duration_text(queued / TICKS_PER_SECOND)}")
        else:
            steps, decoding, prompt = notes
            lines.append(f"{count_text(steps)} iteration{'' if steps == 1 else 's'}")
            lines.append(f"{count_text(decoding)} decode · {count_text(prompt)} tokens of prompts")
        length = duration_text((end - start) / TICKS_PER_SECOND)
        lines.append(f"{start / unit.ticks:.8g} to {end / unit.ticks:.8g} {unit.name} ({length})")
        texts.append("<br>".join(lines))
    return texts


def _heat(groups: list[Bars], rows: list[str], end: int, unit: TimeUnit) -> go.Heatmap:
    """Share of each bin in which a row was in use, iterations with prompts and others apart."""
    bins = min(BINS, end)
    edges = np.linspace(0, end, bins + 1).astype(np.int64)
    used = np.zeros((len(rows), bins))
    for index, row in enumerate(rows):
        mine = [group for group in groups if _heat_row(group) == row]
        start = np.concatenate([group.start for group in mine])
        stop = np.concatenate([group.end for group in mine])
        used[index] = binned_cover(merge(start, stop), edges) / np.diff(edges)
    return go.Heatmap(
        z=np.rint(used * 100).astype(np.uint8),
        x0=end / bins / 2 / unit.ticks,
        dx=end / bins / unit.ticks,
        y=rows,
        ygap=3,
        zmin=0,
        zmax=100,
        colorscale=[list(stop) for stop in palette.INTENSITY],
        showscale=False,
        hovertemplate="%{y}, %{x:.4~g} " + unit.name + ": in use %{z} %<extra></extra>",
    )


def _heat_row(group: Bars) -> str:
    if group.of_lane:
        return group.row
    where = "" if group.row == "iterations" else f"{group.row}: "
    return where + ("decode only" if group.title == DECODE else "with prompts")
