"""Moves: what the hierarchy decided, on its way to becoming true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from simpy import Environment

from kvsim.sim.lane import Transfer
from kvsim.sim.route import Route

if TYPE_CHECKING:
    from kvsim.sim.plan import Plan

NO_TIER = -1


class Move(Transfer):
    """One page changing place. Ready once it has room at its target and the page stands still.

    Over NO_ROUTE it is instantaneous: a birth (no source), or a drop (no target).
    """

    blocked = 0
    """Conditions not met yet: room, and an earlier move of the page."""
    granted = 0
    """Tick at which the last condition was met."""
    room_lane = -1
    """Lane on which its room was made, where it had to wait for it."""
    submitted = 0
    """Its number in the scheduler's order; 0 while it is not ready."""
    launched = False
    launched_cls = 0
    """TransferClass with which the scheduler launched it."""
    committed = False
    judged = False
    """Whether a prefetch has been found timely or late."""
    successor: Move | None = None
    predecessor: Move | None = None
    """The page's earlier move, until that has committed."""
    followers: list[Move] | None = None
    """Neighbouring pages that travel in this transfer."""
    leader: Move | None = None
    """The move whose transfer this one travels in; None: its own."""
    waiters: list[Plan] | None = None

    def __init__(
        self,
        env: Environment,
        number: int,
        size: int,
        cls: int,
        route: Route,
        page: int,
        source: int,
        target: int,
        room: int,
        freed: int,
        step: int,
    ) -> None:
        self.env = env
        self._ok = True
        self.number = number
        self.size = size
        self.cls = self.issued_cls = cls
        self.route = route
        self.page = page
        self.source = source
        self.target = target
        self.room = room
        """Bytes it takes in the target tier."""
        self.freed = freed
        """Bytes it gives back in the source tier; 0 when a copy stays."""
        self.step = step
        self.requested: int = env.now  # type: ignore[assignment]  # the clock counts integer ticks


class Mover(Protocol):
    """How decided moves become true. Each call returns the move if it is not true at once."""

    step: int
    """Number of the running step, for the records."""

    def move(
        self,
        page: int,
        source: int,
        target: int,
        cls: int,
        room: int,
        freed: int,
        size: int,
        found: int | None = None,
    ) -> Move | None:
        """The page changes tier: `room` bytes there, `freed` bytes here, `size` on the way.

        `found` is the tier of a page when it was asked for, if that may not be its source any more; it is
        a matter for movers that fix the way of a transfer then.
        """
        ...

    def birth(self, page: int, tier: int, room: int) -> Move | None:
        """The page comes into being in the tier: it needs only room."""
        ...

    def drop(self, page: int, tier: int, freed: int) -> None:
        """The page's room in the tier is given back, once it stands still."""
        ...

    def read(self, page: int, tier: int, size: int) -> Move | None:
        """The page is read in place, over the links, without changing tier."""
        ...

    def under_way(self, page: int) -> Move | None:
        """The last move of the page that has not committed."""
        ...

    def flush(self) -> None:
        """The decisions of one moment are complete."""
        ...

    def urgent(self, near: int, far: int) -> int:
        """Transfers more urgent than a prefetch that wait or fly between two tiers, either way."""
        ...
