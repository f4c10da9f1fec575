"""Least frequently used."""

from __future__ import annotations

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.keyed import Key, KeyedPolicy
from kvsim.policies.registry import register_eviction

__all__ = ["Frequencies", "Lfu"]


class Frequencies(KeyedPolicy):
    """Counts a page's uses since it was last evicted from anywhere; its arrival is the first.

    A promotion keeps the count: only what is evicted starts again at 1.
    """

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self.uses: dict[int, int] = {}

    def count(self, page: int, tier: int) -> None:
        if tier >= 0:
            self.uses[page] += 1

    def inserted(self, page: int, tier: int) -> None:
        self.uses.setdefault(page, 1)
        super().inserted(page, tier)

    def evicted(self, page: int, tier: int) -> None:
        self.uses.pop(page, None)


@register_eviction
class Lfu(Frequencies):
    """Removes the page used least often since it came in; among equals the one used longest ago.

    Uses are forgotten at eviction, and kept when a page is promoted. Against lru it survives scans, but a
    page that was once popular stays for a long time after.

    Cost: a read O(1), an arrival O(log n), a victim O(log n) amortised, and that for each pinned page
    before it; state: a key, a count and at most two heap entries a page.

    Source: A. Aho, P. Denning and J. Ullman, "Principles of optimal page replacement", JACM 18(1), 1971;
    this is the variant without history ("in-cache LFU").
    """

    name = "lfu"

    def key(self, page: int, tier: int) -> Key:
        return (self.uses[page], self.events)
