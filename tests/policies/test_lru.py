"""Least recently used, against ten naive lines and by hand."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from policies.small_engine import PAGE_BYTES, SmallEngine, bytes_held

from kvsim.policies import make_eviction

TIERS = 3
PAGES = range(12)


class NaiveLru:
    """Lists, oldest page first."""

    def __init__(self) -> None:
        self.order: list[list[int]] = [[] for _ in range(TIERS)]

    def accessed(self, page: int, tier: int) -> None:
        self.order[tier].remove(page)
        self.order[tier].append(page)

    def victim(self, tier: int, pinned: set[int]) -> int | None:
        return next((page for page in self.order[tier] if page not in pinned), None)


class LruAgainstNaive(RuleBasedStateMachine):
    """Any sequence of events, also those no engine would send, such as a move upward by two tiers."""

    def __init__(self) -> None:
        super().__init__()
        self.naive = NaiveLru()
        self.pinned: set[int] = set()
        self.lru = make_eviction("lru", self)

    tier_count = TIERS
    step = 0

    def is_pinned(self, page: int) -> bool:
        return page in self.pinned

    def tier_of(self, page: int) -> int:
        return next((k for k, pages in enumerate(self.naive.order) if page in pages), -1)

    def bytes_of(self, page: int, tier: int) -> int:
        return PAGE_BYTES

    def group_of(self, page: int) -> int:
        return 0

    @rule(page=st.sampled_from(PAGES), tier=st.integers(0, TIERS - 1))
    def move(self, page: int, tier: int) -> None:
        source = self.tier_of(page)
        if source >= 0:
            self.naive.order[source].remove(page)
            self.lru.removed(page, source)
        self.naive.order[tier].append(page)
        self.lru.inserted(page, tier)

    @rule(data=st.data(), tier=st.integers(0, TIERS - 1))
    def read(self, data: st.DataObject, tier: int) -> None:
        pages = data.draw(st.permutations(self.naive.order[tier]))
        pages = pages[: data.draw(st.integers(0, len(pages)))]
        for page in pages:
            self.naive.accessed(page, tier)
        self.lru.accessed(pages, tier)

    @rule(page=st.sampled_from(PAGES))
    def read_an_absent_page(self, page: int) -> None:
        if self.tier_of(page) < 0:
            self.lru.accessed([page], -1)

    @rule(pages=st.sets(st.sampled_from(PAGES)))
    def pin(self, pages: set[int]) -> None:
        self.pinned = pages

    @precondition(lambda self: any(self.naive.order))
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        page = data.draw(st.sampled_from([page for pages in self.naive.order for page in pages]))
        tier = self.tier_of(page)
        self.naive.order[tier].remove(page)
        self.lru.removed(page, tier)

    @invariant()
    def same_contents_in_the_same_order_and_the_same_victim(self) -> None:
        for tier in range(TIERS):
            assert list(self.lru.contents(tier)) == self.naive.order[tier]
            assert self.lru.victim(tier) == self.naive.victim(tier, self.pinned)


TestLruAgainstNaive = LruAgainstNaive.TestCase
TestLruAgainstNaive.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_least_recently_read_page_leaves_first() -> None:
    engine = SmallEngine("lru", [3])
    for page in (0, 1, 2, 0, 3):  # reading 0 again makes 1 the oldest
        engine.read([page])
        engine.release()
    assert engine.victims == [(1, 0)]


def test_a_pinned_page_is_passed_over() -> None:
    engine = SmallEngine("lru", [3])
    engine.read([0])
    engine.read([1, 2])
    engine.pinned = {0}
    assert engine.policy.victim(0) == 1


def test_a_demoted_page_is_the_youngest_of_its_new_tier() -> None:
    engine = SmallEngine("lru", [1, 2, 4])
    for page in (0, 1, 2, 3):
        engine.read([page])
        engine.release()
    assert [list(engine.policy.contents(tier)) for tier in range(3)] == [[3], [1, 2], [0]]


def test_pages_that_are_gone_leave_nothing_behind() -> None:
    held = []
    for reads in (1_000, 10_000):
        engine = SmallEngine("lru", [8, 8])
        for page in range(reads):
            engine.read([page])
            engine.release()
        held.append(bytes_held(engine.policy, without=(engine,)))
    assert held[1] <= 1.1 * held[0]
