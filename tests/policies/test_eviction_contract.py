"""What every eviction policy owes the engine. The policies are found by themselves."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies.small_engine import SmallEngine, bytes_held

from kvsim.policies import make_eviction, names
from kvsim.registry import BadOption

EVERY_POLICY = pytest.mark.parametrize("name", names()["eviction"])
READS = st.lists(
    st.tuples(st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True), st.booleans()), max_size=60
)
"""Layers of distinct pages, and whether everything is unpinned afterwards."""


def churn(name: str, reads: int, pages: int, seed: int = 5) -> SmallEngine:
    """A skewed random run over two tiers that together hold fewer pages than are read."""
    engine = SmallEngine(name, [16, 24])
    draws = random.Random(seed)
    for _ in range(reads):
        engine.read(sorted({min(draws.randrange(pages), draws.randrange(pages)) for _ in range(4)}))
        engine.release()
    return engine


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
    short, long = (churn(name, reads, pages=100) for reads in (1_000, 6_000))
    held_short, held_long = (bytes_held(engine.policy, without=(engine,)) for engine in (short, long))
    assert held_long <= 1.25 * held_short


@EVERY_POLICY
def test_memory_of_pages_that_are_gone_is_bounded(name: str) -> None:
    """Per page number a few numbers may be kept, nothing that grows with the reads of a page."""
    held = []
    for rounds in (10, 60):
        engine = SmallEngine(name, [8, 8])
        for _ in range(rounds):
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
    ],
)
def test_options_out_of_range_are_refused_by_name(name: str, options: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(options))):
        make_eviction(name, SmallEngine("lru", [4]), options)
