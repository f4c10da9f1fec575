"""Speculative prefetches: what was guessed, what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.sim.move import Move
from kvsim.sim.residency import MOVING
from kvsim.sim.result import PrefetchInfo


class Speculation:
    """Book of the pages brought up before anyone asked, until they are read or leave.

    A page is timely if it has arrived when it is first needed, late if it is still in
    flight then, wasted if it leaves tier 0 (or the run ends) without having been read.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pending: dict[int, Move | None] = {}
        """Page -> its move, for pages not read since they were prefetched."""
        self.issued = 0
        self.timely = 0
        self.late = 0
        self.wasted = 0
        self.dropped = 0
        self._flying: list[Move] = []

    def has_slot(self) -> bool:
        """Whether one more prefetch may be under way."""
        if len(self._flying) >= self.limit:
            self._flying = [move for move in self._flying if not move.committed]
        return len(self._flying) < self.limit

    def issued_for(self, page: int, move: Move | None) -> None:
        """A prefetch of `page` has started."""
        self.issued += 1
        self.pending[page] = move
        if move is not None:
            self._flying.append(move)

    def used(self, pages: Sequence[int], where: bytearray) -> int:
        """`pages` are read for the first time since; returns how many prefetches had arrived.

        Those still in flight are judged when the layer's own time has come.
        """
        arrived = 0
        for page in pages:
            if page in self.pending:
                del self.pending[page]
                arrived += not where[page] & MOVING
        return arrived

    def judged(self, timely: int, late: int) -> None:
        """Fetches ahead of need whose time has come."""
        self.timely += timely
        self.late += late

    def evicted(self, page: int) -> None:
        """`page` leaves tier 0."""
        if page in self.pending:
            del self.pending[page]
            self.wasted += 1

    def info(self) -> PrefetchInfo:
        """The totals; what nobody has read by now was wasted."""
        wasted = self.wasted + len(self.pending)
        return PrefetchInfo(self.issued, self.timely, self.late, wasted, self.dropped)
