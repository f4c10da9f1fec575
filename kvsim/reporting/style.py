"""What all figures share: fonts, axes, margins, and how a figure becomes part of a page."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

from kvsim.reporting import palette

FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
AXIS = {
    "gridcolor": palette.GRID,
    "linecolor": "#9AA5B1",
    "showline": True,
    "zeroline": False,
    "ticks": "outside",
    "tickcolor": "#9AA5B1",
    "ticklen": 4,
    "title": {"standoff": 10, "font": {"size": 13}},
    "automargin": True,
}


def new_figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure in the house style; `height` in pixels."""
    figure = go.Figure()
    figure.update_layout(
        template={"layout": {"xaxis": AXIS, "yaxis": AXIS}},
        height=height,
        margin={"l": 70, "r": 24, "t": 44, "b": 48},
        font={"family": FONT, "size": 13, "color": palette.INK},
        paper_bgcolor=palette.PAPER,
        plot_bgcolor=palette.PAPER,
        hoverlabel={"bgcolor": "#FFFFFF", "bordercolor": "#9AA5B1", "font": {"size": 12}, "align": "left"},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        bargap=0,
    )
    figure.update_layout(**layout)
    return figure


def embed(figure: go.Figure, div_id: str) -> str:
    """The figure as an HTML fragment with a fixed id; the page must have defined `kvsimPlot` before.

    `to_json` escapes `<`, `>` and `/`, so no text in a figure can end the script element.
    """
    height = figure.layout.height
    drawing: str = pio.to_json(figure)
    return (
        f'<div id="{div_id}" class="figure" style="height:{height}px"></div>\n'
        f'<script>kvsimPlot("{div_id}",{drawing});</script>'
    )
