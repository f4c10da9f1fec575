"""Layers cut into tiles, whose pages pass tier 0 a few at a time, as they do through on-chip memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kvsim.workloads.base import NO_PAGES, LayerAccess, Step, part_of

__all__ = ["tiled"]


def tiled(steps: Iterator[Step], pages: int | None) -> Iterator[Step]:
    """The same steps, each layer in tiles of at most `pages` pages; None: as they are.

    A tile is attended when its pages are there, and makes room for those that follow. It takes the share of
    the layer's compute time, and of the weights it streams, that its pages have of the layer's; the parts sum
    to the whole. What the layer creates is born with its last tile. Layers whose pages are looked up in order
    stay whole.
    """
    if pages is None:
        return steps
    return (Step(_cut(step.layers, pages), step.arrival_ticks) for step in steps)


def _cut(layers: Sequence[LayerAccess], pages: int) -> list[LayerAccess]:
    tiles: list[LayerAccess] = []
    for access in layers:
        if access.ordered or len(access.pages) <= pages:
            tiles.append(access)
        else:
            tiles += _tiles(access, pages)
    return tiles


def _tiles(access: LayerAccess, pages: int) -> Iterator[LayerAccess]:
    count = len(access.pages)
    for start in range(0, count, pages):
        end = min(start + pages, count)
        yield LayerAccess(
            access.pages[start:end],
            access.compute_ticks * end // count - access.compute_ticks * start // count,
            access.layer,
            created=access.created if end == count else NO_PAGES,
            mass=None if access.mass is None else access.mass[start:end],
            absent_ticks=access.absent_ticks,
            foreseen=access.foreseen,
            stream_bytes=access.stream_bytes * end // count - access.stream_bytes * start // count,
            near_ticks=part_of(access.near_ticks, end - start, count),
        )
