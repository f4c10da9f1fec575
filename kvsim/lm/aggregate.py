"""Hierarchical aggregation: the older tokens are, the more of them share one key and one value, their means.

An entry that stands for n tokens should count n times: add ``log(n)`` to its attention score. If the n keys
are equal, nothing is lost; if not, the softmax of the mean gives them less than they had (Jensen).
The hierarchy is the exponential histogram of M. Datar et al., "Maintaining stream statistics over sliding
windows", SODA 2002: as soon as there is one entry too many of a size, the two oldest of it become one. So an
entry of 8 tokens is the mean of two of 4, and what was merged once is never taken apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.lm.codes import Array

__all__ = ["Hierarchy", "merge"]


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """How many entries of 1, 2, 4, 8 … tokens there are."""

    recent: int
    """Most entries of one token each, the sinks aside: at least so many less one of the newest stay exact."""
    width: int
    """Most entries of each further size."""
    largest: int
    """Tokens of the largest entry, a power of two; there is no limit to the number of those."""
    sinks: int = 0
    """First tokens of a sequence that stay single. Default 0."""

    def __post_init__(self) -> None:
        if self.recent < 1 or self.width < 1 or self.sinks < 0:
            raise ValueError("`recent` and `width` are 1 or more, `sinks` is 0 or more")
        if self.largest < 1 or self.largest & (self.largest - 1):
            raise ValueError(f"the largest entry has a power of two of tokens, not {self.largest}")

    def counts(self, tokens: int) -> NDArray[np.int64]:
        """Tokens of each entry of a sequence of that length, oldest first; they sum to `tokens`."""
        sinks = min(tokens, self.sinks)
        coming, size, most = tokens - sinks, 1, self.recent
        levels: list[list[int]] = []
        while coming:
            # a level that gets one entry too many passes its two oldest on as one
            merged = 0 if size == self.largest else max(0, -(-(coming - most) // 2))
            levels.append([size] * (coming - 2 * merged))
            coming, size, most = merged, 2 * size, self.width
        parts = [[1] * sinks, *reversed(levels)]
        return np.array([count for part in parts for count in part], dtype=np.int64)

    def entries(self, tokens: int) -> int:
        """Entries of a sequence of that length; their sizes follow from it, so they take no room."""
        return len(self.counts(tokens))

    def bits(self, tokens: int, channels: int) -> int:
        """Bits of keys and values of one head of a sequence, in fp16."""
        return 2 * 16 * self.entries(tokens) * channels


def merge(array: Array, counts: NDArray[np.int64]) -> Array:
    """Means over neighbours: [..., tokens, channels] -> [..., entries, channels], float32.

    `counts` are the tokens of each entry, in order; all at least 1, their sum the number of tokens. With a
    Hierarchy's counts this is what merging step by step gives, as all parts of a mean are of one size.
    """
    if counts.sum() != array.shape[-2] or np.any(counts < 1):
        raise ValueError(f"entries of {counts.tolist()} tokens do not make up {array.shape[-2]}")
    starts = np.concatenate(([0], np.cumsum(counts)[:-1])) if counts.size else counts
    sums = np.add.reduceat(np.asarray(array, dtype=np.float64), starts, axis=-2)
    means: Array = (sums / counts[:, None]).astype(np.float32)
    return means
