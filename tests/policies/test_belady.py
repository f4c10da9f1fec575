"""Belady is the bound it claims to be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies.one_tier import OneTier, misses

from kvsim.policies import names


@pytest.mark.parametrize("name", [name for name in names()["eviction"] if name != "belady"])
@given(reads=st.lists(st.integers(0, 11), max_size=120), capacity=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_belady_is_never_beaten_on_misses_at_equal_sizes(name: str, reads: list[int], capacity: int) -> None:
    assert misses("belady", capacity, reads) <= misses(name, capacity, reads)


@given(reads=st.lists(st.integers(0, 11), max_size=120), capacity=st.integers(1, 8))
@settings(deadline=None)
def test_belady_size_is_belady_where_pages_are_equal(reads: list[int], capacity: int) -> None:
    assert misses("belady_size", capacity, reads) == misses("belady", capacity, reads)


def test_belady_size_prefers_to_remove_one_large_page() -> None:
    sizes = {0: 4, 1: 1, 2: 1}
    reads = [0, 1, 2, 1, 0]  # page 1 is needed before page 0, but page 0 is four times as large
    tier = OneTier("belady_size", 5, reads, sizes)
    assert tier.run() == 4
    assert tier.held == {0, 1}


def test_what_is_never_read_again_goes_before_what_is_large() -> None:
    sizes = {0: 1, 1: 100, 2: 1}
    tier = OneTier("belady_size", 101, [0, 1, 2, 1], sizes)
    assert tier.run() == 3
    assert tier.held == {1, 2}
