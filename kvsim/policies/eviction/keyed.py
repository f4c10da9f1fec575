"""Policies that keep one key a page, in one heap a tier."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.eviction.heap import KeyHeap

__all__ = ["Key", "KeyedPolicy"]

Key = tuple[float, float]


class KeyedPolicy(EvictionPolicy):
    """The page of the smallest key leaves; a key changes only when its page is read or arrives.

    The second part of a key makes it unique: by default the number of the event, so that the page
    touched longest ago goes first among equals.
    """

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self.heaps: list[KeyHeap[Key]] = [KeyHeap() for _ in range(view.tier_count)]
        self.events = 0

    @abstractmethod
    def key(self, page: int, tier: int) -> Key:
        """The page's key from now on; `events` is the number of the event, counted up before."""

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        for page in pages:
            self.events += 1
            self.count(page, tier)
            if tier >= 0:
                self.heaps[tier].put(page, self.key(page, tier))

    @abstractmethod
    def count(self, page: int, tier: int) -> None:
        """The page is read."""

    def inserted(self, page: int, tier: int) -> None:
        self.events += 1
        self.heaps[tier].put(page, self.key(page, tier))

    def removed(self, page: int, tier: int) -> None:
        self.heaps[tier].drop(page)

    def victim(self, tier: int) -> int | None:
        return self.heaps[tier].first(self.view.is_pinned)

    def contents(self, tier: int) -> Iterable[int]:
        return self.heaps[tier].pages()
