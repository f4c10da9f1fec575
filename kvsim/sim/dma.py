"""The DMA scheduler: puts ready moves on the links, by class, within the limits in flight."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from kvsim.sim.express import schedule
from kvsim.sim.move import Move
from kvsim.sim.records import PREFETCH, TransferClass
from kvsim.units import service_ticks

CLASSES = len(TransferClass)


class ClassLimits(NamedTuple):
    """What one class may do between two tiers, in one direction."""

    in_flight: int | None = None
    """Transfers on their links at once; None: no bound."""
    bandwidth: int | None = None
    """Bytes per second at which they are launched; None: no pacing."""


NO_LIMITS = (ClassLimits(),) * CLASSES


class Channel:
    """The queue from one tier to another, or to reads in place: pages of all kinds share it."""

    __slots__ = ("alarms", "backlog", "flying", "flying_by_class", "opens", "urgent", "waiting")

    def __init__(self) -> None:
        self.flying = 0
        self.flying_by_class = [0] * CLASSES
        """By the class with which a transfer was launched."""
        self.urgent = 0
        """Transfers more urgent than a prefetch that wait or fly."""
        self.waiting: list[list[tuple[int, Move]]] = [[] for _ in range(CLASSES)]
        """For each class a heap of (order of submission, move); a move whose class was raised is in two."""
        self.backlog = 0
        """Entries in these heaps."""
        self.opens = [0] * CLASSES
        """Tick from which on pacing lets the next transfer of the class go."""
        self.alarms = [False] * CLASSES
        """Whether somebody will look again when it is time for the class."""


class DmaScheduler:
    """Launches moves in class order, and inside a class in the order they were submitted.

    `max_in_flight` bounds the transfers from one tier to another on their links (None: no
    bound); `coalesce` lets up to that many neighbouring pages, ready at one moment for the
    same route and class, travel as one transfer. `limits` bound single classes: a class that
    has reached its own holds up no other. A transfer counts as, and sets the pace of, the class it
    is launched with; one that is raised while it waits is out of its old class at once. With
    `counts` it can be asked how many transfers are `urgent`.
    """

    def __init__(
        self,
        max_in_flight: int | None,
        coalesce: int,
        limits: Sequence[ClassLimits] = NO_LIMITS,
        counts: bool = False,
    ) -> None:
        self.max_in_flight = sys.maxsize if max_in_flight is None else max_in_flight
        self.coalesce = coalesce
        self.limits = None if all(limit == ClassLimits() for limit in limits) else limits
        self.unlimited = max_in_flight is None and coalesce == 1 and self.limits is None and not counts
        """Whether every move may go as soon as it is ready: nothing to schedule."""
        self._channels: dict[tuple[int, int], Channel] = {}
        self._ready: list[Move] = []
        self._submitted = 0

    def submit(self, move: Move) -> None:
        """`move` is ready; it goes now, or at `flush` with its neighbours, or when there is a slot."""
        if self.coalesce > 1:
            self._ready.append(move)
        else:
            self._queue(move)

    def flush(self) -> None:
        """Send what became ready at this moment, neighbours together."""
        if not self._ready:
            return
        ready, self._ready = self._ready, []
        leader = ready[0]
        leaders = [leader]
        for move in ready[1:]:
            if self._joins(move, leader):
                self._join(move, leader)
            else:
                leader = move
                leaders.append(move)
        for leader in leaders:
            self._queue(leader)

    def _joins(self, move: Move, leader: Move) -> bool:
        train = leader.followers
        last = train[-1] if train else leader
        return (
            move.page == last.page + 1
            and move.route is leader.route
            and move.cls == leader.cls
            and (len(train) if train else 0) + 1 < self.coalesce
        )

    @staticmethod
    def _join(move: Move, leader: Move) -> None:
        if leader.followers is None:
            leader.followers = []
        leader.followers.append(move)
        leader.size += move.size
        move.leader = leader

    def raise_class(self, move: Move, cls: int) -> None:
        """`move` is wanted more urgently; its neighbours on the same transfer come along."""
        leader = move.leader or move
        before = leader.cls
        if before <= cls:
            return
        leader.cls = cls
        if leader.launched or self.unlimited:
            for hop in leader.route.hops[: leader.index + 1]:  # its parts may be on several lanes
                hop.lane.raise_class(leader, cls)
        elif leader.submitted:
            self._wait(self._channel(leader), leader)
        if leader.submitted and cls < PREFETCH <= before:
            self._channel(leader).urgent += 1

    def raise_all(self, moves: Sequence[Move], cls: int) -> None:
        """All of `moves` are wanted more urgently; what only its old class held up goes now."""
        for move in moves:
            self.raise_class(move, cls)
        if self.limits is None:
            return
        freed = {leader.submitted: leader for leader in (move.leader or move for move in moves)}
        for submitted in sorted(freed):
            if submitted and not freed[submitted].launched:
                self._launch(self._channel(freed[submitted]))

    def landed(self, move: Move) -> None:
        """The transfer of `move` has left its links: the next may go."""
        channel = self._channel(move)
        channel.flying -= 1
        channel.flying_by_class[move.launched_cls] -= 1
        if move.cls < PREFETCH:
            channel.urgent -= 1
        if channel.backlog:
            self._launch(channel)

    def urgent(self, near: int, far: int) -> int:
        """Transfers more urgent than a prefetch that wait or fly between two tiers, either way."""
        ways = (self._channels.get((near, far)), self._channels.get((far, near)))
        return sum(channel.urgent for channel in ways if channel is not None)

    def _channel(self, move: Move) -> Channel:
        key = (move.source, move.target)
        return self._channels.get(key) or self._channels.setdefault(key, Channel())

    def _queue(self, move: Move) -> None:
        self._submitted += 1
        move.submitted = self._submitted
        channel = self._channel(move)
        if move.cls < PREFETCH:
            channel.urgent += 1
        if channel.backlog or self.limits is not None or channel.flying >= self.max_in_flight:
            self._wait(channel, move)
            self._launch(channel)
        else:
            self._send(channel, move)

    @staticmethod
    def _wait(channel: Channel, move: Move) -> None:
        heappush(channel.waiting[move.cls], (move.submitted, move))
        channel.backlog += 1

    def _launch(self, channel: Channel) -> None:
        """Launch what may go now."""
        while channel.backlog and channel.flying < self.max_in_flight:
            move = self._next(channel)
            if move is None:
                return
            self._send(channel, move)

    def _send(self, channel: Channel, move: Move) -> None:
        move.launched = True
        move.launched_cls = cls = move.cls
        channel.flying += 1
        channel.flying_by_class[cls] += 1
        if self.limits is not None:
            bandwidth = self.limits[cls].bandwidth
            if bandwidth is not None:
                channel.opens[cls] = _now(move) + service_ticks(move.size, bandwidth)
        move.route.hops[0].lane.enter(move)

    def _next(self, channel: Channel) -> Move | None:
        """Take the first of the most urgent class that may go now; None: nobody may."""
        for cls, queue in enumerate(channel.waiting):
            while queue:
                move = queue[0][1]
                raised = move.launched or move.cls != cls
                if not raised and self.limits is not None and not self._may_go(channel, move):
                    break
                heappop(queue)
                channel.backlog -= 1
                if not raised:
                    return move
        return None

    def _may_go(self, channel: Channel, move: Move) -> bool:
        """Whether its class is within its limits; if it is too early, somebody will look again."""
        assert self.limits is not None
        cls = move.cls
        most = self.limits[cls].in_flight
        if most is not None and channel.flying_by_class[cls] >= most:
            return False
        wait = channel.opens[cls] - _now(move)
        if wait > 0 and not channel.alarms[cls]:
            channel.alarms[cls] = True
            schedule(move.env, wait, lambda _event: self._open(channel, cls))
        return wait <= 0

    def _open(self, channel: Channel, cls: int) -> None:
        channel.alarms[cls] = False
        self._launch(channel)


def _now(move: Move) -> int:
    now: int = move.env.now  # type: ignore[assignment]  # the clock counts integer ticks
    return now
