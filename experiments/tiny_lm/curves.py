"""The loss curves as an SVG: held-out loss and recall over the tokens seen, one line a model."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

COLOURS = ("#0072b2", "#d55e00")
PANELS = (
    ("held_out", "held-out loss (nats per byte)", 1.0, 3.5),
    ("loss", "training loss (weighted)", 0.5, 3.5),
    ("recall", "facts recalled, at the context of training", 0.0, 1.0),
    ("far", "facts recalled, 512 tokens back and more", 0.0, 1.0),
)
WIDTH, HEIGHT = 300, 170


def curves(folder: Path, sizes: Sequence[str]) -> str:
    """The figure."""
    parts = []
    tables = {size: _rows(folder / size / "training.csv") for size in sizes}
    most = max(row["tokens"] for rows in tables.values() for row in rows)
    for index, (column, title, low, high) in enumerate(PANELS):
        left, top = 50 + index % 2 * (WIDTH + 60), 40 + index // 2 * (HEIGHT + 65)
        parts.append(_frame(left, top, title, low, high, most))
        for colour, rows in zip(COLOURS, tables.values(), strict=False):
            spots = [(row["tokens"] / most, _above(row[column], low, high)) for row in rows]
            points = " ".join(f"{left + WIDTH * x:.1f},{top + HEIGHT * y:.1f}" for x, y in spots)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for index, size in enumerate(sizes):
        parts.append(f'<text x="{50 + 80 * index}" y="16" fill="{COLOURS[index]}">{size}</text>')
    size = f"{2 * WIDTH + 130} {2 * HEIGHT + 150}"
    look = 'font-family="sans-serif" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" {look}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _above(value: float, low: float, high: float) -> float:
    return 1 - min(max((value - low) / (high - low), 0.0), 1.0)


def _frame(left: int, top: int, title: str, low: float, high: float, most: float) -> str:
    texts = [f'<text x="{left}" y="{top - 6}">{title}</text>']
    for share in (0.0, 0.5, 1.0):
        y, x = top + HEIGHT * (1 - share), left + WIDTH * share
        value = low + share * (high - low)
        texts.append(f'<text x="{left - 5}" y="{y + 4:.0f}" text-anchor="end">{value:.2g}</text>')
        place = f'x="{x:.0f}" y="{top + HEIGHT + 14}" text-anchor="middle"'
        texts.append(f"<text {place}>{share * most / 1e6:.0f} M</text>")
        texts.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
    texts.append(f'<text x="{left + WIDTH}" y="{top + HEIGHT + 28}" text-anchor="end">tokens seen</text>')
    return "\n".join(texts)
