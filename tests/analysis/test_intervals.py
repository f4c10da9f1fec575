from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.analysis.intervals import (
    Ticks,
    binned_cover,
    covered_before,
    exact_dot,
    exact_sum,
    merge,
    overlap_ticks,
    pack_rows,
    total_ticks,
)

Intervals = list[tuple[int, int]]

INTERVALS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 15)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=25,
)


def arrays(intervals: Intervals) -> tuple[Ticks, Ticks]:
    table = np.array(intervals, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def ticks_of(intervals: Intervals) -> set[int]:
    """The intervals as the set of unit ticks they cover: the definition, spelt out."""
    return {tick for start, end in intervals for tick in range(start, end)}


@given(INTERVALS)
def test_merged_intervals_cover_the_same_ticks_and_are_sorted_and_apart(intervals: Intervals) -> None:
    start, end = merge(*arrays(intervals))
    assert ticks_of(list(zip(start.tolist(), end.tolist(), strict=True))) == ticks_of(intervals)
    assert np.all(end > start)
    assert np.all(start[1:] > end[:-1])


@given(INTERVALS, INTERVALS)
def test_overlap_is_the_number_of_common_ticks(a: Intervals, b: Intervals) -> None:
    both = overlap_ticks(merge(*arrays(a)), merge(*arrays(b)))
    assert both == len(ticks_of(a) & ticks_of(b))


@given(INTERVALS, st.integers(-5, 90))
def test_cover_before_a_time_counts_the_ticks_before_it(intervals: Intervals, time: int) -> None:
    covered = covered_before(*merge(*arrays(intervals)), np.array([time]))
    assert covered.tolist() == [len([tick for tick in ticks_of(intervals) if tick < time])]


@given(INTERVALS)
def test_bins_share_out_the_whole_cover(intervals: Intervals) -> None:
    merged = merge(*arrays(intervals))
    cover = binned_cover(merged, np.array([0, 7, 8, 40, 100]))
    assert cover.sum() == total_ticks(merged) == len(ticks_of(intervals))


@given(INTERVALS)
def test_packed_rows_never_overlap_and_are_as_few_as_ever_run_at_once(intervals: Intervals) -> None:
    real = [(start, end) for start, end in intervals if end > start]
    start, end = arrays(real)
    rows = pack_rows(start, end)
    for row in range(int(rows.max(initial=-1)) + 1):
        mine = sorted(real[index] for index in np.flatnonzero(rows == row))
        assert all(first[1] <= second[0] for first, second in pairwise(mine))
    busiest = max((sum(s <= tick < e for s, e in real) for tick in ticks_of(real)), default=0)
    assert rows.max(initial=-1) + 1 == busiest


def test_a_sum_beyond_63_bits_is_exact() -> None:
    ten_days = 10 * 86_400 * 10**12
    assert exact_sum(np.full(1_000, ten_days)) == 1_000 * ten_days > 2**63
    assert exact_dot(np.full(1_000, 3), np.full(1_000, ten_days)) == 3_000 * ten_days


@pytest.mark.parametrize("values", [[-5, 3], [-(2**40), 7], []])
def test_a_sum_of_negative_or_no_values_is_exact(values: list[int]) -> None:
    assert exact_sum(np.array(values, dtype=np.int64)) == sum(values)
