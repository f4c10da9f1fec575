"""The figure of tier occupancy: a panel a tier, each with a scale of its own."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from kvsim.analysis.intervals import Ticks
from kvsim.analysis.occupancy import Occupancy, occupancy
from kvsim.analysis.summaries import AnyResult
from kvsim.reporting import palette
from kvsim.reporting.style import new_figure
from kvsim.reporting.text import bytes_text, percent_text, time_unit
from kvsim.units import TICKS_PER_SECOND

OCCUPANCY_BINS = 1_000
_PANEL_PX, _GAP_PX = 108, 34


def occupancy_figure(result: AnyResult) -> go.Figure:
    """Bytes used in each tier over time, one panel a tier."""
    curves = occupancy(result)
    end = max(result.makespan_ticks, *(int(curve.times[-1]) for curve in curves), 1)
    unit = time_unit(end / TICKS_PER_SECOND)
    plot = len(curves) * (_PANEL_PX + _GAP_PX)
    figure = new_figure(plot + 70, margin={"t": 14, "b": 56, "l": 90}, showlegend=False, hovermode="closest")
    for index, (curve, tier) in enumerate(zip(curves, result.tiers, strict=True)):
        top = 1 - (index * (_PANEL_PX + _GAP_PX) + _GAP_PX) / plot
        _panel(figure, index, curve, end, unit.ticks, (max(0.0, top - _PANEL_PX / plot), top))
        share = percent_text(tier.peak_bytes / tier.capacity_bytes) if tier.capacity_bytes else "0 %"
        peak, capacity = bytes_text(tier.peak_bytes), bytes_text(tier.capacity_bytes)
        figure.add_annotation(
            xref="paper",
            yref="paper",
            x=0,
            y=top,
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            text=f"<b>{tier.name}</b>  peak {peak} of {capacity} ({share})",
        )
    number = "" if len(curves) == 1 else str(len(curves))
    bottom = {"title": {"text": f"time ({unit.name})"}, "showticklabels": True}
    figure.update_layout({f"xaxis{number}": bottom})
    return figure


def _panel(
    figure: go.Figure, index: int, curve: Occupancy, end: int, unit_ticks: float, domain: tuple[float, float]
) -> None:
    number = "" if index == 0 else str(index + 1)
    times, used = _thinned(curve, end)
    times, used = np.append(times, end), np.append(used, used[-1])
    peak = int(used.max())
    scale, name = _byte_scale(max(peak, 1))
    near = curve.capacity_bytes <= 1.5 * peak
    top = (curve.capacity_bytes if near else max(peak, 1)) * 1.08 / scale
    axis_x: dict[str, object] = {"anchor": f"y{number}", "showticklabels": False}
    axis_x["range"] = [0, end / unit_ticks]
    if index:
        axis_x["matches"] = "x"
    axis_y = {
        "anchor": f"x{number}",
        "domain": domain,
        "range": [0, top],
        "title": {"text": name},
        "nticks": 4,
        "fixedrange": True,
    }
    figure.update_layout({f"xaxis{number}": axis_x, f"yaxis{number}": axis_y})
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    figure.add_scatter(
        x=times / unit_ticks,
        y=used / scale,
        mode="lines",
        line={"shape": "hv", "width": 1, "color": "#3D5A80"},
        fill="tozeroy",
        fillcolor="rgba(61,90,128,0.18)",
        hovertemplate="%{y:.4~g} " + name + " at %{x:.6~g}<extra>" + curve.tier + "</extra>",
        **axes,
    )
    if near:
        figure.add_scatter(
            x=[0, end / unit_ticks],
            y=[curve.capacity_bytes / scale] * 2,
            mode="lines",
            line={"color": palette.INK, "width": 1, "dash": "dash"},
            hovertemplate="capacity<extra>" + curve.tier + "</extra>",
            **axes,
        )


def _thinned(curve: Occupancy, end: int) -> tuple[Ticks, Ticks]:
    """The first, lowest, highest and last point of each time bin: the outline at screen resolution."""
    if curve.times.size <= 4 * OCCUPANCY_BINS:
        return curve.times, curve.used_bytes
    bins = np.minimum(curve.times // max(1, end // OCCUPANCY_BINS), OCCUPANCY_BINS)
    by_level = np.lexsort((curve.used_bytes, bins))
    edge = np.flatnonzero(np.diff(bins[by_level]))
    lowest, highest = by_level[np.append(0, edge + 1)], by_level[np.append(edge, bins.size - 1)]
    turn = np.flatnonzero(np.diff(bins))
    ends = np.concatenate(([0], turn, turn + 1, [bins.size - 1]))
    keep = np.unique(np.concatenate((lowest, highest, ends)))
    return curve.times[keep], curve.used_bytes[keep]


def _byte_scale(size: int) -> tuple[int, str]:
    for power, name in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            return 1 << power, name
    return 1, "bytes"
