"""dense_decode: how many pages a layer reads, which are born when, and that unchanged arrays are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads.scenarios import SCALARS_PER_TOKEN_LAYER, scenario

from kvsim.scenario.compute import ComputeModel
from kvsim.workloads import Step, Workload, make_workload

LAYERS = 3


def dense(**fields: Any) -> Workload:
    return make_workload(scenario({"kind": "dense_decode", **fields}))


def pages(step: Step, layer: int) -> list[int]:
    return [int(page) for page in step.layers[layer].pages]


def created(step: Step, layer: int) -> list[int]:
    return [int(page) for page in step.layers[layer].created]


def test_a_page_holds_its_tokens_of_one_layer() -> None:
    assert dense(context_tokens=16, steps=1).page_scalars == 16 * SCALARS_PER_TOKEN_LAYER
    assert dense(context_tokens=16, steps=1, page_tokens=128).page_scalars == 128 * SCALARS_PER_TOKEN_LAYER


def test_pages_are_numbered_by_layer_then_sequence_then_age() -> None:
    workload = dense(context_tokens=35, steps=1, batch=2)  # 2 full pages and 3 tokens over
    assert workload.initial_pages == LAYERS * 2 * 2
    (step,) = workload.steps()
    assert [access.layer for access in step.layers] == [0, 1, 2]
    assert [pages(step, layer) for layer in range(LAYERS)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_the_token_that_fills_a_page_makes_one_in_every_layer_and_sequence() -> None:
    steps = list(dense(context_tokens=35, steps=30, batch=2).steps())
    # 35 + 13 = 48 tokens are 3 pages, 16 later they are 4.
    births = [number for number, step in enumerate(steps) if created(step, 0)]
    assert births == [12, 28]
    assert [created(steps[12], layer) for layer in range(LAYERS)] == [[12, 13], [14, 15], [16, 17]]
    assert [created(steps[28], layer) for layer in range(LAYERS)] == [[18, 19], [20, 21], [22, 23]]
    assert pages(steps[12], 1) == [4, 5, 6, 7]
    assert pages(steps[13], 1) == [4, 5, 6, 7, 14, 15]
    assert pages(steps[29], 1) == [4, 5, 6, 7, 14, 15, 20, 21]


def test_a_context_shorter_than_a_page_reads_nothing_until_the_first_is_full() -> None:
    workload = dense(context_tokens=1, steps=17)
    assert workload.initial_pages == 0
    steps = list(workload.steps())
    assert [len(step.layers[0].pages) for step in steps] == [0] * 15 + [1, 1]
    assert created(steps[14], 2) == [2]


@given(
    context=st.integers(1, 100), count=st.integers(1, 60), batch=st.integers(1, 3), tokens=st.integers(1, 20)
)
def test_every_page_is_made_once_belongs_to_one_layer_and_is_read_from_then_on(
    context: int, count: int, batch: int, tokens: int
) -> None:
    workload = dense(context_tokens=context, steps=count, batch=batch, page_tokens=tokens)
    owned: list[list[int]] = [[] for _ in range(LAYERS)]
    for number, step in enumerate(workload.steps()):
        for layer in range(LAYERS):
            if number == 0:
                owned[layer] = pages(step, layer)
            assert pages(step, layer) == owned[layer] == sorted(owned[layer])
            assert len(owned[layer]) == batch * ((context + number) // tokens)
            owned[layer] = owned[layer] + created(step, layer)
    everything = sorted(page for layer in owned for page in layer)
    assert everything == list(range(LAYERS * batch * ((context + count) // tokens)))


def test_a_layers_array_is_the_same_object_until_a_page_is_born() -> None:
    steps = list(dense(context_tokens=64, steps=40).steps())
    arrays = {id(step.layers[layer].pages) for step in steps for layer in range(LAYERS)}
    assert len(arrays) == LAYERS * 3  # at the start, and after 16 and 32 tokens
    assert not steps[0].layers[0].pages.flags.writeable


def test_old_arrays_stay_as_they_were_when_pages_are_born() -> None:
    workload = dense(context_tokens=15, steps=3)
    steps = workload.steps()
    first = next(steps)
    list(steps)
    assert np.array_equal(first.layers[0].pages, [])


def test_compute_time_grows_with_the_whole_context_unfinished_page_included() -> None:
    subject = scenario({"kind": "dense_decode", "context_tokens": 1000, "steps": 20, "batch": 4})
    ticks = [step.layers[0].compute_ticks for step in make_workload(subject).steps()]
    assert ticks == [ComputeModel(subject).layer_ticks(4, 1000 + step) for step in range(20)]
    # Memory-bound: each step streams 64 B more for each of 4 sequences, at 80 % of 1 TB/s.
    assert ticks[19] - ticks[0] == pytest.approx(19 * 4 * 64 / 0.8, abs=2)


def test_a_model_is_needed() -> None:
    subject = scenario(
        {"kind": "dense_decode", "context_tokens": 1, "steps": 1},
        model=None,
        execution={"compute_time": "1 us"},
    )
    with pytest.raises(ValueError, match="'dense_decode' needs a model"):
        make_workload(subject)
