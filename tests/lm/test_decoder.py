"""The decoder computes what the architecture says, however it is fed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm import plain

from kvsim.errors import SimulationError
from kvsim.lm.cache import KvCache
from kvsim.lm.decoder import Decoder
from kvsim.lm.weights import random_weights

WEIGHTS = random_weights(plain.TINY, seed=3, scale=1.0)
DECODER = Decoder(WEIGHTS)
TOKENS = np.random.default_rng(5).integers(0, plain.TINY.vocab_size, (3, 29))
CLOSE = 1e-5
"""Of logits, whose size is about 5 (√24, the length of a normal state against embeddings of deviation 1)."""


def test_it_equals_loops_over_tokens_and_heads() -> None:
    found = DECODER.run(TOKENS)
    for tokens, row in zip(TOKENS, found, strict=True):
        np.testing.assert_allclose(row, plain.logits(WEIGHTS, tokens.tolist()), atol=CLOSE, rtol=CLOSE)


@given(chunk=st.integers(1, 30))
def test_chunks_of_any_length_equal_the_whole(chunk: int) -> None:
    whole = DECODER.run(TOKENS)
    np.testing.assert_allclose(DECODER.run(TOKENS, chunk=chunk), whole, atol=CLOSE, rtol=CLOSE)


def test_a_batch_equals_its_sequences_one_by_one() -> None:
    alone = [DECODER.run(tokens[None])[0] for tokens in TOKENS]
    np.testing.assert_allclose(DECODER.run(TOKENS), alone, atol=CLOSE, rtol=CLOSE)


def test_a_cache_goes_on_where_it_was_left() -> None:
    cache = KvCache(plain.TINY, 3)
    first, second = DECODER.run(TOKENS[:, :11], cache), DECODER.run(TOKENS[:, 11:], cache, chunk=1)
    joined = np.concatenate((first, second), axis=1)
    np.testing.assert_allclose(joined, DECODER.run(TOKENS), atol=CLOSE, rtol=CLOSE)
    assert cache.length == 29


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros((2, 4), dtype=int), r"shape \[3, one or more\], not \[2, 4\]"),
        (np.zeros((3, 0), dtype=int), r"not \[3, 0\]"),
        (np.full((3, 1), 19), "0 to 18"),
        (np.full((3, 1), -1), "0 to 18"),
    ],
)
def test_tokens_that_cannot_be_fed_are_refused(tokens: np.ndarray, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        DECODER.feed(tokens, KvCache(plain.TINY, 3))
