"""One tier of equal pages, driven as the engine drives it: hits and misses of a sequence of page reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kvsim.policies import make_eviction


class KnownReads:
    """What lies ahead in a sequence of reads; `position` is the number of reads announced so far."""

    def __init__(self, reads: Sequence[int]) -> None:
        self.reads = list(reads)
        self.never = len(self.reads)
        self.position = 0
        self._next: dict[int, int] = {}
        self._after = [self.never] * len(self.reads)
        for at in range(len(self.reads) - 1, -1, -1):
            self._after[at] = self._next.get(self.reads[at], self.never)
            self._next[self.reads[at]] = at

    def advance(self) -> None:
        """The next read is announced: it is past."""
        self._next[self.reads[self.position]] = self._after[self.position]
        self.position += 1

    def next_read(self, page: int) -> int:
        return self._next.get(page, self.never)

    def coming(self, count: int) -> Sequence[int]:
        return self.reads[self.position : self.position + count]


class OneTier:
    """A cache of `capacity` bytes that must let every page in; the policy's view as well."""

    tier_count = 1

    def __init__(
        self,
        name: str,
        capacity: int,
        reads: Sequence[int],
        sizes: Mapping[int, int] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.capacity = capacity
        self.sizes = sizes
        self.held: set[int] = set()
        self.used = 0
        self.step = 0
        self.misses = 0
        self.reads = reads
        self.policy = make_eviction(name, self, options)
        self.future: KnownReads | None = None
        if self.policy.needs_future:
            self.policy.future = self.future = KnownReads(reads)

    def is_pinned(self, page: int) -> bool:
        return False

    def tier_of(self, page: int) -> int:
        return 0 if page in self.held else -1

    def bytes_of(self, page: int, tier: int) -> int:
        return 1 if self.sizes is None else self.sizes[page]

    def group_of(self, page: int) -> int:
        return 0

    def run(self) -> int:
        """Misses of all the reads, one a step."""
        policy, held, future = self.policy, self.held, self.future
        for step, page in enumerate(self.reads):
            self.step = step
            if future is not None:
                future.advance()
            if page in held:
                policy.accessed([page], 0)
                continue
            policy.accessed([page], -1)
            self.misses += 1
            size = self.bytes_of(page, 0)
            while self.used + size > self.capacity:
                self.evict()
            self.used += size
            held.add(page)
            policy.inserted(page, 0)
        assert sorted(policy.contents(0)) == sorted(held)
        return self.misses

    def evict(self) -> None:
        page = self.policy.victim(0)
        assert page is not None
        self.used -= self.bytes_of(page, 0)
        self.held.remove(page)
        self.policy.removed(page, 0)
        self.policy.evicted(page, 0)


def misses(name: str, capacity: int, reads: Sequence[int], **options: Any) -> int:
    """Misses of the policy in a tier of so many pages."""
    return OneTier(name, capacity, reads, options=options).run()
