"""What a model has read, as a page trace or as a workload of the simulator: of one sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import ClassVar, Literal

import numpy as np

from kvsim.lm.cache import LayerRead
from kvsim.lm.pages import PageNumbers
from kvsim.workloads.base import LayerAccess, Pages, Step
from kvsim.workloads.page_trace import PageRow

__all__ = ["ModelReads", "page_rows"]


def page_rows(reads: Iterable[LayerRead], numbers: PageNumbers, sequence: int = 0) -> Iterator[PageRow]:
    """The rows of a page trace: every page that the sequence reads, with its attention mass.

    The masses of a step and layer add up to 1. `bytes` are those of a whole page, `tokens` those in it then.
    """
    line = 0
    for read in reads:
        for page in np.flatnonzero(read.read[sequence]).tolist():
            line += 1
            number = int(read.pages[page])
            yield PageRow(
                line,
                read.step,
                number,
                read.layer,
                numbers.place(number)[1],
                numbers.tokens_of(number, read.tokens),
                numbers.page_bytes,
                float(read.mass[sequence, page]),
            )


class ModelReads:
    """A workload that reads and creates what a sequence has, with its attention mass, step by step.

    Pages keep their numbers. Under the same eviction policy, in one lossy tier of the same size, the
    simulator decides as the model did, if the budget held from the start. With `evicted` pages are read that
    the model no longer had, too: the simulator counts such reads as lost, and decides no differently.
    `compute_ticks` is the compute time of a layer, in picoseconds.
    """

    name: ClassVar[str] = "model_reads"
    absent: Literal["appear", "compute"] = "compute"

    def __init__(
        self,
        reads: Sequence[LayerRead],
        numbers: PageNumbers,
        sequence: int = 0,
        *,
        evicted: bool = False,
        compute_ticks: int = 0,
    ) -> None:
        self.initial_pages = numbers.initial
        self.page_scalars = numbers.page_scalars
        places = [numbers.place(page) for page in range(numbers.count)]
        self.page_layers: Pages = np.array([layer for layer, _, _ in places], dtype=np.int64)
        self.page_head_groups: Pages = np.array([group for _, group, _ in places], dtype=np.int64)
        self.total_steps: int | None = len({read.step for read in reads})
        self._reads = reads
        self._sequence = sequence
        self._evicted = evicted
        self._ticks = compute_ticks

    def steps(self) -> Iterator[Step]:
        """A step for each chunk."""
        for _, reads in groupby(self._reads, attrgetter("step")):
            yield Step([self._access(read) for read in reads])

    def _access(self, read: LayerRead) -> LayerAccess:
        there = np.ones_like(read.read[self._sequence]) if self._evicted else read.read[self._sequence]
        mass = read.mass[self._sequence, there]
        return LayerAccess(read.pages[there], self._ticks, read.layer, created=read.created, mass=mass)
