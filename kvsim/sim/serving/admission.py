"""The memory of one instance: who gets in, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpy import Environment

from kvsim.errors import SimulationError
from kvsim.scenario.serving import ServingSpec
from kvsim.sim.express import schedule
from kvsim.sim.records import DEMAND
from kvsim.sim.serving.cache import BlockCache, Choose, Match
from kvsim.sim.serving.growth import swap_in
from kvsim.sim.serving.leaving import receive
from kvsim.sim.serving.moves import Move
from kvsim.sim.serving.sequence import (
    HANDOVER,
    LOAD,
    OVERHEAD,
    PREFIX,
    ROOM,
    Parts,
    Sequence,
)
from kvsim.sim.serving.store import Store

if TYPE_CHECKING:
    from kvsim.sim.serving.instance import Instance

__all__ = ["Admission"]


class Admission:
    """Gives sequences the room they need to begin, and what others left there."""

    def __init__(
        self,
        env: Environment,
        spec: ServingSpec,
        instance: Instance,
        cache: BlockCache,
        path: list[Store],
        choose: Choose | None,
        block_tokens: int,
        layer_groups: int,
    ) -> None:
        self.env = env
        self.spec = spec
        self.instance = instance
        self.cache = cache
        self.path = path
        self.first = path[0]
        self.block_tokens = block_tokens
        self.choose = choose
        self.layer_groups = layer_groups
        """Groups of layers that are loaded one after another."""
        self.in_batch = spec.reuse.loading != "whole"
        """Whether sequences are computed while their blocks still come."""
        self._refused: Sequence | None = None
        """Who was refused last."""
        self._enough = 0
        """What the first tier's `hope` must come to before it can be admitted."""

    @property
    def _now(self) -> int:
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        return now

    # --- getting in

    def admits(self, sequence: Sequence) -> bool:
        """Decide on the room that the sequence needs to begin, if there can be so much."""
        if self._refused is sequence and self.first.hope < self._enough:
            return False
        if self.spec.reuse.lookup == "in_turn":
            self._admit_flat(sequence)
            return True
        blocks = sequence.blocks if sequence.sender is None else ()
        match = self.cache.match(blocks, self.path, self.choose)
        first = self.first
        partition = first.partition_of(sequence.tenant)
        tokens = sequence.request.input_tokens + sequence.generated
        needed = max(len(blocks), -(-tokens // self.block_tokens))
        if needed * first.block_bytes > partition.capacity:
            holds = partition.capacity // first.block_bytes
            raise SimulationError(
                f"request {sequence.number} needs {needed} blocks of tier {first.tier.name}, "
                f"which has room for {holds}"
            )
        private = needed - len(blocks)
        size = (needed - len(match.here)) * first.block_bytes
        first.pin(match.here)
        lacking = size - first.available(partition)
        if lacking > 0:
            first.unpin(match.here)
            self._refused, self._enough = sequence, first.hope + lacking
            return False
        for level, run in match.loads:
            self.path[level].pin(run)
        if self.cache.future is not None and sequence.admitted < 0:
            self.cache.future.passed(blocks)
        if blocks:
            self.cache.touch(match, self.path, partition)
        gone = first.make_room(partition, size)
        self.cache.demote(self.path, 0, gone, sequence.tenant, sequence.number)
        partition.used += private * first.block_bytes
        sequence.partition, sequence.held, sequence.private = partition, blocks, private
        sequence.room, sequence.room_tokens = size, needed * self.block_tokens
        self._lean(sequence, match)
        self._take(sequence, match)
        self._plan(sequence, match)
        return True

    def _admit_flat(self, sequence: Sequence) -> None:
        """The cache is looked through, but the sequence takes nothing of it."""
        sequence.partition = self.first.partition_of(sequence.tenant)
        match = self.cache.match_in_turn(sequence.blocks, self.first, sequence.partition)
        sequence.room = 0
        sequence.room_tokens = sequence.request.input_tokens + sequence.request.output_tokens
        self._plan(sequence, match, flat=True)

    def _lean(self, sequence: Sequence, match: Match) -> None:
        """Wait for the contents of blocks that are here only by decision: somebody loads or computes them."""
        coming = self.first.coming
        if not coming:
            return
        needed: dict[Sequence, int] = {}
        moves: dict[int, Move] = {}
        for block in match.here:
            owner = coming.get(block)
            if isinstance(owner, Sequence):
                needed[owner] = block
            elif owner is not None:
                moves[id(owner)] = owner
        for owner, block in needed.items():
            end = (sequence.blocks.index(block) + 1) * self.block_tokens
            owner.dependents.append((min(end, owner.request.input_tokens), sequence))
        for move in moves.values():
            move.then(lambda: self._loaded(sequence))
        sequence.leaning = len(needed)
        sequence.loading = len(moves)

    def _take(self, sequence: Sequence, match: Match) -> None:
        """The blocks that are not here are here by decision."""
        first, partition = self.first, sequence.partition
        # what comes last in the prompt first, so that it is the oldest of them
        first.add(match.missing[::-1], partition, sequence)
        moves: list[Move] = []
        for level, run in reversed(match.loads):
            source = self.path[level]
            moves.insert(0, self.cache.load(source, first, run, DEMAND, sequence.number, partition))
        first.read(match.here[::-1])
        if sequence.swapped:
            moves.append(swap_in(sequence, self.path))
        if sequence.sender is not None:
            moves.append(receive(sequence, self.first))
        sequence.loads = moves
        sequence.parts = None
        if self.in_batch and match.loads and len(moves) == len(match.loads):
            sequence.parts = Parts(self.layer_groups, len(moves))
        if sequence.parts is None or self.layer_groups > 1:  # one group alone is waited for by the iteration
            sequence.loading += len(moves)

    def _plan(self, sequence: Sequence, match: Match, flat: bool = False) -> None:
        """What is to be computed; `flat`: the blocks that come of it do not belong to the sequence."""
        size, prompt = self.block_tokens, sequence.request.input_tokens
        total = prompt + sequence.generated
        runs = [(start * size, min(stop * size, prompt)) for start, stop in match.gaps]
        blocks, fresh = sequence.blocks, set(match.missing)
        positions = [k for start, stop in match.gaps for k in range(start, stop) if blocks[k] in fresh]
        missing = [] if flat else [(min((k + 1) * size, prompt), blocks[k]) for k in reversed(positions)]
        sequence.missing = missing
        moved = bool(sequence.swapped) or sequence.sender is not None
        if not blocks and not moved:
            runs = [(0, prompt)]
        absent = sum(stop - start for start, stop in runs)
        loaded = sum(len(run) for _, run in match.loads) * size
        last_too = bool(match.loads) and match.loads[-1][1][-1] == blocks[-1]
        if last_too:
            loaded -= len(blocks) * size - prompt
        if sequence.generated and not moved:
            runs.append((prompt, total))
        elif runs and moved:  # the last token, of which nothing is cached yet, comes with it
            runs.append((total - 1, total))
        elif not runs and not sequence.generated:  # somebody has to say the first token
            runs, absent = [(prompt - 1, prompt)], 1
            loaded -= last_too
        owes = sum(stop - start for start, stop in runs)
        sequence.todo, sequence.owes = runs[::-1], owes
        sequence.carried = sequence.generated
        sequence.context = total if owes else total - 1
        if sequence.admitted < 0:
            sequence.found = match.found
            sequence.loaded_tokens = loaded
            sequence.reused_tokens = prompt - loaded - absent
            for store, found in zip(self.path, match.found, strict=True):
                store.found += found
        self.instance.tokens_due += owes - sequence.due
        sequence.due = owes

    def begin(self, sequence: Sequence) -> None:
        """The sequence has been admitted: it gets its room, then its loads begin."""
        sequence.pending = True
        if not sequence.room or self.first.tier.request(sequence):
            self.has_room(sequence)
        else:
            sequence.enter(ROOM, self._now)

    def has_room(self, sequence: Sequence) -> None:
        """The bytes that the sequence was promised are free."""
        overhead = self.spec.reuse.overhead
        if sequence.loads and overhead and sequence.sender is None:
            sequence.enter(OVERHEAD, self._now)
            schedule(self.env, overhead, lambda _event: self._load(sequence))
        else:
            self._load(sequence)

    def _load(self, sequence: Sequence) -> None:
        sequence.pending = False
        moves, sequence.loads = sequence.loads, []
        parts = sequence.parts
        for move in moves:
            if parts is None:
                move.then(lambda: self._loaded(sequence))
            else:
                move.groups = self.layer_groups
                move.part_done = lambda group: self._part_loaded(sequence, parts, group)
            self.cache.mover.start(move)
        self._go_on(sequence)

    def _loaded(self, sequence: Sequence) -> None:
        sequence.loading -= 1
        self._go_on(sequence)

    def _part_loaded(self, sequence: Sequence, parts: Parts, group: int) -> None:
        """A move has brought a group of layers; the sequence can be computed when the first is there."""
        parts.left[group] -= 1
        if parts.left[group]:
            return
        parts.ticks[group] = self._now
        if parts.watcher is not None:
            parts.watcher()
        if group == 0 and self.layer_groups > 1:
            sequence.loading -= parts.moves
            self._go_on(sequence)

    def _go_on(self, sequence: Sequence) -> None:
        """One thing less that the sequence waits for."""
        if sequence.pending:
            return
        if sequence.loading:
            phase = LOAD if sequence.sender is None else HANDOVER
        elif sequence.leaning:
            phase = PREFIX
        else:
            self.instance.ready(sequence)
            return
        if sequence.phase != phase:
            sequence.enter(phase, self._now)

    # --- what it has computed

    def computed(self, sequence: Sequence, tokens: int) -> None:
        """So many more of the sequence's tokens are computed, in order."""
        todo, rest = sequence.todo, tokens
        upto = 0
        while rest:
            start, stop = todo.pop()
            upto = min(stop, start + rest)
            rest -= upto - start
            if upto < stop:
                todo.append((upto, stop))
        sequence.owes -= tokens
        sequence.due -= tokens
        sequence.computed += tokens
        missing, coming = sequence.missing, self.first.coming
        fresh: list[int] = []
        while missing and missing[-1][0] <= upto:
            block = missing.pop()[1]
            del coming[block]
            fresh.append(block)
        if fresh and self.spec.reuse.write == "through":
            self.cache.write_through(self.path, fresh, sequence.tenant, sequence.number)
        if sequence.dependents:
            self._release_dependents(sequence, upto)

    def _release_dependents(self, sequence: Sequence, upto: int) -> None:
        waiting, sequence.dependents = sequence.dependents, []
        for end, other in waiting:
            if end <= upto:
                other.leaning -= 1
                self._go_on(other)
            else:
                sequence.dependents.append((end, other))
