"""Miss ratio against capacity, as a figure and as a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from kvsim.reporting.style import new_figure

__all__ = ["mrc_figure", "mrc_html"]

Curve = tuple[Sequence[int], Sequence[float]]
MAX_MARKERS = 60


def mrc_figure(curves: Mapping[str, Curve], title: str) -> go.Figure:
    """One line a policy: capacities in pages, and the share of reads that miss."""
    figure = new_figure(
        560,
        title={"text": title, "x": 0.01},
        margin={"t": 84},
        xaxis={"title": {"text": "capacity (pages)"}, "type": "log"},
        yaxis={"title": {"text": "miss ratio (%)"}, "rangemode": "tozero"},
        hovermode="x unified",
    )
    for name, (sizes, ratios) in curves.items():
        figure.add_scatter(
            x=list(sizes),
            y=[100 * ratio for ratio in ratios],
            name=name,
            mode="lines" if len(sizes) > MAX_MARKERS else "lines+markers",
            hovertemplate="%{y:.2f} %",
        )
    return figure


def mrc_html(curves: Mapping[str, Curve], title: str) -> str:
    """A self-contained page that works offline; the same curves give the same bytes."""
    page: str = mrc_figure(curves, title).to_html(include_plotlyjs=True, full_html=True, div_id="mrc")
    return page
