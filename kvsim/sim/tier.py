"""The physical side of a tier: room, and who waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from simpy import Environment

from kvsim.errors import SimulationError


class Tenant(Protocol):
    """Whoever asks for room in a tier."""

    room: int
    """Bytes wanted."""


class Clock(Protocol):
    """Whatever knows what time it is."""

    @property
    def now(self) -> int:
        """The running tick."""
        ...


class Tier:
    """Bytes in use or reserved, and a first-come queue for more.

    A queue in order of decision cannot deadlock: every request's room was promised by
    departures decided before it.
    """

    def __init__(self, env: Environment, number: int, name: str, capacity: int) -> None:
        self.clock: Clock = env  # type: ignore[assignment]  # the clock counts integer ticks
        """What the `space` table is dated by."""
        self.number = number
        self.name = name
        self.capacity = capacity
        self.free = capacity
        self.least_free = capacity
        self.taken = 0
        """Bytes of room ever taken; initial residents included."""
        self.released = 0
        self.initial = 0
        self.waiting: deque[Tenant] = deque()
        self.granted: Callable[[Tenant], None] = _nobody
        """Called when a waiting tenant gets its room."""
        self.log: Callable[[tuple[int, int, int]], None] | None = None
        """Takes the rows of the `space` table."""

    def furnish(self, size: int) -> None:
        """Take the room of the pages that are there when the run starts."""
        self.take(size)
        self.initial = size

    def request(self, tenant: Tenant) -> bool:
        """Take room for `tenant` now (True), or queue for it (False)."""
        if self.waiting or self.free < tenant.room:
            self.waiting.append(tenant)
            return False
        self.take(tenant.room)
        return True

    def take(self, size: int) -> None:
        """Occupy `size` bytes. Raises SimulationError beyond the capacity."""
        free = self.free - size
        if free < 0:
            raise SimulationError(f"tier {self.name}: {-free} bytes beyond its capacity")
        self.free = free
        self.taken += size
        if free < self.least_free:
            self.least_free = free
        if self.log is not None:
            self.log((self.clock.now, self.number, size))

    def release(self, size: int) -> None:
        """Give back `size` bytes and serve whoever waits, in order."""
        self.free += size
        self.released += size
        if self.log is not None:
            self.log((self.clock.now, self.number, -size))
        while self.waiting and self.waiting[0].room <= self.free:
            tenant = self.waiting.popleft()
            self.take(tenant.room)
            self.granted(tenant)


def _nobody(_tenant: Tenant) -> None:
    """Grant hook of a tier outside a run."""
