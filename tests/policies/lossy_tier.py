"""One tier whose evictions are for good, driven as a decode drives it: read all, attend, give birth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kvsim.policies import make_eviction


class LossyTier:
    """Room for `room` pages; page p is of group p mod `groups`. The policy's view as well."""

    tier_count = 1

    def __init__(self, name: str, room: int, groups: int = 1, **options: Any) -> None:
        self.room = room
        self.groups = groups
        self.step = 0
        self.held: list[int] = []
        self.left: list[int] = []
        self.pinned: set[int] = set()
        self.policy = make_eviction(name, self, options)

    def is_pinned(self, page: int) -> bool:
        return page in self.pinned

    def tier_of(self, page: int) -> int:
        return 0 if page in self.held else -1

    def bytes_of(self, page: int, tier: int) -> int:
        return 1

    def group_of(self, page: int) -> int:
        return page % self.groups

    def attend(self, mass: Mapping[int, float]) -> float:
        """A step that reads all pages; they receive this mass, others none. Returns what was attended."""
        self.step += 1
        self.policy.accessed(self.held, 0)
        received = [mass.get(page, 0.0) for page in self.held]
        self.policy.attended(self.held, received)
        return sum(received)

    def bear(self, pages: Sequence[int]) -> None:
        for page in pages:
            while len(self.held) >= self.room:
                self.evict()
            self.held.append(page)
            self.policy.inserted(page, 0)

    def evict(self) -> int:
        page = self.policy.victim(0)
        assert page is not None
        self.held.remove(page)
        self.left.append(page)
        self.policy.removed(page, 0)
        self.policy.evicted(page, 0)
        return page
