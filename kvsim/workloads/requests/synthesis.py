"""A model of how the requests of a trace share prefixes, fitted to it, from which longer ones are drawn.

What a cache makes of a trace is decided by how long ago each block of a prompt was last asked for. Where
blocks are chains of prefixes, all but a few blocks of a prompt were last asked for by one earlier request:
the last one that went as deep. So the model says of each request how many requests ago that was (`gap`),
how deep the two agree (`found`), and where they part: how much longer the earlier prompt was (`left`) and
how much of the common part others have asked for since (`shared`). `kvsim.workloads.requests.resampling`
draws such rows and grows a new tree of prefixes with them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.loops import opened

__all__ = ["MANY", "Row", "TraceModel", "count_each", "fit"]

MOST_ROWS = 1 << 16
"""Rows kept of a longer trace, evenly spaced: what is drawn from them differs by less than its own noise."""
MANY = 16
"""Prompts with a block from which on it counts as asked for often."""
ARRIVAL_GAPS = 1000
"""Values that the gaps between arrivals are summed up in."""


class Row(NamedTuple):
    """One request of a trace, as seen by a cache of prefixes."""

    gap: int
    """Requests since the last one that had the deepest block found; 0 if no block is found."""
    found: int
    """Blocks of its prompt that earlier prompts had."""
    new: int
    """Blocks that none had."""
    left: int
    """Blocks of that last prompt behind those found: 0 if it is gone on with from its end."""
    shared: int
    """Blocks of those found that other prompts have asked for since."""
    times: int
    """How often the deepest of those found was asked for before, up to `MANY`."""
    tail_tokens: int
    """Tokens of the last block of the prompt, 1 to the tokens of a block."""
    output_tokens: int
    """Tokens generated."""


@dataclass(frozen=True, slots=True)
class TraceModel:
    """What is known of a trace; plain lists and numbers, so that it can be kept as JSON."""

    requests: int
    """Requests of the trace."""
    block_tokens: int
    """Tokens of a block."""
    rows: Sequence[Row]
    """Its requests, or as many of them as are enough, in order."""
    arrival_gaps: Sequence[int]
    """Times between arrivals, in ticks, from short to long: means of groups of the same number."""
    arrival_memory: float
    """Correlation of one such time with the next, as ranks of a normal distribution: above 0 where short
    ones follow each other, which makes bursts."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; `from_dict` reads them back."""
        return asdict(self) | {"rows": [list(row) for row in self.rows], "row": list(Row._fields)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TraceModel:
        """The model that `to_dict` gave."""
        given = {name: value for name, value in plain.items() if name != "row"}
        return cls(**given | {"rows": [Row(*row) for row in plain["rows"]]})


def fit(requests: Iterable[Request], block_tokens: int) -> TraceModel:
    """The model of a trace, of which at least one request must be there.

    Follow-ups count as arriving their think time after the one before, for how long that is served is not
    known. Takes memory for each distinct block and a little for each request. Raises ValueError for a trace
    without requests.
    """
    rows: list[Row] = []
    arrivals = array("q")
    seen = _Seen(block_tokens)
    for request in opened(requests):
        rows.append(seen.row(request))
        arrivals.append(request.arrival_ticks)
    if not rows:
        raise ValueError("there is no request to fit a model to")
    kept = -(-len(rows) // MOST_ROWS)
    times = np.frombuffer(arrivals, dtype=np.int64)
    gaps = times[1:] - times[:-1]
    return TraceModel(len(rows), block_tokens, rows[::kept], _summed_up(gaps), _memory(gaps))


def count_each(times: dict[int, int], blocks: Iterable[int]) -> None:
    """Count each block once more."""
    for block in blocks:
        times[block] = times.get(block, 0) + 1


class _Seen:
    """The prefixes that have been asked for, and by whom last."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._last: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._lengths = array("l")

    def row(self, request: Request) -> Row:
        """What is known of the next request."""
        number, last = len(self._lengths), self._last
        blocks = request.blocks
        total = -(-request.input_tokens // self._block_tokens)
        found = sum(1 for _ in takewhile(last.__contains__, blocks))
        gap = left = shared = times = 0
        if found:
            before = last[blocks[found - 1]]
            times = min(self._times[blocks[found - 1]], MANY)
            gap, left = number - before, self._lengths[before] - found
            shared = sum(last[block] != before for block in blocks[:found])
        last.update(dict.fromkeys(blocks, number))
        count_each(self._times, blocks)
        self._lengths.append(len(blocks))
        tail = request.input_tokens - (total - 1) * self._block_tokens
        return Row(gap, found, total - found, left, shared, times, tail, request.output_tokens)


# --- arrivals -------------------------------------------------------------------------------------------


def _summed_up(gaps: NDArray[np.int64]) -> list[int]:
    if not gaps.size:
        return [0]
    groups = np.array_split(np.sort(gaps), min(ARRIVAL_GAPS, gaps.size))
    return [round(float(group.mean())) for group in groups]


def _memory(gaps: NDArray[np.int64]) -> float:
    """Correlation of neighbours after each time is put at the place of its rank in a normal distribution."""
    if gaps.size < 3 or gaps.min() == gaps.max():
        return 0.0
    _, which, times = np.unique(gaps, return_inverse=True, return_counts=True)
    middle = (np.cumsum(times) - times / 2) / gaps.size
    scores = np.array([NormalDist().inv_cdf(share) for share in middle.tolist()])[which]
    scores -= scores.mean()
    return float((scores[1:] * scores[:-1]).mean() / (scores * scores).mean())
