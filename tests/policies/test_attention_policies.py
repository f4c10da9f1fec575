"""What the policies that know positions and attention keep, by hand; their naive versions are elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from policies.lossy_tier import LossyTier
from policies.one_tier import misses

from kvsim.policies.eviction.switching import Switching
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.workloads.page_trace import PageRow, write_pages

Masses = Mapping[int, float]


def order(name: str, looks: Sequence[Masses], pages: int, **options: Any) -> list[int]:
    """Pages 0 … n-1 receive these masses, one step each; then all leave, in this order."""
    tier = LossyTier(name, pages, **options)
    tier.bear(range(pages))
    for mass in looks:
        tier.attend(mass)
    return [tier.evict() for _ in range(pages)]


# -- positions and budgets ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "kept"),
    [
        ("window", {}, [5, 6, 7, 8, 9, 10]),
        ("streaming", {}, [0, 1, 7, 8, 9, 10]),
        ("streaming", {"sinks": 0}, [5, 6, 7, 8, 9, 10]),
        ("streaming", {"sinks": 2}, [0, 1, 2, 3, 9, 10]),
    ],
)
def test_each_group_keeps_its_own_first_and_newest_pages(
    name: str, options: dict[str, Any], kept: list[int]
) -> None:
    """Eleven pages of two groups, even and odd, come to a tier for six: three of each stay."""
    tier = LossyTier(name, 6, groups=2, **options)
    tier.bear(range(11))
    assert sorted(tier.held) == kept


EVEN = {p: (0.2 if p % 2 == 0 else 0.05) for p in range(8)}
"""Four pages of group 0 receive .2 each, four of group 1 .05 each."""


@pytest.mark.parametrize(
    ("even", "order_of_leaving"),
    [(True, [0, 1, 2, 3, 4, 5, 6, 7]), (False, [1, 3, 5, 7, 0, 2, 4, 6])],
)
@pytest.mark.parametrize("name", ["h2o", "snapkv"])
def test_budgets_are_even_or_go_where_the_attention_goes(
    name: str, even: bool, order_of_leaving: list[int]
) -> None:
    """Even: both groups have as many pages, so they lose in turn, group 0 first, and each its oldest."""
    assert order(name, [EVEN], 8, groups=2, even=even, recent=0.0) == order_of_leaving


def test_a_group_of_pinned_pages_only_is_passed_over() -> None:
    """Group 0 has pages 0, 2, 4 and group 1 has page 1: the largest group must pay, unless it cannot."""
    tier = LossyTier("h2o", 10, groups=2)
    tier.bear([0, 1, 2, 4])
    assert tier.policy.victim(0) == 0
    tier.pinned = {0, 2}
    assert tier.policy.victim(0) == 4  # for being the newest kept, but nothing else can leave
    tier.pinned = {0, 2, 4}
    assert tier.policy.victim(0) == 1
    tier.pinned = {0, 1, 2, 4}
    assert tier.policy.victim(0) is None


def test_a_random_victim_is_any_page_alike() -> None:
    """Four pages, 2,000 draws: 500 each, with a deviation of √(2,000 x ¼ x ¾) = 19; five of those are
    allowed."""
    for even in (True, False):
        tier = LossyTier("random", 4, groups=2, even=even)
        tier.bear([0, 1, 2, 3])
        drawn = Counter[int]()
        for _ in range(2000):
            page = tier.evict()
            drawn[page] += 1
            tier.bear([page])
        if even:  # the page that left last is back, so both groups have two: a draw is of group 0
            assert set(drawn) == {0, 2}
            assert abs(drawn[0] - 1000) < 5 * 22.4
        else:
            assert all(abs(drawn[page] - 500) < 5 * 19.4 for page in range(4))


def test_random_victims_depend_on_the_seed_alone() -> None:
    leaving = [order("random", [], 30, seed=seed) for seed in (0, 0, 1)]
    assert leaving[0] == leaving[1] != leaving[2]


# -- attention ---------------------------------------------------------------------------------


def test_h2o_keeps_the_newer_half_and_of_the_rest_what_received_most() -> None:
    """Sums .5, .1, .2, .2, 0, 0. The newer half of six is 3, 4, 5, of five 3, 4, 5 again (rounded up), of
    four 4 and 5; of three 4 and 5, of two 5."""
    looks = [{0: 0.4, 1: 0.1, 2: 0.1, 3: 0.2}, {0: 0.1, 2: 0.1}]
    assert order("h2o", looks, 6) == [1, 2, 3, 0, 4, 5]


REPEATED = [{0: 0.1, 1: 0.9}, {0: 0.4, 1: 0.1, 2: 0.25, 3: 0.25}, {0: 0.4, 1: 0.1, 2: 0.25, 3: 0.25}]
"""The mean of four pages is .25. Sums: .9, 1.1, .5, .5. At least the mean: 2, 1, 2 and 2 times."""


def test_scissorhands_counts_how_often_h2o_how_much() -> None:
    assert order("scissorhands", REPEATED, 4, recent=0.0) == [1, 0, 2, 3]
    assert order("h2o", REPEATED, 4, recent=0.0) == [2, 3, 0, 1]


def test_scissorhands_forgets_what_lies_before_its_history() -> None:
    """Page 1 is important in the first three steps, the others in the last two."""
    looks = [{1: 1.0}, {1: 1.0}, {1: 1.0}, *REPEATED[1:]]
    assert order("scissorhands", looks, 4, recent=0.0)[0] == 0
    assert order("scissorhands", looks, 4, recent=0.0, history=2)[0] == 1


POOLED = {1: 0.4, 3: 0.1, 4: 0.1, 5: 0.1, 6: 0.1, 7: 0.2}


@pytest.mark.parametrize(
    ("pool", "first"),
    [
        (0, [0, 2, 3]),  # 0, .4, 0, .1, .1, .1
        (1, [3, 4, 5]),  # .4, .4, .4, .1, .1, .1; without 3 page 2 is next to 4, and 1 still next to 2
        (2, [4, 5, 0]),  # .4, .4, .4, .4, .1, .2 (7 is near 5); without these two all have .4: the oldest
    ],
)
def test_snapkv_takes_the_largest_sum_in_the_neighbourhood(pool: int, first: list[int]) -> None:
    """Pages 6 and 7, a quarter of eight, are kept for being the newest, and of seven, six and five too."""
    assert order("snapkv", [POOLED], 8, pool=pool)[:3] == first


def test_snapkv_sums_its_last_observations_only() -> None:
    """Sums .9, .3, .2, .4; of the last two steps 0, .3, .2, .4."""
    looks = [{0: 0.9}, {1: 0.3, 2: 0.1}, {2: 0.1, 3: 0.4}]
    assert order("snapkv", looks, 4, pool=0, recent=0.0) == [2, 1, 3, 0]
    assert order("snapkv", looks, 4, pool=0, recent=0.0, observations=2) == [0, 2, 1, 3]


@pytest.mark.parametrize("name", ["h2o", "scissorhands", "snapkv", "learned"])
def test_reads_count_until_attention_is_told(name: str) -> None:
    """Page 0 is read twice, page 1 once; then page 1 receives all attention, and reads are forgotten."""
    tier = LossyTier(name, 2, recent=0.0, **({"pool": 0} if name == "snapkv" else {}))
    tier.bear([0, 1])
    for pages in ([0, 1], [0]):
        tier.step += 1
        tier.policy.accessed(pages, 0)
    assert tier.policy.victim(0) == 1
    tier.attend({1: 1.0})
    assert tier.policy.victim(0) == 0


def test_h2o_keeps_a_heavy_hitter_through_a_scan_that_empties_lru(tmp_path: Path) -> None:
    """Tier 0 holds four pages. Of every five steps the first reads page H, with .9 of the attention, the
    others a new page each, with .1. Four new pages push H out of lru's tier before it is read again:
    nothing is ever hit. h2o keeps the two newest, and of the other two not H: it has .9 or more, they
    have .1. So of ten reads of H nine are hits, which is 8.1 of the mass; the rest cannot be hit by
    anyone."""
    rows = [
        PageRow(1, step, "H" if step % 5 == 0 else f"cold {step}", layer=0, bytes=8,
                mass=0.9 if step % 5 == 0 else 0.1)
        for step in range(50)
    ]  # fmt: skip
    write_pages(tmp_path / "t.jsonl", rows)
    hits = {}
    for name in ("lru", "h2o"):
        result = simulate(
            Scenario.model_validate(
                {
                    "name": "scan",
                    "hierarchy": {
                        "tiers": [{"name": "near", "capacity": "32 B"}, {"name": "far", "capacity": "1 kB"}],
                        "links": [{"name": "wire", "between": ("near", "far"), "bandwidth": "1 GB/s"}],
                    },
                    "workload": {"kind": "replay", "path": str(tmp_path / "t.jsonl")},
                    "policy": {"eviction": name},
                    "execution": {"compute_time": "1 us"},
                }
            )
        )
        hits[name] = result.tiers[0].found
    assert hits == {"lru": 0, "h2o": 9}


# -- those that learn --------------------------------------------------------------------------


def test_learned_keeps_more_of_a_loop_than_chance_and_lru() -> None:
    """30 pages in a circle, room for 20. lru misses always. The best is to give up the page just read:
    then 19 of the 29 others are hits. What will be read soon was read long ago: that is there to be
    learned."""
    reads = [at % 30 for at in range(3000)]
    best = 3000 * 10 / 29
    assert misses("lru", 20, reads) == 3000
    assert misses("learned", 20, reads) < 1.1 * best
    assert misses("random", 20, reads) > 1.4 * best


def heavy(newest: int) -> dict[int, float]:
    """The first page and the newest matter, and three early pages for ever."""
    return {0: 0.1, 2: 0.15, 3: 0.15, 4: 0.15, newest: 0.3}


def moving(newest: int) -> dict[int, float]:
    """The first page and the seven newest matter."""
    return dict.fromkeys((0, *range(newest - 6, newest + 1)), 0.1)


def lost(tier: LossyTier, mass: Callable[[int], Masses], births: range) -> float:
    """Attention to pages that are gone, summed over steps each of which bears a page."""
    missed = 0.0
    for page in births:
        tier.bear([page])
        wanted = mass(page)
        missed += sum(wanted[p] for p in wanted if p <= page) - tier.attend(wanted)
    return missed


def test_switching_ends_on_the_policy_that_keeps_the_attention() -> None:
    """Room for 16 pages. Heavy hitters: streaming loses .45 of .85 a step from the 19th on, h2o nothing.
    A moving window: streaming loses nothing; in half the room h2o keeps the four newest, and old pages
    for what they have received for the others: it loses some of the seven."""
    assert lost(LossyTier("streaming", 16), heavy, range(100)) > 0.4 * 80
    assert lost(LossyTier("h2o", 16), heavy, range(100)) == pytest.approx(0)
    tier = LossyTier("switching", 16)
    assert isinstance(tier.policy, Switching)
    assert tier.policy.leader == "streaming"
    assert lost(tier, heavy, range(100)) == pytest.approx(0)
    assert tier.policy.leader == "h2o"
    assert {0, 2, 3, 4} <= set(tier.held)
    lost(tier, moving, range(100, 300))
    assert tier.policy.leader == "streaming"
    assert tier.held == [0, *range(285, 300)]


def test_switching_does_as_its_leader_does() -> None:
    """h2o leads from the first eviction on, so the pages that leave are those that h2o alone lets go."""
    tiers = [LossyTier(name, 16) for name in ("switching", "h2o")]
    for tier in tiers:
        lost(tier, heavy, range(100))
    assert tiers[0].left == tiers[1].left


def test_switching_learns_from_pages_that_come_back() -> None:
    """Five pages read in turn, every second time, the others at random: streaming keeps none of the five
    but the first. Who keeps them has misses at the 2,000 other reads at most, less those of the 60 that
    are there."""
    others = [5 + (at * 37) % 60 for at in range(2000)]
    reads = [page for at, other in enumerate(others) for page in (at % 5, other)]
    assert misses("streaming", 12, reads) > 1.4 * misses("h2o", 12, reads)
    assert misses("switching", 12, reads) < 1.05 * misses("h2o", 12, reads)
