"""Every eviction policy against its naive version, event by event; the policies are found by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from policies.naive import NAIVE, Naive
from policies.naive_attention import NAIVE_ATTENTION

from kvsim.policies import EvictionPolicy, make_eviction, names
from kvsim.policies.eviction import scored

TIERS = 3
PAGES = range(14)
TIER = st.integers(0, TIERS - 1)
OPTIONS: dict[str, Mapping[str, Any]] = {"scissorhands": {"history": 3}, "snapkv": {"observations": 3}}
"""So short that something leaves the window."""
CASES: list[tuple[str, Mapping[str, Any]]] = [
    *((name, OPTIONS.get(name, {})) for name in names()["eviction"]),
    *((name, {**OPTIONS.get(name, {}), "even": False}) for name in NAIVE_ATTENTION),
]


class World:
    """One policy and its naive version, before the same tiers, pins and future; it is their view as well."""

    tier_count = TIERS
    never = 10**6

    def __init__(self, case: tuple[str, Mapping[str, Any]]) -> None:
        self.case = case
        name, options = case
        self.step = 0
        self.pinned: set[int] = set()
        self.where: dict[int, int] = {}
        self.reads = 0
        self.ahead = {page: page + 1 for page in PAGES}
        self.naive = (NAIVE[name] if name in NAIVE else NAIVE_ATTENTION[name])(self, self)
        self.naive.set(options)
        self.policies = [make_eviction(name, self, options)]
        if isinstance(self.policies[0], scored.ScorePolicy):
            by_shelves = make_eviction(name, self)
            assert isinstance(by_shelves, scored.ScorePolicy)
            by_shelves._plain_up_to = 0  # the other one looks at each page of so small a tier
            self.policies.append(by_shelves)
        for policy in self.policies:
            policy.future = self
        self._all: list[EvictionPolicy | Naive] = [*self.policies, self.naive]

    def is_pinned(self, page: int) -> bool:
        return page in self.pinned

    def tier_of(self, page: int) -> int:
        return self.where.get(page, -1)

    def bytes_of(self, page: int, tier: int) -> int:
        return 1024 * (1 + page % 3) // (tier + 1)

    def group_of(self, page: int) -> int:
        return page % 3

    def next_read(self, page: int) -> int:
        return self.ahead[page]

    def coming(self, count: int) -> Sequence[int]:
        return sorted(PAGES, key=self.ahead.__getitem__)[:count]

    def remove(self, page: int, evicted: bool) -> None:
        tier = self.where.pop(page, -1)
        if tier < 0:
            return
        for policy in self._all:
            policy.removed(page, tier)
            if evicted:
                policy.evicted(page, tier)

    def insert(self, page: int, tier: int) -> None:
        self.where[page] = tier
        for policy in self._all:
            policy.inserted(page, tier)

    def evict(self, tier: int) -> None:
        page = self.policies[0].victim(tier)
        if page is not None:
            self.remove(page, evicted=True)
            if tier + 1 < TIERS:
                self.insert(page, tier + 1)

    def read(self, pages: Sequence[int], tier: int, after: int) -> None:
        self.reads += len(pages)
        for k, page in enumerate(pages):
            self.ahead[page] = self.never if after == 30 else self.reads + after + k
        if pages:  # the naive ones hear of pages, not of calls
            for policy in self.policies:
                policy.accessed(pages, tier)
        for page in pages:
            self.naive.accessed(page, tier)

    def attend(self, pages: Sequence[int], mass: Sequence[float]) -> None:
        for policy in self._all:
            policy.attended(pages, mass)

    def check(self) -> None:
        for tier in range(TIERS):
            members, victim = sorted(self.naive.members[tier]), self.naive.victim(tier)
            for policy in self.policies:
                assert sorted(policy.contents(tier)) == members, self.case
                assert policy.victim(tier) == victim, self.case


class AgainstNaive(RuleBasedStateMachine):
    """Any sequence of events, also those no engine would send, such as a move upward by two tiers.

    All policies live through the same one, each in its own world: drawing events takes far longer than
    what a policy does with them.
    """

    alone: tuple[str, Mapping[str, Any]] | None = None
    """Once a policy has failed: only its events are shortened, which is quicker."""

    def __init__(self) -> None:
        super().__init__()
        self.worlds = [World(case) for case in ([self.alone] if self.alone else CASES)]
        self.told = False

    @initialize(
        pages=st.lists(st.sampled_from(PAGES), max_size=8, unique=True), tier=TIER, told=st.booleans()
    )
    def fill(self, pages: list[int], tier: int, told: bool) -> None:
        self.told = told
        for world in self.worlds:
            for page in pages:
                world.insert(page, tier)

    @rule(page=st.sampled_from(PAGES), tier=TIER, evicted=st.booleans())
    def move(self, page: int, tier: int, evicted: bool) -> None:
        for world in self.worlds:
            world.remove(page, evicted)
            world.insert(page, tier)

    @rule(page=st.sampled_from(PAGES), evicted=st.booleans())
    def discard(self, page: int, evicted: bool) -> None:
        for world in self.worlds:
            world.remove(page, evicted)

    @rule(tier=TIER)
    def evict(self, tier: int) -> None:
        for world in self.worlds:
            world.evict(tier)

    @rule(order=st.permutations(PAGES), tier=TIER, count=st.integers(0, len(PAGES)), after=st.integers(1, 30))
    def read(self, order: list[int], tier: int, count: int, after: int) -> None:
        """Up to so many pages of a tier, in any order."""
        for world in self.worlds:
            world.read([page for page in order if world.tier_of(page) == tier][:count], tier, after)

    @precondition(lambda self: self.told)
    @rule(
        order=st.permutations(PAGES), count=st.integers(0, len(PAGES)), parts=st.integers(0, 5 ** len(PAGES))
    )
    def attend(self, order: list[int], count: int, parts: int) -> None:
        """Masses of 0 to 4 sixteenths, which add up without rounding."""
        mass = [parts // 5**k % 5 / 16 for k in range(count)]
        for world in self.worlds:
            world.attend(order[:count], mass)

    @rule(page=st.sampled_from(PAGES), after=st.integers(1, 30), bring=st.booleans())
    def read_from_elsewhere(self, page: int, after: int, bring: bool) -> None:
        """A page that is not in tier 0, which may then be brought there."""
        for world in self.worlds:
            if world.tier_of(page) != 0:
                world.read([page], world.tier_of(page), after)
                if bring:
                    world.remove(page, evicted=False)
                    world.insert(page, 0)

    @rule(pages=st.sets(st.sampled_from(PAGES), max_size=6))
    def pin(self, pages: set[int]) -> None:
        for world in self.worlds:
            world.pinned = pages

    @precondition(lambda self: self.worlds[0].pinned)
    @rule()
    def unpin(self) -> None:
        self.pin(set())

    @rule(steps=st.integers(1, 20))
    def tick(self, steps: int) -> None:
        for world in self.worlds:
            world.step += steps

    @invariant()
    def same_contents_and_the_same_victim(self) -> None:
        for world in self.worlds:
            try:
                world.check()
            except AssertionError:
                type(self).alone = world.case
                raise


def test_each_policy_does_what_its_naive_version_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score policies twice: with a look at every page, as they would, and by their shelves."""
    monkeypatch.setattr(scored, "SHORTLIST", 1)
    machine = type("Machine", (AgainstNaive,), {})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
