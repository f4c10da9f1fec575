"""The figures of a study as SVG files, drawn by kaleido, which needs a Chrome or Chromium.

The same figure gives the same bytes on one machine; on another its fonts may move a text by a pixel.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
import plotly.io as pio

from kvsim.errors import KvsimError
from kvsim.reporting.study_panels import WIDTH

__all__ = ["FOLDER", "check_images", "svg_images"]

FOLDER = "figures"
"""Their folder beside the report."""

_DRAWING = re.compile(r'id="defs-([0-9a-f]{6})"')


def check_images() -> None:
    """See that images can be made here, by making one. Raises KvsimError if they cannot."""
    svg_images({"check": go.Figure(layout={"width": 10, "height": 10})})


def svg_images(figures: Mapping[str, go.Figure]) -> dict[str, str]:
    """The figures as SVG, by name. Raises KvsimError where kaleido or its browser is missing or fails."""
    if not figures:
        return {}
    drawn = {name: _with_own_ids(figure) for name, figure in figures.items()}
    heights = [figure.layout.height for figure in drawn.values()]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.svg" for name in drawn]
        try:
            # One browser draws them all.
            pio.write_images([*drawn.values()], paths, width=WIDTH, height=heights)
            texts = [path.read_text(encoding="utf-8") for path in paths]
        except Exception as error:  # kaleido and its browser raise errors of many kinds
            raise KvsimError(_reason(error)) from error
    return {name: _settled(name, text) for name, text in zip(drawn, texts, strict=True)}


def _reason(error: Exception) -> str:
    needs = "--images needs the extra `images` (pip install 'kvsim[images]') and a Chrome or Chromium"
    lines = (line.strip() for line in str(error).splitlines())
    said = next((line.rstrip(",:") for line in lines if line), type(error).__name__)
    return f"{needs}: {said}"


def _with_own_ids(figure: go.Figure) -> go.Figure:
    """A copy whose traces have ids, in place of the random ones that plotly would give them."""
    copy = go.Figure(figure)
    for number, trace in enumerate(copy.data):
        trace.uid = f"trace{number}"
    return copy


def _settled(name: str, svg: str) -> str:
    """The image with its name for the random id that plotly gives a drawing."""
    for drawing in dict.fromkeys(_DRAWING.findall(svg)):
        svg = re.sub(rf"(?<=[a-z-]){drawing}(?![0-9a-f])", f"-{name}-", svg)
    return svg.rstrip() + "\n"
