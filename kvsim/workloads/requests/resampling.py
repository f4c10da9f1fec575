"""Requests drawn from the model of a trace: as many as wanted, at any rate, with the same reuse.

Each request takes a row of the model. A row that found nothing makes a new prompt. Any other goes on from
an earlier prompt, as near as can be had to as many requests ago, as long, and as much shared since, as the
row says; so the distances of reuse, and with them the miss ratio of a cache of any size, are as in the
trace.

A trace of n requests shows reuse after g requests only where there are g before: n - g times of n. Rows are
drawn that much more often, and where there are too few requests before, a new prompt is made instead, just
as the trace itself begins with many. So each row is expected once in as many requests as the trace has,
and n/(n - g) times as often in an endless one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from itertools import count
from math import erf, exp, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from kvsim.randomness import stream
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.synthesis import Row, TraceModel

__all__ = ["generate"]

TRIES = 400
"""Earlier prompts looked at for one to go on from."""
RAREST = 10
"""A row of a gap that nearly no request can have counts at most so many times."""
MOST_CARRIED = 2.0
"""Bound of the error in the logarithm of gaps that later draws make up for."""


def generate(
    model: TraceModel, requests: int | None = None, speedup: float = 1.0, seed: int = 0
) -> Iterator[Request]:
    """That many requests (default: as many as the trace has), arriving `speedup` times as fast.

    Reuse keeps its distance in requests, whatever the rate. Memory grows with the longest gap of the model
    and not with the requests. The same numbers give the same requests.
    """
    draw = _Draw(model, stream(seed, "synthesis", "rows"))
    arrivals = _arrivals(model, speedup, stream(seed, "synthesis", "arrivals"))
    tree = _Tree(horizon=2 * max(row.gap for row in model.rows) + TRIES)
    tokens = model.block_tokens
    for number in range(model.requests if requests is None else requests):
        row, path = draw.next(tree, number)
        blocks = tree.grow(path, row.new)
        prompt = max(len(blocks) - 1, 0) * tokens + row.tail_tokens
        yield Request(next(arrivals), prompt, row.output_tokens, blocks)


class _Draw:
    """Rows in random order, and the earlier prompts that they go on from."""

    def __init__(self, model: TraceModel, rng: np.random.Generator) -> None:
        self._fresh = [row for row in model.rows if not row.gap]
        self._rows = _shuffled(_weights(model), rng)
        self._model = model
        self._new = _shuffled(np.ones(len(self._fresh)), rng)
        self._waiting: deque[Row] = deque()
        self._carried: dict[tuple[int, int], float] = {}
        """By octave of gap and of blocks found: the sum of the errors in the logarithm of the gap."""

    def next(self, tree: _Tree, number: int) -> tuple[Row, list[int]]:
        """The row of the next request, and the blocks it shares with earlier ones.

        A row that nothing suits waits until one that needs nothing is drawn, and takes its place.
        """
        row = self._model.rows[next(self._rows)]
        if 0 < row.gap <= number:
            path = self._continued(row, tree, number)
            if path is not None:
                return row, path
            self._waiting.append(row)
        elif self._waiting:
            row = self._waiting.popleft()
            path = self._continued(row, tree, number)
            if path is not None:
                return row, path
            self._waiting.append(row)
        return self._fresh[next(self._new)], []

    def _continued(self, row: Row, tree: _Tree, number: int) -> list[int] | None:
        """What it shares with the earlier prompt that suits it best.

        Gaps that come out longer (or shorter) than drawn make the next of their kind aim lower (higher).
        """
        kind = row.gap.bit_length(), row.found.bit_length()
        carried = self._carried.get(kind, 0.0)
        wanted = round(row.gap * exp(-carried / 2))
        gap = tree.nearest(row, min(max(wanted, 1), number))
        if gap is None:
            return None
        error = carried + log(gap / row.gap)
        self._carried[kind] = min(max(error, -MOST_CARRIED), MOST_CARRIED)
        return tree.path(gap)[: row.found]


def _weights(model: TraceModel) -> NDArray[np.float64]:
    """How often each row is drawn, relative to the others."""
    gaps = np.array([row.gap for row in model.rows])
    total, kept = model.requests, len(gaps)
    weights: NDArray[np.float64] = total / np.maximum(total - gaps, total / RAREST)
    fresh = gaps == 0
    weights[fresh] = max((kept - weights[~fresh].sum()) / fresh.sum(), 0.0)
    return weights


def _shuffled(weights: NDArray[np.float64], rng: np.random.Generator) -> Iterator[int]:
    """Indices without end, each round as often as its weight says, one more or less, in random order."""
    number = len(weights)
    shares = np.cumsum(weights) / weights.sum()
    while True:
        places = (np.arange(number) + rng.random()) / number
        chosen = np.minimum(np.searchsorted(shares, places, side="right"), number - 1)
        rng.shuffle(chosen)
        yield from chosen.tolist()


class _Tree:
    """The prompts generated last, as many as can still be gone on from."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._paths: list[list[int]] = []
        self._last: dict[int, int] = {}
        self._number = 0
        self._blocks = count()

    def path(self, gap: int) -> list[int]:
        """The blocks of the prompt that many requests ago."""
        return self._paths[-gap]

    def grow(self, path: list[int], new: int) -> list[int]:
        """The blocks of the next prompt: those, and so many that are new."""
        blocks = path + [next(self._blocks) for _ in range(new)]
        self._paths.append(blocks)
        self._last.update(dict.fromkeys(blocks, self._number))
        self._number += 1
        if len(self._paths) == 2 * self._horizon:
            self._forget()
        return blocks

    def _forget(self) -> None:
        """Keep what is within the horizon."""
        oldest = self._number - len(self._paths)
        for number, path in enumerate(self._paths[: self._horizon], oldest):
            for block in path:
                if self._last[block] == number:
                    del self._last[block]
        del self._paths[: self._horizon]

    def nearest(self, row: Row, wanted: int) -> int | None:
        """How many requests ago the prompt was that suits the row best; None if there is none to be had.

        It must have as many blocks as the row found, the last of which none has asked for since. The
        differences count in relation to what is wanted: of the gap, of what is left, of what is shared.
        Outwards from the wanted gap, until the gap alone is worse than the best so far.
        """
        best, least = None, inf
        longer, shorter = wanted, wanted - 1
        for _ in range(TRIES):
            above = longer / wanted - 1 if longer <= len(self._paths) else inf
            below = 1 - shorter / wanted if shorter else inf
            if min(above, below) >= least:
                break
            if above <= below:
                gap, cost = longer, above
                longer += 1
            else:
                gap, cost = shorter, below
                shorter -= 1
            path = self._paths[-gap]
            if len(path) < row.found or self._last[path[row.found - 1]] != self._number - gap:
                continue
            cost += _unlike(len(path) - row.found, row.left)
            if cost < least:
                cost += _unlike(self._shared(path, row.found, self._number - gap), row.shared)
            if cost < least:
                best, least = gap, cost
        return best

    def _shared(self, path: list[int], found: int, asked: int) -> int:
        """Blocks asked for since: who asks for a block asks for all before it, so they come first."""
        last = self._last
        if last[path[0]] == asked:
            return 0
        return bisect_left(path, True, 1, found - 1, key=lambda block: last[block] == asked)


def _unlike(one: int, other: int) -> float:
    return abs(log((one + 1) / (other + 1)))


def _arrivals(model: TraceModel, speedup: float, rng: np.random.Generator) -> Iterator[int]:
    """Times from 0 on: a normal process that remembers its last value, its ranks taken for those of gaps."""
    memory = min(max(model.arrival_memory, -0.99), 0.99)
    fresh = sqrt(1 - memory * memory)
    gaps, values = model.arrival_gaps, len(model.arrival_gaps)
    score = float(rng.standard_normal())
    now = 0.0
    while True:
        yield round(now)
        rank = (1 + erf(score / sqrt(2))) / 2
        now += gaps[min(int(rank * values), values - 1)] / speedup
        score = memory * score + fresh * float(rng.standard_normal())
