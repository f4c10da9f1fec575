"""What is in a page trace, in a dozen figures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kvsim.analysis.mrc import FIRST, reuse_distances
from kvsim.units import format_bytes
from kvsim.workloads.page_trace import PageId, PageRow

__all__ = ["trace_info"]


def trace_info(rows: Iterable[PageRow]) -> dict[str, str]:
    """Figures by name, as text; takes memory for each read (8 bytes) and each distinct page."""
    numbers: dict[PageId, int] = {}
    sizes: dict[int, int] = {}
    layers: set[int] = set()
    reads: list[int] = []
    steps, last, read_bytes, with_mass = 0, -1, 0, 0
    for row in rows:
        page = numbers.setdefault(row.page, len(numbers))
        reads.append(page)
        layers.add(row.layer or 0)
        steps += row.step != last
        last = row.step
        with_mass += row.mass is not None
        if row.bytes is not None:
            read_bytes += row.bytes
            sizes[page] = max(sizes.get(page, 0), row.bytes)
    pages = np.array(reads, dtype=np.int64)
    counts = np.sort(np.bincount(pages, minlength=len(numbers)))[::-1]
    found = {
        "reads": f"{len(pages):,}",
        "steps": f"{steps:,}",
        "layers": f"{len(layers):,}",
        "distinct pages": f"{len(numbers):,}",
        "pages read once": f"{int((counts == 1).sum()):,}",
    }
    for share in (0.01, 0.1):
        top = max(1, round(share * len(counts)))
        found[f"reads of the most read {share:.0%}"] = f"{counts[:top].sum() / max(len(pages), 1):.4f}"
    if sizes:
        found["bytes read"] = format_bytes(read_bytes)
        found["bytes of the distinct pages"] = format_bytes(sum(sizes.values()))
    if with_mass:
        found["reads with attention mass"] = f"{with_mass:,}"
    return found | _reuse(pages)


def _reuse(pages: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> dict[str, str]:
    distances = reuse_distances(pages)
    again = distances[distances != FIRST]
    found = {"least miss ratio (first reads)": f"{1 - len(again) / max(len(pages), 1):.4f}"}
    if len(again):
        for percent in (50, 90, 99, 100):
            distance = int(np.percentile(again, percent, method="inverted_cdf"))
            found[f"reuse distance p{percent}"] = f"{distance:,} pages"
    return found
