"""rag_burst, against the rule of kv-hierarchy-lab stated again, and against a figure it publishes."""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from workloads.scenarios import scenario

from kvsim.workloads import Workload, make_workload


def rag_burst(**fields: Any) -> Workload:
    return make_workload(scenario({"kind": "rag_burst", **fields}))


def reads(workload: Workload) -> list[int]:
    return [int(step.layers[0].pages[0]) for step in workload.steps()]


@pytest.mark.parametrize(("pages", "length", "base", "seed"), [(96, 320, 2304, 11), (22, 59, 65, 0)])
def test_reads_and_sizes_follow_the_published_rule(pages: int, length: int, base: int, seed: int) -> None:
    sizes, draws = random.Random(seed), random.Random(seed)
    expected_sizes = [base + sizes.randint(-64, 64) for _ in range(pages)]
    ids = list(range(pages))
    expected: list[int] = []
    for _ in range(length // 20):
        expected.extend(draws.choices(ids[:16], k=14))
        expected.extend(draws.sample(ids[16:], k=6))

    workload = rag_burst(pages=pages, length=length, base_scalars=base, seed=seed)
    assert reads(workload) == expected
    assert np.array_equal(workload.page_scalars, expected_sizes)
    assert workload.total_steps == len(expected)


def test_each_step_reads_one_page_and_names_its_layer() -> None:
    for step in rag_burst().steps():
        (access,) = step.layers
        assert len(access.pages) == 1
        assert access.layer == access.pages[0] % 16
        assert len(access.created) == 0
        assert step.arrival_ticks is None


def test_pages_appear_on_first_use() -> None:
    workload = rag_burst()
    assert workload.absent == "appear"
    assert workload.initial_pages == 0


def test_plain_lru_misses_212_reads_as_published() -> None:
    """Scenario small_fp16, policy lru of kv-hierarchy-lab: 64,000 B nearest the compute, 2 B a scalar."""
    workload = rag_burst(seed=11)
    scalars = workload.page_scalars
    assert isinstance(scalars, np.ndarray)
    resident: OrderedDict[int, int] = OrderedDict()
    misses = 0
    for page in reads(workload):
        if page in resident:
            resident.move_to_end(page)
            continue
        misses += 1
        size = 2 * int(scalars[page])
        while sum(resident.values()) + size > 64_000:
            resident.popitem(last=False)
        resident[page] = size
    assert misses == 212


def test_its_own_seed_wins_over_the_scenarios() -> None:
    of_scenario = reads(make_workload(scenario({"kind": "rag_burst"}, seed=11)))
    assert reads(make_workload(scenario({"kind": "rag_burst", "seed": 11}, seed=3))) == of_scenario
    assert reads(make_workload(scenario({"kind": "rag_burst"}, seed=3))) != of_scenario


def test_a_read_takes_the_given_time_or_that_of_decoding_against_one_page() -> None:
    given = make_workload(scenario({"kind": "rag_burst"}, execution={"compute_time": "3 us"}))
    assert {step.layers[0].compute_ticks for step in given.steps()} == {3_000_000}
    # 16 tokens of 64 B against a third of a million fp16 parameters, at 80 % of 1 TB/s: memory-bound.
    streamed = 2 * 1_000_000 / 3 + 16 * 64
    (ticks,) = {step.layers[0].compute_ticks for step in rag_burst().steps()}
    assert ticks == pytest.approx(streamed / 0.8, abs=1)


def test_it_can_be_read_again() -> None:
    workload = rag_burst()
    assert reads(workload) == reads(workload)
