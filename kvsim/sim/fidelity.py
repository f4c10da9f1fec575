"""What compression has left of each page: its state, and how often pages of each state were read.

A page that has once been in a narrow format holds no more than that format could, wherever it is later: wide
again, it takes the room of the wide format, but what was rounded or dropped does not come back. Only a page
that comes into being anew, after having been discarded, starts afresh.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.catalog import FormatSpec
from kvsim.sim.kinds import Kinds
from kvsim.sim.residency import Residency
from kvsim.sim.result import FormatReads
from kvsim.workloads.base import Pages

NOTHING = 0
"""State of a page that no tier holds."""


class State(NamedTuple):
    """What a page is at best, after all formats it has been in."""

    name: str
    """Of the least faithful of them: the one with the fewest bits times tokens kept, the first of equals."""
    density: Fraction
    """Those bits times tokens kept, per scalar."""
    kept: Fraction
    """Least share of its tokens that any of them kept: the tokens that are left."""

    def after(self, other: State) -> State:
        """The state after having been in the format of that state, too."""
        worse = other if other.density < self.density else self
        return State(worse.name, worse.density, min(self.kept, other.kept))


class Fidelity:
    """The states of all pages; `Hierarchy` says where pages get to and which are read.

    States are numbers, and what each becomes in each format is known beforehand: a page costs a table look-up
    when it moves and nothing when it is read.
    """

    def __init__(self, kinds: Kinds) -> None:
        formats = list(dict.fromkeys(state_in(format) for each in kinds.formats for format in each))
        self._states: list[State | None] = [None]
        """By number; None is NOTHING."""
        self._after: list[list[int]] = []
        """By state and format."""
        self._explore(formats)
        self.counts: NDArray[np.int64] = np.zeros(len(self._states), np.int64)
        """Page reads by state; those of NOTHING are reads of lost pages."""
        numbers = [tuple(formats.index(state_in(format)) for format in each) for each in kinds.formats]
        self._formats, self._formats_by_page = kinds.by_page(numbers)
        self._listed = formats
        self._kinds = np.array(numbers)
        self._kind_of_page = kinds.of_page
        self._of_page = array("H")

    def _explore(self, formats: list[State]) -> None:
        """Number all states that pages can come to."""
        numbers: dict[State | None, int] = {None: NOTHING}
        for state in self._states:  # grows meanwhile
            row: list[int] = []
            for format in formats:
                new = format if state is None else state.after(format)
                if new not in numbers:
                    numbers[new] = len(self._states)
                    self._states.append(new)
                row.append(numbers[new])
            self._after.append(row)

    def also(self, inserted: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """`inserted`, and then `stored`."""

        def both(page: int, tier: int) -> None:
            inserted(page, tier)
            self.stored(page, tier)

        return both

    def stored(self, page: int, tier: int) -> None:
        """The page is in that tier's format from now on."""
        of_page = self._of_page
        if page >= len(of_page):
            of_page.extend([NOTHING] * max(page + 1 - len(of_page), len(of_page)))
        by_page = self._formats_by_page
        formats = self._formats if by_page is None else by_page[page]
        of_page[page] = self._after[of_page[page]][formats[tier]]

    def discarded(self, page: int) -> None:
        """The page has left all tiers."""
        self._of_page[page] = NOTHING

    def read(self, pages: Pages) -> None:
        """The pages are read as they now are; all have been stored before."""
        states = np.frombuffer(self._of_page, np.uint16)[pages]  # no view may be left when the array grows
        self.counts += np.bincount(states, minlength=len(self.counts))

    def reads(self) -> tuple[FormatReads, ...]:
        """Reads by state, lost pages aside; formats that nothing was read in are named too."""
        sums = {(format.name, format.kept): 0 for format in self._listed}
        for state, count in zip(self._states, self.counts.tolist(), strict=True):
            if state is not None and count:
                key = state.name, state.kept
                sums[key] = sums.get(key, 0) + count
        return tuple(FormatReads(name, kept, count) for (name, kept), count in sums.items())

    def findings(self, residency: Residency, accesses: int, lost: int) -> Iterator[str]:
        """For the audit: what is wrong with the books."""
        counted = int(self.counts.sum())
        if counted != accesses:
            yield f"reads: {accesses} pages were read, the states of {counted} counted"
        if self.counts[NOTHING] != lost:
            yield f"reads: {lost} were lost, {self.counts[NOTHING]} found a page that is nowhere"
        tiers = residency.snapshot()
        states = np.zeros(len(tiers), np.int64)
        known = self._of_page[: len(tiers)]
        states[: len(known)] = known
        kinds = 0 if self._kind_of_page is None else self._kind_of_page
        again = np.array(self._after)[states, self._kinds[kinds, tiers]]
        for page in np.flatnonzero(np.where(tiers < 0, NOTHING, again) != states)[:3]:
            yield f"pages: page {page} is in tier {tiers[page]}, in a format that its state knows nothing of"


def fidelity_of(kinds: Kinds) -> Fidelity | None:
    """None if all formats are equally faithful: then there is nothing to keep book of."""
    alike = {(format.bits, format.keep) for formats in kinds.formats for format in formats}
    return None if len(alike) == 1 else Fidelity(kinds)


def state_in(format: FormatSpec) -> State:
    """The state of a page that has been in that format alone."""
    return State(format.name, format.density, format.kept)
