"""When requests arrive: the processes of `ArrivalSpec`, over the requests of any workload, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import groupby, pairwise
from typing import TypeVar

import numpy as np

from kvsim.randomness import stream
from kvsim.scenario.requests import ArrivalSpec
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.loops import turns

__all__ = ["TICKS_PER_S", "arriving", "jittered", "limited"]

TICKS_PER_S = 10**12
_CHUNK = 1024
T = TypeVar("T")


def limited(requests: Iterable[Request], most: int | None) -> Iterator[Request]:
    """So many of the requests, follow-ups included, from the first on; all if None.

    The last closed loop is cut to the turns that are left.
    """
    if most is None:
        yield from requests
        return
    left = most
    for request in requests:
        count = _turns(request)
        if count >= left:
            yield request if count == left else _cut(request, left)
            return
        left -= count
        yield request


def arriving(
    requests: Iterable[Request], spec: ArrivalSpec, seed: int, *names: str | int
) -> Iterator[Request]:
    """The requests, in their order, at the times the spec says; follow-ups keep their think time.

    Random numbers come from the streams of those names under the seed: the same in every call. What is given
    is not changed; where the times stay as they are, it is handed on. Memory is constant, but for jitter,
    which holds the requests of one time.
    """
    if spec.process == "trace":
        return _as_recorded(requests, spec, seed, names)
    return _timed(requests, _times(spec, seed, names))


def jittered(
    items: Iterable[T], ticks: Callable[[T], int], jitter: int, rng: np.random.Generator
) -> Iterator[tuple[T, int]]:
    """Each item with its time plus a random delay below `jitter`, uniformly.

    Within a group of equal times the delays are sorted, and no item comes before an earlier one, so the
    order stays.
    """
    latest = 0
    for time, equal in groupby(items, ticks):
        group = list(equal)
        for item, delay in zip(group, sorted(rng.integers(0, jitter, len(group)).tolist()), strict=True):
            latest = max(latest, time + delay)
            yield item, latest


def _turns(request: Request) -> int:
    return sum(1 for _ in turns(request))


def _cut(request: Request, most: int) -> Request:
    """The first so many turns of a closed loop, in copies; what a turn forks comes before its follow-up."""
    loop: list[Request] = []
    turn: Request | None = request
    while turn is not None and most:
        most -= 1
        forks = []
        for fork in turn.forks:
            if most:
                forks.append(_cut(fork, most))
                most -= _turns(forks[-1])
        loop.append(replace(turn, follow_up=None, forks=tuple(forks)))
        turn = turn.follow_up
    for before, after in pairwise(loop):
        before.follow_up = after
    return loop[0]


def _as_recorded(
    requests: Iterable[Request], spec: ArrivalSpec, seed: int, names: tuple[str | int, ...]
) -> Iterator[Request]:
    if spec.speedup != 1:
        factor = Fraction(repr(spec.speedup))
        over, under = factor.numerator, factor.denominator
        times = ((each, (each.arrival_ticks * under + over // 2) // over) for each in requests)
        requests = (_at(each, time) for each, time in times)
    if spec.jitter == 0:
        return iter(requests)
    rng = stream(seed, *names, "jitter")
    return (_at(each, time) for each, time in jittered(requests, _arrival, spec.jitter, rng))


def _timed(requests: Iterable[Request], times: Iterator[int]) -> Iterator[Request]:
    for request in requests:
        yield _at(request, next(times))


def _at(request: Request, time: int) -> Request:
    return replace(request, arrival_ticks=time)


def _arrival(request: Request) -> int:
    return request.arrival_ticks


def _times(spec: ArrivalSpec, seed: int, names: tuple[str | int, ...]) -> Iterator[int]:
    """Times without end, none before the one before."""
    if spec.process == "together":
        while True:
            yield 0
    if spec.rate is None:
        raise ValueError(f"arrivals by the process {spec.process!r} need a rate")
    rng = stream(seed, *names, "arrivals")
    at_once = spec.burst if spec.process == "bursts" else 1
    mean = TICKS_PER_S * at_once / spec.rate
    shape = spec.variation**-2 if spec.process == "gamma" else 1.0
    now = 0
    while True:
        for gap in rng.gamma(shape, mean / shape, _CHUNK).tolist():
            now += round(gap)
            for _ in range(at_once):
                yield now
