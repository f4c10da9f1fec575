"""Every eviction policy once more, in about ten lines, as slow and as plain as can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp
from typing import Any

from kvsim.policies import ResidencyView
from kvsim.policies.base import Future
from kvsim.randomness import stream

Event = tuple[str, int, int, int]
"""What ("read", "in", "evict"), page, tier, step."""


class Naive:
    """Remembers everything that happened; the first page, in order of arrival, of the least key goes."""

    def __init__(self, view: ResidencyView, future: Future) -> None:
        self.view = view
        self.future = future
        self.log: list[Event] = []
        self.members: list[list[int]] = [[] for _ in range(view.tier_count)]

    def set(self, options: Mapping[str, Any]) -> None:
        """What differs from the default; only for those that have options in the tests."""

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> None:
        """By default nobody cares."""

    def accessed(self, page: int, tier: int) -> None:
        self.log.append(("read", page, tier, self.view.step))

    def inserted(self, page: int, tier: int) -> None:
        self.log.append(("in", page, tier, self.view.step))
        self.members[tier].append(page)

    def removed(self, page: int, tier: int) -> None:
        self.members[tier].remove(page)

    def evicted(self, page: int, tier: int) -> None:
        self.log.append(("evict", page, tier, self.view.step))

    def victim(self, tier: int) -> int | None:
        return self.least(tier, self.key)

    def least(self, tier: int, key: Callable[[int, int], Any]) -> int | None:
        free = [page for page in self.members[tier] if not self.view.is_pinned(page)]
        return min(free, key=lambda page: key(page, tier), default=None)

    def key(self, page: int, tier: int) -> Any:
        """By default all are equal: fifo."""
        return 0

    def reads(self, page: int) -> list[int]:
        """Steps of the page's reads."""
        return [step for what, p, _, step in self.log if what == "read" and p == page]

    def last_step(self, page: int) -> int:
        return max(self.reads(page), default=-1)

    def touched(self, page: int) -> int:
        """Place in the log of the last read in a tier, or arrival."""
        return max(
            k for k, (what, p, t, _) in enumerate(self.log) if p == page and what != "evict" and t >= 0
        )

    def uses(self, page: int) -> int:
        """One for the arrival, one for each read in a tier, since the last eviction."""
        since = max((k for k, e in enumerate(self.log) if e[:2] == ("evict", page)), default=-1)
        return 1 + sum(e[:2] == ("read", page) and e[2] >= 0 for e in self.log[since + 1 :])

    @property
    def divisor(self) -> int:
        return max(self.view.step, 1)


class Lru(Naive):
    def key(self, page: int, tier: int) -> Any:
        return self.touched(page)


class Lfu(Naive):
    def key(self, page: int, tier: int) -> Any:
        return self.uses(page), self.touched(page)


class LengthAware(Naive):
    def key(self, page: int, tier: int) -> Any:
        return self.uses(page), -page


class LruK(Naive):
    def key(self, page: int, tier: int) -> Any:
        at = [k for k, e in enumerate(self.log) if e[:2] == ("read", page)]
        return (at[-2] if len(at) > 1 else -1), self.touched(page)


class Gdsf(Naive):
    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.age = [0.0] * view.tier_count
        self.h: dict[int, float] = {}

    def price(self, page: int, tier: int) -> None:
        if tier >= 0:
            worth = 1024 / self.view.bytes_of(page, tier)
            self.h[page] = self.age[tier] + self.uses(page) * worth

    def accessed(self, page: int, tier: int) -> None:
        super().accessed(page, tier)
        self.price(page, tier)

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        self.price(page, tier)

    def evicted(self, page: int, tier: int) -> None:
        super().evicted(page, tier)
        self.age[tier] = max(self.age[tier], self.h[page])

    def key(self, page: int, tier: int) -> Any:
        return self.h[page], self.touched(page)


class Belady(Naive):
    def key(self, page: int, tier: int) -> Any:
        return -self.future.next_read(page), self.touched(page)


class BeladySize(Naive):
    def key(self, page: int, tier: int) -> Any:
        after = self.future.next_read(page)
        distance = after - sum(e[0] == "read" for e in self.log)
        return after < self.future.never, -self.view.bytes_of(page, tier) * distance, self.touched(page)


class WindowedRecency(Naive):
    def key(self, page: int, tier: int) -> Any:
        window = [e[1] for e in self.log if e[0] == "read"][-32:]
        return 1e6 * window.count(page) + self.last_step(page)


class HeavyHitter(Naive):
    def key(self, page: int, tier: int) -> Any:
        return 10_000 * len(self.reads(page)) + self.last_step(page)


class Predictive(Naive):
    def key(self, page: int, tier: int) -> Any:
        return 100 * len(self.reads(page)) + self.last_step(page)


class CostAware(Naive):
    def key(self, page: int, tier: int) -> Any:
        kib = self.view.bytes_of(page, tier) / 1024
        return 2 * len(self.reads(page)) + self.last_step(page) / self.divisor - 0.4 * kib


class RegretAware(Naive):
    def key(self, page: int, tier: int) -> Any:
        regret, evicted_at = 0.0, None
        for what, _, _, step in (e for e in self.log if e[1] == page):
            if what == "evict":
                evicted_at = step
            elif what == "read":
                regret *= 0.98
                if evicted_at is not None and step - evicted_at <= 24:
                    regret += (24 - (step - evicted_at) + 1) / 24
                evicted_at = None
        return 1.5 * len(self.reads(page)) + self.last_step(page) / self.divisor + 6 * regret


class Sieve(Naive):
    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.seen: set[int] = set()
        self.hand: list[int | None] = [None] * view.tier_count

    def accessed(self, page: int, tier: int) -> None:
        if tier >= 0:
            self.seen.add(page)

    def removed(self, page: int, tier: int) -> None:
        order = self.members[tier]
        if self.hand[tier] == page:
            self.hand[tier] = (*order, None)[order.index(page) + 1]
        super().removed(page, tier)
        self.seen.discard(page)

    def victim(self, tier: int) -> int | None:
        order, hand = self.members[tier], self.hand[tier]
        start = 0 if hand is None else order.index(hand)
        for page in order[start:] + order + order:
            if not self.view.is_pinned(page):
                if page not in self.seen:
                    self.hand[tier] = page
                    return page
                self.seen.remove(page)
        return None


class S3Fifo(Naive):
    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.small, self.main, self.ghost = ([[] for _ in self.members] for _ in range(3))  # type: ignore[var-annotated]
        self.count: dict[int, int] = {}
        self.shares: list[tuple[int, int]] = [(0, 0)] * view.tier_count
        self.full: set[int] = set()
        self.left = False

    def accessed(self, page: int, tier: int) -> None:
        if tier >= 0:
            self.count[page] = min(self.count[page] + 1, 3)

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        known = page in self.ghost[tier]
        (self.main if known else self.small)[tier].append(page)
        kept = [other for other in self.ghost[tier] if other != page]
        self.ghost[tier] = kept[max(len(kept) - self.shares[tier][1], 0) :]
        self.count[page] = 0

    def removed(self, page: int, tier: int) -> None:
        super().removed(page, tier)
        self.left = page in self.small[tier]
        (self.small if self.left else self.main)[tier].remove(page)

    def evicted(self, page: int, tier: int) -> None:
        if self.left:
            self.ghost[tier] = [*(p for p in self.ghost[tier] if p != page), page]

    def victim(self, tier: int) -> int | None:
        pages = len(self.members[tier])
        self.shares[tier] = (int(pages * 0.1), int(pages * 0.9))
        small, main = self.small[tier], self.main[tier]
        if tier not in self.full:
            self.full.add(tier)
            cut = max(self.shares[tier][0], 1)
            main += small[cut:]
            del small[cut:]
        over = len(main) > pages - self.shares[tier][0]
        turns = [self.from_main, self.from_small] if over else [self.from_small, self.from_main]
        found = turns[0](small, main)
        return turns[1](small, main) if found is None else found

    def from_small(self, small: list[int], main: list[int]) -> int | None:
        for page in list(small):
            if not self.view.is_pinned(page):
                if self.count[page] < 2:
                    return page
                small.remove(page)
                main.append(page)
                self.count[page] = 0
        return None

    def from_main(self, small: list[int], main: list[int]) -> int | None:
        while free := [page for page in main if not self.view.is_pinned(page)]:
            page = free[0]
            if not self.count[page]:
                return page
            self.count[page] -= 1
            main.remove(page)
            main.append(page)
        return None


class Arc(Naive):
    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.t1, self.t2, self.b1, self.b2 = ([[] for _ in self.members] for _ in range(4))  # type: ignore[var-annotated]
        self.p = [0.0] * view.tier_count
        self.c = [0] * view.tier_count
        self.known: set[int] = set()
        self.in_b2 = self.was_t1 = False

    def accessed(self, page: int, tier: int) -> None:
        if tier >= 0:
            (self.t1 if page in self.t1[tier] else self.t2)[tier].remove(page)
            self.t2[tier].append(page)
        if tier == 0:
            self.known.clear()
        else:
            self.in_b2 = page in self.b2[0]
            self.learn(page, 0)

    def learn(self, page: int, tier: int) -> bool:
        b1, b2 = self.b1[tier], self.b2[tier]
        if page in b1:
            self.p[tier] = min(self.p[tier] + max(len(b2) / len(b1), 1), self.c[tier])
        elif page in b2:
            self.p[tier] = max(self.p[tier] - max(len(b1) / len(b2), 1), 0)
        else:
            return False
        (b1 if page in b1 else b2).remove(page)
        if tier == 0:
            self.known.add(page)
        return True

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        again = (tier == 0 and page in self.known) or self.learn(page, tier)
        (self.t2 if again else self.t1)[tier].append(page)
        if tier == 0:
            self.known.discard(page)
            self.in_b2 = False

    def removed(self, page: int, tier: int) -> None:
        super().removed(page, tier)
        self.was_t1 = page in self.t1[tier]
        (self.t1 if self.was_t1 else self.t2)[tier].remove(page)

    def evicted(self, page: int, tier: int) -> None:
        b1, b2, c = self.b1[tier], self.b2[tier], self.c[tier]
        if not (tier == 0 and self.known):
            in_l1 = len(self.t1[tier]) + self.was_t1 + len(b1)
            if in_l1 >= c and b1:
                del b1[0]
            elif in_l1 >= c and self.was_t1:
                return
            elif in_l1 < c and len(self.members[tier]) + 1 + len(b1) + len(b2) >= 2 * c and b2:
                del b2[0]
        (b1 if self.was_t1 else b2).append(page)
        while len(b1) + len(b2) > 2 * c:
            del (b1 or b2)[0]

    def victim(self, tier: int) -> int | None:
        t1, t2 = self.t1[tier], self.t2[tier]
        self.c[tier] = len(t1) + len(t2)
        first = len(t1) > self.p[tier] or (tier == 0 and self.in_b2 and len(t1) == self.p[tier])
        return next((p for p in (t1 + t2 if first else t2 + t1) if not self.view.is_pinned(p)), None)


class Lecar(Naive):
    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.random = stream(0, "lecar")
        self.history: list[tuple[dict[int, Any], dict[int, Any]]] = [({}, {}) for _ in self.members]
        self.trust, self.n = [0.5] * view.tier_count, [0] * view.tier_count
        self.draw: list[float | None] = [None] * view.tier_count
        self.named: list[Any] = [(-1, None)] * view.tier_count
        self.used: dict[int, int] = {}

    def accessed(self, page: int, tier: int) -> None:
        super().accessed(page, tier)
        if tier >= 0:
            self.used[page] += 1
        if tier != 0:
            self.regret(page, 0)

    def inserted(self, page: int, tier: int) -> None:
        if tier:
            self.regret(page, tier)
        self.used.setdefault(page, 1)
        super().inserted(page, tier)

    def regret(self, page: int, tier: int) -> None:
        now = sum(e[0] == "read" for e in self.log)
        for expert, history in enumerate(self.history[tier]):
            if page in history:
                then, uses = history.pop(page)
                self.used.setdefault(page, uses + 1)
                gain = exp(0.45 * 0.005 ** ((now - then) / max(self.n[tier], 1)))
                lru = self.trust[tier] * (gain if expert == 1 else 1)
                lfu = (1 - self.trust[tier]) * (gain if expert == 0 else 1)
                self.trust[tier] = min(max(lru / (lru + lfu), 0.01), 0.99)

    def evicted(self, page: int, tier: int) -> None:
        self.draw[tier] = None
        uses = self.used.pop(page)
        named, expert = self.named[tier]
        if named == page and expert is not None:
            history = self.history[tier][expert]
            history.pop(page, None)
            history[page] = (sum(e[0] == "read" for e in self.log), uses)
            while len(history) > self.n[tier]:
                del history[next(iter(history))]

    def victim(self, tier: int) -> int | None:
        lru = self.least(tier, lambda page, _: self.touched(page))
        lfu = self.least(tier, lambda page, _: (self.used[page], self.touched(page)))
        if lru is None:
            return None
        self.n[tier] = len(self.members[tier])
        self.named[tier] = (lru, None)
        if lru != lfu:
            if self.draw[tier] is None:
                self.draw[tier] = self.random.random()
            self.named[tier] = (lru, 0) if self.draw[tier] < self.trust[tier] else (lfu, 1)  # type: ignore[operator]
        page: int = self.named[tier][0]
        return page


NAIVE: dict[str, type[Naive]] = {
    "arc": Arc,
    "belady": Belady,
    "belady_size": BeladySize,
    "cost_aware": CostAware,
    "fifo": Naive,
    "gdsf": Gdsf,
    "heavy_hitter": HeavyHitter,
    "lecar": Lecar,
    "length_aware": LengthAware,
    "lfu": Lfu,
    "lru": Lru,
    "lru_k": LruK,
    "predictive": Predictive,
    "regret_aware": RegretAware,
    "s3fifo": S3Fifo,
    "sieve": Sieve,
    "windowed_recency": WindowedRecency,
}
