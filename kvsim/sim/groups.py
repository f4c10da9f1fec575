"""Which pages belong together: those of one layer and head group, numbered from 0."""

from __future__ import annotations

from typing import Literal

import numpy as np

from kvsim.errors import TraceError
from kvsim.workloads.base import Pages, Workload, places_of


def groups_of(workload: Workload) -> list[int]:
    """Group of each page, by its number: layer x head groups + head group, 0 for what the workload does not
    tell; as far as it tells anything. May read a trace once for each of the two."""
    layers = _told(workload, "page_layers")
    heads = _told(workload, "page_head_groups")
    if heads is None or layers is None or not len(heads):
        groups = heads if layers is None else layers
    else:
        groups = layers * (int(heads.max()) + 1) + heads
    told: list[int] = [] if groups is None else groups.tolist()
    return told


def _told(workload: Workload, which: Literal["page_layers", "page_head_groups"]) -> Pages | None:
    try:
        places = places_of(workload, which)
    except TraceError:  # rows that do not say it, or not as a number: a trace need not
        return None
    return None if places is None else np.asarray(places, dtype=np.int64)
