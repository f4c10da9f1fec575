"""Shares and means with confidence intervals.

Observations of one sequence are more alike than those of different ones. So the bootstrap draws whole
sequences anew (the rows of an array), and a share can be told which sequence each of its observations is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LEVEL", "Estimate", "mean", "ratio", "share", "share_by", "wilson"]

LEVEL: Final = 0.95
"""Confidence of all intervals."""
_RESAMPLES: Final = 2000
_AT_ONCE: Final = 2**21
"""Numbers drawn at a time."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value and its confidence interval."""

    value: float
    """What was measured; nan if there was nothing to measure."""
    low: float
    """Lower end of the interval; nan where a single sequence tells nothing of the spread."""
    high: float
    """Upper end, likewise."""
    count: int
    """Observations: of a share, all of them; of a mean, sequences."""


def wilson(hits: float, trials: float) -> tuple[float, float]:
    """Ends of the score interval of a share, within 0 … 1; for no trials, all of that.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    found = hits / trials
    centre = (found + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * sqrt(found * (1 - found) / trials + z * z / (4 * trials * trials))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def share(hits: ArrayLike, sequences: ArrayLike | None = None) -> Estimate:
    """The share of true among `hits`, with Wilson's interval.

    With `sequences` (which sequence each of them is of) the trials count for fewer where those of a sequence
    are alike: as many as would vary as much if independent (J. Rao, A. Scott, 1992). Where all are hits,
    or none, that cannot be told, and they count in full.
    """
    flat = np.asarray(hits, dtype=bool).ravel()
    if not flat.size:
        return Estimate(nan, 0.0, 1.0, 0)
    found = float(flat.mean())
    trials = float(flat.size)
    if sequences is not None and 0 < found < 1:
        trials /= _likeness(flat, np.broadcast_to(sequences, np.shape(hits)).ravel(), found)
    low, high = wilson(found * trials, trials)
    return Estimate(found, low, high, flat.size)


def _likeness(hits: NDArray[np.bool_], sequences: NDArray[np.int64], found: float) -> float:
    """How much more the share varies than one of independent observations does; at least 1."""
    _, numbers = np.unique(sequences, return_inverse=True)
    sizes = np.bincount(numbers)
    if sizes.size == 1:
        return 1.0
    beyond = np.bincount(numbers, weights=hits) - found * sizes
    varies = sizes.size / (sizes.size - 1) * float(np.square(beyond).sum())
    return max(1.0, varies / (found * (1 - found) * hits.size))


def share_by(
    hits: ArrayLike, place: ArrayLike, edges: Sequence[float], sequences: ArrayLike | None = None
) -> list[Estimate]:
    """Shares by where the observations are (a distance, a depth), one for each bin between rising `edges`.

    A bin has its lower edge, the last its upper one too. Raises ValueError if something lies outside.
    """
    flat, at = np.asarray(hits, dtype=bool).ravel(), np.asarray(place, dtype=np.float64).ravel()
    bounds = np.asarray(edges, dtype=np.float64)
    if len(bounds) < 2 or np.any(np.diff(bounds) <= 0):
        raise ValueError(f"the edges of bins must rise: {list(edges)}")
    if np.any((at < bounds[0]) | (at > bounds[-1])):
        raise ValueError(f"{at.min():g} … {at.max():g} is not within {bounds[0]:g} … {bounds[-1]:g}")
    bins = np.minimum(np.searchsorted(bounds, at, side="right") - 1, len(bounds) - 2)
    of = None if sequences is None else np.asarray(sequences).ravel()
    chosen = [bins == number for number in range(len(bounds) - 1)]
    return [share(flat[which], None if of is None else of[which]) for which in chosen]


def mean(values: ArrayLike, draws: np.random.Generator) -> Estimate:
    """The mean of an array [sequences, …], nan left out, with a bootstrap interval over sequences."""
    rows = np.asarray(values, dtype=np.float64)
    rows = rows.reshape(len(rows), -1) if rows.size else np.zeros((0, 1))
    return ratio(np.nansum(rows, axis=1), np.count_nonzero(~np.isnan(rows), axis=1), draws)


def ratio(totals: ArrayLike, weights: ArrayLike, draws: np.random.Generator) -> Estimate:
    """Sum of totals over sum of weights, one of each a sequence; sequences of weight 0 do not count.

    The interval is that of the percentile bootstrap (B. Efron, 1979), the sequences being drawn by `draws`, a
    named stream. It is too narrow for fewer than about twenty of them.
    """
    weight = np.asarray(weights, dtype=np.float64)
    total = np.asarray(totals, dtype=np.float64)[weight > 0]
    weight = weight[weight > 0]
    number = len(weight)
    if not number:
        return Estimate(nan, nan, nan, 0)
    value = float(total.sum() / weight.sum())
    if number == 1:
        return Estimate(value, nan, nan, 1)
    found = np.empty(_RESAMPLES)
    at_once = max(1, _AT_ONCE // number)
    for start in range(0, _RESAMPLES, at_once):
        size = min(at_once, _RESAMPLES - start)
        drawn = draws.integers(number, size=(size, number))
        found[start : start + size] = total[drawn].sum(axis=1) / weight[drawn].sum(axis=1)
    low, high = np.quantile(found, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(value, float(low), float(high), number)
