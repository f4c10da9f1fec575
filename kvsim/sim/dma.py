"""The DMA scheduler: puts ready moves on the links, by class, within the limit in flight."""

from __future__ import annotations

from heapq import heappop, heappush

from kvsim.sim.move import Move


class Channel:
    """The queue from one tier to another, or to reads in place: pages of all kinds share it."""

    __slots__ = ("flying", "waiting")

    def __init__(self) -> None:
        self.flying = 0
        self.waiting: list[tuple[int, int, Move]] = []
        """Heap of (class, order of submission, move); a move whose class was raised is in it twice."""


class DmaScheduler:
    """Launches moves in class order, and inside a class in the order they were submitted.

    `max_in_flight` bounds the transfers from one tier to another on their links (None: no
    bound); `coalesce` lets up to that many neighbouring pages, ready at one moment for the
    same route and class, travel as one transfer.
    """

    def __init__(self, max_in_flight: int | None, coalesce: int) -> None:
        self.max_in_flight = max_in_flight
        self.coalesce = coalesce
        self.unlimited = max_in_flight is None and coalesce == 1
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
        if leader.cls <= cls:
            return
        leader.cls = cls
        if leader.launched or self.unlimited:
            for hop in leader.route.hops[: leader.index + 1]:  # its parts may be on several lanes
                hop.lane.raise_class(leader, cls)
        elif leader.submitted:
            heappush(self._channel(leader).waiting, (cls, leader.submitted, leader))

    def landed(self, move: Move) -> None:
        """The transfer of `move` has left its links: the next may go."""
        channel = self._channel(move)
        channel.flying -= 1
        self._launch(channel)

    def _channel(self, move: Move) -> Channel:
        return self._channels.setdefault((move.source, move.target), Channel())

    def _queue(self, move: Move) -> None:
        self._submitted += 1
        move.submitted = self._submitted
        channel = self._channel(move)
        heappush(channel.waiting, (move.cls, move.submitted, move))
        self._launch(channel)

    def _launch(self, channel: Channel) -> None:
        while channel.waiting and (self.max_in_flight is None or channel.flying < self.max_in_flight):
            move = heappop(channel.waiting)[2]
            if not move.launched:
                move.launched = True
                channel.flying += 1
                move.route.hops[0].lane.enter(move)
