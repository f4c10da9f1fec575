"""Closed loops of requests, looked at as if they were planned beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count

from kvsim.workloads.requests.base import Request

__all__ = ["opened"]

_Waiting = tuple[int, int, Request]
"""When it arrives, a number that keeps equal times in order, and the request."""


def opened(requests: Iterable[Request]) -> Iterator[Request]:
    """All requests in order of arrival, each follow-up as if the one before were served in no time.

    None has follow-ups of its own any more. Memory grows with the loops that are under way.
    """
    later: list[_Waiting] = []
    numbers = count()
    for first in requests:
        while later and later[0][0] <= first.arrival_ticks:
            yield _next(later, numbers)
        heappush(later, (first.arrival_ticks, next(numbers), first))
    while later:
        yield _next(later, numbers)


def _next(later: list[_Waiting], numbers: Iterator[int]) -> Request:
    now, _, request = heappop(later)
    end = now
    for fork in request.forks:
        heappush(later, (now + fork.arrival_ticks, next(numbers), fork))
        end = max(end, now + _length(fork))
    if request.follow_up is not None:
        heappush(later, (end + request.follow_up.arrival_ticks, next(numbers), request.follow_up))
    if now == request.arrival_ticks and request.follow_up is None and not request.forks:
        return request
    return replace(request, arrival_ticks=now, follow_up=None, forks=())


def _length(first: Request) -> int:
    """Time from the start of a loop to its last arrival."""
    time, request = 0, first
    while True:
        time += request.arrival_ticks
        if request.follow_up is None:
            return time
        time += max(map(_length, request.forks), default=0)
        request = request.follow_up
