"""What arrives when a request has ended: its forks, its follow-up, or what has waited for all of a fork."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kvsim.workloads.requests import Request

__all__ = ["Loops"]


@dataclass(slots=True, eq=False)
class _Join:
    """Forks of a request that have not ended, and what comes after the last of them."""

    left: int
    follow_up: Request | None
    outer: _Join | None
    """The fork that all of this is part of."""


class Loops:
    """Keeps track of requests that are part of a fork; the others cost it nothing but a look."""

    def __init__(self, arrive: Callable[[int, Request], None]) -> None:
        """`arrive` lets a request arrive after so many ticks."""
        self._arrive = arrive
        self._part_of: dict[Request, _Join] = {}
        """Of the requests of forks that are under way: which fork."""

    def ended(self, request: Request) -> None:
        """A request has ended: let those arrive that come next."""
        join = self._part_of.pop(request, None) if self._part_of else None
        if request.forks:
            forks = _Join(len(request.forks), request.follow_up, join)
            for fork in request.forks:
                self._begin(fork, forks)
        elif request.follow_up is not None:
            self._begin(request.follow_up, join)
        elif join is not None:
            self._left(join)

    def _begin(self, request: Request, join: _Join | None) -> None:
        if join is not None:
            self._part_of[request] = join
        self._arrive(request.arrival_ticks, request)

    def _left(self, join: _Join | None) -> None:
        """One part of a fork has ended; after the last one, what follows it arrives."""
        while join is not None:
            join.left -= 1
            if join.left:
                return
            if join.follow_up is not None:
                self._begin(join.follow_up, join.outer)
                return
            join = join.outer
