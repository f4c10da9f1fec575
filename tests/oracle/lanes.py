"""How one transfer crosses one lane of the oracle: in line for a channel, then part by part.

A lane is a `simpy.PriorityResource`. Whoever has a channel looks up at every chunk boundary: if somebody more
urgent stands in line it lets go of the channel and lines up again. Within a class, and everywhere but
under `priority`, the line is in order of arrival.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy
from oracle.decisions import Cls
from oracle.roads import Hop

Process = Generator[simpy.Event, Any, None]

SECOND = 10**12
"""Picoseconds."""


class Task:
    """A page on its way: it needs room at its target (births, moves) and its page in place (moves, reads)."""

    def __init__(self, env: simpy.Environment, page: int, size: int, cls: Cls) -> None:
        self.page = page
        self.size = size
        self.cls = self.issued = cls
        self.source = self.target = -1
        self.has_room = self.settled = False
        self.travels = True
        self.keep = False
        self.direct = False
        self.requested = int(env.now)
        self.granted = -1
        self.committed = False
        self.launched: Cls | None = None
        """The class it had when it got its slot."""
        self.done = env.event()
        self.train: list[Task] = []
        """Neighbours that travel along, in order."""
        self.before: Task | None = None
        """The page's last task, which has to be over first."""
        self.leader: Task | None = None
        """Whom it travels along with."""
        self.crossings: list[Crossing] = []
        """One for every lane it has reached."""

    @property
    def bytes(self) -> int:
        """On the wire, those of its neighbours included."""
        return self.size + sum(task.size for task in self.train)

    @property
    def way(self) -> tuple[int, int]:
        """From where to where; what is read in place goes to no tier."""
        return self.source, -1 if self.direct else self.target

    def hurry(self, cls: Cls) -> None:
        """It is wanted more urgently, and so is all that travels with it."""
        whole = self.leader or self
        if cls < whole.cls:
            whole.cls = cls
            for crossing in whole.crossings:
                crossing.line_up_anew()


class Lane:
    """A direction of a link, the ports of a tier, or a codec."""

    def __init__(self, env: simpy.Environment, channels: int, *, priority: bool, chunk: int | None) -> None:
        self.env = env
        self.priority = priority
        self.chunk = chunk
        self.channels = simpy.PriorityResource(env, capacity=channels)
        self.arrivals = 0
        self.knock = env.event()
        """Triggers when the line changes."""
        self.races = 0
        """Times that what happened first in a tick mattered, but is nobody's promise."""
        self._reached: tuple[int, object, Cls] = (-1, None, Cls.DEMAND)
        self._left: tuple[int, object] = (-1, None)
        self._boundary: tuple[int, Cls] = (-1, Cls.DEMAND)
        self._interrupted = -1

    def reached(self, origin: object, cls: Cls) -> None:
        """Somebody arrives, in the wake of `origin`."""
        now = int(self.env.now)
        self.arrivals += 1
        self.races += self._reached[0] == now and self._reached[1] != origin
        self._reached = now, origin, cls
        if self.priority:
            served = [request for request in self.channels.users if request.usage_since == now]
            chance = self._left[0] == now and self._left[1] is not origin
            self.races += chance and self._less_urgent(cls, [*served, *self.channels.queue])
            self.races += self._boundary[0] == now and self._boundary[1] > cls

    def left(self, task: Task) -> None:
        """Somebody is across."""
        now = int(self.env.now)
        late = self._reached[0] == now
        self.races += self.priority and late and self._less_urgent(self._reached[2], self.channels.queue)
        self._left = now, task

    def at_boundary(self, cls: Cls) -> None:
        """Somebody is at a chunk boundary."""
        now = int(self.env.now)
        self.races += self._interrupted == now
        self.races += self._reached[0] == now and self._reached[2] < cls
        self._boundary = now, max(cls, self._boundary[1]) if self._boundary[0] == now else cls
        if self.somebody_before(cls):
            self._interrupted = now

    @staticmethod
    def _less_urgent(cls: Cls, requests: Sequence[Any]) -> bool:
        return any(request.priority >= (cls + 1) * 10**9 for request in requests)

    def place(self, cls: Cls, arrival: int) -> int:
        """Of two in line the one with the lower place is served first."""
        return cls * 10**9 + arrival if self.priority else arrival

    def call(self) -> None:
        """Let all who wait for it know that the line has changed."""
        self.knock.succeed()
        self.knock = self.env.event()

    def somebody_before(self, cls: Cls) -> bool:
        """Whether somebody more urgent stands in line."""
        return self.priority and any(request.priority < cls * 10**9 for request in self.channels.queue)


class Crossing:
    """One transfer on one lane."""

    def __init__(
        self, lane: Lane, hop: Hop, task: Task, part: int, last: int, tail: simpy.Event | None
    ) -> None:
        self.env = lane.env
        self.lane = lane
        self.hop = hop
        self.task = task
        self.size = task.bytes
        self.part = part
        self.last = last
        self.tail = tail
        """Triggers when the last part has arrived at the lane; None: everything is there."""
        self.tail_at: int | None = None
        self.arrival = lane.arrivals
        self.moved = 0
        """Bytes times picoseconds a second: at b bytes a second, b of them a picosecond."""
        self.begun = self.env.event()
        self.first_out = self.env.event()
        """Triggers when the first part is across."""
        self.all_out = self.env.event()
        self._request: simpy.resources.resource.PriorityRequest | None = None
        self._renewed = self.env.event()
        task.crossings.append(self)
        if tail is not None:
            self.env.process(self._watch(tail))

    def _watch(self, tail: simpy.Event) -> Process:
        yield tail
        self.tail_at = int(self.env.now)

    def run(self) -> Process:
        """Wait for a channel, set up, and push everything across."""
        self._line_up()
        yield from self._channel()
        yield self.env.timeout(self.hop.setup)
        while self.moved < self.size * SECOND:
            if self._out_of_bytes():
                yield from self._await_tail()
            yield from self._push()
            if self.moved >= self.part * SECOND and not self.first_out.triggered:
                self.first_out.succeed()
            if self.moved < self.size * SECOND and self._boundaries_passed():
                self.lane.at_boundary(self.task.cls)
                yield from self._make_way()
        assert self._request is not None
        self.lane.channels.release(self._request)
        self.lane.left(self.task)
        self.all_out.succeed()

    # --- the line -----------------------------------------------------------------------------------

    def _line_up(self) -> None:
        place = self.lane.place(self.task.cls, self.arrival)
        self._request = self.lane.channels.request(priority=place)
        self.lane.call()

    def line_up_anew(self) -> None:
        """Its class has been raised while it may be in line."""
        if self._request is not None and not self._request.triggered:
            self._request.cancel()
            self._line_up()
            self._renewed.succeed()
            self._renewed = self.env.event()
        else:
            self.lane.call()

    def _channel(self) -> Process:
        while self._request is None or not self._request.triggered:
            assert self._request is not None
            yield self._request | self._renewed

    def _make_way(self) -> Process:
        """Let go of the channel if somebody more urgent stands in line."""
        if self.lane.somebody_before(self.task.cls):
            assert self._request is not None
            self.lane.channels.release(self._request)
            self._line_up()
            yield from self._channel()

    # --- the bytes ----------------------------------------------------------------------------------

    @property
    def _before_last(self) -> int:
        return (self.size - self.last) * SECOND

    def _tail_was_there(self) -> bool:
        """Whether the last part had arrived before this moment."""
        return self.tail is None or (self.tail_at is not None and self.tail_at < self.env.now)

    def _out_of_bytes(self) -> bool:
        waits = self.tail is not None and not self.tail.processed
        return waits and self.moved >= self._before_last

    def _await_tail(self) -> Process:
        while self._out_of_bytes():
            assert self.tail is not None
            if self.lane.somebody_before(self.task.cls):
                yield from self._make_way()
            else:
                yield self.tail | self.lane.knock

    def _push(self) -> Process:
        """Up to the next point at which something happens."""
        marks = [self.part, self.size, *self._boundaries()]
        if self.tail is not None:
            marks.append(self.size - self.last)
        target = min(mark * SECOND for mark in marks if mark * SECOND > self.moved)
        ticks = -(-(target - self.moved) // self.hop.rate)
        self._before = self.moved
        waited_for = self._before < self._before_last
        yield self.env.timeout(ticks)
        self.moved += ticks * self.hop.rate
        if waited_for and not self._tail_was_there():
            self.moved = min(self.moved, self._before_last)

    def _boundaries(self) -> list[int]:
        """Bytes across at each chunk boundary of the lane, ends left out."""
        if not self.lane.priority or self.lane.chunk is None:
            return []
        pieces = -(-self.size // self.lane.chunk)
        piece = -(-self.size // pieces)
        return [number * piece for number in range(1, pieces) if number * piece < self.size]

    def _boundaries_passed(self) -> bool:
        return any(self._before < boundary * SECOND <= self.moved for boundary in self._boundaries())
