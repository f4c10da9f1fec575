"""Blocks on their way between tiers: they wait for room and for each other, then cross the links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from simpy import Environment, Event

from kvsim.sim.lane import Transfer
from kvsim.sim.route import Route
from kvsim.sim.serving.records import ServingRecords
from kvsim.sim.serving.store import Store

__all__ = ["Move", "Mover"]


class Move:
    """A few blocks, in one or several transfers, from one tier to another.

    It takes `room` bytes at its target, none if they have been taken for it, and gives back `freed` bytes at
    its source when it has arrived, none if a copy stays there.
    """

    __slots__ = (
        "blocked",
        "blocks",
        "cls",
        "count",
        "done",
        "followers",
        "freed",
        "granted",
        "groups",
        "left",
        "part_done",
        "request",
        "requested",
        "room",
        "settled",
        "source",
        "target",
    )

    def __init__(
        self,
        blocks: Sequence[int],
        source: Store,
        target: Store,
        cls: int,
        request: int,
        *,
        count: int | None = None,
        room: int = 0,
        freed: int = 0,
    ) -> None:
        self.blocks = blocks
        """Those with a number; room of a sequence's own has none."""
        self.count = len(blocks) if count is None else count
        """Blocks, with and without a number."""
        self.source = source
        self.target = target
        self.cls = cls
        self.request = request
        """Number of the request that caused it."""
        self.room = room
        self.freed = freed
        self.requested = 0
        self.granted = 0
        self.groups = 1
        """Groups of layers that travel one after another."""
        self.left: list[int] = []
        """Of each group, the transfers that are not across."""
        self.blocked = 1
        """Conditions not met yet: to be started, room, and earlier moves of its blocks."""
        self.settled = False
        """Whether its blocks were where it starts from when it was decided on; who brings them there anew
        waits for the room that it leaves."""
        self.done: Callable[[Move], None] | None = None
        """Told first of its arrival."""
        self.part_done: Callable[[int], None] | None = None
        """Told of every group of layers that is there."""
        self.followers: list[Callable[[], None]] | None = None
        """Told of its arrival after that."""

    def then(self, follower: Callable[[], None]) -> None:
        """Call `follower` when it has arrived."""
        if self.followers is None:
            self.followers = []
        self.followers.append(follower)


class Part(Transfer):
    """One transfer of a move."""

    move: Move
    group: int


class Mover:
    """Starts moves and sees to their arrival."""

    def __init__(
        self,
        env: Environment,
        routes: list[list[Route]],
        stores: list[Store],
        records: ServingRecords,
        coalesce: int,
    ) -> None:
        self.env = env
        self.under_way = 0
        self._coalesce = coalesce
        self._routes = routes
        self._log = records.transfers.add if records.keep_events else None
        self._number = 0
        self._wire = [[min(a.block_bytes, b.block_bytes) for b in stores] for a in stores]
        """Bytes of a block on the way: the narrower format travels."""
        self._landed_callback = cast(Callable[[Event], None], self._landed)

    def start(self, move: Move) -> None:
        """It goes as soon as it has room and its blocks are where it starts from."""
        self.under_way += 1
        move.requested = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        coming = move.source.coming
        if coming and not move.settled:
            earlier = {id(coming[block]): coming[block] for block in move.blocks if block in coming}
            for before in earlier.values():
                assert isinstance(before, Move)  # what is still computed does not leave
                before.then(lambda: self.unblock(move))
                move.blocked += 1
        if move.room and not move.target.tier.request(move):
            move.blocked += 1
        self.unblock(move)

    def unblock(self, move: Move) -> None:
        """One condition is met."""
        move.blocked -= 1
        if not move.blocked:
            self._launch(move)

    def _launch(self, move: Move) -> None:
        source, target = move.source, move.target
        move.granted = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        route = self._routes[source.number][target.number]
        wire = self._wire[source.number][target.number]
        size = wire * move.count
        source.read_bytes += size
        target.written_bytes += size
        groups, most = move.groups, wire * self._coalesce
        parts: list[Part] = []
        for group in range(groups):
            rest = size * (group + 1) // groups - size * group // groups
            limit = max(1, most // groups)
            move.left.append(-(-rest // limit))
            while rest > 0:
                self._number += 1
                part = Part(self.env, self._number, min(rest, limit), move.cls, route)
                rest -= limit
                part.move, part.group = move, group
                part.callbacks = [self._landed_callback]
                parts.append(part)
        lane = route.hops[0].lane
        for part in parts:
            lane.enter(part)

    def _landed(self, part: Part) -> None:
        part.count_out()
        move, group = part.move, part.group
        if self._log is not None:
            ends = move.source.number, move.target.number
            times = move.requested, move.granted, self.env.now
            first = move.blocks[0] if move.blocks else -1
            row = (part.number, part.cls, move.cls, first, move.count, part.size, *ends, move.request, *times)
            self._log(row)  # type: ignore[arg-type]  # the clock counts integer ticks
        left = move.left[group] = move.left[group] - 1
        if left:
            return
        if move.part_done is not None:
            move.part_done(group)
        if not any(move.left):
            self._arrived(move)

    def _arrived(self, move: Move) -> None:
        self.under_way -= 1
        coming = move.target.coming
        for block in move.blocks:
            if coming.get(block) is move:
                del coming[block]
        if move.done is not None:
            move.done(move)
        if move.freed:
            move.source.tier.release(move.freed)
        if move.followers is not None:
            for follower in move.followers:
                follower()
