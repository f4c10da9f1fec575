"""Rewritten and merged keys and values: what is changed, when, and what attention makes of it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from lm import plain
from numpy.typing import NDArray

from kvsim.lm.attention import attend
from kvsim.lm.cache import KvCache
from kvsim.lm.decoder import Decoder
from kvsim.lm.surgery import LayerStore, Merging, Rewriting, older_than
from kvsim.lm.weights import random_weights

DECODER = Decoder(random_weights(plain.TINY, seed=3, scale=1.0))
TOKENS = np.random.default_rng(5).integers(0, plain.TINY.vocab_size, (3, 29))
Floats = NDArray[np.float32]


class Halved:
    """Notes the tokens it is given, and halves keys."""

    def __init__(self) -> None:
        self.given: list[tuple[str, int]] = []

    def __call__(self, array: Floats, kind: Literal["keys", "values"]) -> Floats:
        self.given.append((kind, array.shape[2]))
        return array / np.float32(2) if kind == "keys" else array


def pairs(tokens: int) -> NDArray[np.int64]:
    """Entries of two but for the last two tokens, or three."""
    old = max(0, tokens - 2) // 2
    return np.array([2] * old + [1] * (tokens - 2 * old), dtype=np.int64)


def filled(keys: list[float], values: list[float]) -> LayerStore:
    """One head of one scalar a token."""
    store = LayerStore(1, 1, 1)
    written = (np.array(numbers, dtype=np.float32)[None, None, :, None] for numbers in (keys, values))
    store.append(*written)
    return store


def test_what_is_old_is_rewritten_once_in_whole_steps() -> None:
    # Sinks 3, newest 5, steps of 4. After 12 tokens 4 are old (3 to 6), after 15 seven, of which no step more
    # is whole, after 29 twenty-one: five steps, of which one is done.
    change = Halved()
    surgery = Rewriting(change, older_than(5, sinks=3, step=4))
    store = LayerStore(1, 1, 1)
    for count in (12, 3, 14):
        store.append(np.ones((1, 1, count, 1), np.float32), np.ones((1, 1, count, 1), np.float32))
        surgery.operate(0, store)
    assert change.given == [("keys", 4), ("values", 4), ("keys", 16), ("values", 16)]
    assert store.keys[0, 0, :29, 0].tolist() == [1.0] * 3 + [0.5] * 20 + [1.0] * 6
    assert (store.values[0, 0, :29] == 1).all()


def test_a_rewriting_that_changes_nothing_changes_no_answer() -> None:
    surgery = Rewriting(lambda array, kind: array, older_than(4))
    found = DECODER.run(TOKENS, KvCache(plain.TINY, 3, surgery=[surgery]), chunk=3)
    assert np.array_equal(found, DECODER.run(TOKENS, KvCache(plain.TINY, 3), chunk=3))


def test_a_prompt_fed_whole_is_read_exactly_and_what_follows_is_not() -> None:
    cache = KvCache(plain.TINY, 3, surgery=[Rewriting(Halved(), older_than(4))])
    exact = DECODER.run(TOKENS)
    assert np.array_equal(DECODER.run(TOKENS[:, :20], cache), DECODER.run(TOKENS[:, :20]))
    assert np.abs(DECODER.run(TOKENS[:, 20:21], cache) - exact[:, 20:21]).max() > 0.01


def test_an_entry_of_equal_tokens_counts_as_often_as_they_did() -> None:
    store = filled([0.5, 0.5, 2.0, 2.0, 1.0, -1.0], [1.0, 1.0, 3.0, 3.0, 5.0, 7.0])
    query = np.full((1, 1, 1, 1), 0.7, np.float32)
    before = attend(query, store.keys, store.values).output
    Merging(pairs).operate(0, store)
    assert store.weights.tolist() == [2, 0, 2, 0, 1, 1]
    bias = store.bias()
    assert bias is not None
    after = attend(query, store.keys, store.values, bias[None, None, None]).output
    np.testing.assert_allclose(after, before, rtol=1e-6)


def test_entries_of_different_sizes_join_by_weight() -> None:
    # First 2 and 4 become 3 (weight 2), then that and 9 become (2·3 + 9) / 3 = 5 (weight 3).
    store = filled([2.0, 4.0, 9.0], [0.0, 6.0, 12.0])
    for counts in ([2, 1], [3]):
        Merging(lambda tokens, counts=counts: np.array(counts)).operate(0, store)  # type: ignore[misc]
    assert store.keys[0, 0, 0, 0] == 5
    assert store.values[0, 0, 0, 0] == 6
    assert store.weights.tolist() == [3, 0, 0]


def test_merging_of_a_cache_equals_attention_over_its_entries() -> None:
    """One layer's worth: the last token of the first layer, merged by hand."""
    cache = KvCache(plain.TINY, 3, surgery=[Merging(pairs)])
    DECODER.run(TOKENS[:, :10], cache)
    store = cache.stores[0]
    plain_store = KvCache(plain.TINY, 3)
    DECODER.run(TOKENS[:, :10], plain_store)
    keys = plain_store.stores[0].keys[:, :, :8].reshape(3, 2, 4, 2, -1).mean(axis=3)
    np.testing.assert_allclose(store.keys[:, :, :8:2], keys, atol=1e-6)
    assert store.weights[:10].tolist() == [2, 0] * 4 + [1, 1]
    logits = DECODER.run(TOKENS[:, 10:], cache, chunk=1)
    assert np.isfinite(logits).all()
    assert store.weights[:29].tolist() == [2, 0] * 13 + [1, 1, 1]
