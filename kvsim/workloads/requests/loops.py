"""Closed loops of requests, looked at as if serving took no time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count

from kvsim.workloads.requests.base import Request

__all__ = ["in_time", "opened", "turns"]

_Waiting = tuple[int, int, Request]
"""When it arrives, a number that keeps equal times in order, and the request."""


def in_time(requests: Iterable[Request]) -> Iterator[tuple[int, Request]]:
    """Requests, follow-ups and forks with their times, in order, as if serving took none.

    Memory grows with the loops that are under way.
    """
    waiting: list[_Waiting] = []
    numbers = count()
    for request in requests:
        while waiting and waiting[0][0] <= request.arrival_ticks:
            yield _next(waiting, numbers)
        heappush(waiting, (request.arrival_ticks, next(numbers), request))
    while waiting:
        yield _next(waiting, numbers)


def turns(request: Request) -> Iterator[Request]:
    """A request, and all that follows it: forks of a turn before its follow-up."""
    turn: Request | None = request
    while turn is not None:
        yield turn
        for fork in turn.forks:
            yield from turns(fork)
        turn = turn.follow_up


def opened(requests: Iterable[Request]) -> Iterator[Request]:
    """The same as requests that follow nothing."""
    for time, request in in_time(requests):
        alone = request.follow_up is None and not request.forks and request.arrival_ticks == time
        yield request if alone else replace(request, arrival_ticks=time, follow_up=None, forks=())


def _next(waiting: list[_Waiting], numbers: Iterator[int]) -> tuple[int, Request]:
    time, _, request = heappop(waiting)
    end = time
    for fork in request.forks:
        heappush(waiting, (time + fork.arrival_ticks, next(numbers), fork))
        end = max(end, time + _length(fork))
    following = request.follow_up
    if following is not None:
        heappush(waiting, (end + following.arrival_ticks, next(numbers), following))
    return time, request


def _length(first: Request) -> int:
    """Time from the start of a loop to its last arrival."""
    time, request = 0, first
    while True:
        time += request.arrival_ticks + max(map(_length, request.forks), default=0)
        if request.follow_up is None:
            return time
        request = request.follow_up
