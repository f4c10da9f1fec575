"""Speculative prefetches: what was guessed, what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kvsim.sim.move import Move
from kvsim.sim.residency import MOVING
from kvsim.sim.result import PrefetchInfo


class Speculation:
    """Book of the pages brought up before anyone asked, until they are read or leave.

    A page is timely if it has arrived when it is first needed, late if it is still in
    flight then, wasted if it leaves tier 0 (or the run ends) without having been read.

    A page that had to leave tier 0 for a guess is displaced until it is read or comes back; read while
    displaced, it is a miss that the guess has caused: pollution. Pages fetched ahead for a layer that is
    known to need them displace nothing that the layer itself would not have displaced.
    """

    watches = False
    """Whether evictions from tier 0 matter: from the first prefetch on."""
    making_room = False
    """Whether pages leave tier 0 now because a guess needs their room."""

    def __init__(
        self,
        limit: int,
        pressure: int | None = None,
        log: Callable[[tuple[int, int]], None] | None = None,
    ) -> None:
        self.limit = limit
        self.pressure = pressure
        """More urgent transfers on a guess's way from which on it is not issued; None: however many."""
        self.log = log
        """Takes the rows of the `prefetches` table."""
        self.pending: dict[int, Move | None] = {}
        """Page -> its move, for pages not read since they were prefetched."""
        self.issued = 0
        self.timely = 0
        self.late = 0
        self.wasted = 0
        self.dropped = 0
        self.cancelled = 0
        self.polluted = 0
        self.displaced: set[int] = set()
        """Pages that a guess has pushed out of tier 0 and nobody has brought back."""
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
        self.displaced.discard(page)
        if move is not None:
            self._flying.append(move)

    def issued_ahead(self, page: int) -> None:
        """A fetch of `page` has started for a layer announced ahead: it will be read."""
        self.issued += 1
        if self.log is not None:
            self.log((page, 0))

    def missed(self, pages: Sequence[int]) -> None:
        """`pages` are read and not in tier 0."""
        for page in pages:
            if page in self.displaced:
                self.displaced.remove(page)
                self.polluted += 1

    def used(self, pages: Sequence[int], where: bytearray) -> int:
        """`pages` are read for the first time since; returns how many prefetches had arrived.

        Those still in flight are judged when the layer's own time has come.
        """
        arrived = 0
        for page in pages:
            if page in self.pending:
                self._seal(page, 0)
                arrived += not where[page] & MOVING
        return arrived

    def judged(self, timely: int, late: int) -> None:
        """Fetches ahead of need whose time has come."""
        self.timely += timely
        self.late += late

    def evicted(self, page: int) -> None:
        """`page` leaves tier 0."""
        if page in self.pending:
            self._seal(page, 1)
            self.wasted += 1
        if self.making_room:
            self.displaced.add(page)

    def _seal(self, page: int, wasted: int) -> None:
        """The fate of the page's prefetch is known, but for how late it was."""
        del self.pending[page]
        if self.log is not None:
            self.log((page, wasted))

    def info(self) -> PrefetchInfo:
        """The totals; what nobody has read by now was wasted."""
        wasted = self.wasted + len(self.pending)
        return PrefetchInfo(
            issued=self.issued,
            timely=self.timely,
            late=self.late,
            wasted=wasted,
            dropped=self.dropped,
            polluted=self.polluted,
            cancelled=self.cancelled,
        )
