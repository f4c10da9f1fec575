"""A first tier smaller than a layer: the layer's pages stream through it while it is attended."""

from __future__ import annotations

import pytest
from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier

from kvsim.errors import SimulationError
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.result import RunResult

ONE = 10**12
"""Bytes a second: one byte a tick."""
PAGE = 50


def run(case: Case, tile: int | None) -> RunResult:
    scenario = bridge.scenario(case)
    cut: Scenario = scenario.model_copy(
        update={"execution": scenario.execution.model_copy(update={"tile": tile})}
    )
    return simulate(cut, bridge.workload(case))


@pytest.mark.parametrize("compute", [120, 300, 301, 900])
@pytest.mark.parametrize("tiles", [1, 3, 8])
def test_a_layer_of_tiles_is_double_buffered(compute: int, tiles: int) -> None:
    """t_x + (K - 1) max(t_x, t_c) + t_c for K tiles of one page through room for two pages.

    The tier below keeps its copies, as memory does behind on-chip memory, so a used page leaves for free.
    """
    transfer = 5 + PAGE
    pages = tuple(range(tiles))
    case = Case(
        (Tier(2 * PAGE), Tier(10**9, inclusive=True)),
        (Link(0, 1, ONE, setup=5),),
        (PAGE,) * tiles,
        tiles,
        (Step((Layer(pages, compute * tiles),)),),
        "layered",
    )
    result = run(case, 1)
    assert result.makespan_ticks == transfer + (tiles - 1) * max(transfer, compute) + compute
    assert result.tiers[0].peak_bytes <= 2 * PAGE


def test_the_tiles_of_a_layer_and_its_successor_follow_without_a_gap() -> None:
    """Two layers of two pages, one page a tile: four fetches of 55 ticks, each hidden but the first."""
    layers = (Layer((0, 1), 200), Layer((2, 3), 200))
    case = Case(
        (Tier(2 * PAGE), Tier(10**9, inclusive=True)),
        (Link(0, 1, ONE, setup=5),),
        (PAGE,) * 4,
        4,
        (Step(layers),),
        "layered",
    )
    result = run(case, 1)
    assert result.makespan_ticks == 55 + 400
    assert result.records.layers.column("layer").tolist() == [0, 0, 1, 1]


def test_a_layer_larger_than_the_first_tier_needs_tiles() -> None:
    case = Case(
        (Tier(2 * PAGE), Tier(10**9, inclusive=True)),
        (Link(0, 1, ONE),),
        (PAGE,) * 4,
        4,
        (Step((Layer((0, 1, 2, 3), 200),)),),
        "demand",
    )
    with pytest.raises(SimulationError, match="all of tier tier0 is pinned"):
        run(case, None)
    assert run(case, 2).makespan_ticks == 2 * (2 * PAGE + 100)
