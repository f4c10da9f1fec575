"""What is done to cached keys and values as they grow old: kept in fewer bits or scalars, or joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LayerStore", "Merging", "Rewriting", "Surgery", "older_than"]

Floats = NDArray[np.float32]
Kind = Literal["keys", "values"]


class LayerStore:
    """Keys (after their rotation) and values of one layer: arrays [B, KV heads, room, D] that grow."""

    def __init__(self, batch: int, heads: int, width: int) -> None:
        self.tokens = 0
        """Tokens written so far."""
        self.keys: Floats = np.empty((batch, heads, 0, width), dtype=np.float32)
        self.values: Floats = np.empty_like(self.keys)
        self.weights: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        """[room]: tokens that an entry stands for; 0 if another one stands for it."""
        self.merged = False
        """Whether any entry stands for several."""
        self.rewritten: dict[int, int] = {}
        """By the identity of a `Rewriting`: the end of what it has rewritten."""

    def append(self, keys: Floats, values: Floats) -> None:
        """Keys and values [B, KV heads, C, D] of the next C tokens."""
        end = self.tokens + keys.shape[2]
        room = self.keys.shape[2]
        if end > room:
            batch, heads, _, width = self.keys.shape
            more = np.empty((batch, heads, max(end, 2 * room) - room, width), dtype=np.float32)
            self.keys = np.concatenate((self.keys, more), axis=2)
            self.values = np.concatenate((self.values, more), axis=2)
            self.weights = np.concatenate((self.weights, np.ones(more.shape[2], dtype=np.int64)))
        self.keys[:, :, self.tokens : end] = keys
        self.values[:, :, self.tokens : end] = values
        self.tokens = end

    def bias(self) -> Floats | None:
        """[tokens]: what weights add to the logits, ln w; None if all are 1."""
        if not self.merged:
            return None
        with np.errstate(divide="ignore"):
            return np.log(self.weights[: self.tokens]).astype(np.float32)


class Surgery(Protocol):
    """Changes what a layer has stored, at the end of each of its chunks.

    The queries of a chunk see alike what was changed before it: the shorter the chunks, the nearer to
    decoding token by token; a prompt that is fed as one chunk is itself read as it was.
    """

    def operate(self, layer: int, store: LayerStore) -> None:
        """The layer has written and read its chunk."""
        ...


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Keys and values are replaced, once, by what a storage of fewer bits or scalars gives back."""

    change: Callable[[Floats, Kind], Floats]
    """What is read back of tokens [B, KV heads, tokens, D] that are stored together."""
    old: Callable[[int], range]
    """The tokens stored that way when a sequence has so many; more and more from a fixed first one on."""

    def operate(self, layer: int, store: LayerStore) -> None:
        """Replace what has grown old enough since the last chunk."""
        old = self.old(store.tokens)
        first = max(old.start, store.rewritten.get(id(self), 0))
        if old.stop <= first:
            return
        store.rewritten[id(self)] = old.stop
        store.keys[:, :, first : old.stop] = self.change(store.keys[:, :, first : old.stop], "keys")
        store.values[:, :, first : old.stop] = self.change(store.values[:, :, first : old.stop], "values")


def older_than(newest: int, *, sinks: int = 0, step: int = 1) -> Callable[[int], range]:
    """All tokens but the first `sinks` and, at least, the `newest`; they come so many at a time."""

    def old(tokens: int) -> range:
        return range(sinks, sinks + max(0, tokens - newest - sinks) // step * step)

    return old


@dataclass(frozen=True, slots=True)
class Merging:
    """Neighbours become one entry, their mean, which stands for n tokens: ln n is added to its logit.

    Keys are averaged as they are cached, after their rotation.
    """

    counts: Callable[[int], NDArray[np.int64]]
    """Tokens of each entry of a sequence of that length, oldest first. As the sequence grows entries are
    joined and never taken apart."""

    def operate(self, layer: int, store: LayerStore) -> None:
        """Join the entries that have become one since the last chunk."""
        counts = self.counts(store.tokens)
        firsts = np.cumsum(counts) - counts
        changed = np.flatnonzero(store.weights[firsts] != counts)
        for first, count in zip(firsts[changed].tolist(), counts[changed].tolist(), strict=True):
            weights = store.weights[first : first + count]
            shares = (weights / count).astype(np.float32)[:, None]
            for array in (store.keys, store.values):
                array[:, :, first] = (array[:, :, first : first + count] * shares).sum(axis=2)
            weights[:] = 0
            weights[0] = count
            store.merged = True
