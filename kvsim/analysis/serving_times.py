"""Latencies of requests: distributions, times between tokens, and what the time went to.

Percentiles are observed values (nearest rank). All is in ticks until it is reported, and divided once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.intervals import Ticks, exact_sum
from kvsim.scenario.iteration import IterationCost
from kvsim.sim.serving.records import PHASES
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND

__all__ = [
    "EXPOSED_PHASES",
    "PARTS",
    "PHASES",
    "QUEUE_PHASES",
    "RANKS",
    "STATISTICS",
    "TokenGaps",
    "Waits",
    "distribution",
    "latencies",
    "token_gaps",
    "waits",
]

RANKS = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
"""Percentiles that are reported, by name."""
STATISTICS = ("mean", *RANKS)
"""Parts of a distribution."""
QUEUE_PHASES = ("turn", "slots", "memory", "prefix", "batch", "preempted")
"""What requests queue for."""
EXPOSED_PHASES = ("room", "load", "stall", "handover", "overhead")
"""Why requests are exposed to transfers."""
PARTS: Mapping[str, tuple[str, ...]] = {
    "queue": QUEUE_PHASES,
    "exposed": EXPOSED_PHASES,
    "compute": ("compute",),
}
"""The parts of a request's time, and the phases of each; together they are all phases."""
assert sum(PARTS.values(), start=()) == PHASES


def distribution(ticks: Ticks) -> dict[str, float]:
    """Mean, percentiles and maximum in seconds; zeros without values."""
    if not ticks.size:
        return dict.fromkeys(STATISTICS, 0.0)
    ordered = np.sort(ticks)
    mean = float(Fraction(exact_sum(ticks), ticks.size * TICKS_PER_SECOND))
    nearest = {name: int(ordered[_rank(percent, ticks.size) - 1]) for name, percent in RANKS.items()}
    return {"mean": mean} | {name: value / TICKS_PER_SECOND for name, value in nearest.items()}


def _rank(percent: int, count: int) -> int:
    """The nearest rank, from 1."""
    return -(-percent * count // 100)


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of every request, in the order of the records; those without output have no first token of their own,
    and count with the end of their prompt."""

    arrival: Ticks
    end: Ticks
    ttft: Ticks
    """From its arrival to its first token."""
    tpot: Ticks
    """Mean time between its tokens, rounded to a tick; 0 with fewer than two."""
    has_tpot: NDArray[np.bool_]
    """Which have two tokens or more."""

    @property
    def total(self) -> Ticks:
        """From arrival to end."""
        return self.end - self.arrival


def latencies(result: ServingResult) -> Latencies:
    """What the table of requests says of their latencies."""
    arrival, first, end, output = map(
        result.records.requests.column, ("arrival", "first_token", "end", "output")
    )
    later = np.maximum(output - 1, 1)
    tpot = (end - first + later // 2) // later
    return Latencies(arrival, end, first - arrival, np.where(output > 1, tpot, 0), output > 1)


@dataclass(frozen=True, slots=True)
class Waits:
    """Time of requests by phase: the rows are requests, in the order of the records."""

    by_phase: Mapping[str, Ticks]

    def part(self, name: str) -> Ticks:
        """Queueing, exposed time or compute of every request."""
        phases = PARTS[name]
        return sum((self.by_phase[phase] for phase in phases[1:]), start=self.by_phase[phases[0]])


def waits(result: ServingResult) -> Waits:
    """What the time of every request went to."""
    requests = result.records.requests
    return Waits({phase: requests.column(phase) for phase in PHASES})


@dataclass(frozen=True)
class TokenGaps:
    """Times between two tokens of a request (inter-token latency), of all requests together.

    An iteration that decodes makes one for each sequence in it, as long as it takes, but for those that were
    not in the one before: theirs are in the table of gaps. Iterations in a row get longer by a known amount
    each, so their times are counted without being written out, to a tick.
    """

    single: Ticks
    """Lengths that are known, in rising order."""
    upto: NDArray[np.int64]
    """For each of these, how many gaps are as long or shorter."""
    rows: NDArray[np.float64]
    """Iterations in a row: for each the two lines, in ticks, of which the higher one counts, as start, slope,
    start, slope; how many there are, and of how many sequences; the shortest and the longest."""
    total: int
    """Sum of all gaps."""
    count: int

    def at_most(self, ticks: int) -> int:
        """How many gaps are so long or shorter."""
        return self._known(ticks) + _within(self.rows, ticks)

    @cached_property
    def longest(self) -> int:
        """No gap is longer."""
        longest = int(self.single[-1]) if self.single.size else 0
        return max(longest, int(np.ceil(self.rows[:, _LONGEST].max(initial=0))))

    def ranked(self, rank: int) -> int:
        """The gap of that rank, from 1, in ticks, by halving: rows of which all gaps are known to be shorter
        or longer are not looked at again."""
        rows, below = self.rows, 0
        low, high = 0, self.longest
        while low < high:
            middle = (low + high) // 2
            if self._known(middle) + below + _within(rows, middle) >= rank:
                high = middle
                rows = rows[rows[:, _SHORTEST] <= high]
            else:
                low = middle + 1
                short = rows[:, _LONGEST] <= middle
                below += _within(rows[short], middle)
                rows = rows[~short]
        return low

    def _known(self, ticks: int) -> int:
        place = int(np.searchsorted(self.single, ticks, side="right"))
        return int(self.upto[place - 1]) if place else 0

    def distribution(self) -> dict[str, float]:
        """Mean, percentiles and maximum in seconds; zeros without gaps."""
        if not self.count:
            return dict.fromkeys(STATISTICS, 0.0)
        mean = float(Fraction(self.total, self.count * TICKS_PER_SECOND))
        return {"mean": mean} | {
            name: self.ranked(_rank(percent, self.count)) / TICKS_PER_SECOND
            for name, percent in RANKS.items()
        }


_SHORTEST, _LONGEST = 6, 7
"""Columns of `TokenGaps.rows`."""


def _within(rows: NDArray[np.float64], ticks: int) -> int:
    """How many gaps of these iterations in a row are so long or shorter."""
    if not rows.size:
        return 0
    first, slope, second, steeper, count, sequences = rows.T[:6]
    reached = np.minimum(_reached(first, slope, count, ticks), _reached(second, steeper, count, ticks))
    return int((reached * sequences).sum())


def _reached(
    start: NDArray[np.float64], slope: NDArray[np.float64], count: NDArray[np.float64], ticks: int
) -> NDArray[np.float64]:
    """How many of the first values of start, start + slope, … are at most that."""
    steps = np.floor((ticks - start) / np.where(slope > 0, slope, 1.0)) + 1
    flat = np.where(start <= ticks, count, 0.0)
    return np.clip(np.where(slope > 0, steps, flat), 0.0, count)


def token_gaps(result: ServingResult) -> TokenGaps:
    """All times between tokens of a run."""
    iterations, gaps = result.records.iterations, result.records.gaps.column("gap")
    names = ("start", "end", "iterations", "decoding", "gapped")
    start, end, steps, decoding, gapped = map(iterations.column, names)
    alone = (decoding > 0) & (steps == 1)
    several = np.flatnonzero((decoding > 0) & (steps > 1))
    rows = _rows(result, several)
    firsts = np.ceil(rows[:, _SHORTEST]).astype(np.int64)
    values = np.concatenate((gaps, (end - start)[alone], firsts))
    many = np.concatenate((np.ones_like(gaps), (decoding - gapped)[alone], -gapped[several]))
    order = np.argsort(values, kind="stable")
    requests = result.records.requests
    output = requests.column("output")
    spans = (requests.column("end") - requests.column("first_token"))[output > 1]
    return TokenGaps(
        single=values[order],
        upto=np.cumsum(many[order]),
        rows=rows,
        total=exact_sum(spans),  # from the first token of each to its last
        count=int(np.maximum(output - 1, 0).sum()),
    )


def _rows(result: ServingResult, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The lines of iterations in a row."""
    if not rows.size:
        return np.empty((0, 8))
    cost = IterationCost(result.scenario)
    stream, stream_token, token, pair, overhead = (part / cost.unit for part in cost.coefficients)
    table = result.records.iterations.array()[rows].astype(np.float64)
    at = {name: place for place, name in enumerate(result.records.iterations.columns)}
    decoding, context, count = (table[:, at[name]] for name in ("decoding", "context", "iterations"))
    first, second = stream + context * stream_token + overhead, decoding * token + context * pair + overhead
    slopes = decoding * stream_token, decoding * pair
    shortest = np.maximum(first, second)
    longest = np.maximum(first + slopes[0] * (count - 1), second + slopes[1] * (count - 1))
    return np.stack((first, slopes[0], second, slopes[1], count, decoding, shortest, longest), axis=1)
