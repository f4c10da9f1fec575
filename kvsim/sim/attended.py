"""What attention finds in tier 0: bytes that compute reads there, and the attention mass that falls on them.

Reads are counted anyway, so where all pages are of one size their bytes follow at the end of a run. Only
where sizes differ is each layer's reading summed, and only for a run that asks for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kvsim.sim.plan import Plan
from kvsim.sim.residency import TIER, Residency
from kvsim.workloads.base import Pages


class AttendedBytes:
    """Sums the bytes of what layers read in tier 0: no lost pages, and none that are read in place below."""

    def __init__(self, residency: Residency) -> None:
        self.total = 0
        self._residency = residency
        self._sizes = np.array(residency.table[0], dtype=np.int64)

    def read(self, plan: Plan) -> None:
        """The pages of a layer that has been announced."""
        pages = plan.access.pages
        if plan.lost:
            pages = pages[self._residency.are_present(pages)]
        self.total += int(self._sizes[pages].sum())
        for page, _ in plan.direct:
            self.total -= int(self._sizes[page])


class MassFound:
    """Sums the attention mass of the pages that layers read, and of those found in tier 0 when announced."""

    def __init__(self, residency: Residency) -> None:
        self.total = 0.0
        self.found = 0.0
        self._residency = residency

    def read(self, pages: Pages, mass: NDArray[np.float64]) -> None:
        """The pages of a layer that is being announced."""
        self.total += float(mass.sum())
        self.found += float(mass[self._residency.look_up(pages) & TIER == 0].sum())
