"""Every eviction policy against its naive version, event by event; the policies are found by themselves."""

from __future__ import annotations

from collections.abc import Sequence

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
from policies.naive import NAIVE

from kvsim.policies import make_eviction, names
from kvsim.policies.eviction import scored

TIERS = 3
PAGES = range(14)
TIER = st.integers(0, TIERS - 1)


class AgainstNaive(RuleBasedStateMachine):
    """Any sequence of events, also those no engine would send, such as a move upward by two tiers."""

    name = "lru"
    plain = True
    """Whether score policies may look at each page of a small tier, as they would."""
    tier_count = TIERS

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        self.pinned: set[int] = set()
        self.where: dict[int, int] = {}
        self.reads = 0
        self.never = 10**6
        self.ahead = {page: page + 1 for page in PAGES}
        self.naive = NAIVE[self.name](self, self)
        self.policy = make_eviction(self.name, self)
        self.policy.future = self
        if isinstance(self.policy, scored.ScorePolicy) and not self.plain:
            self.policy._plain_up_to = 0

    def is_pinned(self, page: int) -> bool:
        return page in self.pinned

    def tier_of(self, page: int) -> int:
        return self.where.get(page, -1)

    def bytes_of(self, page: int, tier: int) -> int:
        return 1024 * (1 + page % 3) // (tier + 1)

    def next_read(self, page: int) -> int:
        return self.ahead[page]

    def coming(self, count: int) -> Sequence[int]:
        return sorted(PAGES, key=self.ahead.__getitem__)[:count]

    def remove(self, page: int, evicted: bool) -> None:
        tier = self.where.pop(page, -1)
        if tier < 0:
            return
        for policy in (self.policy, self.naive):
            policy.removed(page, tier)
            if evicted:
                policy.evicted(page, tier)

    def insert(self, page: int, tier: int) -> None:
        self.where[page] = tier
        self.policy.inserted(page, tier)
        self.naive.inserted(page, tier)

    @initialize(pages=st.lists(st.sampled_from(PAGES), max_size=8, unique=True), tier=TIER)
    def fill(self, pages: list[int], tier: int) -> None:
        for page in pages:
            self.insert(page, tier)

    @rule(page=st.sampled_from(PAGES), tier=TIER, evicted=st.booleans())
    def move(self, page: int, tier: int, evicted: bool) -> None:
        self.remove(page, evicted)
        self.insert(page, tier)

    @rule(page=st.sampled_from(PAGES), evicted=st.booleans())
    def discard(self, page: int, evicted: bool) -> None:
        self.remove(page, evicted)

    @rule(tier=TIER)
    def evict(self, tier: int) -> None:
        page = self.policy.victim(tier)
        if page is not None:
            self.remove(page, evicted=True)
            if tier + 1 < TIERS:
                self.insert(page, tier + 1)

    @rule(data=st.data(), tier=TIER)
    def read(self, data: st.DataObject, tier: int) -> None:
        pages = data.draw(st.permutations(self.naive.members[tier]))
        self._read(pages[: data.draw(st.integers(0, len(pages)))], tier, data.draw(st.integers(1, 30)))

    @rule(page=st.sampled_from(PAGES), after=st.integers(1, 30), bring=st.booleans())
    def read_from_elsewhere(self, page: int, after: int, bring: bool) -> None:
        """A page that is not in tier 0, which may then be brought there."""
        if self.tier_of(page) != 0:
            self._read([page], self.tier_of(page), after)
            if bring:
                self.remove(page, evicted=False)
                self.insert(page, 0)

    def _read(self, pages: list[int], tier: int, after: int) -> None:
        self.reads += len(pages)
        for k, page in enumerate(pages):
            self.ahead[page] = self.never if after == 30 else self.reads + after + k
        self.policy.accessed(pages, tier)
        for page in pages:
            self.naive.accessed(page, tier)

    @rule(pages=st.sets(st.sampled_from(PAGES), max_size=6))
    def pin(self, pages: set[int]) -> None:
        self.pinned = pages

    @precondition(lambda self: self.pinned)
    @rule()
    def unpin(self) -> None:
        self.pinned = set()

    @rule(steps=st.integers(1, 20))
    def tick(self, steps: int) -> None:
        self.step += steps

    @invariant()
    def same_contents_and_the_same_victim(self) -> None:
        for tier in range(TIERS):
            assert sorted(self.policy.contents(tier)) == sorted(self.naive.members[tier])
            assert self.policy.victim(tier) == self.naive.victim(tier)


def compare(name: str, **attributes: object) -> None:
    machine = type("Machine", (AgainstNaive,), {"name": name, **attributes})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


@pytest.mark.parametrize("name", names()["eviction"])
def test_each_policy_does_what_its_naive_version_does(name: str) -> None:
    compare(name)


SCORED = [
    name
    for name in names()["eviction"]
    if issubclass(type(make_eviction(name, AgainstNaive())), scored.ScorePolicy)
]


@pytest.mark.parametrize("name", SCORED)
def test_score_policies_do_so_by_their_shelves_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scored, "SHORTLIST", 1)
    compare(name, plain=False)
