"""What is announced ahead of its turn: only what is foreseen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from oracle import bridge
from oracle.description import Case, Link, Mode, Tier

from kvsim.sim.engine import simulate
from kvsim.workloads.base import LayerAccess, Step

ONE = 10**12
"""Bytes a second: one byte a tick."""
FETCH, COMPUTE = 60, 100


def makespan(foreseen: Sequence[bool], mode: Mode = "layered", depth: int = 1) -> int:
    """One step of layers that read a page each, which take 60 ticks to fetch and 100 to compute on."""
    count = len(foreseen)
    case = Case((Tier(10**6), Tier(10**6)), (Link(0, 1, ONE),), (FETCH,) * count, count, (), mode, depth)
    layers = [
        LayerAccess(np.array([n], dtype=np.int64), COMPUTE, n, foreseen=known)
        for n, known in enumerate(foreseen)
    ]
    sizes = np.full(count, FETCH, dtype=np.int64)
    workload = bridge.ExplicitWorkload([Step(layers)], count, sizes, "appear")
    return simulate(bridge.scenario(case), workload).makespan_ticks


@pytest.mark.parametrize("depth", [1, 3])
def test_pages_that_nobody_foresees_are_fetched_when_their_layer_reads_them(depth: int) -> None:
    """Four layers: if all are foreseen only the first fetch is waited for, if none is all are."""
    assert makespan([True] * 4, depth=depth) == FETCH + 4 * COMPUTE
    assert makespan([False] * 4, depth=depth) == 4 * (FETCH + COMPUTE)
    assert makespan([False] * 4, "demand") == makespan([True] * 4, "demand") == 4 * (FETCH + COMPUTE)


def test_looking_ahead_stops_at_what_is_not_foreseen() -> None:
    """The first and the second wait, the third is fetched under the second; then the same again."""
    assert makespan([True, False, True, False, True], depth=4) == 3 * FETCH + 5 * COMPUTE
