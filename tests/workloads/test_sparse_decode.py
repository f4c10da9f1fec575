"""sparse_decode: sinks, window and top-k, how the choice drifts, and that equal seeds choose alike."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads.scenarios import SCALARS_PER_TOKEN_LAYER, scenario

from kvsim.scenario.compute import ComputeModel
from kvsim.workloads import Step, Workload, make_workload

LAYERS = 3
SMALL: dict[str, Any] = {
    "kind": "sparse_decode",
    "context_tokens": 1600,
    "steps": 8,
    "page_tokens": 16,
    "sink_tokens": 20,
    "recent_tokens": 48,
    "top_k_tokens": 160,
}
SINKS, RECENT, TOP, FULL = 2, 3, 10, 100  # in pages: 20 tokens are rounded up to two


def sparse(seed: int = 0, **fields: Any) -> Workload:
    return make_workload(scenario({**SMALL, **fields}, seed))


def indices(step: Step, layer: int = 0) -> list[int]:
    """Position in the sequence of each page read, for one sequence and no births."""
    return [int(page) - layer * FULL for page in step.layers[layer].pages]


def chosen(step: Step, layer: int = 0) -> set[int]:
    return {index for index in indices(step, layer) if SINKS <= index < FULL - RECENT}


def reads(workload: Workload) -> list[list[list[int]]]:
    return [[[int(page) for page in access.pages] for access in step.layers] for step in workload.steps()]


def test_each_layer_reads_sinks_window_and_top_k() -> None:
    for step in sparse().steps():
        for layer in range(LAYERS):
            read = indices(step, layer)
            assert len(read) == SINKS + RECENT + TOP
            assert read[:SINKS] == [0, 1]
            assert read[-RECENT:] == [97, 98, 99]
            assert len(chosen(step, layer)) == TOP


def test_a_page_holds_its_tokens_of_one_layer() -> None:
    workload = sparse()
    assert workload.page_scalars == 16 * SCALARS_PER_TOKEN_LAYER
    assert workload.initial_pages == LAYERS * FULL


@pytest.mark.parametrize(
    ("drift", "expected"), [(0.0, [0] * 7), (0.1, [1] * 7), (0.25, [2, 3, 2, 3, 2, 3, 2]), (1.0, [10] * 7)]
)
def test_the_share_that_drifts_is_exact_on_average(drift: float, expected: list[int]) -> None:
    steps = list(sparse(drift=drift).steps())
    for layer in range(LAYERS):
        choices = [chosen(step, layer) for step in steps]
        left = [len(old - new) for old, new in pairwise(choices)]
        assert left == expected


def test_layers_and_sequences_choose_for_themselves() -> None:
    step = next(sparse(batch=2).steps())
    by_sequence = [
        {int(page) % FULL for page in access.pages if int(page) // FULL % 2 == sequence}
        for access in step.layers
        for sequence in range(2)
    ]
    assert len({frozenset(pages) for pages in by_sequence}) == 2 * LAYERS


def test_the_window_moves_on_and_what_leaves_it_can_be_chosen() -> None:
    steps = list(sparse(steps=33).steps())  # 1600 tokens are full pages: births in steps 15 and 31
    born = [int(page) for page in steps[15].layers[1].created]
    assert born == [LAYERS * FULL + 1]
    assert indices(steps[15], 1)[-RECENT:] == [97, 98, 99]
    last = [int(page) for page in steps[16].layers[1].pages][-RECENT:]
    assert last == [FULL + 98, FULL + 99, LAYERS * FULL + 1]


def test_all_is_read_where_the_parts_cover_the_context() -> None:
    workload = sparse(context_tokens=240, steps=1)  # 15 pages = 2 + 3 + 10
    (step,) = workload.steps()
    assert [int(page) for page in step.layers[1].pages] == list(range(15, 30))


def test_the_choice_grows_while_the_context_is_short() -> None:
    steps = list(sparse(context_tokens=16 * 7, steps=16 * 10, drift=0.5).steps())
    assert [len(step.layers[0].pages) for step in steps[::16]] == [7, 8, 9, 10, 11, 12, 13, 14, 15, 15]


@given(
    context=st.integers(1, 300),
    count=st.integers(1, 30),
    batch=st.integers(1, 3),
    sizes=st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)),
    drift=st.sampled_from([0.0, 0.1, 0.37, 1.0]),
)
def test_pages_read_are_distinct_ascending_full_and_of_the_right_number(
    context: int, count: int, batch: int, sizes: tuple[int, int, int], drift: float
) -> None:
    sink, recent, top = sizes
    workload = sparse(
        context_tokens=context, steps=count, batch=batch, page_tokens=8, drift=drift,
        sink_tokens=sink, recent_tokens=recent, top_k_tokens=top,
    )  # fmt: skip
    initial = workload.initial_pages // LAYERS
    exist = [set(range(layer * initial, (layer + 1) * initial)) for layer in range(LAYERS)]
    budget = sum(-(-tokens // 8) for tokens in sizes)
    for number, step in enumerate(workload.steps()):
        for layer, access in enumerate(step.layers):
            read = [int(page) for page in access.pages]
            assert read == sorted(set(read))
            assert exist[layer].issuperset(read)
            assert len(read) == batch * min(budget, (context + number) // 8)
            exist[layer].update(int(page) for page in access.created)


def test_equal_seeds_choose_alike_and_others_differ() -> None:
    assert reads(sparse(seed=4)) == reads(sparse(seed=4))
    assert reads(sparse(seed=4)) != reads(sparse(seed=5))


def test_it_can_be_read_again() -> None:
    workload = sparse()
    assert reads(workload) == reads(workload)


def test_an_unchanged_choice_is_the_same_array() -> None:
    steps = list(sparse(drift=0.0).steps())
    assert len({id(step.layers[0].pages) for step in steps}) == 1
    assert not steps[0].layers[0].pages.flags.writeable


def test_compute_time_counts_the_tokens_read_and_the_unfinished_page() -> None:
    subject = scenario({**SMALL, "context_tokens": 1605, "batch": 2})
    model = ComputeModel(subject)
    for number, step in enumerate(make_workload(subject).steps()):
        tokens = (SINKS + RECENT + TOP) * 16 + 5 + number
        assert {access.compute_ticks for access in step.layers} == {model.layer_ticks(2, tokens)}


def test_chosen_pages_come_evenly_from_everywhere_in_the_middle() -> None:
    """With all redrawn, 450 draws fall on 95 pages: 4.7 each, at least one on about 99 % of them."""
    counts = np.zeros(FULL)
    for step in sparse(steps=15, drift=1.0).steps():
        for layer in range(LAYERS):
            counts[sorted(chosen(step, layer))] += 1
    middle = counts[SINKS : FULL - RECENT]
    assert middle.sum() == 15 * LAYERS * TOP
    assert (middle > 0).mean() > 0.95
    assert middle[:48].sum() == pytest.approx(middle.sum() * 48 / 95, rel=0.15)  # three standard errors


@pytest.mark.parametrize(("foreseen", "unknown"), [(0.0, [10, 2, 2]), (0.5, [5, 1, 1]), (0.4, [6, 2, 2])])
def test_newly_chosen_pages_that_nobody_foresees_are_an_access_of_their_own(
    foreseen: float, unknown: list[int]
) -> None:
    """A fifth of ten chosen pages changes at each step, and in the first step all ten are new."""
    whole = list(sparse(drift=0.2, steps=3).steps())
    parted = list(sparse(drift=0.2, steps=3, foreseen=foreseen).steps())
    before: set[int] = set()
    for number, (one, two) in enumerate(zip(whole, parted, strict=True)):
        assert [access.foreseen for access in two.layers] == [True, False] * LAYERS
        known, surprise = two.layers[:2]
        assert len(surprise.pages) == unknown[number]
        assert sorted([*known.pages, *surprise.pages]) == one.layers[0].pages.tolist()
        assert not before & set(surprise.pages.tolist())
        assert known.compute_ticks + surprise.compute_ticks == one.layers[0].compute_ticks
        before = set(one.layers[0].pages.tolist())


def test_without_drift_only_the_first_step_surprises() -> None:
    steps = list(sparse(drift=0.0, steps=3, foreseen=0.0).steps())
    assert [len(step.layers) for step in steps] == [2 * LAYERS, LAYERS, LAYERS]
