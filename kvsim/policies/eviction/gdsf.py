"""Greedy dual, size, frequency."""

from __future__ import annotations

from typing import Literal

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.keyed import Key
from kvsim.policies.eviction.lfu import Frequencies
from kvsim.policies.registry import register_eviction

__all__ = ["Gdsf"]


@register_eviction
class Gdsf(Frequencies):
    """Removes the page of the smallest H = L + uses × cost / size, where L is the H of the last eviction.

    L ages what is not used: a page must be used more often the longer it has been since. Size is the
    page's KiB in its tier; `cost` is "one" (few misses) or "size" (few bytes missed, so that size cancels).
    Among equals the page used longest ago goes.

    Cost: a read O(1), an arrival O(log n), a victim O(log n) amortised, and that for each pinned page
    before it; state: a key, a count and at most two heap entries a page, and L a tier.

    Source: L. Cherkasova, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching
    policy", HP Labs HPL-98-69R1, 1998.
    """

    name = "gdsf"

    def __init__(self, view: ResidencyView, cost: Literal["one", "size"] = "one") -> None:
        super().__init__(view)
        self._per_byte = cost == "size"
        self._age = [0.0] * view.tier_count
        self._left = 0.0

    def key(self, page: int, tier: int) -> Key:
        worth = 1.0 if self._per_byte else 1024 / self.view.bytes_of(page, tier)
        return (self._age[tier] + self.uses[page] * worth, self.events)

    def removed(self, page: int, tier: int) -> None:
        self._left = self.heaps[tier].drop(page)[0]

    def evicted(self, page: int, tier: int) -> None:
        self._age[tier] = max(self._age[tier], self._left)
        super().evicted(page, tier)
