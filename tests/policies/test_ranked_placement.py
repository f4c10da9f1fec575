"""Placements by rank: what a page scores, and what follows from it.

Pages of one byte; tier 0 holds ten of them unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policies.machine import Machine

from kvsim.policies import PlacementPolicy, make_placement
from kvsim.policies.placement import Tuned


def built(
    name: str, capacities: Sequence[int], tiers: Sequence[int] | None = None, **options: object
) -> PlacementPolicy:
    """The policy on a chain of tiers for so many pages; `tiers`: where each is (default: starts)."""
    count = sum(capacities) if tiers is None else len(tiers)
    machine = Machine([0] * count)
    machine.tier_count = len(capacities)
    machine.capacity_of = lambda tier: capacities[tier]  # type: ignore[method-assign]
    policy = make_placement(name, machine, options)
    started = [policy.start(page) for page in range(count)]
    machine.tiers = dict(enumerate(started if tiers is None else tiers))
    return policy


def step(policy: PlacementPolicy, *pages: int, mass: Sequence[float] | None = None) -> list[tuple[int, int]]:
    """One step that reads the pages; returns what is to move, and moves it."""
    machine = policy.view
    assert isinstance(machine, Machine)
    policy.accessed(np.array(pages, dtype=np.int64))
    if mass is not None:
        policy.attended(np.array(pages, dtype=np.int64), np.array(mass))
    wanted = list(policy.migrations())
    machine.tiers.update(wanted)
    machine.step += 1
    return wanted


def where(policy: PlacementPolicy, *pages: int) -> list[int]:
    return [policy.view.tier_of(page) for page in pages]


RANKED = ("adaptive", "predictive", "tuned")


@pytest.mark.parametrize("name", [*RANKED, "oracle"])
def test_pages_start_in_one_tier_after_the_other(name: str) -> None:
    policy = built(name, [2, 3, 4, 100], [0] * 12)
    machine = policy.view
    assert [make_placement(name, machine).start(0)] == [0]
    fresh = make_placement(name, machine)
    assert [fresh.start(page) for page in range(12)] == [0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]
    assert [page for page in range(12) if fresh.keeps(page)] == [0, 1]


@pytest.mark.parametrize("name", [*RANKED, "oracle"])
def test_each_tier_starts_with_as_much_of_each_layer(name: str) -> None:
    """Layers of eight pages: of ten bytes in tier 0 each of three has three pages, one of them a fourth."""
    policy = make_placement(name, Machine([layer for layer in range(3) for _ in range(8)]))
    started = [policy.start(page) for page in range(24)]
    assert started == [0] * 4 + [1] * 4 + ([0] * 3 + [1] * 5) * 2


def test_pages_change_places_without_pushing_out_others() -> None:
    """Both upper tiers are full. Page 5 comes up to tier 0, from which page 0 goes down to tier 1, from which
    page 1 does: the lowest makes room first. Then page 4 takes the place of page 0."""
    policy = built("adaptive", [1, 1, 9], [0, 1, 2, 2, 2, 2])
    assert step(policy, 5, 5) == [(1, 2), (0, 1), (5, 0)]
    moved = step(policy, 4, 5)
    assert moved == [(0, 2), (4, 1)]


def test_pages_that_are_read_rise_and_those_that_are_not_fall_level_by_level() -> None:
    """Four tiers of two pages, six of which are read in fewer steps the higher their number: after eight
    steps they are ranked by rate, the two that nobody read last."""
    policy = built("adaptive", [2, 2, 2, 2], [3, 3, 2, 2, 1, 1, 0, 0], weight=0.2)
    for number in range(8):
        step(policy, *[page for page in range(6) if number % (1 + page // 2) == 0])
    assert where(policy, *range(8)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_equally_hot_pages_stay_where_they_are() -> None:
    policy = built("adaptive", [3, 9])
    for _ in range(5):
        assert step(policy, *range(12)) == []
    assert [page for page in range(12) if policy.keeps(page)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("hysteresis", "moves"), [(0.0, [(0, 1), (1, 0)]), (0.2, []), (0.1, [(0, 1), (1, 0)])]
)
def test_a_page_gives_way_only_to_one_that_is_read_more_often_by_more_than_the_hysteresis(
    hysteresis: float, moves: list[tuple[int, int]]
) -> None:
    """Weight 1/8, one step that reads page 1 only: 7/8 against 1."""
    assert step(built("adaptive", [1, 9], [0, 1], weight=0.125, hysteresis=hysteresis), 1) == moves


def test_a_page_below_the_threshold_of_a_tier_leaves_it_even_if_there_is_room() -> None:
    """Weight 1/2, without hysteresis: rates 1/2, 1/4, 1/8 of a page that nobody reads."""
    policy = built("adaptive", [4, 4, 4], [0, 0], thresholds=[0.5, 0.2], hysteresis=0.0)
    assert [step(policy, 1) for _ in range(3)] == [[], [(0, 1)], [(0, 2)]]
    later = built("adaptive", [4, 4, 4], [0, 0], thresholds=[0.5, 0.2], hysteresis=0.3)
    assert [step(later, 1) for _ in range(4)] == [[], [], [(0, 1)], []]  # 1/8 and 1/16 plus .3 suffice for .2


def test_attention_weighs_reads_where_it_counts() -> None:
    """Both pages are read in each step; page 0 receives a tenth of the attention, a fifth of its share."""
    mass = (0.1, 0.9)
    by_reads = built("adaptive", [1, 9], [0, 1])
    by_mass = built("adaptive", [1, 9], [0, 1], by="mass")
    for _ in range(3):
        step(by_reads, 0, 1, mass=mass)
        step(by_mass, 0, 1, mass=mass)
    assert where(by_reads, 0, 1) == [0, 1]
    assert where(by_mass, 0, 1) == [1, 0]


def test_those_that_fall_go_first_then_those_that_rise_and_no_more_than_allowed() -> None:
    policy = built("adaptive", [3, 9], [0, 0, 0, 1, 1, 1], moves=2, weight=0.5)
    moved = step(policy, 3, 4, 5)
    assert moved == [(0, 1), (1, 1), (3, 0), (4, 0)]
    assert [page for page in range(6) if policy.keeps(page)] == [3, 4, 5]


def test_room_for_staging_is_kept_where_pages_are_not_read_in_place() -> None:
    machine = Machine([0, 1, 2, 3] * 5)
    machine.direct = (1, 2)
    policy = make_placement("adaptive", machine)
    assert [policy.start(page) for page in range(20)].count(0) == 5  # two layers of five, but at most half
    policy = make_placement("adaptive", machine, {"reserve": 0.2})
    assert [policy.start(page) for page in range(20)].count(0) == 8
    machine.direct = (1, 2, 3)
    policy = make_placement("adaptive", machine)
    assert [policy.start(page) for page in range(20)].count(0) == 10


def test_predictions_bring_pages_up_before_they_are_read() -> None:
    """Pages 0 and 1 are read in even steps, 2 and 3 in odd ones; tier 0 holds two. Once the intervals are
    known, those due next are in tier 0 before their step, which the rates of reads do not tell."""
    policy = built("predictive", [2, 9], [0, 0, 1, 1])
    reactive = built("adaptive", [2, 9], [0, 0, 1, 1])
    hits = {"predictive": 0, "adaptive": 0}
    for number in range(20):
        due = (0, 1) if number % 2 == 0 else (2, 3)
        for each in (policy, reactive):
            if number >= 4:
                hits[each.name] += where(each, *due).count(0)
            step(each, *due)
    assert hits["predictive"] == 2 * 16
    assert hits["adaptive"] <= 16


def test_a_page_that_is_overdue_gives_way() -> None:
    """Page 0 is read in each of four steps, then page 1 is. Page 0 is 1, 2, 3 steps off as it has been
    unread; the intervals of page 1 are 5, 1, 1, their mean 5, 3, 2."""
    policy = built("predictive", [1, 9], [0, 1], hysteresis=0.0)
    for _ in range(4):
        step(policy, 0)
    seen = []
    for _ in range(3):
        step(policy, 1)
        seen.append(where(policy, 0, 1))
    assert seen == [[0, 1], [0, 1], [1, 0]]


def test_what_is_tuned_forgets_slowly_where_the_past_tells_the_future_and_fast_where_it_does_not() -> None:
    """Tier 0 holds two of twelve pages. Pages 0 and 1 are read in three steps of four, in between others each
    once: whoever goes by the latest step alone moves those up for nothing. Then two pages at a time are read
    for ten steps and never again, which a long memory finds out late."""
    policy = built("tuned", [2, 99], [1] * 42, weights=[0.05, 1.0], thresholds=[0.01])
    assert isinstance(policy, Tuned)
    for number in range(40):
        step(policy, *((0, 1) if number % 4 else (2 + number // 4, 3 + number // 4)))
    assert policy.followed == (0.05, 0.01)
    for number in range(100):
        step(policy, 20 + 2 * (number // 10), 21 + 2 * (number // 10))
    assert policy.followed == (1.0, 0.01)
    assert where(policy, 38, 39) == [0, 0]


def test_what_is_tuned_moves_nothing_up_where_that_costs_more_than_it_finds() -> None:
    """Three pairs of pages in turn, one place for a pair: with a low threshold each step moves two pages up,
    and none of them is read before it has left. A high one leaves what is there, a third of all reads."""
    policy = built("tuned", [2, 99], [0, 0, 1, 1, 1, 1], weights=[0.8], thresholds=[0.05, 2.0])
    assert isinstance(policy, Tuned)
    for number in range(30):
        moved = step(policy, *((0, 1), (2, 3), (4, 5))[number % 3])
    assert policy.followed == (0.8, 2.0)
    assert moved == []


class Script:
    """A future that was written down."""

    never = 1000

    def __init__(self, coming: Sequence[int]) -> None:
        self._coming = list(coming)

    def next_read(self, page: int) -> int:
        return self._coming.index(page) if page in self._coming else self.never

    def coming(self, count: int) -> Sequence[int]:
        return self._coming[:count]


def test_the_oracle_fills_the_tiers_in_order_of_the_next_read() -> None:
    policy = built("oracle", [2, 2, 9], [0, 0, 1, 1, 2, 2])
    policy.future = Script([5, 4, 5, 0, 3])
    step(policy)
    assert where(policy, 5, 4, 0, 3, 1, 2) == [0, 0, 1, 1, 2, 2]


@given(data=st.data())
def test_no_tier_is_meant_to_hold_more_than_it_can_and_nothing_moves_twice(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from((*RANKED, "oracle")))
    capacities = [*data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)), 99]
    count = data.draw(st.integers(1, 12))
    tiers = data.draw(st.lists(st.integers(0, len(capacities) - 1), min_size=count, max_size=count))
    policy = built(name, capacities, tiers)
    pages = st.lists(st.integers(0, count - 1), unique=True)
    for _ in range(data.draw(st.integers(1, 6))):
        policy.future = Script(data.draw(pages))
        moved = step(policy, *data.draw(pages))
        assert len({page for page, _ in moved}) == len(moved)
        homes = where(policy, *range(count))
        for tier, capacity in enumerate(capacities):
            assert homes.count(tier) <= capacity
        assert [policy.keeps(page) for page in range(count)] == [home == 0 for home in homes]
