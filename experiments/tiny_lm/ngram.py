"""The baseline: an interpolated n-gram over the same tokens, modified Kneser-Ney (Chen and Goodman 1998)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.lm.tasks import VOCABULARY

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class _Level:
    """Counts of one order: of each n-gram, and of each context what all its continuations come to."""

    grams: Codes
    counts: Codes
    contexts: Codes
    totals: Codes
    kinds: NDArray[np.int64]
    """Of each context, how many continuations were counted once, twice, and oftener."""
    discounts: NDArray[np.float64]
    """What is taken off a count of 0, 1, 2, and of 3 and more."""


class NGram:
    """Probabilities of bytes given those before them, from counts of a training text."""

    def __init__(self, text: bytes, order: int = 5) -> None:
        data = np.frombuffer(text, np.uint8).astype(np.int64)
        grams, counts = np.unique(_codes(data, order), return_counts=True)
        levels = [_level(grams, counts)]
        for size in range(order - 1, 0, -1):
            # below the highest order an n-gram counts by how many different bytes it follows
            grams, counts = np.unique(grams % VOCABULARY**size, return_counts=True)
            levels.append(_level(grams, counts))
        self.levels = levels[::-1]

    def probabilities(self, text: bytes) -> NDArray[np.float64]:
        """Of each byte of a text given up to order - 1 bytes before it."""
        data = np.frombuffer(text, np.uint8).astype(np.int64)
        chances = np.full(len(data), 1.0 / VOCABULARY)
        for size, level in enumerate(self.levels, start=1):
            if len(data) < size:
                break
            codes = _codes(data, size)
            counts, _ = _found(level.grams, level.counts, codes)
            totals, where = _found(level.contexts, level.totals, codes // VOCABULARY)
            known = totals > 0
            kept = np.maximum(counts - level.discounts[np.minimum(counts, 3)], 0.0)
            freed = level.kinds[where] @ level.discounts[1:]
            tail = chances[size - 1 :]
            tail[known] = (kept[known] + freed[known] * tail[known]) / totals[known]
        return chances

    def nats_per_byte(self, text: bytes) -> float:
        """Mean loss over a text; its natural exponential is the perplexity."""
        return float(-np.log(self.probabilities(text)).mean())


def _codes(data: Codes, size: int) -> Codes:
    """Each run of `size` bytes as one number."""
    codes = np.zeros(len(data) - size + 1, np.int64)
    for offset in range(size):
        codes = codes * VOCABULARY + data[offset : len(data) - size + 1 + offset]
    return codes


def _level(grams: Codes, counts: Codes) -> _Level:
    contexts, where = np.unique(grams // VOCABULARY, return_inverse=True)
    totals = np.bincount(where, counts, len(contexts)).astype(np.int64)
    kind = np.minimum(counts, 3)
    kinds = np.stack([np.bincount(where, kind == k, len(contexts)) for k in (1, 2, 3)], 1).astype(np.int64)
    once, twice, thrice, four = (max(1, int((counts == k).sum())) for k in (1, 2, 3, 4))
    share = once / (once + 2 * twice)
    discounts = [
        0.0,
        1 - 2 * share * twice / once,
        2 - 3 * share * thrice / twice,
        3 - 4 * share * four / thrice,
    ]
    # few counts can give discounts of no meaning: what is taken off a count of k lies between 0 and k
    return _Level(grams, counts, contexts, totals, kinds, np.clip(discounts, 0.0, [0, 1, 2, 3]))


def _found(keys: Codes, values: Codes, wanted: Codes) -> tuple[Codes, Codes]:
    """The value of each wanted key, 0 where there is none, and the key's place."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0), places
