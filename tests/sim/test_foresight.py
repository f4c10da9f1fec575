"""What oracles are told of the future."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from oracle.bridge import ExplicitWorkload

from kvsim.sim.future import Foresight
from kvsim.workloads.base import LayerAccess, Step


def foresight(layers: list[list[int]]) -> tuple[Foresight, list[LayerAccess]]:
    accesses = [LayerAccess(np.array(pages, dtype=np.int64), 0) for pages in layers]
    workload = ExplicitWorkload([Step([access]) for access in accesses], 0, 1, "appear")
    return Foresight(workload, None), accesses


def test_positions_count_reads_over_all_layers() -> None:
    future, (first, second, _) = foresight([[5, 7], [7], [5]])
    assert (future.next_read(5), future.next_read(7), future.next_read(6)) == (0, 1, 4)
    future.passed(first)
    assert (future.next_read(5), future.next_read(7)) == (3, 2)
    future.passed(second)
    assert (future.next_read(5), future.next_read(7)) == (3, future.never)


def test_what_is_coming_begins_after_the_layer_being_announced() -> None:
    future, (first, _, _) = foresight([[5, 7], [7], [5]])
    assert list(future.coming(2)) == [5, 7]
    future.passed(first)
    assert list(future.coming(9)) == [7, 5]


def test_only_the_steps_that_run_count() -> None:
    workload = ExplicitWorkload([Step([LayerAccess(np.array([1]), 0)])] * 3, 0, 1, "appear")
    assert Foresight(workload, 2).never == 2


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), max_size=12))
def test_the_next_read_is_the_first_one_after_now(layers: list[list[int]]) -> None:
    future, accesses = foresight(layers)
    reads = [page for layer in layers for page in layer]
    at = 0
    for access in accesses:
        future.passed(access)
        at += len(access.pages)
        for page in range(10):
            expected = next((k for k in range(at, len(reads)) if reads[k] == page), len(reads))
            assert future.next_read(page) == expected
