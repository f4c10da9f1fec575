"""What every eviction policy owes the engine. The policies are found by themselves."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies.small_engine import SmallEngine, bytes_held

from kvsim.policies import EvictionPolicy, make_eviction, names
from kvsim.registry import BadOption

EVERY_POLICY = pytest.mark.parametrize("name", names()["eviction"])
PAGES = 24


def layer(number: int) -> tuple[list[int], bool]:
    """One to four distinct pages, and whether everything is unpinned afterwards."""
    number, released = divmod(number, 2)
    number, more = divmod(number, 4)
    pages = [number // PAGES**place % PAGES for place in range(1 + more)]
    return list(dict.fromkeys(pages)), bool(released)


READS = st.lists(st.integers(0, 8 * PAGES**4 - 1).map(layer), max_size=60)
"""Layers; hypothesis draws one number for each, which is much quicker than to draw its parts."""


def churn(name: str, reads: int, pages: int, seed: int = 5) -> SmallEngine:
    """A skewed random run over two tiers that together hold fewer pages than are read."""
    engine = SmallEngine(name, [16, 24])
    go_on(engine, random.Random(seed), reads, pages)
    return engine


def go_on(engine: SmallEngine, draws: random.Random, reads: int, pages: int) -> None:
    for _ in range(reads):
        engine.read(sorted({min(draws.randrange(pages), draws.randrange(pages)) for _ in range(4)}))
        engine.release()


@EVERY_POLICY
@given(reads=READS, capacities=st.lists(st.integers(4, 8), min_size=1, max_size=3))
def test_victims_are_resident_and_unpinned_and_contents_are_true(
    name: str, reads: list[tuple[list[int], bool]], capacities: list[int]
) -> None:
    engine = SmallEngine(name, capacities)
    for pages, released in reads:
        engine.read(pages)
        engine.check_contents()
        if released:
            engine.release()


@EVERY_POLICY
@given(reads=READS)
@settings(max_examples=25)
def test_equal_runs_choose_equal_victims(name: str, reads: list[tuple[list[int], bool]]) -> None:
    def victims() -> list[tuple[int, int]]:
        engine = SmallEngine(name, [5, 7])
        for pages, released in reads:
            engine.read(pages)
            if released:
                engine.release()
        return engine.victims

    assert victims() == victims()


@EVERY_POLICY
def test_many_victims_at_once_are_those_one_after_another(name: str) -> None:
    """Some policies find, and take in, many at a time: as the base class does it, page by page."""
    at_once, one_by_one = (churn(name, reads=300, pages=100).policy for _ in range(2))
    gone = at_once.evict(0, 10)
    assert gone == EvictionPolicy.evict(one_by_one, 0, 10)
    at_once.insert(gone[::-1], 0)
    EvictionPolicy.insert(one_by_one, gone[::-1], 0)
    assert at_once.evict(0, 16) == EvictionPolicy.evict(one_by_one, 0, 16)
    assert sorted(at_once.contents(0)) == sorted(one_by_one.contents(0))


@EVERY_POLICY
def test_full_tiers_can_be_emptied_to_the_last_page(name: str) -> None:
    engine = churn(name, reads=500, pages=100)
    assert len(engine.tiers[0]) == engine.capacities[0]
    assert len(engine.tiers[1]) >= engine.capacities[1] - 1  # the last page read may just have left it
    for tier in (0, 1):
        for _ in range(len(engine.tiers[tier])):
            page = engine.checked_victim(tier)
            assert page is not None
            engine.tiers[tier].remove(page)
            engine.policy.removed(page, tier)
        assert engine.checked_victim(tier) is None
    engine.check_contents()


@EVERY_POLICY
def test_there_is_no_victim_where_nothing_is_or_all_is_pinned(name: str) -> None:
    engine = SmallEngine(name, [4, 4])
    assert engine.policy.victim(0) is None
    engine.read([0, 1, 2, 3])
    assert engine.policy.victim(0) is None
    engine.release()
    assert engine.policy.victim(0) in {0, 1, 2, 3}


@EVERY_POLICY
def test_an_absent_page_may_be_read_without_being_in_a_tier(name: str) -> None:
    engine = SmallEngine(name, [4])
    engine.policy.accessed([7], -1)
    engine.check_contents()


@EVERY_POLICY
def test_memory_does_not_grow_with_the_length_of_a_run(name: str) -> None:
    """What a policy holds goes up and down, as some clear up now and then; the peaks stay where they are."""
    engine = SmallEngine(name, [16, 24])
    draws = random.Random(5)
    peaks = []
    for _ in ("first half", "second half"):
        held = []
        for _ in range(20):
            go_on(engine, draws, reads=100, pages=100)
            held.append(bytes_held(engine.policy, without=(engine,)))
        peaks.append(max(held))
    assert peaks[1] <= 1.25 * peaks[0]


@EVERY_POLICY
def test_memory_of_pages_that_are_gone_is_bounded(name: str) -> None:
    """Per page number a few numbers may be kept, nothing that grows with the reads of a page."""
    engine = SmallEngine(name, [8, 8])
    held = []
    for more in (10, 30):
        for _ in range(more):
            for page in range(200):
                engine.read([page])
                engine.release()
        engine.check_contents()
        held.append(bytes_held(engine.policy, without=(engine,)))
    assert held[1] <= 1.1 * held[0]


@EVERY_POLICY
def test_every_policy_says_what_it_changes_what_it_costs_and_where_it_comes_from(name: str) -> None:
    text = type(make_eviction(name, SmallEngine("lru", [4]))).__doc__ or ""
    assert "Cost:" in text
    assert "Source:" in text


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lru_k", {"k": 0}),
        ("s3fifo", {"small": 1.0}),
        ("windowed_recency", {"window": 0}),
        ("regret_aware", {"horizon": 0}),
        ("gdsf", {"cost": "two"}),
        ("lecar", {"discount": 0.0}),
        ("streaming", {"sinks": -1}),
        ("h2o", {"recent": 1.5}),
        ("scissorhands", {"history": 0}),
        ("snapkv", {"pool": -1}),
        ("random", {"even": 1}),
        ("learned", {"rate": 0.0}),
        ("switching", {"shadow": 1.0}),
    ],
)
def test_options_out_of_range_are_refused_by_name(name: str, options: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(options))):
        make_eviction(name, SmallEngine("lru", [4]), options)
