"""Ranks by hand, and against the definition for any numbers."""

from __future__ import annotations

from statistics import correlation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.study.ranks import average_ranks, rank_correlation

FEW = st.integers(0, 5)  # few different numbers, so that there are ties


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert average_ranks([30, 10, 20, 10]) == [4, 1.5, 3, 1.5]
    assert average_ranks([7, 7, 7]) == [2, 2, 2]
    assert average_ranks([]) == []


def test_the_same_order_gives_exactly_one_and_the_reverse_minus_one() -> None:
    values = [0.1, 0.7, 0.3, 1e9, -2, 5, 6]
    assert rank_correlation(values, [value * 3 for value in values]) == 1
    assert rank_correlation(values, [-value for value in values]) == -1


@pytest.mark.parametrize(("one", "other"), [([1, 1], [1, 2]), ([1, 2], [3, 3]), ([1], [1]), ([], [])])
def test_without_an_order_there_is_none(one: list[float], other: list[float]) -> None:
    assert rank_correlation(one, other) is None


@given(st.lists(st.tuples(FEW, FEW), min_size=2, max_size=8))
def test_it_is_the_correlation_of_the_ranks(pairs: list[tuple[int, int]]) -> None:
    one, other = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    found = rank_correlation(one, other)
    if min(len(set(one)), len(set(other))) < 2:
        assert found is None
    else:
        assert found == pytest.approx(correlation(average_ranks(one), average_ranks(other)), abs=1e-12)
