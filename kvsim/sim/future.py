"""The future, for oracles: what the workload will read, from a first pass over it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from kvsim.workloads.base import LayerAccess, Pages, Workload


class Foresight:
    """Every read of the run in order, and where we are in it.

    Takes memory for each read of the workload; built only for policies that ask for it.
    """

    def __init__(self, workload: Workload, most_steps: int | None) -> None:
        reads: list[Pages] = [
            access.pages for step in islice(workload.steps(), most_steps) for access in step.layers
        ]
        self._reads: Pages = np.concatenate(reads) if reads else np.empty(0, np.int64)
        self._after = _next_occurrences(self._reads)
        self._first = _first_occurrences(self._reads)
        self._next: dict[int, int] = {}
        """Page -> position of its next read, for pages read before."""
        self._at = 0

    @property
    def never(self) -> int:
        """A position after every read."""
        return len(self._reads)

    def next_read(self, page: int) -> int:
        """Position of the next read of `page`; `never` if there is none."""
        known = self._next.get(page)
        return self._first.get(page, self.never) if known is None else known

    def coming(self, count: int) -> Sequence[int]:
        """The pages of the next `count` reads, in order."""
        ahead: list[int] = self._reads[self._at : self._at + count].tolist()
        return ahead

    def passed(self, access: LayerAccess) -> None:
        """The layer is being announced: its reads are past."""
        begin, self._at = self._at, self._at + len(access.pages)
        self._next.update(zip(access.pages.tolist(), self._after[begin : self._at].tolist(), strict=True))


def _next_occurrences(reads: Pages) -> NDArray[np.int64]:
    """For each position, the next one with the same page; the length if there is none."""
    after = np.full(len(reads), len(reads), dtype=np.int64)
    order = np.argsort(reads, kind="stable")
    same = reads[order][1:] == reads[order][:-1]
    after[order[:-1][same]] = order[1:][same]
    return after


def _first_occurrences(reads: Pages) -> dict[int, int]:
    pages, first = np.unique(reads, return_index=True)
    return dict(zip(pages.tolist(), first.tolist(), strict=True))
