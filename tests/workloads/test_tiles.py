"""A layer in tiles: the same reads and the same compute, a few pages at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.workloads.base import LayerAccess, Step
from kvsim.workloads.tiles import tiled


def layer(pages: int, ticks: int, **more: object) -> LayerAccess:
    return LayerAccess(np.arange(pages, dtype=np.int64), ticks, 3, **more)  # type: ignore[arg-type]


def cut(access: LayerAccess, pages: int | None) -> list[LayerAccess]:
    (step,) = tiled(iter([Step([access], 17)]), pages)
    assert step.arrival_ticks == 17
    return list(step.layers)


def test_seven_pages_in_tiles_of_three() -> None:
    born, mass = np.array([9]), np.arange(7) / 21
    tiles = cut(layer(7, 100, created=born, mass=mass), 3)
    assert [tile.pages.tolist() for tile in tiles] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [tile.compute_ticks for tile in tiles] == [42, 43, 15]  # 300 // 7, 600 // 7 - 42, 100 - 85
    assert [tile.layer for tile in tiles] == [3, 3, 3]
    assert [tile.created.tolist() for tile in tiles] == [[], [], [9]]
    assert np.concatenate([tile.mass for tile in tiles if tile.mass is not None]).tolist() == mass.tolist()


@given(st.integers(1, 300), st.integers(0, 10**12), st.integers(1, 310))
def test_pages_and_compute_time_add_up(pages: int, ticks: int, size: int) -> None:
    tiles = cut(layer(pages, ticks), size)
    assert [page for tile in tiles for page in tile.pages.tolist()] == list(range(pages))
    assert sum(tile.compute_ticks for tile in tiles) == ticks
    assert max(len(tile.pages) for tile in tiles) <= size


@pytest.mark.parametrize("access", [layer(4, 8), layer(9, 8, ordered=True)])
def test_small_layers_and_ordered_ones_stay_whole(access: LayerAccess) -> None:
    assert cut(access, 4) == [access]


def test_without_a_tile_size_steps_pass_unseen() -> None:
    steps = iter([Step([layer(4, 8)])])
    assert tiled(steps, None) is steps
