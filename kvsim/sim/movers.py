"""The three ways a decision becomes true: concurrently, one after another, or for free."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from simpy import Environment, Event

from kvsim.sim.dma import DmaScheduler
from kvsim.sim.move import NO_TIER, Move
from kvsim.sim.records import DEMAND, PREFETCH, Cause, Records
from kvsim.sim.residency import MOVING, SETTLED, Residency
from kvsim.sim.route import NO_ROUTE, Route
from kvsim.sim.tier import Tier
from kvsim.sim.topology import Topology


class ConcurrentMover:
    """Moves wait for room and for each other, then cross the links as concurrent transfers."""

    def __init__(
        self,
        env: Environment,
        residency: Residency,
        topology: Topology,
        dma: DmaScheduler,
        records: Records,
    ) -> None:
        self.env = env
        self.residency = residency
        self.topology = topology
        self.tiers = topology.tiers
        self.dma = dma
        self.step = 0
        self._unlimited = dma.unlimited
        self._log = records.transfers.add
        self._number = 0
        self._giver = -1
        """Lane to name to whoever gets the room that is being given back."""
        self._last: dict[int, Move] = {}
        self._on_arrival = cast(Callable[[Event], None], self._arrived)  # bound once: the hot path
        self._routes = topology.ways.between
        self._ways_by_page = topology.ways_by_page
        for tier in self.tiers:
            tier.granted = self._grant  # type: ignore[assignment]  # tenants are moves

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
        by_page = self._ways_by_page
        route = (self._routes if by_page is None else by_page[page].between)[source][target]
        self._number = number = self._number + 1
        move = Move(self.env, number, size, cls, route, page, source, target, room, freed, self.step)
        tier = self.tiers[target]
        if page in self._last or tier.waiting or tier.free < room or not self._unlimited:
            return self._start(move)
        # The common case in one go: room at once, the page stands still, nothing to schedule.
        tier.take(room)
        self._last[page] = move
        self.residency.where[page] |= MOVING
        move.granted = move.requested
        move.callbacks = [self._on_arrival]
        route.hops[0].lane.enter(move)
        return move

    def birth(self, page: int, tier: int, room: int) -> Move | None:
        there = self.tiers[tier]
        if page not in self._last and not there.waiting and there.free >= room:
            there.take(room)
            return None
        return self._start(self._new(room, NO_ROUTE, page, NO_TIER, tier, room, 0))

    def drop(self, page: int, tier: int, freed: int) -> None:
        if page in self._last:
            self._start(self._new(freed, NO_ROUTE, page, tier, NO_TIER, 0, freed))
        else:
            self.tiers[tier].release(freed)

    def read(self, page: int, tier: int, size: int) -> Move | None:
        return self._start(self._new(size, self.topology.read_route(page, tier), page, tier, NO_TIER, 0, 0))

    def under_way(self, page: int) -> Move | None:
        return self._last.get(page)

    def hurry(self, moves: Iterable[Move]) -> None:
        """The moves are awaited now, and so is what they wait for: earlier moves of their pages."""
        wanted: list[Move] = []
        for move in moves:
            waiting: Move | None = move
            while waiting is not None:
                if (waiting.leader or waiting).cls > DEMAND:
                    wanted.append(waiting)
                waiting = waiting.predecessor
        if wanted:
            self.dma.raise_all(wanted, DEMAND)

    def flush(self) -> None:
        self.dma.flush()

    def urgent(self, near: int, far: int) -> int:
        return self.dma.urgent(near, far)

    def after_prefetches(self, call: Callable[[], None]) -> None:
        """Have `call` made whenever a transfer that was issued as a prefetch has arrived."""

        def arrived(event: Event) -> None:
            self._arrived(cast(Move, event))
            if cast(Move, event).issued_cls == PREFETCH:
                call()

        self._on_arrival = arrived

    def _new(
        self, size: int, route: Route, page: int, source: int, target: int, room: int, freed: int
    ) -> Move:
        self._number += 1
        cls = DEMAND
        return Move(self.env, self._number, size, cls, route, page, source, target, room, freed, self.step)

    def _start(self, move: Move) -> Move:
        """Queue the move for its page and for room, each if need be."""
        page = move.page
        before = self._last.get(page)
        self._last[page] = move
        self.residency.where[page] |= MOVING
        if before is not None:
            before.successor = move
            move.predecessor = before
            move.blocked = 1
            if move.cls == DEMAND and (move.room or move.route is not NO_ROUTE):  # nobody waits for a drop
                self.hurry((before,))
        if move.room and not self.tiers[move.target].request(move):
            move.blocked += 1
        if not move.blocked:
            self._ready(move)
        return move

    def _grant(self, move: Move) -> None:
        move.room_lane = self._giver
        self._unblock(move)

    def _unblock(self, move: Move) -> None:
        move.blocked -= 1
        if not move.blocked:
            self._ready(move)

    def _ready(self, move: Move) -> None:
        move.granted = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        if move.route is NO_ROUTE:
            self._commit(move)
            return
        move.callbacks = [self._on_arrival]
        if self._unlimited:
            move.route.hops[0].lane.enter(move)
        else:
            self.dma.submit(move)

    def _arrived(self, move: Move) -> None:
        route = move.route
        for hop in route.hops:
            hop.lane.bytes_out += move.size
        followers = move.followers
        self._log(
            (
                move.number,
                move.cls,
                move.issued_cls,
                move.page,
                1 + len(followers) if followers else 1,
                move.size,
                move.source,
                move.target,
                move.step,
                move.requested,
                move.granted,
                self.env.now,  # type: ignore[arg-type]  # the clock counts integer ticks
            )
        )
        if self._unlimited:
            self._commit(move)
            return
        self.dma.landed(move)
        self._commit(move)
        if followers is not None:
            for follower in followers:
                follower.trail = move.trail
                self._commit(follower)
        self.dma.flush()

    def _commit(self, move: Move) -> None:
        move.committed = True
        page = move.page
        successor = move.successor
        if successor is None:
            del self._last[page]
            self.residency.where[page] &= SETTLED
        if move.freed:
            there = self.tiers[move.source]
            if there.waiting:
                self._giver = self._held_up_by(move)
            there.release(move.freed)
        if successor is not None:
            successor.predecessor = None
            self._unblock(successor)
        if move.waiters is not None:
            for plan in move.waiters:
                plan.arrived(move)
            move.waiters = None  # a plan knows its moves: no cycles for the collector

    def _held_up_by(self, move: Move) -> int:
        """The lane that kept the move, and so whoever waits for its room: its own, or what it waited for."""
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        if move.trail and now - move.granted >= move.granted - move.requested:
            return move.trail[-1][1]
        return move.room_lane


class FreeMover:
    """Moves take no time: the bound."""

    def __init__(self, tiers: list[Tier]) -> None:
        self.tiers = tiers
        self.step = 0

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
        self.tiers[target].take(room)
        if freed:
            self.tiers[source].release(freed)
        return None

    def birth(self, page: int, tier: int, room: int) -> Move | None:
        self.tiers[tier].take(room)
        return None

    def drop(self, page: int, tier: int, freed: int) -> None:
        self.tiers[tier].release(freed)

    def read(self, page: int, tier: int, size: int) -> Move | None:
        return None

    def under_way(self, page: int) -> Move | None:
        return None

    def flush(self) -> None:
        """Nothing is ever left to send."""

    def urgent(self, near: int, far: int) -> int:
        return 0


class SequentialMover(FreeMover):
    """Every move happens alone, on the step's own time: the model of synchronous simulators.

    It is the clock of the tiers too: `now` runs ahead of the simulation's, which catches up when there is
    an arrival to wait for, and at the end.
    """

    def __init__(self, topology: Topology, records: Records) -> None:
        super().__init__(topology.tiers)
        self.layer = 0
        self.now = 0
        self.exposed = [0] * len(Cause)
        self._topology = topology
        self._routes = topology.ways.between
        self._ways_by_page = topology.ways_by_page
        self._records = records if records.keep_events else None
        self._number = 0
        for tier in topology.tiers:
            tier.clock = self

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
        at = source if found is None else found
        by_page = self._ways_by_page
        route = (self._routes if by_page is None else by_page[page].between)[at][target]
        self._cross(route, size, cls, page, at, target)
        self.tiers[target].take(room)
        if freed:
            self.tiers[source].release(freed)
        return None

    def read(self, page: int, tier: int, size: int) -> Move | None:
        self._cross(self._topology.read_route(page, tier), size, DEMAND, page, tier, NO_TIER)
        return None

    def _cross(self, route: Route, size: int, cls: int, page: int, source: int, target: int) -> None:
        """Write it down and let the time pass; a lane's share ends when the tail is at what comes next."""
        self._number = number = self._number + 1
        records = self._records
        begin = here = self.now
        crossing = route.known.get(size) or route.alone(size)
        for hop, (head, end, nominal, tail) in zip(route.hops, crossing, strict=True):
            lane = hop.lane
            lane.transfers += 1
            lane.bytes_by_class[cls] += size
            lane.bytes_out += size
            lane.busy += end - head
            there = begin + tail
            cause = CODEC if lane.label.kind == "codec" else SERIAL_CAUSE[cls]
            self.exposed[cause] += there - here
            if records is not None:
                row = (number, lane.number, begin + head, begin + head, begin + end, size, nominal)
                records.hops.add(row)
                if there > here:
                    records.stalls.add((self.step, self.layer, here, there, cause, lane.number, number))
            here = there
        if records is not None:
            transfer = (number, cls, cls, page, 1, size, source, target, self.step, begin, begin, here)
            records.transfers.add(transfer)
        self.now = here


CODEC = int(Cause.CODEC)
SERIAL_CAUSE = tuple(map(int, (Cause.DEMAND_SERVICE, Cause.ROOM, Cause.LATE_PREFETCH, Cause.ROOM)))
"""What a step waits for while a transfer of each class has the machine to itself."""
