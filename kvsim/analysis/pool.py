"""A preallocated pool of KV memory: what paged and contiguous allocation make of the same requests.

Memory is counted in slots, each for the KV of one token. A request has its prompt's tokens when it arrives,
gains its output tokens evenly until it ends, and then gives all back. Nobody waits: who finds no room is
refused, or dropped if that happens while it grows. At one moment what ends goes first, then what grows, then
who arrives, each in the order of the stream.

Memory is used or wasted in one of three ways (W. Kwon et al., "Efficient memory management for large language
model serving with PagedAttention", SOSP 2023):

- *reserved*: slots of a request that it will use later;
- *internal*: slots of a request that it will never use;
- *external*: slots between requests in one address space, up to the last in use. A pool of blocks has none.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from kvsim.analysis.address_space import AddressSpace, BlockPool
from kvsim.analysis.allocation import Allocation, Request
from kvsim.analysis.intervals import Ticks, exact_dot, exact_sum

__all__ = ["PoolRun", "Usage", "run_pool"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Slots over time, on average from the first arrival to the last end."""

    used: float
    """Holding a token."""
    reserved: float
    """Waste: of a request that will use them later."""
    internal: float
    """Waste: of a request that will never use them."""
    external: float
    """Waste: between requests."""

    @property
    def total(self) -> float:
        """All of them."""
        return self.used + self.reserved + self.internal + self.external


@dataclass(frozen=True, slots=True)
class PoolRun:
    """What became of a stream of requests.

    The arrays have one entry for each moment at which somebody came, grew or ended: how things were after it.
    """

    times: Ticks
    """Moments, in ticks, rising."""
    used: Ticks
    """Slots holding a token."""
    reserved: Ticks
    """Slots of requests that will use them later."""
    internal: Ticks
    """Slots of requests that will never use them."""
    external: Ticks
    """Slots between requests."""
    mean: Usage
    """The same on average over time, exactly, not from the moments."""
    peak: int
    """Most slots that were needed at once, wastes included: the smallest pool in which the same happens.
    Where no capacity was given it is the smallest pool that refuses and drops nobody."""
    requests: int
    """Requests in the stream."""
    refused: int
    """Requests that found no room when they arrived."""
    dropped: int
    """Requests that found no room when they had to grow; they lost what they had."""
    fragmented: int
    """Those of both for which there were slots enough, but not side by side."""
    copied: int
    """Tokens that were copied because a request had to move."""

    @property
    def refused_share(self) -> float:
        """Share of requests that were not served to their end; 0 if there were none."""
        return (self.refused + self.dropped) / self.requests if self.requests else 0.0


def run_pool(requests: Sequence[Request], allocation: Allocation, capacity: int | None = None) -> PoolRun:
    """Serve the requests from a pool of so many slots (default: as many as it takes)."""
    run = _Run(requests, allocation, capacity)
    run.serve()
    return run.result()


class _Event(IntEnum):
    """What happens; of what happens at one moment the lowest goes first."""

    END = 0
    GROW = 1
    ARRIVE = 2


class _Run:
    """The state of a pool while it serves."""

    def __init__(self, requests: Sequence[Request], allocation: Allocation, capacity: int | None) -> None:
        self._requests = requests
        self._allocation = allocation
        self._memory: AddressSpace | BlockPool
        if allocation.contiguous:
            self._memory = AddressSpace(capacity)
        else:
            whole = None if capacity is None else capacity // allocation.unit * allocation.unit
            self._memory = BlockPool(whole)
        self._events = [(each.arrival, _Event.ARRIVE, number) for number, each in enumerate(requests)]
        heapq.heapify(self._events)
        self._places: dict[int, tuple[int, int]] = {}
        """Of each request that is served: address and number of its slots."""
        self._stops: dict[int, int] = {}
        """Of each request that is no longer served: since when."""
        self._rows: list[tuple[int, int, int, int]] = []
        """Moment, slots taken, those of them that are or will be used, slots up to the last in use."""
        self._wanted = 0
        self._peak = self._refused = self._dropped = self._fragmented = self._copied = 0

    def serve(self) -> None:
        """Let everything happen, in order."""
        act = {_Event.END: self._end, _Event.GROW: self._grow, _Event.ARRIVE: self._arrive}
        while self._events:
            now, event, number = heapq.heappop(self._events)
            act[event](now, number)
            if not self._events or self._events[0][0] > now:
                self._rows.append((now, self._memory.taken, self._wanted, self._memory.extent))

    def _arrive(self, now: int, number: int) -> None:
        request = self._requests[number]
        size = self._allocation.room(request, request.prompt)
        start = self._taken(size)
        if start is None:
            self._refused += 1
            return
        self._hold(number, start, size)
        heapq.heappush(self._events, (request.end, _Event.END, number))

    def _grow(self, now: int, number: int) -> None:
        request, (start, size) = self._requests[number], self._places[number]
        larger = self._allocation.room(request, size + 1)
        moves = self._allocation.contiguous
        new = self._taken(larger if moves else larger - size)
        if new is None:
            self._dropped += 1
            self._end(now, number)
            return
        if moves:
            self._copied += size
            self._memory.give(start, size)
        self._wanted -= min(size, request.tokens)
        self._hold(number, new, larger)

    def _end(self, now: int, number: int) -> None:
        if number not in self._places:  # dropped before
            return
        start, size = self._places.pop(number)
        self._memory.give(start, size)
        self._wanted -= min(size, self._requests[number].tokens)
        self._stops[number] = now

    def _taken(self, size: int) -> int | None:
        start = self._memory.take(size)
        if start is None:
            self._fragmented += self._memory.free >= size
        self._peak = max(self._peak, self._memory.extent)
        return start

    def _hold(self, number: int, start: int, size: int) -> None:
        request = self._requests[number]
        self._places[number] = start, size
        self._wanted += min(size, request.tokens)
        if size < request.tokens:
            full = request.gained(size + 1 - request.prompt)
            heapq.heappush(self._events, (full, _Event.GROW, number))

    def result(self) -> PoolRun:
        """The figures, once all is over."""
        times, taken, wanted, extent = np.array(self._rows, dtype=np.int64).reshape(-1, 4).T
        used, token_ticks = self._tokens(times)
        lasts = np.diff(times)
        over = max(1, int(times[-1] - times[0])) if len(times) else 1
        will = exact_dot(wanted[:-1], lasts)
        held, all_of_it = exact_dot(taken[:-1], lasts), exact_dot(extent[:-1], lasts)
        return PoolRun(
            times=times,
            used=used,
            reserved=wanted - used,
            internal=taken - wanted,
            external=extent - taken,
            mean=Usage(
                token_ticks / over,
                (will - token_ticks) / over,
                (held - will) / over,
                (all_of_it - held) / over,
            ),
            peak=self._peak,
            requests=len(self._requests),
            refused=self._refused,
            dropped=self._dropped,
            fragmented=self._fragmented,
            copied=self._copied,
        )

    def _tokens(self, times: Ticks) -> tuple[Ticks, int]:
        """Tokens there are at each moment, and the sum of how long each token is there, in ticks."""
        used, token_ticks = np.zeros(len(times) + 1, dtype=np.int64), 0
        for number, stop in self._stops.items():
            request = self._requests[number]
            births = request.births(stop)
            token_ticks += request.prompt * (stop - request.arrival) + exact_sum(stop - births)
            used[np.searchsorted(times, request.arrival)] += request.prompt
            np.add.at(used, np.searchsorted(times, births), 1)
            used[np.searchsorted(times, stop)] -= request.prompt + len(births)
        return np.cumsum(used)[:-1], token_ticks
