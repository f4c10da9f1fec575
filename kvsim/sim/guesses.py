"""The queue of guesses: what could not be fetched at once, while there is a point in fetching it."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from kvsim.sim.hierarchy import Hierarchy

NEVER = sys.maxsize
"""The deadline of a guess that has none."""


class Guess(NamedTuple):
    """A page that waits to be fetched on speculation; nothing has been decided about it."""

    deadline: int
    """Number of the layer access, counted from 1, by which it is needed."""
    page: int
    epoch: int
    """The last announcement before it was made: any later one of the page is a read."""
    absent: bool
    """Whether no tier holds the page."""


class GuessQueue:
    """Guesses without a slot or room, or under pressure: the earliest deadline first, then as they were made.

    They are tried again with every new guesses and whenever a prefetch has arrived. A guess is cancelled
    once its page has been read, is in tier 0, or has come into being or vanished meanwhile, or its
    deadline has come. One that is made again has the deadline and the place of the new one. A guess
    whose page is just on its way between other tiers, or now where pages are never promoted from, waits.
    """

    def __init__(self, capacity: int, hierarchy: Hierarchy) -> None:
        self.capacity = capacity
        self.hierarchy = hierarchy
        self.waiting: list[Guess] = []
        self._turns = 0
        """Layer accesses whose own time has come."""

    def turn(self) -> None:
        """The own time of the next layer access has come: what was needed by it is overdue."""
        self._turns += 1

    def offer(self, pages: Iterable[int], lead: int | None) -> None:
        """New guesses, the best first, and the first of them needed in `lead` layer accesses."""
        speculation = self.hierarchy.speculation
        deadline = NEVER if lead is None else self._turns + lead
        new = dict.fromkeys(pages)
        waiting = [guess for guess in self._pending() if guess.page not in new]
        at = bisect_right(waiting, deadline, key=_deadline)
        sooner = self._try(waiting[:at])
        refused = self._refused(new, deadline)
        self.waiting = [*sooner, *refused, *self._try(waiting[at:])]
        speculation.dropped += max(0, len(self.waiting) - self.capacity)
        del self.waiting[self.capacity :]
        self.hierarchy.mover.flush()

    def retry(self) -> None:
        """A prefetch has arrived: there may be a slot."""
        if self.waiting:
            self.waiting = self._try(self.waiting)
            self.hierarchy.mover.flush()

    def close(self) -> None:
        """The run is over: nothing is needed any more."""
        self.hierarchy.speculation.cancelled += len(self.waiting)
        self.waiting = []

    def _refused(self, pages: Iterable[int], deadline: int) -> list[Guess]:
        """Fetch new guesses; returns those that have to wait."""
        residency = self.hierarchy.residency
        known = len(residency.where)
        absent = {page for page in pages if page < known and residency.tier_of(page) < 0}
        refused = self.hierarchy.speculate(pages)
        return [Guess(deadline, page, residency.epoch, self._still(page, page in absent)) for page in refused]

    def _still(self, page: int, absent: bool) -> bool:
        """Whether a page that was absent is so even after the attempt to fetch it."""
        return absent and self.hierarchy.residency.tier_of(page) < 0

    def _pending(self) -> list[Guess]:
        """Those waiting that there still is a point in; the others are cancelled."""
        pending = [guess for guess in self.waiting if not self._is_moot(guess)]
        self.hierarchy.speculation.cancelled += len(self.waiting) - len(pending)
        return pending

    def _is_moot(self, guess: Guess) -> bool:
        residency = self.hierarchy.residency
        tier = residency.tier_of(guess.page)
        return (
            guess.deadline <= self._turns
            or residency.stamps[guess.page] > guess.epoch
            or (tier < 0) != guess.absent  # gone, or born: those that come to tier 0 otherwise are read
        )

    def _try(self, guesses: list[Guess]) -> list[Guess]:
        """Fetch them in order, as far as possible; returns those that go on waiting."""
        speculation = self.hierarchy.speculation
        left: list[Guess] = []
        for at, guess in enumerate(guesses):
            if not speculation.has_slot():
                return left + guesses[at:]
            if self._is_moot(guess):
                speculation.cancelled += 1
                continue
            issued = speculation.issued
            self.hierarchy.speculate((guess.page,))
            if speculation.issued == issued:
                left.append(guess._replace(absent=self._still(guess.page, guess.absent)))
        return left


def _deadline(guess: Guess) -> int:
    return guess.deadline
