"""Transfers that have a route to themselves: two events whatever the hops and chunks.

Alone, everything about a crossing is known beforehand. So a transfer that finds all lanes of its route idle
is booked as a whole, with one event for the end and one for the arrival. As soon as anybody else comes to
one of these lanes, or the transfer is wanted more urgently, it is put where it has got to on each lane,
and goes on as if it had never been booked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from simpy import Environment, Event
from simpy.events import NORMAL

if TYPE_CHECKING:
    from kvsim.sim.lane import Hop, Lane, Transfer


def schedule(env: Environment, delay: int, callback: Callable[[Event], None]) -> Event:
    """Call `callback` `delay` ticks from now: a timeout without a process behind it."""
    event = Event(env)
    event._ok = True
    event._value = None
    event.callbacks = [callback]
    env.schedule(event, NORMAL, delay)
    return event


class Holder(Protocol):
    """What knows of the one booking it is part of: a lane, or what several lanes share."""

    express: Express | None


def book(transfer: Transfer) -> bool:
    """Book the transfer for all of its route, if it would be alone there. It is at its first lane."""
    holders: list[Holder] = []
    for hop in transfer.route.hops:
        holder = hop.lane.idle_for(hop)
        if holder is None or holder in holders:
            return False
        holders.append(holder)
    Express(transfer, holders)
    return True


class Express:
    """A transfer with its route to itself."""

    def __init__(self, transfer: Transfer, holders: list[Holder]) -> None:
        self.transfer = transfer
        self.holders = holders
        self.cls = transfer.cls
        route = transfer.route
        self.legs = route.known.get(transfer.size) or route.alone(transfer.size)
        self.begin: int = transfer.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        for holder in holders:
            holder.express = self
        schedule(transfer.env, self.legs[-1][1], self._end)

    def _end(self, _event: Event) -> None:
        if self.holders:
            self._release()
            for index in range(len(self.legs)):
                self._passed(index)
            self.transfer.deliver(self.transfer.route.hops[-1].delay)

    def _release(self) -> None:
        for holder in self.holders:
            holder.express = None
        self.holders = []

    def _passed(self, index: int) -> None:
        """The transfer is across one of its lanes."""
        transfer = self.transfer
        head, end, nominal, _ = self.legs[index]
        lane = transfer.route.hops[index].lane
        transfer.index = index
        lane.bytes_by_class[self.cls] += transfer.size
        start = self.begin + head
        row = (transfer.number, lane.number, start, start, self.begin + end, transfer.size, nominal)
        lane.passed(transfer, row, end - head)

    def dissolve(self) -> None:
        """Somebody comes in between: put the transfer where it has got to."""
        transfer = self.transfer
        hops = transfer.route.hops
        at = transfer.env.now - self.begin
        if at >= self.legs[-1][1]:
            self._end(Event(transfer.env))
            return
        self._release()
        resumed: list[Lane] = []
        for index, (hop, (head, end, _, _)) in enumerate(zip(hops, self.legs, strict=True)):
            self._tail_follows(index, int(at))
            if index and at < head:
                if at >= head - hops[index - 1].delay:
                    transfer.enter_next(int(head - at))
                break
            if at >= end:
                self._passed(index)
            else:
                transfer.index = index
                hop.lane.bytes_by_class[self.cls] += transfer.size
                hop.lane.take_up(transfer, self)
                resumed.append(hop.lane)
        for lane in resumed:
            lane.go_on()

    def _tail_follows(self, index: int, at: int) -> None:
        """See to it that a last part on its way to the lane arrives there."""
        if index and self.legs[index - 1][1] <= at < self.tail_at(index):
            self.transfer.route.hops[index].lane.expect_tail(self.transfer, self.tail_at(index) - at)

    def remaining(self, lane: Lane) -> int:
        """Ticks until the transfer has left a lane; 0 where it only shares a bus with that."""
        hops = self.transfer.route.hops
        end = max((leg[1] for hop, leg in zip(hops, self.legs, strict=True) if hop.lane is lane), default=0)
        return max(0, self.begin + end - int(self.transfer.env.now))

    def tail_at(self, index: int) -> int:
        """Ticks from the begin until the last part is at the lane; 0 where it comes with the first."""
        size = self.transfer.size
        return self.legs[index - 1][3] if index and self.transfer.route.part(size) < size else 0

    def left(self, hop: Hop, index: int, at: int, work: int, hold: int) -> int:
        """What is left of `work` on a lane at a time; it goes below `hold` only with the last part there."""
        ready = self.legs[index][0] + hop.setup
        tail = self.tail_at(index)
        if not tail:
            return work - hop.rate * max(0, at - ready)
        before = max(hold, work - hop.rate * max(0, min(at, tail) - ready))
        return before - hop.rate * max(0, at - max(tail, ready))
