"""kv-hierarchy-lab in a page: its seven workloads and its synchronous engine, driving kvsim's policies.

Written from REFERENCE §1; counts and bytes only. `moved` is in bytes, `latency` in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from kvsim.policies import make_eviction, make_prefetch

TIERS = (
    (128_000, 0.02, 0.02, 80_000),
    (256_000, 0.06, 0.06, 40_000),
    (1_000_000, 0.4, 0.35, 8_000),
    (8_000_000, 2.5, 2.0, 2_000),
)
"""Capacity in bytes, read and write latency in ms, bytes per ms."""
SCHEMES = {"fp16": (2.0, 0.0), "fp8": (1.0, 0.01), "int4": (0.5, 0.03), "int2": (0.25, 0.06)}
SCENARIOS = {
    "small_fp16_prefetch": (2, "fp16", True),
    "small_fp16_no_prefetch": (2, "fp16", False),
    "small_int4_no_prefetch": (2, "int4", False),
    "base_fp8_prefetch": (1, "fp8", True),
    "constrained_fp16_prefetch": (4, "fp16", True),
}


def sizes(pages: int, base: int, seed: int) -> list[int]:
    draws = Random(seed)
    return [base + draws.randint(-64, 64) for _ in range(pages)]


def chat(draws: Random, n: int, length: int) -> list[int]:
    working = list(range(min(12, n)))
    reads = []
    for step in range(length):
        if step % 17 == 0:
            page = draws.randrange(n)
            working[draws.randrange(len(working))] = page
        reads.append(draws.choice(working[-8:]))
    return reads


def rag(draws: Random, n: int, length: int) -> list[int]:
    reads: list[int] = []
    for _ in range(length // 20):
        reads += draws.choices(range(16), k=14)
        reads += draws.sample(range(16, n), k=6)
    return reads


def long_tail(draws: Random, n: int, length: int) -> list[int]:
    tail = list(range(10, n))
    weights = [1 / (rank + 1) for rank in range(len(tail))]
    return [
        draws.choice(range(10)) if draws.random() < 0.7 else draws.choices(tail, weights=weights, k=1)[0]
        for _ in range(length)
    ]


def bursts(draws: Random, n: int, length: int) -> list[int]:
    third = n // 3
    early, middle, late = range(third), range(third, 2 * third), range(2 * third, n)
    reads: list[int] = []
    while len(reads) < length:
        anchor = draws.sample(early, 12)
        reads += anchor + draws.sample(middle, 12) + anchor[:6] + draws.sample(late, 12)
    return reads[:length]


def mixed(draws: Random, n: int, length: int) -> list[int]:
    reads = []
    for step in range(length):
        phase = step // 60 % 3
        if phase == 2:
            reads.append(5 * step % n)
        else:
            reads.append(draws.choice(range(12)) if phase == 0 else draws.choice(range(12, 32)))
    return reads


WORKLOADS: dict[str, tuple[int, int, int, int, Callable[[Random, int, int], list[int]]]] = {
    "chat_continuation": (64, 256, 2048, 7, chat),
    "rag_burst": (96, 320, 2304, 11, rag),
    "periodic_reuse": (80, 320, 2048, 13, lambda _, n, k: [step % 9 * 3 % n for step in range(k)]),
    "long_tail_mix": (128, 400, 2048, 17, long_tail),
    "prefetch_friendly": (48, 240, 2048, 19, lambda _, n, k: [step % n for step in range(k)]),
    "adversarial_burst": (96, 320, 2112, 29, bursts),
    "mixed_locality": (112, 360, 2176, 31, mixed),
}


@dataclass
class Counts:
    misses: int = 0
    evictions: int = 0
    demand: int = 0
    prefetched: int = 0
    requests: int = 0
    useful: int = 0
    wasted: int = 0
    latency: float = 0.0
    pending: set[int] = field(default_factory=set)


class Ancestor:
    """The engine: the policy sees the access, then the page moves straight to tier 0. One access a step."""

    tier_count = 4

    def __init__(
        self, scenario: str, workload: str, policy: str, options: Mapping[str, Any] | None = None
    ) -> None:
        divisor, scheme, prefetch = SCENARIOS[scenario]
        pages, length, base, seed, pattern = WORKLOADS[workload]
        per_scalar, self.codec = SCHEMES[scheme]
        self.bytes = [max(1, int(scalars * per_scalar)) for scalars in sizes(pages, base, seed)]
        self.reads = pattern(Random(seed), pages, length)
        self.capacities = [tier[0] // divisor for tier in TIERS]
        self.used = [0] * 4
        self.where: dict[int, int] = {}
        self.step = 0
        self.counts = Counts()
        self.policy = make_eviction(policy, self, options)
        self.guess = make_prefetch("predictive" if prefetch and policy == "predictive" else "none", self)

    def is_pinned(self, page: int) -> bool:
        return False

    def tier_of(self, page: int) -> int:
        return self.where.get(page, -1)

    def bytes_of(self, page: int, tier: int) -> int:
        return self.bytes[page]

    def run(self) -> Counts:
        counts = self.counts
        for step, page in enumerate(self.reads):
            self.step = step
            self.policy.accessed([page], self.tier_of(page))
            if page in counts.pending:
                counts.pending.remove(page)
                counts.useful += 1
            if self.tier_of(page) == 0:
                counts.latency += TIERS[0][1] + self.codec
            else:
                counts.misses += 1
                self.appear(page)
                size = self.fetch(page)
                counts.demand += size
            self.prefetch(self.guess.accessed(0, [page]))
        counts.wasted += len(counts.pending)
        return counts

    def prefetch(self, pages: Any) -> None:
        for page in pages:
            if self.tier_of(page) != 0 and page not in self.counts.pending:
                self.appear(page)
                self.counts.requests += 1
                size = self.fetch(page)
                self.counts.prefetched += size
                self.counts.pending.add(page)

    def appear(self, page: int) -> None:
        if self.tier_of(page) < 0:
            self.make_room(3, page)
            self.insert(page, 3)

    def fetch(self, page: int) -> int:
        source = self.where[page]  # what is paid for, even if making room pushes the page further down
        self.make_room(0, page)
        self.remove(page)
        self.insert(page, 0)
        return self.pay(page, source, 0)

    def make_room(self, tier: int, page: int) -> None:
        while self.used[tier] + self.bytes[page] > self.capacities[tier]:
            gone = self.policy.victim(tier)
            assert gone is not None
            self.counts.evictions += 1
            if tier == 0 and gone in self.counts.pending:
                self.counts.pending.remove(gone)
                self.counts.wasted += 1
            if tier < 3:
                self.make_room(tier + 1, gone)
                size = self.pay(gone, tier, tier + 1)
                self.counts.demand += size
            self.remove(gone)
            self.policy.evicted(gone, tier)
            if tier < 3:
                self.insert(gone, tier + 1)

    def pay(self, page: int, source: int, target: int) -> int:
        rate = min(TIERS[source][3], TIERS[target][3])
        self.counts.latency += TIERS[source][1] + TIERS[target][2] + self.bytes[page] / rate + self.codec
        return self.bytes[page]

    def insert(self, page: int, tier: int) -> None:
        self.where[page] = tier
        self.used[tier] += self.bytes[page]
        self.policy.inserted(page, tier)

    def remove(self, page: int) -> None:
        tier = self.where.pop(page)
        self.used[tier] -= self.bytes[page]
        self.policy.removed(page, tier)
