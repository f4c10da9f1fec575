"""Where every page is: dense arrays, one byte a page, and pins that cost nothing to drop."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SimulationError
from kvsim.workloads.base import NO_PAGES, Pages

NOWHERE = 63
"""Code of a page that no tier holds."""
MOVING = 64
"""Bit set while a page's last move has not committed."""
LOST = 128 | NOWHERE
"""Code of a page that has been discarded for good, in a lossy run."""
SETTLED = 255 - MOVING
"""Mask that leaves all of a code but the bit MOVING."""
TIER = 63
"""Mask that leaves the tier of a code."""


class Residency:
    """The state of all pages; it changes hands in `Hierarchy` and `Migrations` only.

    `where[page]` is the fastest tier that holds the page (logically: decided, perhaps still
    moving there, then with the bit MOVING). A pin is a stamp: the number of the announcement
    that last asked for the page. Everything stamped at or after `floor` is pinned, so a whole
    layer is released by moving the floor.
    """

    def __init__(self, tier_count: int, sizes: list[int] | list[list[int]], pages: int) -> None:
        self.tier_count = tier_count
        uniform = [size for size in sizes if isinstance(size, int)]
        self.uniform: list[int] | None = uniform or None
        """Bytes of any page per tier, if all pages are of one size."""
        self.table = [size for size in sizes if not isinstance(size, int)]
        """Else bytes of every page, per tier."""
        if self.table:
            pages = len(self.table[0])
        self.where = bytearray([NOWHERE]) * pages
        self.codes: NDArray[np.uint8] = np.frombuffer(self.where, np.uint8)
        self.stamps = array("q", [0]) * pages
        self._stamps: NDArray[np.int64] = np.frombuffer(self.stamps, np.int64)
        self.step = 0
        """Number of the running step."""
        self.floor = 1
        self.epoch = 0
        self.held: dict[int, int] = {}
        """Page -> inclusive tier that keeps its copy while the page is further up."""
        self.staged: dict[int, int] = {}
        """Page -> tier that keeps its place while the page is in tier 0 only to be read."""
        self.capacities: list[int] = []
        """Bytes of pages that each tier holds; set when the machine is built."""
        self.tell_groups: Callable[[], list[int]] = list
        """Asked once, if a policy wants to know: the group of each page, by its number."""
        self._groups: list[int] | None = None

    def bytes_of(self, page: int, tier: int) -> int:
        """Bytes the page takes in that tier."""
        return self.uniform[tier] if self.uniform is not None else self.table[tier][page]

    def capacity_of(self, tier: int) -> int:
        """Bytes of pages that the tier holds."""
        return self.capacities[tier]

    def tier_of(self, page: int) -> int:
        """The fastest tier that holds the page, -1 when none does."""
        tier = self.where[page] & TIER
        return -1 if tier == NOWHERE else tier

    def group_of(self, page: int) -> int:
        """Number of the layer and head group that the page is of; 0 where nobody tells."""
        groups = self._groups
        if groups is None:
            groups = self._groups = self.tell_groups()
        return groups[page] if page < len(groups) else 0

    def is_pinned(self, page: int) -> bool:
        """Whether an announced layer needs the page to stay."""
        return self.stamps[page] >= self.floor

    def pin(self, pages: Pages) -> None:
        """Stamp pages with the current epoch."""
        self._stamps[pages] = self.epoch

    def are_present(self, pages: Pages) -> NDArray[np.bool_]:
        """Of each page, whether any tier holds it."""
        held: NDArray[np.bool_] = self.codes[pages] & TIER != NOWHERE
        return held

    def bytes_in_first_tier(self, pages: Pages) -> int:
        """Bytes the pages take together in tier 0."""
        if self.uniform is not None:
            return len(pages) * self.uniform[0]
        sizes = self.table[0]
        return sum(sizes[page] for page in pages.tolist())

    def look_up(self, pages: Pages) -> NDArray[np.uint8]:
        """Codes of the pages; grows the universe when a page is new."""
        try:
            return self.codes[pages]
        except IndexError:
            self._grow(int(pages.max()) + 1)
            return self.codes[pages]

    def _grow(self, pages: int) -> None:
        if self.uniform is None:
            raise SimulationError(
                f"page {pages - 1} has no size: the workload announced {len(self.where)} pages"
            )
        more = max(pages, 2 * len(self.where)) - len(self.where)
        self.where = self.where + bytearray([NOWHERE]) * more
        self.codes = np.frombuffer(self.where, np.uint8)
        self.stamps = self.stamps + array("q", [0]) * more
        self._stamps = np.frombuffer(self.stamps, np.int64)

    def snapshot(self) -> NDArray[np.int8]:
        """Tier of every page, -1 for none."""
        tiers = (self.codes & TIER).astype(np.int8)
        tiers[tiers == NOWHERE] = -1
        return tiers

    def resident_bytes(self) -> list[int]:
        """Bytes per tier, summed afresh page by page; kept copies included."""
        totals = [0] * self.tier_count
        tiers = self.snapshot()
        for tier in range(self.tier_count):
            pages = np.concatenate([np.flatnonzero(tiers == tier), self.kept_copies(tier)])
            if self.uniform is not None:
                totals[tier] = len(pages) * self.uniform[tier]
            else:
                totals[tier] = sum(self.table[tier][page] for page in pages.tolist())
        return totals

    def kept_copies(self, tier: int) -> Pages:
        """Pages further up of which the tier keeps a copy."""
        if not self.held and not self.staged:
            return NO_PAGES
        copies = [
            page for kept in (self.held, self.staged) for page, keeper in kept.items() if keeper == tier
        ]
        return np.array(copies, dtype=np.int64)
