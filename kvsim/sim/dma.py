"""The DMA scheduler: puts ready moves on the links, by class, within the limit in flight."""

from __future__ import annotations

from collections import deque

from kvsim.sim.move import Move
from kvsim.sim.records import TransferClass
from kvsim.sim.route import Route


class Channel:
    """The queue of one route between two tiers."""

    __slots__ = ("flying", "queues")

    def __init__(self) -> None:
        self.flying = 0
        self.queues: tuple[deque[Move], ...] = tuple(deque() for _ in TransferClass)


class DmaScheduler:
    """Launches moves in class order, first come first served inside a class.

    `max_in_flight` bounds the transfers of each route on its links (None: no bound);
    `coalesce` lets up to that many neighbouring pages, ready at one moment for the same
    route and class, travel as one transfer.
    """

    def __init__(self, max_in_flight: int | None, coalesce: int) -> None:
        self.max_in_flight = max_in_flight
        self.coalesce = coalesce
        self.unlimited = max_in_flight is None and coalesce == 1
        """Whether every move may go as soon as it is ready: nothing to schedule."""
        self._channels: dict[Route, Channel] = {}
        self._ready: list[Move] = []

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
        if leader.cls <= cls:
            return
        leader.cls = cls
        if leader.launched or self.unlimited:
            leader.route.hops[leader.index].lane.raise_class(leader, cls)
        elif leader.blocked == 0:
            self._channel(leader.route).queues[cls].append(leader)  # its old entry is skipped

    def landed(self, route: Route) -> None:
        """A transfer of `route` has left its links: the next may go."""
        channel = self._channel(route)
        channel.flying -= 1
        self._launch(channel)

    def _channel(self, route: Route) -> Channel:
        return self._channels.setdefault(route, Channel())

    def _queue(self, move: Move) -> None:
        channel = self._channel(move.route)
        channel.queues[move.cls].append(move)
        self._launch(channel)

    def _launch(self, channel: Channel) -> None:
        for queue in channel.queues:
            while queue and (self.max_in_flight is None or channel.flying < self.max_in_flight):
                move = queue.popleft()
                if not move.launched:
                    move.launched = True
                    channel.flying += 1
                    move.route.hops[0].lane.enter(move)
