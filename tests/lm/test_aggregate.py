"""Hierarchical aggregation: sizes by age, and what merging loses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.lm.aggregate import Hierarchy, merge
from kvsim.lm.codes import Array

HIERARCHIES = st.builds(
    Hierarchy,
    recent=st.integers(1, 9),
    width=st.integers(1, 5),
    largest=st.sampled_from([1, 2, 4, 8, 64]),
    sinks=st.integers(0, 3),
)


def step_by_step(hierarchy: Hierarchy, tokens: int) -> list[int]:
    """Tokens come one by one; as soon as there is one entry too many of a size, its two oldest become one."""
    sinks = [1] * min(tokens, hierarchy.sinks)
    entries: list[int] = []
    for _ in range(tokens - len(sinks)):
        entries.append(1)
        size, most = 1, hierarchy.recent
        while size < hierarchy.largest and entries.count(size) > most:
            oldest = entries.index(size)
            entries[oldest : oldest + 2] = [2 * size]
            size, most = 2 * size, hierarchy.width
    return sinks + entries


def attention(query: Array, keys: Array, values: Array, counts: Array | None = None) -> Array:
    scores = keys @ query + (0 if counts is None else np.log(counts))
    weights = np.exp(scores - scores.max())
    result: Array = weights @ values / weights.sum()
    return result


def test_older_entries_are_larger() -> None:
    # 20 tokens less 1 sink: 19 single ones, of which 4 may stay: 8 pairs become of the oldest, 3 stay;
    # of 8 pairs 2 may stay: 3 fours; the largest have no limit
    assert Hierarchy(recent=4, width=2, largest=4, sinks=1).counts(20).tolist() == [1, 4, 4, 4, 2, 2, 1, 1, 1]


@given(HIERARCHIES, st.integers(0, 120))
def test_the_entries_are_those_of_merging_as_tokens_come(hierarchy: Hierarchy, tokens: int) -> None:
    assert hierarchy.counts(tokens).tolist() == step_by_step(hierarchy, tokens)
    assert hierarchy.entries(tokens) == len(step_by_step(hierarchy, tokens))


@given(HIERARCHIES, st.integers(1, 120))
def test_what_was_merged_stays_merged(hierarchy: Hierarchy, tokens: int) -> None:
    ends = {0, *np.cumsum(hierarchy.counts(tokens)).tolist()}
    later = np.cumsum(hierarchy.counts(tokens + 1)).tolist()
    assert ends | {tokens + 1} >= set(later)


def test_the_number_of_entries_grows_with_the_logarithm() -> None:
    hierarchy = Hierarchy(recent=64, width=8, largest=2**20)
    # at most 64 single ones and 8 of each of 2, 4 … 2^12: together they reach 64 + 8 x (2^13 - 2)
    assert hierarchy.entries(64 + 8 * (2**13 - 2)) <= 64 + 8 * 12
    assert hierarchy.bits(64, 32) == 2 * 64 * 32 * 16


def test_means_are_taken_over_neighbours() -> None:
    array = np.array([[[1, 10], [3, 30], [5, 0], [7, 8], [9, 4]]], dtype=np.float32)
    assert merge(array, np.array([1, 2, 2])).tolist() == [[[1, 10], [4, 15], [8, 6]]]


def test_a_mean_of_means_is_the_mean_of_all() -> None:
    array = np.random.default_rng(0).normal(size=(2, 24, 4)).astype(np.float32)
    by_two = merge(array, np.full(12, 2))
    np.testing.assert_allclose(merge(by_two, np.full(6, 2)), merge(array, np.full(6, 4)), atol=1e-6)


def test_equal_keys_lose_nothing_if_an_entry_counts_for_its_tokens() -> None:
    generator = np.random.default_rng(1)
    counts = np.array([4, 2, 1, 1])
    keys = np.repeat(generator.normal(size=(4, 8)), counts, axis=0).astype(np.float32)
    values = generator.normal(size=(8, 8)).astype(np.float32)
    query = generator.normal(size=8).astype(np.float32)
    whole = attention(query, keys, values)
    merged = attention(query, merge(keys, counts), merge(values, counts), counts.astype(np.float32))
    np.testing.assert_allclose(merged, whole, atol=1e-5)


def test_different_keys_get_less_than_they_had() -> None:
    """exp(mean of scores) is at most the mean of exp(score): merged tokens lose to those that are single."""
    generator = np.random.default_rng(2)
    keys = generator.normal(size=(9, 8)).astype(np.float32)
    values = np.zeros((9, 1), dtype=np.float32)
    values[:8] = 1  # so that the result is the mass of the first eight
    counts = np.array([8, 1])
    for query in generator.normal(size=(20, 8)).astype(np.float32):
        merged = attention(query, merge(keys, counts), merge(values, counts), counts.astype(np.float32))
        assert merged[0] < attention(query, keys, values)[0]


def test_no_tokens_have_no_entries() -> None:
    assert Hierarchy(4, 2, 4, sinks=2).counts(0).tolist() == []
    assert merge(np.zeros((3, 0, 8), dtype=np.float32), Hierarchy(4, 2, 4).counts(0)).shape == (3, 0, 8)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two of tokens, not 6"):
        Hierarchy(4, 2, 6)
    with pytest.raises(ValueError, match="1 or more"):
        Hierarchy(4, 0, 8)
    with pytest.raises(ValueError, match=r"\[2, 2\] tokens do not make up 5"):
        merge(np.zeros((5, 8), dtype=np.float32), np.array([2, 2]))
