"""Placement policies: where pages start, which stay near the compute, which move."""

from __future__ import annotations

import numpy as np
import pytest
from policies.machine import Machine

from kvsim.policies import make_placement, names
from kvsim.policies.placement.hot_warm_cold import HotWarmCold


def tracker(start: str = "cold", tiers: dict[int, int] | None = None, **options: object) -> HotWarmCold:
    machine = Machine()
    policy = make_placement("hot_warm_cold", machine, {"start": start, **options})
    assert isinstance(policy, HotWarmCold)
    machine.tiers = dict.fromkeys(range(20), policy.start(0)) if tiers is None else tiers
    for page in range(20):
        policy.start(page)
    return policy


def step(policy: HotWarmCold, *pages: int) -> list[tuple[int, int]]:
    """One step that reads the pages; returns what is to move, and moves it."""
    policy.accessed(np.array(pages, dtype=np.int64))
    wanted = list(policy.migrations())
    machine = policy.view
    assert isinstance(machine, Machine)
    machine.tiers.update(wanted)
    return wanted


def classes(policy: HotWarmCold, *pages: int) -> str:
    return " ".join(policy.class_of(page) for page in pages)


def test_every_placement_says_where_pages_start() -> None:
    starts = {name: make_placement(name, Machine()).start(0) for name in names()["placement"]}
    elsewhere = {"last": 3, "hot_warm_cold": 1}
    assert starts == {name: elsewhere.get(name, 0) for name in names()["placement"]}
    assert make_placement("hot_warm_cold", Machine(), {"start": "cold"}).start(0) == 2


def test_a_page_becomes_warm_and_hot_by_being_read_and_cold_again_by_not_being_read() -> None:
    """Weight 1/2: read, read, read, then not: rates 1/2, 3/4, 7/8, then 7/16, 7/32, 7/64."""
    policy = tracker(warm=0.5, hot=0.75, hysteresis=0.1)
    seen = []
    for reads in ((5,), (5,), (5,), (), (), ()):
        step(policy, *reads)
        seen.append(classes(policy, 5))
    assert seen == ["warm", "hot", "hot", "warm", "cold", "cold"]  # 7/16 >= .5 - .1, but not .75 - .1


def test_without_hysteresis_a_page_falls_back_at_the_threshold() -> None:
    policy = tracker(warm=0.5, hot=0.75, hysteresis=0.0)
    for reads in ((5,), (5,), (5,), ()):
        step(policy, *reads)
    assert classes(policy, 5) == "cold"  # 7/16 < 1/2


def test_pages_move_to_the_tier_of_their_class() -> None:
    policy = tracker(warm=0.5, hot=2.0, hysteresis=0.0)
    assert step(policy, 3, 4) == [(3, 1), (4, 1)]
    assert step(policy, 4) == [(3, 2)]  # 1/4, and has not been read
    assert step(policy) == [(4, 2)]  # 3/8


def test_those_most_often_read_go_up_first_and_those_least_often_read_go_down_first() -> None:
    policy = tracker(warm=0.5, hot=2.0, hysteresis=0.0, moves=1)
    assert step(policy, 7, 8, 9) == [(7, 1)]  # equals: the lower number
    assert step(policy, 9, 8, 7, 5) == [(8, 1)]  # 3/4, as 9; 5 is at 1/2
    assert step(policy, 9, 8, 7, 5) == [(9, 1)]  # 7/8; 5 is at 3/4
    policy = tracker("warm", warm=0.5, hot=2.0, hysteresis=0.0, moves=1)
    assert step(policy, 0, 4) == [(1, 2)]  # 1/4, as most others
    assert step(policy, 4) == [(2, 2)]  # 1/8; 0 is at 3/8


def test_a_page_that_is_in_its_tier_already_does_not_move() -> None:
    policy = tracker(warm=0.5, hot=2.0, tiers=dict.fromkeys(range(20), 1))
    assert step(policy, 3) == []


def test_hot_pages_take_no_more_than_their_share_of_tier_0() -> None:
    """Half of ten bytes: five of seven pages that are read as often; who is hot stays so among equals."""
    policy = tracker(hot=0.5, hot_share=0.5)
    step(policy, *range(10, 17))
    assert [page for page in range(20) if policy.keeps(page)] == [10, 11, 12, 13, 14]
    step(policy, *range(9, 17))
    assert [page for page in range(20) if policy.keeps(page)] == [10, 11, 12, 13, 14]  # 9 was read once only


def test_a_page_that_is_hot_no_longer_leaves_tier_0() -> None:
    policy = tracker(hot=0.5, hot_share=0.1, hysteresis=0.0, warm=0.1)
    step(policy, 6)
    assert policy.keeps(6)
    assert (6, 1) in step(policy, 7)  # 7 has the only place now
    assert policy.keeps(7)
    assert not policy.keeps(6)


@pytest.mark.parametrize(("start", "tier"), [("warm", 1), ("cold", 2)])
def test_pages_that_start_warm_are_cold_when_nobody_reads_them(start: str, tier: int) -> None:
    policy = tracker(start, moves=3)
    moved = step(policy)
    assert moved == ([(0, 2), (1, 2), (2, 2)] if start == "warm" else [])
    assert policy.start(0) == tier


def test_a_machine_of_two_tiers_has_its_cold_pages_in_the_second() -> None:
    machine = Machine()
    machine.tier_count = 2
    assert make_placement("hot_warm_cold", machine, {"start": "cold"}).start(0) == 1
