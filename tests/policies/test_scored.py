"""The short lists of the score policies name the page that a look at every page would."""

from __future__ import annotations

import random

import pytest

from kvsim.policies import make_eviction, names
from kvsim.policies.eviction import scored
from kvsim.policies.eviction.scored import ScorePolicy


class Crowd:
    """One tier with many pages, of which many are alike."""

    tier_count = 1

    def __init__(self, name: str, alike: bool) -> None:
        self.step = 0
        self.pinned: set[int] = set()
        self.held: dict[int, None] = {}
        self.alike = alike
        self.asked_for_sizes = False
        policy = make_eviction(name, self)
        assert isinstance(policy, ScorePolicy)
        self.policy = policy

    def is_pinned(self, page: int) -> bool:
        return page in self.pinned

    def tier_of(self, page: int) -> int:
        return 0 if page in self.held else -1

    def bytes_of(self, page: int, tier: int) -> int:
        self.asked_for_sizes = True
        return 4096 if self.alike else 4096 + 128 * (page % 5)

    def group_of(self, page: int) -> int:
        return 0

    def insert(self, page: int) -> None:
        self.held[page] = None
        self.policy.inserted(page, 0)

    def check(self) -> int | None:
        policy = self.policy
        expected = policy._plain(policy._members[0], policy._divisor())
        assert policy.victim(0) == expected
        return expected

    def evict(self) -> None:
        page = self.check()
        if page is not None:
            del self.held[page]
            self.policy.removed(page, 0)
            self.policy.evicted(page, 0)


def scored_names() -> list[str]:
    return [n for n in names()["eviction"] if isinstance(make_eviction(n, Nothing()), ScorePolicy)]


class Nothing(Crowd):
    def __init__(self) -> None:
        self.step = 0


def looks_at_sizes(name: str) -> bool:
    crowd = Crowd(name, alike=True)
    crowd.insert(0)
    crowd.policy.accessed([0], 0)
    crowd.check()
    return crowd.asked_for_sizes


SORTS = [(name, alike) for name in scored_names() for alike in (True, False) if alike or looks_at_sizes(name)]
"""Pages of different sizes are another case only for who looks at sizes."""


@pytest.mark.parametrize("batch", [1, 24])
@pytest.mark.parametrize("shortlist", [1, 8, 64])
@pytest.mark.parametrize(("name", "alike"), SORTS)
def test_a_crowd_leaves_in_the_order_of_plain_comparison(
    name: str, shortlist: int, batch: int, alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored, "SHORTLIST", shortlist)
    crowd = Crowd(name, alike)
    draws = random.Random(shortlist + batch)
    # More pages than anyone looks at one by one (96) and than the largest pool holds (4 short lists).
    held = 300 if shortlist == 64 else 160
    universe = range(2 * held)
    for page in range(held):
        crowd.insert(page)
    for step in range(1500 // batch):
        crowd.step += draws.choice([0, 1, 1, 1, 40 if step > 700 // batch else 2])
        pages = draws.sample(universe if step % 3 else universe[: held // 4], batch)
        if step % 5 == 4:  # what would go next is read after all, and pinned
            nearest = [entry[2] for entry in crowd.policy._shelves[0].sorted[: batch // 2 + 1]]
            pages = list(dict.fromkeys([*nearest, *pages]))
        crowd.pinned = set(pages)
        crowd.policy.accessed([page for page in pages if page in crowd.held], 0)
        crowd.check()
        for page in pages:
            if page not in crowd.held:
                crowd.policy.accessed([page], -1)
                crowd.evict()
                crowd.insert(page)
        crowd.pinned = set(draws.sample(sorted(crowd.held), draws.choice([0, 3, 2 * held // 3])))
        crowd.check()
    crowd.pinned = set(crowd.held)
    assert crowd.check() is None
    crowd.pinned = set()
    while crowd.held:
        crowd.evict()


def test_tables_reach_as_far_as_pages_are_numbered() -> None:
    crowd = Crowd("regret_aware", alike=True)
    for page in (3, 100_000, 7):
        crowd.insert(page)
    crowd.policy.accessed([3, 200_000], 0)
    assert crowd.check() == 100_000
