"""Attention of a chunk against the textbook, query by query; and what Quest would read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kvsim.lm import attention
from kvsim.lm.attention import attend, grouped, select

Floats = NDArray[np.float32]


def normal(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


QUERIES, KEYS, VALUES = normal(1, 2, 4, 3, 5), normal(2, 2, 2, 8, 5), normal(3, 2, 2, 8, 5)
"""Two sequences, four query heads on two KV heads, the last 3 of 8 tokens, 5 scalars."""
HIDDEN = np.zeros((2, 2, 1, 8), dtype=np.float32)
HIDDEN[0, 0, 0, 1:4] = -np.inf
HIDDEN[1, 1, 0, 0] = -np.inf
HIDDEN[1, 0, 0, 2] = np.log(3)


def shares(sequence: int, head: int, query: int, bias: Floats | None) -> NDArray[np.float64]:
    """[8]: softmax over the tokens that the query sees."""
    scores = KEYS[sequence, head // 2].astype(float) @ QUERIES[sequence, head, query] / 5**0.5
    if bias is not None:
        scores = scores + bias[sequence, head // 2, 0]
    seen = np.exp(np.where(np.arange(8) <= 5 + query, scores, -np.inf))
    found: NDArray[np.float64] = seen / seen.sum()
    return found


def test_output_and_mass_are_those_of_the_textbook() -> None:
    found = attend(QUERIES, KEYS, VALUES, HIDDEN, weigh=True)
    assert found.mass is not None
    for sequence in range(2):
        mass = np.zeros((2, 8))
        for head in range(4):
            for query in range(3):
                share = shares(sequence, head, query, HIDDEN)
                output = share @ VALUES[sequence, head // 2]
                np.testing.assert_allclose(found.output[sequence, head, query], output, atol=1e-6)
                mass[head // 2] += share / 6  # two query heads of three queries
        np.testing.assert_allclose(found.mass[sequence], mass, atol=1e-6)


def test_tokens_that_nobody_sees_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = HIDDEN.copy()
    hidden[..., 1:4] = -np.inf
    short = attend(QUERIES, KEYS, VALUES, hidden, weigh=True)  # 5 of 8 tokens are seen
    monkeypatch.setattr(attention, "WORTH", 0)
    whole = attend(QUERIES, KEYS, VALUES, hidden, weigh=True)
    assert short.mass is not None
    assert whole.mass is not None
    assert (short.mass[..., 1:4] == 0).all()
    np.testing.assert_allclose(short.output, whole.output, atol=1e-6)
    np.testing.assert_allclose(short.mass, whole.mass, atol=1e-6)


def test_what_the_bias_costs_is_told() -> None:
    found = attend(QUERIES, KEYS, VALUES, HIDDEN, compare=True)
    assert found.kept is not None
    assert found.error is not None
    for sequence in range(2):
        kept, errors = [], []
        for head in range(4):
            for query in range(3):
                whole, seen = (shares(sequence, head, query, bias) for bias in (None, HIDDEN))
                kept.append(whole[seen > 0].sum())
                right, got = whole @ VALUES[sequence, head // 2], seen @ VALUES[sequence, head // 2]
                errors.append(np.linalg.norm(got - right) / np.linalg.norm(right))
        np.testing.assert_allclose(found.kept[sequence], np.mean(kept), atol=1e-6)
        np.testing.assert_allclose(found.error[sequence], np.mean(errors), atol=1e-6)


def test_without_a_bias_there_is_nothing_to_compare() -> None:
    found = attend(QUERIES, KEYS, VALUES, compare=True)
    assert found.kept is None
    assert found.error is None


def test_sequences_computed_in_turns_are_computed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = attend(QUERIES, KEYS, VALUES, HIDDEN, weigh=True)
    monkeypatch.setattr(attention, "BLOCK", 1)
    parts = attend(QUERIES, KEYS, VALUES, HIDDEN, weigh=True)
    assert np.array_equal(whole.output, parts.output)
    assert np.array_equal(whole.mass, parts.mass)  # type: ignore[arg-type]


@given(seed=st.integers(0, 1000), most=st.integers(1, 3))
def test_the_pages_of_the_highest_bounds_are_read(seed: int, most: int) -> None:
    rows, keys = normal(seed, 2, 2, 6, 5), normal(seed + 1, 2, 2, 8, 5)
    chosen = select(rows, keys, 2, most)
    assert (chosen.sum(axis=-1) == most).all()
    for at in np.ndindex(2, 2, 6):
        query, key = rows[at], keys[at[:2]]
        bounds = [
            sum(max(q * low, q * high) for q, low, high in zip(query, *ends, strict=True))
            for ends in ((key[p : p + 2].min(axis=0), key[p : p + 2].max(axis=0)) for p in range(0, 8, 2))
        ]
        best = sorted(range(4), key=lambda page: -bounds[page])[:most]
        assert sorted(np.flatnonzero(chosen[at])) == sorted(best)


def test_pages_of_one_token_are_chosen_by_their_products() -> None:
    """Lows and highs are then the key itself, so the bound is the logit."""
    rows = grouped(QUERIES, 2)
    chosen = select(rows, KEYS, 1, 1)
    assert np.array_equal(chosen.argmax(axis=-1), (rows @ KEYS.swapaxes(2, 3)).argmax(axis=-1))
