"""What every prefetch policy owes the engine (they are found by themselves), and what each one asks for."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import pytest
from policies.small_engine import SmallEngine, bytes_held

from kvsim.policies import PrefetchPolicy, make_prefetch, names

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


def prefetcher(name: str, options: Mapping[str, Any] | None = None) -> PrefetchPolicy:
    """The policy, before a view where nothing is in any tier and a future that is made up."""
    view = SmallEngine("lru", [8, 8])
    policy = make_prefetch(name, view, options)
    policy.future = view.future
    return policy


def asked(name: str, stream: Sequence[tuple[int, list[int]]]) -> list[list[int]]:
    policy = prefetcher(name)
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
def test_a_first_guess_is_needed_when_the_policy_says(name: str) -> None:
    """Four layers of one page each, over and over: the pages after the last one are another matter."""
    policy = prefetcher(name)
    stream = [(layer, [layer]) for _ in range(10) for layer in range(LAYERS)]
    asked = [(list(policy.accessed(layer, pages)), policy.lead) for layer, pages in stream]
    for at, (guesses, lead) in enumerate(asked):
        if guesses and lead is not None and at > 2 * LAYERS and at % LAYERS + lead < LAYERS:
            assert guesses[0] == stream[at + lead][1][0]


@EVERY_POLICY
def test_the_list_of_the_engine_is_neither_changed_nor_kept(name: str) -> None:
    kept, reused = prefetcher(name), prefetcher(name)
    buffer: list[int] = []
    for layer, pages in reads(10):
        buffer[:] = pages
        assert list(reused.accessed(layer, buffer)) == list(kept.accessed(layer, pages))
        assert buffer == pages


@EVERY_POLICY
def test_memory_does_not_grow_with_the_length_of_a_run(name: str) -> None:
    policy = prefetcher(name)
    stream = iter(reads(4_000))
    held = []
    for steps in (1_000, 3_000):  # in the first ones every pair of pages is seen
        for layer, pages in islice(stream, steps * LAYERS):
            policy.accessed(layer, pages)
        held.append(bytes_held(policy, without=(policy.view,)))
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


def guesses(name: str, stream: Sequence[Sequence[int]], **options: Any) -> list[list[int]]:
    """What is asked for after each of these reads of one layer."""
    policy = prefetcher(name, options)
    return [list(policy.accessed(0, pages)) for pages in stream]


def test_next_page_asks_for_what_follows_the_last_page_first_and_not_for_what_was_read() -> None:
    assert guesses("next_page", [[4], [7, 8, 20]]) == [[5], [21, 9]]
    assert guesses("next_page", [[4, 6]], degree=2) == [[7, 8, 5]]


def test_stride_asks_ahead_once_a_distance_came_twice_in_a_row() -> None:
    assert guesses("stride", [[10], [13], [16], [19], [20], [21]]) == [
        [],
        [],
        [19, 22],
        [22, 25],
        [],
        [22, 23],
    ]
    assert guesses("stride", [[9, 5, 1]], degree=3) == [[]]  # there are no negative pages
    assert guesses("stride", [[5, 5, 5]]) == [[]]


def test_leap_follows_the_majority_and_widens_its_window() -> None:
    steady = [0, 2, 4, 6, 8, 10]
    assert guesses("leap", [steady], degree=2) == [[12, 14]]
    assert guesses("leap", [[*steady, 50, 52, 54]], degree=1) == [[56]]  # 3 of the last 4 are 2, 2, 42, 2
    strays = [0, 2, 4, 6, 8, 10, 30, 50]  # 2 2 2 2 2 20 20: no majority of 4, and 8 there are not yet
    assert guesses("leap", [strays]) == [[]]
    assert guesses("leap", [[100, 102, *(x + 104 for x in strays)]], degree=1, history=8) == [[156]]
    assert guesses("leap", [[1, 5]]) == [[]]


def test_markov_asks_for_likely_successors_only() -> None:
    stream = [[1, 2, 1, 2, 1, 2, 1, 3, 1]]
    assert guesses("markov", stream) == [[2, 3]]
    assert guesses("markov", stream, confidence=0.5) == [[2]]
    assert guesses("markov", stream, degree=1) == [[2]]
    assert guesses("markov", [[1, 2, 1, 2, 1, 3, 1, 4, 1]], ways=2) == [[2, 4]]  # 4 takes over from 3


def test_predictive_asks_for_the_two_commonest_successors_seen_twice_ties_in_the_order_first_seen() -> None:
    assert guesses("predictive", [[1], [5], [1]]) == [[], [], []]
    assert guesses("predictive", [[1, 5, 1, 6, 1, 7, 1, 7, 1, 6, 1, 5, 1]]) == [[5, 6]]
    assert guesses("predictive", [[1, 5, 1, 6, 1, 6, 1]]) == [[6]]


class Known:
    """Reads 3 4 3 5 6 are next; 4 is in tier 0."""

    never = 99
    tier_count = 2
    step = 0

    def next_read(self, page: int) -> int:
        return 0

    def coming(self, count: int) -> list[int]:
        return [3, 4, 3, 5, 6][:count]

    def is_pinned(self, page: int) -> bool:
        return False

    def tier_of(self, page: int) -> int:
        return 0 if page == 4 else 1

    def bytes_of(self, page: int, tier: int) -> int:
        return 1

    def group_of(self, page: int) -> int:
        return 0


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("look_ahead", {}, [3, 4, 5, 6]),
        ("look_ahead", {"reads": 3}, [3, 4]),
        ("oracle", {}, [3, 5, 6]),
        ("oracle", {"degree": 2}, [3, 5]),
        ("oracle", {"reads": 3}, [3]),
    ],
)
def test_who_knows_asks_for_what_comes(name: str, options: dict[str, int], expected: list[int]) -> None:
    policy = make_prefetch(name, Known(), options)
    assert policy.needs_future
    policy.future = Known()
    assert list(policy.accessed(0, [1])) == expected
