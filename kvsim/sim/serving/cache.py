"""What is kept of prompts: found again, brought up, pushed down, written through."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from collections.abc import Sequence as Numbers
from dataclasses import dataclass, field
from functools import partial

from kvsim.scenario.serving import ReuseSpec
from kvsim.sim.records import BACKGROUND, PREFETCH, WRITE_BACK
from kvsim.sim.serving.future import RequestFuture
from kvsim.sim.serving.moves import Move, Mover
from kvsim.sim.serving.store import Partition, Store

__all__ = ["BlockCache", "Match"]

NOBODY = -1
"""In place of the number of the request that caused a move."""

Choose = Callable[[int, int, int], bool]
"""Whether to load the blocks from a to b (not included), found at a level, rather than to compute them."""


@dataclass(slots=True, eq=False)
class Match:
    """Where the blocks of a prompt were found, and what is to be done with them."""

    found: list[int]
    """Blocks found at each level of the path, from the first tier on."""
    here: list[int] = field(default_factory=list)
    """Blocks in the first tier, in order."""
    loads: list[tuple[int, list[int]]] = field(default_factory=list)
    """Blocks to be loaded: from which level, which, run by run."""
    missing: list[int] = field(default_factory=list)
    """Blocks to be computed, in order."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Positions in the prompt of what is to be computed, run by run: the first, and after the last one."""

    def skip(self, start: int, stop: int) -> None:
        """Blocks from `start` to `stop` (not included), after all those before, are to be computed."""
        if self.gaps and self.gaps[-1][1] == start:
            start = self.gaps.pop()[0]
        self.gaps.append((start, stop))


class BlockCache:
    """The blocks of all tiers; what is asked of it comes with the path of an instance, nearest tier first."""

    def __init__(self, spec: ReuseSpec, mover: Mover, freed: Callable[[], None]) -> None:
        self.spec = spec
        self.mover = mover
        self.future: RequestFuture | None = None
        """What is still to come, if a policy must know; set when the machine is built."""
        self.freed = freed
        """Told when blocks that had to stay need not any more."""

    def match(self, blocks: Numbers[int], path: list[Store], choose: Choose | None) -> Match:
        """Look a prompt up; without `choose` whatever is found is loaded."""
        match = Match([0] * len(path))
        for level, start, stop in self._runs(blocks, path):
            run = list(blocks[start:stop])
            if level >= 0:
                match.found[level] += stop - start
            if level == 0:
                match.here += run
            elif level > 0 and (choose is None or choose(level, start, stop)):
                match.loads.append((level, run))
            else:
                # what is here behind a gap is computed again where it is
                held = path[0].pins
                match.here += [block for block in run if block in held]
                match.missing += [block for block in run if block not in held]
                match.skip(start, stop)
        return match

    def _runs(self, blocks: Numbers[int], path: list[Store]) -> Iterator[tuple[int, int, int]]:
        """Runs of blocks with the same first level that holds them (-1: none, or not looked at): the level,
        the first position, and the one after the last."""
        tables = [store.pins for store in path]
        count = len(blocks)
        stop = 0
        while stop < count:
            start = stop
            level = next((k for k, held in enumerate(tables) if blocks[start] in held), -1)
            if level < 0 and self.spec.match == "prefix":
                stop = count
            elif level < 0:
                stop = start + 1
                while stop < count and not any(blocks[stop] in held for held in tables):
                    stop += 1
            else:
                stop = _end_of_run(blocks, start + 1, tables[level], tables[:level])
            yield level, start, stop

    def match_in_turn(self, blocks: Numbers[int], store: Store, partition: Partition) -> Match:
        """Look blocks up one after another in a flat cache; each takes its place there before the next."""
        match = Match([0])
        for position, block in enumerate(blocks):
            if self.future is not None:
                self.future.passed((block,))
            if block in store.pins:
                match.found[0] += 1
                match.here.append(block)
                store.read((block,))
                continue
            partition.policy.accessed((block,), -1)
            gone = store.make_room(partition, store.block_bytes)
            store.discards += len(gone)
            store.add((block,), partition, None)
            store.unpin((block,))
            store.tier.release(len(gone) * store.block_bytes)
            store.tier.take(store.block_bytes)
            match.skip(position, position + 1)
        return match

    def touch(self, match: Match, path: list[Store], partition: Partition) -> None:
        """Tell the policies what is read and not in the first tier, the end of a prompt first, for it is the
        first to be worthless."""
        for level, run in match.loads:
            path[level].read(run[::-1])
        if match.missing:
            partition.policy.accessed(match.missing[::-1], -1)

    def drain(self, path: list[Store]) -> None:
        """Tiers that are above their high marks are emptied to their low ones, in the background."""
        for level, store in enumerate(path):
            for tenant, partition in store.partitions.items():
                count = store.surplus(partition)
                if count:
                    gone = store.evict(partition, count)
                    self.demote(path, level, gone, tenant, NOBODY, BACKGROUND)

    def demote(
        self,
        path: list[Store],
        level: int,
        blocks: list[int],
        tenant: str,
        request: int,
        cls: int = WRITE_BACK,
    ) -> None:
        """Blocks have been removed from a tier to make room: they go to the next one, or nowhere."""
        if not blocks:
            return
        store = path[level]
        below = path[level + 1 :]
        leaving = blocks
        for other in below:
            kept = other.pins
            leaving = [block for block in leaving if block not in kept]
        dropped = len(blocks) - len(leaving)
        if leaving and below and self.spec.write != "none":
            leaving, lost = self._fitting(below[0], leaving, tenant)
        else:
            leaving, lost = [], len(leaving)
        store.discards += lost
        if leaving:
            self._send(path, level + 1, leaving, store, cls, tenant, request)
        if dropped + lost:
            store.tier.release((dropped + lost) * store.block_bytes)

    def _fitting(self, store: Store, blocks: list[int], tenant: str) -> tuple[list[int], int]:
        """As many of the last of them as can have room there, and how many others."""
        room = store.available(store.partition_of(tenant)) // store.block_bytes
        lost = max(0, len(blocks) - room)
        return blocks[lost:], lost

    def _send(
        self,
        path: list[Store],
        level: int,
        blocks: list[int],
        source: Store,
        cls: int,
        tenant: str,
        request: int,
        *,
        stays: bool = False,
        done: Callable[[], None] | None = None,
    ) -> None:
        """Blocks go to a tier below the first, where they are found at once; `stays`: and where they were."""
        target = path[level]
        partition = target.partition_of(tenant)
        room = len(blocks) * target.block_bytes
        gone = target.make_room(partition, room)
        self.demote(path, level, gone, tenant, request, cls)
        freed = 0 if stays else len(blocks) * source.block_bytes
        move = Move(blocks, source, target, cls, request, room=room, freed=freed)
        target.add(blocks, partition, move)

        def arrived(_move: Move) -> None:
            target.unpin(blocks)
            if stays:
                source.unpin(blocks)
            self.freed()

        move.done = arrived
        self.mover.start(move)

    def write_through(self, path: list[Store], blocks: list[int], tenant: str, request: int) -> None:
        """Blocks of the first tier are copied to the next one, as far as they are not there and fit."""
        if len(path) < 2:
            return
        fresh = [block for block in blocks if not any(block in other.pins for other in path[1:])]
        fresh = self._fitting(path[1], fresh, tenant)[0]
        if fresh:
            path[0].pin(fresh)
            self._send(path, 1, fresh, path[0], BACKGROUND, tenant, request, stays=True)

    def load(
        self, source: Store, target: Store, run: list[int], cls: int, request: int, partition: Partition
    ) -> Move:
        """A move, not started yet, of blocks that are pinned at its source; they are decided to be at its
        target from now on, where there is room.

        They leave a source that keeps no copies, unless somebody else needs them to stay.
        """
        kept = self.keeps(source) or any(source.pins[block] > 1 or block in source.coming for block in run)
        freed = 0
        if not kept:
            source.unpin(run)
            source.remove(run)
            freed = len(run) * source.block_bytes
        move = Move(run, source, target, cls, request, freed=freed)
        move.settled = not kept
        target.add(run[::-1], partition, move)
        if kept:

            def arrived(_move: Move) -> None:
                source.unpin(run)
                self.freed()

            move.done = arrived
        return move

    def keeps(self, store: Store) -> bool:
        """Whether a block that is brought up from there leaves a copy."""
        return store.keeps or self.spec.write == "through"

    def prefetch(
        self, path: list[Store], level: int, blocks: Numbers[int], tenant: str, request: int
    ) -> bool:
        """Bring what lies further down to a tier, as far as there is room beside what is spared; whether that
        was all."""
        target = path[level]
        left = 0
        partition = target.partition_of(tenant)
        for lower in range(level + 1, len(path)):
            source = path[lower]
            run = [
                block
                for block in blocks
                if block in source.pins and not any(block in nearer.pins for nearer in path[:lower])
            ]
            most = max(0, target.room_beside_spared(partition)) if run else 0
            left += len(run[most:])
            run = run[:most]
            if not run:
                continue
            source.read(run[::-1])
            source.pin(run)
            room = len(run) * target.block_bytes
            gone = target.make_room(partition, room)
            self.demote(path, level, gone, tenant, request)
            move = self.load(source, target, run, PREFETCH, request, partition)
            move.room = room
            move.then(partial(self._brought, target, run))
            self.mover.start(move)
        return not left

    def _brought(self, target: Store, run: list[int]) -> None:
        """Blocks that nobody waits for have arrived."""
        target.unpin(run)
        self.freed()


def _end_of_run(
    blocks: Numbers[int], start: int, held: Container[int], nearer: Numbers[Container[int]]
) -> int:
    """The first position from `start` on whose block is not in the tier, or in one that is nearer too."""
    for position in range(start, len(blocks)):
        block = blocks[position]
        if block not in held:
            return position
        for other in nearer:
            if block in other:
                return position
    return len(blocks)
