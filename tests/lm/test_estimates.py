"""Intervals: against their definitions, and against how often they hold the truth."""

from __future__ import annotations

from math import isnan, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.lm.estimates import Estimate, mean, ratio, share, share_by, wilson
from kvsim.randomness import stream

Z = NormalDist().inv_cdf(0.975)


@given(st.integers(1, 500), st.data())
def test_wilsons_ends_are_the_shares_that_the_test_just_accepts(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    for end in wilson(hits, trials):
        assert (hits / trials - end) ** 2 == pytest.approx(Z * Z * end * (1 - end) / trials, abs=1e-12)


def test_wilson_of_a_published_example() -> None:
    # R. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_a_share_counts_hits() -> None:
    low, high = wilson(3, 4)
    assert share([True, False, True, True]) == Estimate(0.75, low, high, 4)
    nothing = share([])
    assert isnan(nothing.value)
    assert (nothing.low, nothing.high, nothing.count) == (0, 1, 0)


def test_repeated_observations_of_a_sequence_add_nothing() -> None:
    # m sequences, each k times the same: the share varies k m/(m-1) times as much as one of k m independent
    # observations, so k m trials count for m - 1
    hits = np.repeat([1, 1, 1, 0, 1, 0, 1, 1, 0, 1], 8)
    sequences = np.repeat(np.arange(10), 8)
    found = share(hits, sequences)
    assert (found.low, found.high) == pytest.approx(wilson(0.7 * 9, 9))
    assert found.count == 80


def test_independent_observations_count_in_full_whatever_their_sequence() -> None:
    hits = np.tile([1, 1, 0, 1], 20)  # each sequence has the same share: they vary less than by chance
    assert share(hits, np.repeat(np.arange(20), 4)) == share(hits)
    assert share(np.ones((3, 4)), np.arange(3)[:, None]) == share(np.ones(12))


def test_shares_by_place() -> None:
    hits = [1, 0, 1, 1, 0]
    found = share_by(hits, [0, 9, 10, 99, 100], [0, 10, 50, 100])
    assert [(each.value, each.count) for each in found] == [(0.5, 2), (1, 1), (0.5, 2)]
    empty, full = share_by([1], [0.9], [0, 0.5, 1])
    assert (empty.count, full.count) == (0, 1)
    with pytest.raises(ValueError, match=r"0 … 100 is not within 0 … 50"):
        share_by(hits, [0, 9, 10, 99, 100], [0, 10, 50])
    with pytest.raises(ValueError, match="must rise"):
        share_by(hits, [0, 9, 10, 99, 100], [0, 0, 50])


def test_a_ratio_is_of_the_sums() -> None:
    # (1 + 9) / (1 + 3), not the mean of 1 and 3; a sequence without weight does not count
    found = ratio([1, 9, 5], [1, 3, 0], stream(0, "ratio"))
    assert (found.value, found.count) == (2.5, 2)
    # of two sequences drawn there are four equally likely pairs: ratios 1, 2.5, 2.5, 3
    assert (found.low, found.high) == (1, 3)


def test_a_mean_leaves_out_what_is_not_there() -> None:
    found = mean([[1, 2, np.nan], [3, np.nan, np.nan]], stream(0, "mean"))
    assert (found.value, found.count) == (2, 2)
    alone = mean([[1, 2]], stream(0, "mean"))
    assert (alone.value, alone.count) == (1.5, 1)
    assert isnan(alone.low)
    assert mean(np.zeros((0, 3)), stream(0, "mean")).count == 0


def test_the_interval_of_a_mean_is_about_that_of_theory() -> None:
    values = np.random.default_rng(1).exponential(size=400)
    found = mean(values, stream(3, "theory"))
    reach = Z * values.std() / sqrt(400)
    assert (found.low, found.high) == pytest.approx((values.mean() - reach, values.mean() + reach), rel=0.03)


def test_an_interval_of_sequences_holds_the_truth_nineteen_times_of_twenty() -> None:
    """Sequences differ in their means, so intervals over single tokens would hold it far less often."""
    draws = stream(11, "coverage")
    holds = 0
    for _ in range(300):
        tokens = draws.normal(size=(40, 1)) + draws.normal(size=(40, 10))
        found = mean(tokens, draws)
        holds += found.low <= 0 <= found.high
    assert 0.91 <= holds / 300 <= 0.98  # three standard errors below 0.95, less what 40 sequences lack


def test_an_interval_is_that_of_its_stream() -> None:
    values = np.arange(30.0)
    assert mean(values, stream(1, "a")) == mean(values, stream(1, "a"))
    assert mean(values, stream(1, "a")) != mean(values, stream(1, "b"))


def test_many_sequences_are_drawn_in_parts() -> None:
    found = mean(np.tile([0.0, 1.0], 3000), stream(0, "many"))  # 2,000 x 6,000 numbers in six parts
    reach = Z * 0.5 / sqrt(6000)
    assert (found.low, found.high) == pytest.approx((0.5 - reach, 0.5 + reach), abs=reach / 10)
