"""Chance: what a policy has to beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.grouped import GroupedPolicy, Groups
from kvsim.policies.registry import register_eviction
from kvsim.randomness import stream

__all__ = ["Random"]


@register_eviction
class Random(GroupedPolicy):
    """Removes a page drawn at random, all pages being alike.

    If `even`, from the layer and head group with the most pages in the tier; else from all. If the page drawn
    is pinned, the next one by number that is not, then those of the groups after it.

    Cost: a read nothing at all, an arrival and a removal O(log n), a victim O(groups), vectorised, and one
    look at each pinned page before it; state: one number a page. Two random numbers an eviction, from the
    stream "random" of the option `seed`, so equal runs are equal.

    Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
    Journal 5(2), 1966, where it is called RAND.
    """

    name = "random"

    def __init__(self, view: ResidencyView, seed: int = 0, even: bool = True) -> None:
        super().__init__(view, even)
        self._random = stream(seed, "random")
        self._draws: list[tuple[float, float] | None] = [None] * view.tier_count
        """Decide the coming eviction from each tier: from which group, and which of its pages."""

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        pass

    def evicted(self, page: int, tier: int) -> None:
        self._draws[tier] = None

    def victim(self, tier: int) -> int | None:
        draws = self._draws[tier]
        if draws is None:
            draws = self._draws[tier] = (self._random.random(), self._random.random())
        groups = self.tiers[tier]
        pinned = self.view.is_pinned
        for group in groups.largest_first() if self.even else _drawn_first(groups, draws[0]):
            pages = groups.pages[group]
            start = int(draws[1] * len(pages))
            for at in range(start - len(pages), start):  # from there to the end, then from the beginning
                if not pinned(pages[at]):
                    return pages[at]
        return None


def _drawn_first(groups: Groups, draw: float) -> Iterator[int]:
    """All groups, from the one that the draw names: each has its pages' share of the chances."""
    ends = np.cumsum(groups.counts)
    if len(ends):
        start = int(np.searchsorted(ends, int(draw * ends[-1]), side="right"))
        yield from range(start, len(ends))
        yield from range(min(start, len(ends)))
