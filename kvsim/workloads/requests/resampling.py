"""Requests drawn from the model of a trace: as many as wanted, at any rate, with the same reuse.

Each request takes a row of the model, and goes on from an earlier prompt, as near as can be had to as many
requests ago, as long, as popular, and as much shared since, as the row says. So the distances of reuse, and
with them the miss ratio of a cache of any size, are those of the trace, as far as its mix stays the same
from beginning to end.

A trace of n requests shows reuse after g requests only where there are g before: n - g times of n. Such rows
are drawn n / (n - g) times as often, and where there are too few requests before, something new is begun
instead, just as at the beginning of the trace. So each row is expected once in as many requests as the
trace has, and (k n - g) / (n - g) times in k times as many: a longer trace hits more, by what the beginning
of the trace could not find.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from math import erf, exp, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from kvsim.randomness import stream
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.synthesis import MANY, Row, TraceModel, count_each

__all__ = ["generate"]

TRIES = 400
"""Earlier prompts looked at for one to go on from."""
REDRAWS = 20
"""Rows drawn for one whose gap there are enough requests for."""
RAREST = 10
"""A row of a gap that nearly no request can have counts at most so many times."""
BRANCHES_OFF = 2
"""A prompt that leaves more blocks than these of an earlier one begins something new; others continue it."""
MOST_CARRIED = 2.0
"""Bound of the error in rates of reuse that later draws make up for."""

Floats = NDArray[np.float64]


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
    for _ in range(model.requests if requests is None else requests):
        row, path = draw.next(tree)
        blocks = tree.grow(path, row.new)
        prompt = max(len(blocks) - 1, 0) * model.block_tokens + row.tail_tokens
        yield Request(next(arrivals), prompt, row.output_tokens, blocks)


class _Draw:
    """Rows in random order, and the earlier prompts that they go on from."""

    def __init__(self, model: TraceModel, rng: np.random.Generator) -> None:
        often = _weights(model)
        new = np.array([_begins(row) for row in model.rows])
        fresh = np.array([not row.gap for row in model.rows])
        # Prompts that go on come as often as has been seen; the rest of all requests begin something.
        rest = len(often) - often[~new].sum()
        weights = np.where(new, often * max(rest, 0.0) / often[new].sum(), often)
        self._rows = _shuffled(model.rows, weights, rng)
        self._new = _shuffled(model.rows, np.where(new, often, 0.0), rng)
        self._fresh = _shuffled(model.rows, np.where(fresh, often, 0.0), rng)
        self._waiting: deque[Row] = deque()
        self._carried: dict[tuple[int, int], float] = {}
        """By octave of gap and of blocks found: the sum of the relative errors of 1 / gap."""

    def next(self, tree: _Tree) -> tuple[Row, list[int]]:
        """The row of the next request, and the blocks it shares with earlier ones.

        A row that no prompt suits waits until a new beginning is drawn, and takes its place.
        """
        row = self._possible(next(self._rows), tree)
        if self._waiting and _begins(row):
            row = self._waiting.popleft()
        path = self._continued(row, tree)
        if path is None:
            self._waiting.append(row)
            row = self._possible(next(self._new), tree)
            path = self._continued(row, tree)
        return (next(self._fresh), []) if path is None else (row, path)

    def _possible(self, row: Row, tree: _Tree) -> Row:
        """The row; if there are too few requests for its gap, one that begins something instead."""
        for _ in range(REDRAWS):
            if row.gap <= tree.requests:
                break
            row = next(self._new)
        return row

    def _continued(self, row: Row, tree: _Tree) -> list[int] | None:
        """What it shares with the earlier prompt that suits it best, if there is any.

        Gaps that come out longer (or shorter) than drawn make the next of their kind aim lower (higher), so
        that the mean of 1 / gap, the rate of reuse, is kept.
        """
        if not row.gap:
            return []
        if row.gap > tree.requests:
            return None
        kind = row.gap.bit_length(), row.found.bit_length()
        carried = self._carried.get(kind, 0.0)
        wanted = round(row.gap * exp(-carried / 2))
        gap = tree.nearest(row, min(max(wanted, 1), tree.requests))
        if gap is None:
            return None
        self._carried[kind] = min(max(carried + 1 - row.gap / gap, -MOST_CARRIED), MOST_CARRIED)
        return tree.path(gap)[: row.found]


def _begins(row: Row) -> bool:
    """Whether it begins something new, by itself or branching off from an earlier prompt."""
    return not row.gap or row.left > BRANCHES_OFF


def _weights(model: TraceModel) -> Floats:
    """How often each row would be seen, were the trace endless, for once that it was."""
    gaps = np.array([row.gap for row in model.rows])
    seen: Floats = model.requests / np.maximum(model.requests - gaps, model.requests / RAREST)
    return seen


def _shuffled(rows: Sequence[Row], weights: Floats, rng: np.random.Generator) -> Iterator[Row]:
    """Rows without end, in each round as often as their weights say, one more or less, in random order."""
    number = len(rows)
    shares = np.cumsum(weights) / weights.sum()
    while True:
        places = (np.arange(number) + rng.random()) / number
        chosen = np.minimum(np.searchsorted(shares, places, side="right"), number - 1)
        rng.shuffle(chosen)
        yield from (rows[index] for index in chosen.tolist())


class _Tree:
    """The prompts generated last, as many as can still be gone on from."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._paths: list[list[int]] = []
        self._last: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._blocks = count()
        self.requests = 0
        """Prompts generated so far."""

    def path(self, gap: int) -> list[int]:
        """The blocks of the prompt that many requests ago."""
        return self._paths[-gap]

    def grow(self, path: list[int], new: int) -> list[int]:
        """The blocks of the next prompt: those, and so many that are new."""
        blocks = path + [next(self._blocks) for _ in range(new)]
        self._paths.append(blocks)
        self._last.update(dict.fromkeys(blocks, self.requests))
        count_each(self._times, blocks)
        self.requests += 1
        if len(self._paths) == 2 * self._horizon:
            self._forget()
        return blocks

    def _forget(self) -> None:
        """Keep what is within the horizon."""
        oldest = self.requests - len(self._paths)
        for number, path in enumerate(self._paths[: self._horizon], oldest):
            for block in path:
                if self._last[block] == number:
                    del self._last[block], self._times[block]
        del self._paths[: self._horizon]

    def nearest(self, row: Row, wanted: int) -> int | None:
        """How many requests ago the prompt was that suits the row best; None if there is none to be had.

        It must have as many blocks as the row found, the last of which none has asked for since. Looked for
        outwards from the wanted gap, until the difference of the gap alone, in relation to what is wanted,
        is more than all differences of the best so far.
        """
        best, least = None, inf
        longer, shorter = wanted, wanted - 1
        for _ in range(TRIES):
            above = longer / wanted - 1 if longer <= len(self._paths) else inf
            below = 1 - shorter / wanted if shorter else inf
            if min(above, below) >= least:
                break
            if above <= below:
                gap, difference = longer, above
                longer += 1
            else:
                gap, difference = shorter, below
                shorter -= 1
            path = self._paths[-gap]
            if len(path) < row.found or self._last[path[row.found - 1]] != self.requests - gap:
                continue
            difference += self._unlike(row, path, least - difference)
            if difference < least:
                best, least = gap, difference
        return best

    def _unlike(self, row: Row, path: list[int], enough: float) -> float:
        """How different the prompt is in what it leaves, its popularity and what is shared of it since.

        Blocks asked for since come first, for who asks for a block asks for all before it.
        """
        last, deepest = self._last, path[row.found - 1]
        unlike = _ratio(len(path) - row.found, row.left)
        unlike += _ratio(min(self._times[deepest], MANY), row.times) / 2
        if unlike >= enough:
            return inf
        asked = last[deepest]
        shared = 0
        if last[path[0]] != asked:
            shared = bisect_left(path, True, 1, row.found - 1, key=lambda block: last[block] == asked)
        return unlike + _ratio(shared, row.shared)


def _ratio(one: int, other: int) -> float:
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
