"""Room for what is generated: sequences grow, and the last one gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvsim.errors import SimulationError
from kvsim.scenario.serving import BatchSpec
from kvsim.sim.records import DEMAND, WRITE_BACK
from kvsim.sim.serving.cache import BlockCache
from kvsim.sim.serving.moves import Move
from kvsim.sim.serving.sequence import COMPUTE, MEMORY, PREEMPTED, ROOM, Sequence
from kvsim.sim.serving.store import Partition, Store

if TYPE_CHECKING:
    from kvsim.sim.serving.instance import Instance

__all__ = ["Growth", "swap_in"]


class Growth:
    """Gives sequences of one instance room for their next tokens, and takes room from others for it."""

    def __init__(
        self, spec: BatchSpec, instance: Instance, cache: BlockCache, path: list[Store], block_tokens: int
    ) -> None:
        self.spec = spec
        self.instance = instance
        self.cache = cache
        self.path = path
        self.first = path[0]
        self.block_tokens = block_tokens
        self.parked: list[Sequence] = []
        """Sequences that need room, of which there is none, nor anybody who could give way."""

    def grow(self, sequence: Sequence) -> int:
        """Get room for more tokens: COMPUTE if it is there, else what the sequence has to wait for.

        PREEMPTED: it has to give way itself.
        """
        first, partition = self.first, sequence.partition
        last = sequence.request.input_tokens + sequence.request.output_tokens - 1
        lacking = -(-(last - sequence.room_tokens) // self.block_tokens)
        blocks = min(self.spec.growth_blocks, lacking)
        size = blocks * first.block_bytes
        while not first.fits(partition, size):
            other = self._last_admitted(partition)
            if other is sequence:
                return self._stuck(sequence)
            if other is None:
                return MEMORY
            self.instance.expel(other)
            self.preempt(other)
        gone = first.make_room(partition, size)
        self.cache.demote(self.path, 0, gone, sequence.tenant, sequence.number)
        partition.used += size
        sequence.private += blocks
        sequence.room_tokens += blocks * self.block_tokens
        sequence.room = size
        if first.tier.request(sequence):
            return COMPUTE
        sequence.pending = True
        return ROOM

    def _last_admitted(self, partition: Partition) -> Sequence | None:
        """Who has to give way: the last one admitted that nobody waits for, and that waits for nothing."""
        for other in reversed(self.instance.admitted):
            if other.partition is partition and other.stands_still:
                return other
        return None

    def _stuck(self, sequence: Sequence) -> int:
        """The sequence is the last one; alone, it can only wait for what is on its way out."""
        alone = all(other is sequence for other in self.instance.admitted)
        if not alone:
            return PREEMPTED
        if self.cache.mover.under_way:
            return MEMORY
        raise SimulationError(
            f"request {sequence.number} has no room in tier {self.first.tier.name} for what it generates, "
            "even alone"
        )

    def set_aside(self, sequence: Sequence, why: int) -> None:
        """The sequence, which has been computed so far, cannot go on for now."""
        if why == PREEMPTED:
            self.preempt(sequence)
            return
        sequence.enter(why, self.instance.now)
        if why == MEMORY:
            self.parked.append(sequence)

    def retry(self) -> None:
        """Look again for room for those that found none."""
        parked, self.parked = self.parked, []
        for sequence in parked:
            if sequence.phase != MEMORY:
                continue  # it has been preempted meanwhile
            why = self.grow(sequence)
            if why == COMPUTE:
                self.instance.ready(sequence)
            else:
                self.set_aside(sequence, why)

    def preempt(self, sequence: Sequence) -> None:
        """Take all room from the sequence, and let it queue again."""
        instance = self.instance
        instance.admitted.remove(sequence)
        instance.queue.left(sequence)
        instance.tokens_due -= sequence.due
        sequence.due = 0
        sequence.preemptions += 1
        sequence.enter(PREEMPTED, self.instance.now)
        self._forget_missing(sequence)
        self.first.unpin(sequence.held)
        sequence.held = ()
        if self._swaps_out(sequence):
            return
        self.first.give_back(sequence.partition, sequence.private)
        sequence.private = 0
        instance.enqueue(sequence)

    def _forget_missing(self, sequence: Sequence) -> None:
        """Blocks that it would have computed will not come into being."""
        first = self.first
        blocks = [block for _, block in sequence.missing]
        if not blocks:
            return
        lost = set(blocks)
        sequence.held = [block for block in sequence.held if block not in lost]
        first.unpin(blocks)
        first.remove(blocks)
        for block in blocks:
            del first.coming[block]
        first.tier.release(len(blocks) * first.block_bytes)
        sequence.missing = []

    def _swaps_out(self, sequence: Sequence) -> bool:
        """Move its own room to the next tier, if that is the way and there is room."""
        blocks = sequence.private
        if self.spec.preemption != "swap" or len(self.path) < 2 or not blocks or sequence.owes:
            return False
        first, below = self.first, self.path[1]
        partition = below.partition_of(sequence.tenant)
        size = blocks * below.block_bytes
        if not below.fits(partition, size):
            return False
        gone = below.make_room(partition, size)
        self.cache.demote(self.path, 1, gone, sequence.tenant, sequence.number)
        partition.used += size
        freed = blocks * first.block_bytes
        first.vacate(sequence.partition, freed)
        sequence.private = 0
        sequence.swapped = blocks
        move = Move((), first, below, WRITE_BACK, sequence.number, count=blocks, room=size, freed=freed)
        move.done = lambda _move: self.instance.enqueue(sequence)
        self.cache.mover.start(move)
        return True


def swap_in(sequence: Sequence, path: list[Store]) -> Move:
    """The move that brings back what the sequence had of its own; not started yet."""
    below, blocks = path[1], sequence.swapped
    size = blocks * below.block_bytes
    move = Move((), below, path[0], DEMAND, sequence.number, count=blocks, freed=size)

    def arrived(_move: Move) -> None:
        below.vacate(below.partition_of(sequence.tenant), size)
        sequence.swapped = 0

    move.done = arrived
    return move
