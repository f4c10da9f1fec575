"""The policies that know groups and attention once more, from everything that ever happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp, log2
from typing import Any

from policies.naive import Naive

from kvsim.policies import ResidencyView
from kvsim.policies.base import Future
from kvsim.randomness import stream

KEPT = 1e300
Look = tuple[int, dict[int, float]]
"""A step, and what each page read received."""


class Grouped(Naive):
    """Of a group the page of the least worth, then number; of the largest group, or of any."""

    recent = 0.0

    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.even = True
        self.read: list[Look] = []
        self.told: list[Look] = []

    def set(self, options: Mapping[str, Any]) -> None:
        self.even = options.get("even", True)

    def accessed(self, page: int, tier: int) -> None:
        super().accessed(page, tier)
        if not self.told:
            self.look((self.view.step, {page: 1.0}))

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> None:
        if not self.told:
            self.start_anew()
        self.told.append((self.view.step, {}))  # even if nothing is attended
        self.look((self.view.step, dict(zip(pages, mass, strict=True))))

    def look(self, look: Look) -> None:
        (self.told or self.read).append(look)

    def start_anew(self) -> None:
        """What was known came from reads."""

    @property
    def looks(self) -> list[Look]:
        return self.told or self.read

    def important(self, look: Look, page: int) -> bool:
        """At least the mean of what its group received."""
        group = [m for p, m in look[1].items() if self.view.group_of(p) == self.view.group_of(page)]
        mass = look[1].get(page, 0.0)
        return mass > 0 and mass * len(group) >= sum(group)

    def groups(self, tier: int) -> dict[int, list[int]]:
        pages = sorted(self.members[tier], key=lambda p: (self.view.group_of(p), p))
        groups: dict[int, list[int]] = {}
        for page in pages:
            groups.setdefault(self.view.group_of(page), []).append(page)
        return groups

    def victim(self, tier: int) -> int | None:
        groups = self.groups(tier)
        firsts = {group: self.first(pages) for group, pages in groups.items()}
        order = [group for group in groups if firsts[group]]
        if self.even:
            order.sort(key=lambda group: -len(groups[group]))
        else:
            order.sort(key=lambda group: firsts[group][0])  # type: ignore[index]
        return firsts[order[0]][1] if order else None  # type: ignore[index]

    def first(self, pages: list[int]) -> tuple[float, int] | None:
        newest = pages[len(pages) - ceil(len(pages) * self.recent) :]
        ranks = [
            (KEPT if page in newest else self.worth(page, pages), page)
            for page in pages
            if not self.view.is_pinned(page)
        ]
        return min(ranks, default=None)

    def worth(self, page: int, pages: list[int]) -> float:
        """The oldest first."""
        return page


class Streaming(Grouped):
    def worth(self, page: int, pages: list[int]) -> float:
        came = {e[1] for e in self.log if e[0] == "in"}
        sink = min(p for p in came if self.view.group_of(p) == self.view.group_of(page))
        return KEPT if page == sink else page


class H2o(Grouped):
    recent = 0.5

    def worth(self, page: int, pages: list[int]) -> float:
        return sum(look.get(page, 0.0) for _, look in self.looks)


class Recent(Grouped):
    """Looks at the last three steps in which a group was read."""

    recent = 0.25

    def last_looks(self, group: int) -> list[Look]:
        looks = [look for look in self.looks if any(self.view.group_of(p) == group for p in look[1])]
        steps = sorted({step for step, _ in looks})[-3:]
        return [look for look in looks if look[0] in steps]


class Scissorhands(Recent):
    def worth(self, page: int, pages: list[int]) -> float:
        return sum(self.important(look, page) for look in self.last_looks(self.view.group_of(page)))


class SnapKv(Recent):
    def worth(self, page: int, pages: list[int]) -> float:
        at = pages.index(page)
        looks = self.last_looks(self.view.group_of(page))
        return max(sum(look.get(p, 0.0) for _, look in looks) for p in pages[max(at - 1, 0) : at + 2])


class Random(Grouped):
    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.random = stream(0, "random")
        self.draws: dict[int, tuple[float, float]] = {}

    def evicted(self, page: int, tier: int) -> None:
        self.draws.pop(tier, None)

    def victim(self, tier: int) -> int | None:
        if tier not in self.draws:
            self.draws[tier] = (self.random.random(), self.random.random())
        one, two = self.draws[tier]
        groups = self.groups(tier)
        if self.even:
            order = sorted(groups, key=lambda group: -len(groups[group]))
        elif groups:
            drawn = [group for group, pages in groups.items() for _ in pages]
            start = list(groups).index(drawn[int(one * len(drawn))])
            order = [*list(groups)[start:], *list(groups)[:start]]
        else:
            order = []
        for group in order:
            pages = groups[group]
            at = int(two * len(pages))
            for page in pages[at:] + pages[:at]:
                if not self.view.is_pinned(page):
                    return page
        return None


class Learned(Grouped):
    """In plain floating point and dictionaries; what is told of reads alone is forgotten but for births."""

    recent = 0.1

    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        self.weights, self.squares = [0.0, -1.0, 0.0, 0.0, 0.0], [1e-8] * 5
        self.born: dict[int, int] = {}
        self.mass: dict[int, tuple[float, int]] = {}
        self.sample: tuple[int, dict[int, list[float]]] | None = None

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        self.born.setdefault(page, self.view.step)

    def start_anew(self) -> None:
        self.sample = None
        self.mass.clear()

    def look(self, look: Look) -> None:
        now, masses = look
        if masses and (self.sample is None or now - self.sample[0] >= 16):
            self.learn(now)
        super().look(look)
        for page, mass in masses.items():
            self.born.setdefault(page, now)
            group = [m for p, m in masses.items() if self.view.group_of(p) == self.view.group_of(page)]
            share = mass * len(group) / sum(group) if sum(group) else 0.0
            self.mass[page] = (self.faded(page) + 0.1 * share, now)

    def faded(self, page: int) -> float:
        mass, then = self.mass.get(page, (0.0, 0))
        return mass * 0.9 ** (self.view.step - then)

    def when_important(self, page: int) -> list[int]:
        return [look[0] for look in self.looks if self.important(look, page)]

    def features(self, page: int) -> list[float]:
        age = self.view.step - self.born[page]
        times = self.when_important(page)
        since = self.view.step - max([self.born[page], *times])
        return [1.0, log2(1 + since), len(times) / (1 + age), log2(1 + self.faded(page)), log2(1 + age)]

    def odds(self, features: list[float]) -> float:
        return sum(w * f for w, f in zip(self.weights, features, strict=True))

    def learn(self, now: int) -> None:
        here = [page for members in self.members for page in members]
        if self.sample is not None:
            then, features = self.sample
            known = [page for page in sorted(features) if page in here]
            again = {page: any(step >= then for step in self.when_important(page)) for page in known}
            for _ in range(8 if known else 0):
                wrong = {
                    p: 1 / (1 + exp(-max(-30.0, min(30.0, self.odds(features[p]))))) - again[p] for p in known
                }
                for k in range(5):
                    slope = sum(wrong[p] * features[p][k] for p in known) / len(known)
                    self.squares[k] += slope**2
                    self.weights[k] -= 0.5 * slope / self.squares[k] ** 0.5
        self.sample = (now, {page: self.features(page) for page in here})

    def worth(self, page: int, pages: list[int]) -> float:
        return round(self.odds(self.features(page)), 9)


class Recency(Grouped):
    def worth(self, page: int, pages: list[int]) -> float:
        came = max(e[3] for e in self.log if e[:2] == ("in", page))
        return max([came, *(look[0] for look in [*self.read, *self.told] if self.important(look, page))])


class Shadow:
    """Half of tier 0, as a view."""

    tier_count = 1

    def __init__(self, view: ResidencyView, kind: type[Grouped], future: Future) -> None:
        self.view = view
        self.naive = kind(self, future)
        self.lost: set[int] = set()
        self.ghosts: list[int] = []
        self.regret = 0.0
        self.group_of = view.group_of
        self.bytes_of = view.bytes_of

    @property
    def step(self) -> int:
        return self.view.step

    def is_pinned(self, page: int) -> bool:
        return False

    def tier_of(self, page: int) -> int:
        return 0 if page in self.naive.members[0] else -1

    def inserted(self, page: int, room: int) -> None:
        self.naive.inserted(page, 0)
        while len(self.naive.members[0]) > room:
            gone = self.naive.victim(0)
            assert gone is not None
            self.naive.removed(gone, 0)


class Switching(Grouped):
    def __init__(self, view: ResidencyView, future: Future) -> None:
        super().__init__(view, future)
        kinds: list[type[Grouped]] = [Streaming, H2o, Recency]
        self.experts = [kind(view, future) for kind in kinds]
        self.shadows = [Shadow(view, kind, future) for kind in kinds]
        self.leader, self.now = 0, 0

    def set(self, options: Mapping[str, Any]) -> None:
        for naive in (*self.experts, *(shadow.naive for shadow in self.shadows)):
            naive.set(options)

    def accessed(self, page: int, tier: int) -> None:
        self.review()
        for expert, shadow in zip(self.experts, self.shadows, strict=True):
            if shadow.tier_of(page) < 0 and page not in shadow.ghosts:
                if self.told:
                    shadow.lost.add(page)
                else:
                    shadow.regret += 1
            expert.accessed(page, tier)
            shadow.naive.accessed(page, tier)

    def review(self) -> None:
        if self.view.step > self.now:
            regrets = [shadow.regret for shadow in self.shadows]
            if min(regrets) < 0.9 * regrets[self.leader]:
                self.leader = regrets.index(min(regrets))
            for shadow in self.shadows:
                shadow.regret *= (1 - 1 / 64) ** (self.view.step - self.now)
            self.now = self.view.step

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> None:
        for expert, shadow in zip(self.experts, self.shadows, strict=True):
            if not self.told:
                shadow.regret = 0.0
            shadow.regret += sum(m for page, m in zip(pages, mass, strict=True) if page in shadow.lost)
            shadow.lost.clear()
            expert.attended(pages, mass)
            shadow.naive.attended(pages, mass)
        self.told.append((self.view.step, {}))

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        for expert, shadow in zip(self.experts, self.shadows, strict=True):
            expert.inserted(page, tier)
            if tier == 0:
                shadow.ghosts = [ghost for ghost in shadow.ghosts if ghost != page]
                shadow.inserted(page, max(1, len(self.members[0]) // 2))

    def removed(self, page: int, tier: int) -> None:
        super().removed(page, tier)
        for expert, shadow in zip(self.experts, self.shadows, strict=True):
            expert.removed(page, tier)
            if tier == 0 and shadow.tier_of(page) == 0:
                shadow.naive.removed(page, 0)
                shadow.ghosts = [*shadow.ghosts, page][-max(1, (len(self.members[0]) + 1) // 2) :]

    def victim(self, tier: int) -> int | None:
        return self.experts[self.leader].victim(tier)


NAIVE_ATTENTION: dict[str, type[Grouped]] = {
    "h2o": H2o,
    "learned": Learned,
    "random": Random,
    "scissorhands": Scissorhands,
    "snapkv": SnapKv,
    "streaming": Streaming,
    "switching": Switching,
    "window": Grouped,
}
