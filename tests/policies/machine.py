"""A machine as a placement policy sees it, for tests that drive the policy by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Machine:
    """Four tiers as a placement policy sees them: pages of one byte, ten of which fit tier 0."""

    tier_count = 4
    step = 0

    def __init__(self, layers: Sequence[int] = (), initial: int | None = None) -> None:
        self.tiers: dict[int, int] = {}
        self.layers = layers
        self.initial_pages = len(layers) if initial is None else initial
        self.direct: tuple[int, ...] = (1, 2, 3)
        self.bandwidths: list[int | None] = [300, 100, 10, 1]

    def is_pinned(self, page: int) -> bool:
        return False

    def tier_of(self, page: int) -> int:
        return self.tiers.get(page, -1)

    def bytes_of(self, page: int, tier: int) -> int:
        return 1

    def group_of(self, page: int) -> int:
        return 0

    def capacity_of(self, tier: int) -> int:
        return (10, 100, 1000, 10000)[tier]

    def reads_in_place(self, tier: int) -> bool:
        return tier in self.direct

    def bandwidth_of(self, tier: int) -> int | None:
        return self.bandwidths[tier]

    def page_layers(self) -> NDArray[np.int64]:
        return np.array(self.layers, dtype=np.int64)

    def sizes_of(self, pages: NDArray[np.int64], tier: int) -> NDArray[np.int64]:
        return np.ones(len(pages), dtype=np.int64)

    def homes(self) -> NDArray[np.int8]:
        count = max(self.tiers, default=-1) + 1
        return np.array([self.tier_of(page) for page in range(count)], dtype=np.int8)
