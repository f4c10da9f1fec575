"""Causal attention of a chunk of queries over everything cached, and where its mass goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Attended", "Floats", "attend", "grouped", "select"]

Floats = NDArray[np.float32]

BLOCK = 1 << 19
"""Logits computed at a time: what stays in a processor's cache."""
HIDDEN = np.float32(-np.inf)
WORTH = 0.75
"""Share of the tokens under which it pays to gather those that are seen."""


@dataclass(frozen=True, slots=True)
class Attended:
    """What a layer's attention gives for B sequences, C queries each, over T tokens."""

    output: Floats
    """[B, query heads, C, D]."""
    mass: Floats | None
    """[B, KV heads, T]: attention that each token receives, the mean over queries and query heads."""
    kept: Floats | None
    """[B]: share of the attention over everything that falls on what the bias lets through."""
    error: Floats | None
    """[B]: distance of the output from that over everything, relative to the norm of the latter (L2); the
    mean over queries and query heads."""


def grouped(queries: Floats, heads: int) -> Floats:
    """Queries [B, query heads, C, D] by the KV head they share: [B, `heads`, queries per head · C, D]."""
    batch, _, _, width = queries.shape
    return queries.reshape(batch, heads, -1, width)


def attend(
    queries: Floats,
    keys: Floats,
    values: Floats,
    bias: Floats | None = None,
    *,
    weigh: bool = False,
    compare: bool = False,
) -> Attended:
    """Softmax attention of the queries [B, query heads, C, D] of the last C tokens over [B, KV heads, T, D].

    `bias` is added to the logits: [B, KV heads, 1 or queries per head · C, T], -∞ for what is not seen.
    `weigh` asks for the mass, `compare` for what the bias costs.
    """
    batch, _, count, width = queries.shape
    heads, tokens = keys.shape[1:3]
    rows = grouped(queries * np.float32(width**-0.5), heads)
    output = np.empty_like(rows)
    mass = np.zeros((batch, heads, tokens), dtype=np.float32) if weigh else None
    compare = compare and bias is not None
    cost = np.empty((2, batch), dtype=np.float32) if compare else None
    each = max(1, BLOCK // (heads * rows.shape[2] * tokens))
    for first in range(0, batch, each):
        part = slice(first, first + each)
        near, far, added = keys[part], values[part], None if bias is None else bias[part]
        seen = None if added is None or compare else _seen(added, count)
        if seen is not None and added is not None:
            near, far, added = near[:, :, seen], far[:, :, seen], added[..., seen]
        logits = _logits(rows[part], near, count)
        whole = logits.copy() if compare else None
        if added is not None:
            logits += added
        total = _exponentials(logits)
        output[part] = logits @ far / total
        if mass is not None:
            share = (np.swapaxes(1 / total, 2, 3) @ logits)[:, :, 0] / rows.shape[2]
            mass[part, :, slice(None) if seen is None else seen] = share
        if cost is not None and whole is not None and added is not None:
            cost[:, part] = _cost(whole, added, far, output[part])
    kept, error = (None, None) if cost is None else (cost[0], cost[1])
    return Attended(output.reshape(queries.shape), mass, kept, error)


def _seen(bias: Floats, count: int) -> NDArray[np.intp] | None:
    """The tokens that some head of some sequence sees; None if leaving out the others would save little."""
    if bias.shape[2] > 1:
        return None
    some: NDArray[np.bool_] = np.logical_or.reduce(bias > HIDDEN, axis=(0, 1, 2))
    some[len(some) - count :] = True
    return np.flatnonzero(some) if some.mean() < WORTH else None


def _logits(queries: Floats, keys: Floats, count: int) -> Floats:
    """[B, KV heads, rows, T]; a query does not see the tokens of its chunk that come later."""
    logits: Floats = queries @ np.swapaxes(keys, 2, 3)
    if count > 1:
        batch, heads, _, tokens = logits.shape
        own = logits.reshape(batch, heads, -1, count, tokens)[..., tokens - count :]
        own += np.triu(np.full((count, count), HIDDEN), 1)
    return logits


def _exponentials(logits: Floats) -> Floats:
    """Turn logits into unnormalised weights, in place; returns their sums [..., 1]."""
    logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    total: Floats = logits.sum(axis=-1, keepdims=True)
    return total


def _cost(logits: Floats, bias: Floats, values: Floats, output: Floats) -> tuple[Floats, Floats]:
    """Share of the mass kept and relative error of the output, each the mean of a sequence."""
    total = _exponentials(logits)
    whole = logits @ values / total
    norm = np.sqrt((whole**2).sum(axis=-1))
    error = np.sqrt(((output - whole) ** 2).sum(axis=-1)) / np.maximum(norm, 1e-12)
    logits *= bias > HIDDEN
    kept = logits.sum(axis=-1) / total[..., 0]
    return kept.mean(axis=(1, 2)), error.mean(axis=(1, 2))


def select(queries: Floats, keys: Floats, page_tokens: int, most: int) -> NDArray[np.bool_]:
    """Which of the full pages of keys [B, KV heads, pages · page_tokens, D] each row of queries reads.

    Those `most` pages in which the product with some key could be largest: Σ_d max(q_d · min_d, q_d · max_d),
    with min and max over the keys of a page. Returns [B, KV heads, rows, pages].

    Source: J. Tang et al., "Quest", ICML 2024.
    """
    batch, heads, tokens, width = keys.shape
    paged = keys.reshape(batch, heads, tokens // page_tokens, page_tokens, width)
    least, largest = (np.swapaxes(ends(axis=3), 2, 3) for ends in (paged.min, paged.max))
    scores = np.maximum(queries, 0) @ largest + np.minimum(queries, 0) @ least
    chosen = np.zeros(scores.shape, dtype=np.bool_)
    pages = scores.shape[-1]
    if most >= pages:
        return ~chosen
    best = np.argpartition(scores, pages - most, axis=-1)[..., pages - most :]
    np.put_along_axis(chosen, best, True, axis=-1)
    return chosen
