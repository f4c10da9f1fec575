"""The engine's decisions without its time: tiers of equal pages, pins, promotion, demotion, discard."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from kvsim.policies import make_eviction

PAGE_BYTES = 4096


class Guesswork:
    """A made-up future, for policies that must have one: a page's next read depends on its number alone."""

    never = 10**9

    def __init__(self) -> None:
        self.reads = 0

    def next_read(self, page: int) -> int:
        return self.never if page % 11 == 10 else self.reads + 1 + (page * 7 + self.reads) % 31

    def coming(self, count: int) -> Sequence[int]:
        return [(self.reads + k) * 5 % 24 for k in range(count)]


class SmallEngine:
    """Drives one eviction policy and checks each of its answers; it is the policy's view as well."""

    def __init__(
        self, name: str, capacities: Sequence[int], options: Mapping[str, Any] | None = None
    ) -> None:
        self.capacities = list(capacities)
        self.tiers: list[set[int]] = [set() for _ in capacities]
        self.pinned: set[int] = set()
        self.victims: list[tuple[int, int]] = []
        self.step = 0
        self.future = Guesswork()
        self.policy = make_eviction(name, self, options)
        self.policy.future = self.future

    @property
    def tier_count(self) -> int:
        return len(self.capacities)

    def is_pinned(self, page: int) -> bool:
        return page in self.pinned

    def tier_of(self, page: int) -> int:
        for number, pages in enumerate(self.tiers):
            if page in pages:
                return number
        return -1

    def bytes_of(self, page: int, tier: int) -> int:
        return PAGE_BYTES

    def group_of(self, page: int) -> int:
        return 0

    def read(self, pages: Sequence[int]) -> None:
        """Announce a layer that reads the pages: pin, look up, promote what is not in tier 0."""
        self.future.reads += len(pages)
        self.pinned.update(pages)
        hits = [page for page in pages if page in self.tiers[0]]
        self.policy.accessed(hits, 0)
        for page in pages:
            if page in hits:
                continue
            tier = self.tier_of(page)
            self.policy.accessed([page], tier)
            if tier < 0:
                tier = self.tier_count - 1
                if not self.make_room(tier):
                    continue
                self._insert(page, tier)
            if tier > 0 and self.make_room(0):  # nothing moves what is pinned: it is there still
                self._remove(page, tier)
                self._insert(page, 0)

    def release(self) -> None:
        """The layers have computed: nothing is pinned any more, and the next step begins."""
        self.step += 1
        self.pinned.clear()

    def make_room(self, tier: int) -> bool:
        """Evict from the tier until one more page fits; False if everything in it is pinned."""
        while len(self.tiers[tier]) >= self.capacities[tier]:
            page = self.checked_victim(tier)
            if page is None:
                return False
            self._evict(page, tier)
        return True

    def checked_victim(self, tier: int) -> int | None:
        """The policy's answer, which must be right, and the same when asked again."""
        page = self.policy.victim(tier)
        assert self.policy.victim(tier) == page, "asking for a victim changes the answer"
        if page is None:
            assert self.tiers[tier] <= self.pinned, "no victim, although a page is not pinned"
        else:
            assert page in self.tiers[tier], "the victim is not in the tier"
            assert page not in self.pinned, "the victim is pinned"
        return page

    def check_contents(self) -> None:
        """What the policy believes is what is true, page by page."""
        for tier, pages in enumerate(self.tiers):
            assert sorted(self.policy.contents(tier)) == sorted(pages)

    def _evict(self, page: int, tier: int) -> None:
        self.victims.append((page, tier))
        self._remove(page, tier)
        self.policy.evicted(page, tier)
        for below in range(tier + 1, self.tier_count):
            if self.make_room(below):
                self._insert(page, below)
                return

    def _insert(self, page: int, tier: int) -> None:
        self.tiers[tier].add(page)
        self.policy.inserted(page, tier)

    def _remove(self, page: int, tier: int) -> None:
        self.tiers[tier].remove(page)
        self.policy.removed(page, tier)


def bytes_held(policy: object, without: Iterable[object] = ()) -> int:
    """Bytes of everything the policy refers to, its view and code left out."""
    seen = {id(thing) for thing in without}
    total = 0
    queue: list[object] = [policy]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, (type, ModuleType, FunctionType)):
            continue
        seen.add(id(thing))
        total += sys.getsizeof(thing)
        queue.extend(gc.get_referents(thing))
    return total
