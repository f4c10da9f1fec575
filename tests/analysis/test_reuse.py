"""Reuse and foresight: little traces by hand, and naive stacks and rankings for any trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kvsim.analysis import foresight as foresight_module
from kvsim.analysis.foresight import DEPTH, FrequencyRank, MarkovRank, Predictor, RegretRank, foresight
from kvsim.analysis.mrc import FIRST, dense, lru_misses, reuse_distances
from kvsim.analysis.reuse import (
    PageReads,
    Spread,
    analyse,
    page_reads,
    reuse_gaps,
    stack_distances,
)
from kvsim.reporting.reuse import reuse_json, reuse_tables
from kvsim.workloads.page_trace import PageRow

Ints = NDArray[np.int64]
traces = st.lists(st.integers(0, 9), max_size=60)


def array(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def reads_of(pages: Sequence[int], **more: Ints) -> PageReads:
    """Reads of one step each."""
    told = {"layers": None, "head_groups": None, **more}
    return PageReads(dense(pages), np.arange(len(pages)), told["layers"], told["head_groups"])


def ranks(predictor: Predictor, pages: Sequence[int]) -> list[int]:
    return [predictor.read(page, time) for time, page in enumerate(pages)]


# --- distances ------------------------------------------------------------------------------------------


def test_distances_and_gaps_by_hand() -> None:
    # a b c b a a: b has c between, a has b and c, then nothing.
    pages = array([0, 1, 2, 1, 0, 0])
    assert stack_distances(pages).tolist() == [FIRST, FIRST, FIRST, 1, 2, 0]
    assert reuse_gaps(pages, np.arange(6)).tolist() == [FIRST, FIRST, FIRST, 2, 4, 1]
    # In steps of two reads: b from step 0 to 1, a from 0 to 2, then within step 2.
    assert reuse_gaps(pages, array([0, 0, 1, 1, 2, 2])).tolist() == [FIRST, FIRST, FIRST, 1, 2, 0]


@given(traces)
def test_distances_are_those_of_a_naive_stack(pages: list[int]) -> None:
    stack: list[int] = []
    expected = []
    for page in pages:
        expected.append(stack.index(page) if page in stack else FIRST)
        stack = [page, *(other for other in stack if other != page)]
    assert stack_distances(array(pages)).tolist() == expected


@given(traces)
def test_gaps_are_those_of_a_naive_search(pages: list[int]) -> None:
    expected = []
    for now, page in enumerate(pages):
        before = [time for time in range(now) if pages[time] == page]
        expected.append(now - before[-1] if before else FIRST)
    assert reuse_gaps(array(pages), np.arange(len(pages))).tolist() == expected


def test_a_loop_has_one_distance() -> None:
    # N pages, 100 times round: N - 1 others between, so rank N by recency; each successor is known from
    # the second time round on.
    size, rounds = 10, 100
    found = analyse(reads_of([*range(size)] * rounds))
    assert found.total.distance == Spread(
        mean=size - 1, p50=size - 1, p90=size - 1, p99=size - 1, max=size - 1
    )
    assert found.total.gap_reads == Spread(mean=size, p50=size, p90=size, p99=size, max=size)
    again = (rounds - 1) * size
    recency, frequency, _, markov = found.predictors
    assert recency.reciprocal_rank == pytest.approx(again / size / (rounds * size))
    assert recency.hit_rates == (0.0, 0.0, again / (rounds * size))
    known = (again - 1) / (rounds * size)  # nobody has seen yet what follows the last page
    assert markov.hit_rates == (known, known, known)
    assert markov.reciprocal_rank == pytest.approx(0.989)
    # All are read equally often: the one read longest ago is last of those that have been read as often.
    assert frequency.hit_rates[0] == 0


def test_positions_add_up_to_what_lru_hits() -> None:
    # a b c b a a d: positions 2, 3, 1.
    found = analyse(reads_of([0, 1, 2, 1, 0, 0, 3])).positions
    assert [(each.low, each.high) for each in found] == [(1, 1), (2, 2), (3, 4)]
    assert [each.share for each in found] == [1 / 7, 1 / 7, 1 / 7]
    assert [each.each for each in found] == [1 / 7, 1 / 7, 1 / 14]
    assert [each.hit_rate for each in found] == [1 / 7, 2 / 7, 3 / 7]


@given(traces)
def test_hit_rates_of_positions_are_those_of_lru(pages: list[int]) -> None:
    misses = lru_misses(dense(pages))
    for each in analyse(reads_of(pages)).positions:
        missed = int(misses[min(each.high, len(misses) - 1)])
        assert each.hit_rate == (len(pages) - missed) / len(pages)


# --- classes --------------------------------------------------------------------------------------------


def row(step: int, page: int | str, layer: int | None = None, group: int | str | None = None) -> PageRow:
    return PageRow(1, step, page, layer, group)


def test_classes_are_what_the_trace_tells() -> None:
    plain = [row(step, page) for step, page in enumerate("abab")]
    groups: tuple[int | str, ...] = ("x", 10, 9, 10)
    grouped = [row(step, step % 2, 0, group) for step, group in enumerate(groups)]
    layered = [row(step, step % 2, step % 2, "x") for step in range(4)]
    found = [analyse(page_reads(rows)) for rows in (plain, grouped, layered)]
    assert [each.by for each in found] == ["popularity", "head_group", "layer"]
    assert [each.name for each in found[1].classes] == ["9", "10", "x"]
    assert [each.name for each in found[2].classes] == ["0", "1"]
    with pytest.raises(ValueError, match="does not tell the head group of every read"):
        analyse(page_reads([row(0, 1, 0, 1), row(0, 2, 0)]), "head_group")


def test_classes_share_the_reads_but_not_the_distances() -> None:
    # Layer 0 reads a, layer 1 reads b and c in turn: between two reads of a is one other page, between two
    # of b there are a and c.
    rows = [row(step, page, layer) for step in range(4) for layer, page in ((0, 0), (1, 1 + step % 2))]
    found = analyse(page_reads(rows))
    first, second = found.classes
    assert (found.steps, found.total.reads, first.reads, second.reads) == (4, 8, 4, 4)
    assert (first.pages, first.first_reads, second.pages, second.first_reads) == (1, 1, 2, 2)
    assert first.distance == Spread(1, 1, 1, 1, 1)
    assert second.distance == Spread(2, 2, 2, 2, 2)
    assert first.gap_reads == Spread(2, 2, 2, 2, 2)
    assert second.gap_steps == Spread(2, 2, 2, 2, 2)


def test_popularity_classes_are_tenths_of_the_pages() -> None:
    # Page p of 20 is read 20 - p times: the top tenth are pages 0 and 1, with 20 + 19 of the 210 reads.
    pages = [page for page in range(20) for _ in range(20 - page)]
    found = analyse(reads_of(pages)).classes
    assert [each.name for each in found[:2]] == ["top 10%", "to 20%"]
    assert [each.pages for each in found] == [2] * 10
    assert [each.reads for each in found] == [39, 35, 31, 27, 23, 19, 15, 11, 7, 3]
    assert found[-1].first_reads == 2
    assert analyse(reads_of([4, 4])).classes[0].name == "top 10%"


def test_spreads_are_of_observed_values() -> None:
    # Ten gaps 1 … 10: the nearest ranks of 50, 90 and 99 % are the 5th, 9th and 10th.
    pages = [page for page in range(10) for _ in range(2)]
    times = np.cumsum(array([step for gap in range(1, 11) for step in (0, gap)]))
    found = analyse(PageReads(array(pages), times, None, None)).total.gap_steps
    assert found == Spread(mean=5.5, p50=5, p90=9, p99=10, max=10)


# --- foresight ------------------------------------------------------------------------------------------


def test_frequency_ranks_by_hand() -> None:
    # a a b a b c b b: before each read, by count and then by recency:
    # -; a; a; a b; a b; a b; a b c (b second); b and a have 3 each, b is the later one.
    assert ranks(FrequencyRank(), [0, 0, 1, 0, 1, 2, 1, 1]) == [0, 1, 0, 1, 2, 0, 2, 1]


def test_markov_ranks_by_hand() -> None:
    # a b a c a b a b: after a come b; b; c, b (c is later); then b has 2.
    assert ranks(MarkovRank(), [0, 1, 0, 2, 0, 1, 0, 1]) == [0, 0, 0, 0, 0, 2, 1, 1]


def test_regret_ranks_by_hand() -> None:
    # A window of 2 pages: a leaves when c enters (time 2) and is read again 1 later: regret 2 - 1 + 1. That
    # pushes b out (3), which comes back at once too (4), c (4, 5) and a (5, 6) as well. Nobody was ranked
    # before; at 6 the order is c, b, a.
    assert ranks(RegretRank(2), [0, 1, 2, 0, 1, 2, 0, 0]) == [0, 0, 0, 0, 0, 0, 3, 1]
    # 3 reads after leaving is more than 2: too late for regret.
    assert ranks(RegretRank(2), [0, 1, 2, 1, 2, 0, 0]) == [0] * 7


def naive_ranks(pages: list[int], weigh: Callable[[list[int], int], Fraction | int]) -> list[int]:
    """Sort all pages by what they weigh in the past, then by when they were read last, at every read."""
    found = []
    for now, page in enumerate(pages):
        past = pages[:now]
        weights = {other: weigh(past, other) for other in set(past)}
        last = {other: now - past[::-1].index(other) for other in weights}
        order = sorted((p for p in weights if weights[p]), key=lambda p: (weights[p], last[p]), reverse=True)
        found.append(order[:DEPTH].index(page) + 1 if page in order[:DEPTH] else 0)
    return found


@pytest.mark.parametrize("depth", [2, 64])
@given(pages=traces)
def test_frequency_agrees_with_sorting_all_pages(depth: int, pages: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foresight_module, "DEPTH", depth)
        found = ranks(FrequencyRank(), pages)
    expected = naive_ranks(pages, lambda past, page: past.count(page))
    assert found == [rank if rank <= depth else 0 for rank in expected]


@given(pages=traces, window=st.integers(1, 6))
def test_regret_agrees_with_replaying_the_window(pages: list[int], window: int) -> None:
    def regret(past: list[int], page: int) -> int:
        inside: list[int] = []
        left = total = 0
        for now, other in enumerate(past):
            if other == page and page not in inside and page in past[:now]:
                total += max(0, window - (now - left) + 1)
            inside = [*(kept for kept in inside if kept != other), other]
            if len(inside) > window and inside.pop(0) == page:
                left = now
        return total

    assert ranks(RegretRank(window), pages) == naive_ranks(pages, regret)


@given(pages=traces)
def test_markov_agrees_with_counting_pairs(pages: list[int]) -> None:
    expected = []
    for now, page in enumerate(pages):
        after = [later for earlier, later in pairwise(pages[:now]) if earlier == pages[now - 1]]
        seen = {other: (after.count(other), len(after) - after[::-1].index(other)) for other in after}
        order = sorted(seen, key=lambda other: seen[other], reverse=True)
        expected.append(order.index(page) + 1 if page in order else 0)
    assert ranks(MarkovRank(), pages) == expected


def test_scores_count_every_read() -> None:
    # a b a a: recency ranks -, -, 2, 1; markov knows nothing of what follows b, then nothing but b after a.
    found = {each.name: each for each in foresight(array([0, 1, 0, 0]), reuse_distances(array([0, 1, 0, 0])))}
    assert list(found) == ["recency", "frequency", "regret", "markov"]
    assert found["recency"].reciprocal_rank == (1 / 2 + 1) / 4
    assert found["recency"].hit_rates == (1 / 4, 2 / 4, 2 / 4)
    assert found["markov"].hit_rates == (0.0, 0.0, 0.0)


def test_ranks_beyond_the_depth_do_not_count() -> None:
    # A loop of one page more than the depth: no recency and no frequency rank is ever small enough.
    pages = dense([*range(DEPTH + 1)] * 4)
    found = {each.name: each for each in foresight(pages, reuse_distances(pages))}
    assert found["recency"].hit_rates[-1] == 0
    assert found["markov"].hit_rates[0] > 0.7


def test_an_empty_trace_has_no_figures() -> None:
    found = analyse(page_reads([]))
    assert (found.by, found.classes, found.positions) == ("popularity", (), ())
    assert (found.total.reads, found.total.distance) == (0, None)
    assert [each.reciprocal_rank for each in found.predictors] == [0] * 4
    assert [table.row_count for table in reuse_tables(found)] == [1, 0, 4]
    assert reuse_json(found) == reuse_json(analyse(page_reads([])))
