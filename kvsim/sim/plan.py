"""A layer's pages from announcement to release."""

from __future__ import annotations

from simpy import Event

from kvsim.sim.move import Move
from kvsim.sim.records import TransferClass
from kvsim.workloads.base import LayerAccess


class Plan:
    """What one announced layer holds pinned and waits for."""

    bytes = 0
    """Pinned bytes of tier 0; only where layers are announced ahead."""
    hits = 0
    found: tuple[int, ...] = ()
    """The pages behind `hits`, where the hierarchy notes them."""
    absent = 0
    lost = 0
    """Pages skipped because they have been discarded for good."""
    prefetched = 0
    """Pages of the plan that a speculative prefetch had brought already."""
    pending = 0
    last: Move | None = None
    """The awaited move that committed last."""
    wake: Event | None = None

    def __init__(self, access: LayerAccess, epoch: int) -> None:
        self.access = access
        self.epoch = epoch
        self.direct: list[tuple[int, int]] = []
        """(page, tier) to be read in place when the layer's time comes."""
        self.moves: list[Move] = []
        """Moves into tier 0 that were under way when they were last asked for."""

    def wait_for(self, move: Move | None) -> None:
        """The layer cannot compute before `move` has committed."""
        if move is None or move.committed:
            return
        self.moves.append(move)
        self.pending += 1
        if move.waiters is None:
            move.waiters = [self]
        else:
            move.waiters.append(self)

    def arrived(self, move: Move) -> None:
        """An awaited move has committed."""
        self.pending -= 1
        self.last = move
        if not self.pending and self.wake is not None:
            self.wake.succeed()

    def judge(self) -> tuple[int, list[Move]]:
        """Of the pages fetched ahead of need: how many are there, and the moves still on their way.

        A page is judged when it is first needed, so a move that several layers share counts once.
        """
        ahead = [m for m in self.moves if m.issued_cls == TransferClass.PREFETCH and not m.judged]
        for move in ahead:
            move.judged = True
        late = [m for m in ahead if not m.committed]
        return self.prefetched + len(ahead) - len(late), late
