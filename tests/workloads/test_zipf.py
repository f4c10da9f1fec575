"""zipf: the law of popularity, distinct pages in a step, and equal seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads.scenarios import scenario

from kvsim.workloads import Workload, make_workload


def zipf(seed: int = 0, **fields: Any) -> Workload:
    return make_workload(scenario({"kind": "zipf", **fields}, seed=seed))


def reads(workload: Workload) -> list[list[int]]:
    return [step.layers[0].pages.tolist() for step in workload.steps()]


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0, 1.5])
def test_pages_are_as_popular_as_the_law_says(alpha: float) -> None:
    pages = [page for (page,) in reads(zipf(pages=50, length=100_000, alpha=alpha))]
    weights = 1 / np.arange(1, 51) ** alpha
    expected = 100_000 * weights / weights.sum()
    counts = np.bincount(pages, minlength=50)
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_pages_of_a_step_are_drawn_without_replacement_in_the_order_of_their_weight() -> None:
    """Two of three pages with weights 1, 1/2, 1/3: the chance of each ordered pair, by hand."""
    counts = dict.fromkeys([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)], 0)
    for first, second in reads(zipf(pages=3, length=20_000, pages_per_step=2)):
        counts[first, second] += 1
    shares = [6 / 11, 3 / 11, 2 / 11]
    for (first, second), count in counts.items():
        chance = shares[first] * shares[second] / (1 - shares[first])
        assert count == pytest.approx(20_000 * chance, abs=5 * (20_000 * chance) ** 0.5)


@given(pages=st.integers(1, 60), together=st.integers(1, 80), alpha=st.sampled_from([0.0, 1.0, 4.0, 16.0]))
def test_pages_of_a_step_are_distinct_and_exist(pages: int, together: int, alpha: float) -> None:
    workload = zipf(pages=pages, length=5, pages_per_step=together, alpha=alpha)
    for step in reads(workload):
        assert len(set(step)) == len(step) == min(pages, together)
        assert set(step) <= set(range(pages))


def test_equal_seeds_read_alike_and_a_workload_can_be_read_again() -> None:
    workload = zipf(seed=4)
    assert reads(workload) == reads(workload) == reads(zipf(seed=4))
    own = make_workload(scenario({"kind": "zipf", "seed": 4}, seed=9))
    assert reads(own) == reads(workload)
    assert reads(workload) != reads(zipf(seed=5))


def test_a_longer_run_begins_with_the_shorter_one() -> None:
    assert reads(zipf(length=70_000))[:100] == reads(zipf(length=100))


def test_pages_are_equal_and_appear_on_first_use() -> None:
    workload = zipf(pages=7, page_scalars=32)
    assert np.array_equal(workload.page_scalars, [32] * 7)
    assert (workload.absent, workload.initial_pages, workload.total_steps) == ("appear", 0, 1000)
