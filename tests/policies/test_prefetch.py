"""What every prefetch policy owes the engine (they are found by themselves), and what each one asks for."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from policies.small_engine import SmallEngine, bytes_held

from kvsim.policies import make_prefetch, names

EVERY_POLICY = pytest.mark.parametrize("name", names()["prefetch"])
LAYERS = 4


def reads(steps: int, seed: int = 3) -> list[tuple[int, list[int]]]:
    """Steps of four layers; a layer reads some of its own 25 pages."""
    draws = random.Random(seed)
    return [
        (layer, sorted(draws.sample(range(25 * layer, 25 * layer + 25), 6)))
        for _ in range(steps)
        for layer in range(LAYERS)
    ]


def asked(name: str, stream: Sequence[tuple[int, list[int]]]) -> list[list[int]]:
    policy = make_prefetch(name, SmallEngine("lru", [8, 8]))
    return [list(policy.accessed(layer, pages)) for layer, pages in stream]


@EVERY_POLICY
def test_candidates_are_distinct_page_numbers(name: str) -> None:
    for pages in asked(name, reads(50)):
        assert all(type(page) is int for page in pages)
        assert all(page >= 0 for page in pages)
        assert len(set(pages)) == len(pages)


@EVERY_POLICY
def test_equal_reads_give_equal_guesses(name: str) -> None:
    assert asked(name, reads(30)) == asked(name, reads(30))


@EVERY_POLICY
def test_the_list_of_the_engine_is_neither_changed_nor_kept(name: str) -> None:
    kept, reused = (make_prefetch(name, SmallEngine("lru", [8, 8])) for _ in range(2))
    buffer: list[int] = []
    for layer, pages in reads(10):
        buffer[:] = pages
        assert list(reused.accessed(layer, buffer)) == list(kept.accessed(layer, pages))
        assert buffer == pages


@EVERY_POLICY
def test_memory_does_not_grow_with_the_length_of_a_run(name: str) -> None:
    held = []
    for steps in (100, 1_000):
        view = SmallEngine("lru", [8, 8])
        policy = make_prefetch(name, view)
        for layer, pages in reads(steps):
            policy.accessed(layer, pages)
        held.append(bytes_held(policy, without=(view,)))
    assert held[1] <= 1.25 * held[0]


def test_none_asks_for_nothing() -> None:
    assert not any(asked("none", reads(5)))


def test_next_layer_asks_for_what_the_following_layer_read_last_and_wraps_to_layer_0() -> None:
    first = [(0, [1, 2]), (1, [10]), (2, [20, 21])]
    second = [(0, [3]), (1, [11, 12]), (2, [22])]
    third = [(0, [1])]
    # In the first step no layer has a past, nor is it known that layer 2 is the last.
    expected = [[], [], [], [10], [20, 21], [3], [11, 12]]
    assert asked("next_layer", first + second + third) == expected


def test_next_layer_asks_for_nothing_where_there_is_one_layer() -> None:
    assert asked("next_layer", [(0, [1]), (0, [2]), (0, [3])]) == [[], [], []]


def test_next_layer_waits_for_a_layer_that_has_not_run() -> None:
    assert asked("next_layer", [(5, [1]), (0, [2]), (5, [3]), (4, [6])]) == [[], [], [2], [3]]
