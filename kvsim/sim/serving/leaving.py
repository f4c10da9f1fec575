"""What a sequence leaves behind when it is done at an instance: blocks for all, or everything for another."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Numbers

from simpy import Environment

from kvsim.scenario.serving import ReuseSpec
from kvsim.sim.express import schedule
from kvsim.sim.records import DEMAND
from kvsim.sim.serving.cache import BlockCache
from kvsim.sim.serving.moves import Move
from kvsim.sim.serving.sequence import Sequence
from kvsim.sim.serving.store import Store

__all__ = ["Leaving", "receive"]


class Leaving:
    """Takes back what sequences of one instance have, and leaves what may be of use."""

    def __init__(
        self,
        env: Environment,
        spec: ReuseSpec,
        cache: BlockCache,
        path: list[Store],
        block_tokens: int,
        poke: Callable[[], None],
    ) -> None:
        self.env = env
        self.spec = spec
        self.cache = cache
        self.path = path
        self.first = path[0]
        self.block_tokens = block_tokens
        self.poke = poke
        """Told when there may be room."""

    def hand_over(self, sequence: Sequence) -> None:
        """Its prompt is computed here, another instance decodes: keep what it has until that has it, too."""
        sequence.sender = self
        sequence.sent = sequence.held, sequence.private
        sequence.held, sequence.private = (), 0

    def finish(self, sequence: Sequence) -> None:
        """The sequence has all its tokens: what it has is left to those who come after it."""
        first, request = self.first, sequence.request
        first.unpin(sequence.held)
        kept = self._keep_output(sequence)
        first.give_back(sequence.partition, sequence.private)
        sequence.private = 0
        pin = self.spec.pin
        if pin and request.session is not None:
            spared = [*sequence.held, *kept]
            for store in self.path:
                store.spare(spared)
            schedule(self.env, pin, lambda _event: self._no_longer_spare(spared))

    def _no_longer_spare(self, blocks: Numbers[int]) -> None:
        for store in self.path:
            store.expose(blocks)
        self.poke()

    def _keep_output(self, sequence: Sequence) -> list[int]:
        """Give the blocks that the output filled their numbers, as far as they continue the prompt's."""
        first, size = self.first, self.first.block_bytes
        output = list(sequence.output_blocks)
        if not output or len(sequence.held) < len(sequence.blocks):  # the prompt is not here
            return []
        kept: list[int] = []
        if sequence.held and sequence.request.input_tokens % self.block_tokens:
            partial = sequence.held[-1]
            if first.pins[partial] or any(partial in store.pins for store in self.path[1:]):
                return []  # others use it as it is
            first.remove((partial,))
            sequence.held = sequence.held[:-1]
            sequence.partition.used += size  # its room is the sequence's own for the moment
            sequence.private += 1
        for block in output:
            if block in first.pins:
                continue
            if not sequence.private:
                break
            sequence.private -= 1
            sequence.partition.used -= size
            first.add((block,), sequence.partition, None)
            kept.append(block)
        first.unpin(kept)
        if self.spec.write == "through":
            self.cache.write_through(self.path, kept, sequence.tenant, sequence.number)
        return kept


def receive(sequence: Sequence, first: Store) -> Move:
    """The move that brings what the sequence has at its sender to a first tier; not started yet."""
    sender = sequence.sender
    assert sender is not None
    count = -(-sequence.context // sender.block_tokens)
    move = Move((), sender.first, first, DEMAND, sequence.number, count=count)

    def arrived(_move: Move) -> None:
        blocks, private = sequence.sent
        sender.first.unpin(blocks)
        sender.first.give_back(sender.first.partition_of(sequence.tenant), private)
        sequence.sender, sequence.sent = None, ((), 0)
        sender.poke()

    move.done = arrived
    return move
