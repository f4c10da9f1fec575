"""Endless random numbers of the distributions that made-up requests are described by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import repeat

import numpy as np

from kvsim.scenario.request_patterns import PauseSpec, TokensSpec, TurnsSpec

__all__ = ["distinct", "pauses", "ranks", "tokens", "turns"]

CHUNK = 1024
PATIENCE = 16
"""Draws for each number wanted before the slower way is taken."""


def tokens(spec: TokensSpec, rng: np.random.Generator) -> Iterator[int]:
    """Numbers of tokens, 1 or more."""
    most = spec.mean if spec.most is None else min(spec.mean, spec.most)
    if spec.sigma == 0:
        yield from repeat(most)
    location = _location(spec.mean, spec.sigma)
    while True:
        drawn = np.rint(rng.lognormal(location, spec.sigma, CHUNK))
        yield from np.clip(drawn, 1, spec.most or 2**31 - 1).astype(np.int64).tolist()


def pauses(spec: PauseSpec, rng: np.random.Generator) -> Iterator[int]:
    """Times in ticks."""
    if spec.distribution == "fixed" or spec.mean == 0:
        yield from repeat(spec.mean)
    location = _location(spec.mean, spec.sigma)
    while True:
        if spec.distribution == "exponential":
            drawn = rng.exponential(spec.mean, CHUNK)
        else:
            drawn = rng.lognormal(location, spec.sigma, CHUNK)
        yield from np.rint(np.minimum(drawn, 2.0**62)).astype(np.int64).tolist()


def turns(spec: TurnsSpec, rng: np.random.Generator) -> Iterator[int]:
    """Numbers of times, 1 or more."""
    if spec.distribution == "fixed":
        yield from repeat(round(spec.mean))
    while True:
        yield from rng.geometric(1 / spec.mean, CHUNK).tolist()


def ranks(number: int, alpha: float, rng: np.random.Generator) -> Iterator[int]:
    """Numbers below `number`, i with the weight 1 / (i + 1) ** alpha."""
    if number == 1:
        yield from repeat(0)
    shares = np.cumsum(np.arange(1, number + 1, dtype=np.float64) ** -alpha)
    shares /= shares[-1]
    while True:
        yield from np.searchsorted(shares, rng.random(CHUNK), side="right").tolist()


def distinct(number: int, alpha: float, count: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """That many different numbers below `number`, drawn one after another with the weights of `ranks`.

    Numbers drawn again are passed over. Where that takes too long, the rest are those of the largest sums
    of log weight and Gumbel noise, which comes to the same.
    """
    draws = ranks(number, alpha, rng)
    log_weights = -alpha * np.log(np.arange(1, number + 1))
    while True:
        chosen = dict.fromkeys(next(draws) for _ in range(count))
        for _ in range(PATIENCE * count):
            if len(chosen) == count:
                break
            chosen[next(draws)] = None
        else:
            keys = log_weights + rng.gumbel(size=number)
            keys[list(chosen)] = -np.inf
            chosen |= dict.fromkeys(np.argsort(-keys)[: count - len(chosen)].tolist())
        yield list(chosen)


def _location(mean: float, sigma: float) -> float:
    """Mean of the logarithm of a lognormal number of that mean."""
    return math.log(mean) - sigma * sigma / 2
