"""Miss ratio against capacity: against Mattson's stack, the policies, and published hit rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.analysis.mrc import (
    FIRST,
    dense,
    flat_misses,
    lru_misses,
    miss_ratios,
    reuse_distances,
    sizes_to_show,
)
from kvsim.errors import RegistryError
from kvsim.policies.base import EvictionPolicy
from kvsim.workloads.page_trace import read_pages

PUBLISHED = Path(__file__).parents[3] / "shared" / "traces" / "mooncake_synthetic.jsonl"
traces = st.lists(st.integers(0, 12), max_size=80).map(lambda pages: np.array(pages, dtype=np.int64))


def by_stack(pages: list[int]) -> list[int]:
    """Mattson's own way: the depth of the page in a stack of pages by recency."""
    stack: list[int] = []
    depths = []
    for page in pages:
        depths.append(stack.index(page) + 1 if page in stack else FIRST)
        if page in stack:
            stack.remove(page)
        stack.insert(0, page)
    return depths


@given(pages=traces)
def test_reuse_distances_are_depths_in_the_stack(pages: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    assert reuse_distances(pages).tolist() == by_stack(pages.tolist())


@given(pages=traces, capacity=st.integers(1, 13))
def test_one_pass_agrees_with_the_policy_at_every_size(
    pages: np.ndarray[tuple[int], np.dtype[np.int64]], capacity: int
) -> None:
    misses = lru_misses(pages)
    assert misses[0] == len(pages)
    assert misses[min(capacity, len(misses) - 1)] == flat_misses("lru", pages, capacity)


def test_reuse_distances_of_a_longer_trace() -> None:
    pages = np.random.default_rng(1).zipf(1.3, 3000) % 500
    assert reuse_distances(pages).tolist() == by_stack(pages.tolist())


class Clairvoyant(EvictionPolicy):
    """Evicts what is read last of all; made here to see that the future is told."""

    name = "clairvoyant"
    needs_future = True

    def accessed(self, pages: object, tier: int) -> None:
        pass

    def inserted(self, page: int, tier: int) -> None:
        self.__dict__.setdefault("pages", set()).add(page)

    def removed(self, page: int, tier: int) -> None:
        self.__dict__["pages"].remove(page)

    def victim(self, tier: int) -> int:
        return max(self.contents(tier), key=self.future.next_read)

    def contents(self, tier: int) -> set[int]:
        pages: set[int] = self.__dict__["pages"]
        return pages


def test_a_policy_that_needs_the_future_is_told() -> None:
    pages = dense([7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1])  # Silberschatz's example
    assert flat_misses("lru", pages, 3) == 12
    assert flat_misses("analysis.test_mrc:Clairvoyant", pages, 3) == 9


def test_pages_are_numbered_in_order_of_appearance() -> None:
    assert dense(["x", 3, "x", "3"]).tolist() == [0, 1, 0, 2]
    assert dense([]).tolist() == []


def test_sizes_are_spread_from_one_page_to_all() -> None:
    assert sizes_to_show(1000, 4) == [1, 10, 100, 1000]
    assert sizes_to_show(3, 16) == [1, 2, 3]


def test_what_cannot_be_is_refused() -> None:
    pages = dense([1])
    with pytest.raises(ValueError, match="at least 1 page, not 0"):
        flat_misses("lru", pages, 0)
    with pytest.raises(RegistryError, match="did you mean 'lru'"):
        flat_misses("lur", pages, 1)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/traces/mooncake_synthetic.jsonl")
def test_the_published_trace_gives_the_published_hit_rates() -> None:
    pages = dense(row.page for row in read_pages(PUBLISHED))
    ratios = miss_ratios("lru", pages, (1_000, 5_859, 10_000, 30_000, 50_000))
    assert [round(1 - ratio, 4) for ratio in ratios] == [0.0825, 0.3094, 0.4235, 0.6242, 0.6396]
