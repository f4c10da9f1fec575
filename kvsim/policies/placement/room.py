"""How much of each tier a placement may fill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kvsim.policies.base import PlacementView

__all__ = ["first_room", "fitting", "positions", "spread"]


def first_room(view: PlacementView, reserve: float | None) -> int:
    """Bytes of tier 0 for pages that stay there; the share `reserve` of it is for what passes.

    None: as much as the two largest layers take, of which one is read while the other comes, but at most
    half; nothing where all other tiers are read in place.
    """
    capacity = view.capacity_of(0)
    if reserve is not None:
        return int((1 - reserve) * capacity)
    if all(view.reads_in_place(tier) for tier in range(1, view.tier_count)):
        return capacity
    layers = view.page_layers()
    if not len(layers):
        return capacity // 2
    by_layer = np.bincount(layers, weights=view.sizes_of(np.arange(len(layers)), 0))
    return capacity - min(capacity // 2, int(np.sort(by_layer)[-2:].sum()))


def fitting(view: PlacementView, pages: NDArray[np.int64], tier: int, room: int) -> int:
    """How many of the pages, from the first on, fit the room."""
    return int(np.searchsorted(np.cumsum(view.sizes_of(pages, tier)), room, side="right"))


def spread(view: PlacementView, pages: NDArray[np.int64], first: int) -> NDArray[np.int8]:
    """A tier for each of the pages: the nearest from `first` on that holds all of them; where none does, each
    tier in turn takes what fits it."""
    tiers = np.full(len(pages), view.tier_count - 1, dtype=np.int8)
    below = range(min(first, view.tier_count - 1), view.tier_count)
    for tier in below:
        if fitting(view, pages, tier, view.capacity_of(tier)) == len(pages):
            tiers[:] = tier
            return tiers
    done = 0
    for tier in below[:-1]:
        count = fitting(view, pages[done:], tier, view.capacity_of(tier))
        tiers[done : done + count] = tier
        done += count
    return tiers


def positions(layers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each page, how many pages of its layer have lower numbers."""
    order = np.argsort(layers, kind="stable")
    counts = np.bincount(layers)
    position = np.empty(len(layers), dtype=np.int64)
    position[order] = np.arange(len(layers)) - np.repeat(np.cumsum(counts) - counts, counts)
    return position
