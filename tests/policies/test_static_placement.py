"""Placements decided once: what is offloaded, and where to.

Pages of one byte; tier 0 holds ten of them, tier 1 a hundred, tier 2 a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policies.machine import Machine

from kvsim.errors import SimulationError
from kvsim.policies import PlacementPolicy, make_placement


def starts(policy: PlacementPolicy, pages: int) -> list[int]:
    return [policy.start(page) for page in range(pages)]


def of_layers(layers: int, each: int) -> list[int]:
    return [layer for layer in range(layers) for _ in range(each)]


def test_a_cache_that_fits_is_not_offloaded() -> None:
    for by in ("cache", "layers"):
        assert starts(make_placement("static", Machine(of_layers(5, 2)), {"by": by}), 10) == [0] * 10


@pytest.mark.parametrize(("pages", "tier"), [(11, 1), (100, 1), (101, 2), (1000, 2), (1001, 3)])
def test_a_cache_that_does_not_fit_goes_as_a_whole_to_the_nearest_tier_that_holds_it(
    pages: int, tier: int
) -> None:
    assert set(starts(make_placement("static", Machine([0] * pages)), pages)) == {tier}


def test_what_no_tier_holds_fills_the_lower_ones_in_turn() -> None:
    machine = Machine([0] * 130)
    machine.tier_count = 2
    assert starts(make_placement("static", machine), 130) == [1] * 130  # there is no other
    machine.tier_count = 3
    machine.capacity_of = lambda tier: (10, 100, 120)[tier]  # type: ignore[method-assign]
    assert starts(make_placement("static", machine), 130) == [1] * 100 + [2] * 30


def test_the_size_that_counts_is_the_final_one() -> None:
    """Eight pages at the start, eleven in the end: the three that are born go where the others are."""
    machine = Machine([0] * 11, initial=8)
    policy = make_placement("static", machine)
    machine.tiers = dict.fromkeys(range(8), 1) | dict.fromkeys(range(8, 11), 0)
    assert starts(policy, 8) == [1] * 8
    assert list(policy.migrations()) == [(8, 1), (9, 1), (10, 1)]
    assert not any(map(policy.keeps, range(11)))


def test_by_layers_the_last_ones_that_fit_stay() -> None:
    """Layers of three pages: three of five fit ten bytes."""
    policy = make_placement("static", Machine(of_layers(5, 3)), {"by": "layers"})
    assert starts(policy, 15) == [1] * 6 + [0] * 9
    assert [page for page in range(15) if policy.keeps(page)] == list(range(6, 15))


def test_pages_of_a_layer_are_together_whatever_their_numbers() -> None:
    policy = make_placement("static", Machine([0, 1, 2, 3] * 4), {"by": "layers"})
    assert starts(policy, 16) == [1, 1, 0, 0] * 4


def test_room_for_staging_is_left_where_pages_are_not_read_in_place() -> None:
    """Two of the five layers of three: six bytes, but at most half of ten."""
    machine = Machine(of_layers(5, 3))
    machine.direct = (1,)
    assert starts(make_placement("static", machine, {"by": "layers"}), 15) == [1] * 12 + [0] * 3
    given = {"by": "layers", "reserve": 0.4}
    assert starts(make_placement("static", machine, given), 15) == [1] * 9 + [0] * 6


def test_a_page_that_was_evicted_comes_back() -> None:
    machine = Machine([0] * 4)
    policy = make_placement("static", machine)
    machine.tiers = {0: 0, 1: 2, 2: 0, 3: -1}
    assert list(policy.migrations()) == [(1, 0)]
    assert policy.weighs() == 0  # it looks up what was decided before


def test_a_split_has_its_share_of_every_layer_in_tier_0() -> None:
    policy = make_placement("static_split", Machine(of_layers(2, 8)), {"share": 0.25})
    assert starts(policy, 16) == [0, 0, 1, 1, 1, 1, 1, 1] * 2


@pytest.mark.parametrize("share", [None, 0.9, 1.0])
def test_a_split_has_no_more_in_tier_0_than_fits(share: float | None) -> None:
    options = {} if share is None else {"share": share}
    assert starts(make_placement("static_split", Machine(of_layers(2, 8)), options), 16) == (
        [0, 0, 0, 0, 0, 1, 1, 1] * 2
    )


def test_a_split_fills_the_lower_tiers_with_every_layer_alike() -> None:
    machine = Machine(of_layers(2, 8))
    machine.capacity_of = lambda tier: (4, 6, 100, 100)[tier]  # type: ignore[method-assign]
    for name in ("static_split", "parallel"):
        machine.direct = (1, 2, 3)
        assert starts(make_placement(name, machine), 16) == [0, 0, 1, 1, 1, 2, 2, 2] * 2
        machine.direct = (1,)  # what is staged from tier 2 needs room: half of tier 0
        assert starts(make_placement(name, machine), 16) == [0, 1, 1, 1, 2, 2, 2, 2] * 2


@given(
    share=st.floats(0, 1),
    layers=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    initial=st.integers(0, 60),
)
def test_a_split_holds_for_the_pages_at_the_start_and_for_all(
    share: float, layers: Sequence[int], initial: int
) -> None:
    machine = Machine(sorted(layers[:initial]) + list(layers[initial:]), initial=min(initial, len(layers)))
    machine.capacity_of = lambda tier: 1000  # type: ignore[method-assign]
    tiers = np.array(starts(make_placement("static_split", machine, {"share": share}), len(layers)))
    for count in range(machine.initial_pages, len(layers) + 1):
        for layer in range(4):
            mine = tiers[:count][np.array(machine.layers[:count], dtype=np.int64) == layer]
            assert abs(int((mine == 0).sum()) - share * len(mine)) <= 0.5 + 1e-9


def test_a_parallel_read_is_split_by_bandwidth() -> None:
    """300 / (300 + 100): three of four pages; of twelve bytes nine are in tier 0."""
    policy = make_placement("parallel", Machine(of_layers(3, 4)))
    assert starts(policy, 12) == [0, 0, 0, 1] * 3
    assert (
        starts(make_placement("parallel", Machine(of_layers(3, 4)), {"share": 0.5}), 12) == [0, 0, 1, 1] * 3
    )


def test_a_parallel_read_counts_pages_by_their_bytes_in_each_tier() -> None:
    """A page takes three bytes in tier 0 and one in tier 1: 300 / 3 against 100 / 1 pages a second."""
    machine = Machine(of_layers(3, 4))
    machine.sizes_of = lambda pages, tier: np.full(len(pages), 1 if tier else 3)  # type: ignore[method-assign]
    machine.capacity_of = lambda tier: 1000  # type: ignore[method-assign]
    assert starts(make_placement("parallel", machine), 12) == [0, 0, 1, 1] * 3


def test_a_parallel_read_needs_a_second_tier_and_a_share() -> None:
    machine = Machine(of_layers(3, 4))
    machine.direct = (2,)
    assert set(starts(make_placement("parallel", machine), 12)) == {0, 2}
    machine.bandwidths[0] = None
    with pytest.raises(SimulationError, match="option `share`"):
        make_placement("parallel", machine)
    assert make_placement("parallel", machine, {"share": 0.5}).start(0) == 0
    machine.direct = ()
    with pytest.raises(SimulationError, match="access: direct"):
        make_placement("parallel", machine, {"share": 0.5})


def test_the_best_split_of_two_tiers_is_where_both_end_at_once() -> None:
    """Of 400 pages at 300 and 100 a second any other split takes longer than one second."""
    pages = 400
    machine = Machine([0] * pages)
    machine.capacity_of = lambda tier: 1000  # type: ignore[method-assign]
    near = starts(make_placement("parallel", machine), pages).count(0)
    times = [max(Fraction(n, 300), Fraction(pages - n, 100)) for n in range(pages + 1)]
    assert times[near] == min(times) == 1
