"""The preallocated pool: streams by hand, and what holds for all of them."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.analysis.address_space import AddressSpace
from kvsim.analysis.allocation import Allocation, Doubling, Paged, Request, Reserved
from kvsim.analysis.pool import PoolRun, run_pool

STREAMS = st.lists(
    st.builds(
        lambda arrival, length, prompt, output: Request(arrival, arrival + length, prompt, output),
        st.integers(0, 60), st.integers(1, 40), st.integers(1, 12), st.integers(0, 14),
    ),
    max_size=12,
)  # fmt: skip
ALLOCATIONS = st.sampled_from(
    [
        Paged(1),
        Paged(4),
        Reserved("maximum", 26),
        Reserved("power_of_two", 26),
        Reserved("exact", 26),
        Doubling(),
    ]
)


def rows(run: PoolRun) -> list[tuple[int, ...]]:
    """Moment, used, reserved, internal, external."""
    columns = (run.times, run.used, run.reserved, run.internal, run.external)
    return list(zip(*(column.tolist() for column in columns), strict=True))


# One request: 3 tokens of prompt at 0, then 3 of output at 10, 20, 30, gone at 40.
ONE = Request(0, 40, 3, 3)


def test_blocks_are_taken_as_tokens_come() -> None:
    # blocks of 4: one for tokens 1-4, a second at 20 for the fifth; the last two slots are never used
    run = run_pool([ONE], Paged(4))
    assert rows(run) == [(0, 3, 1, 0, 0), (20, 5, 1, 2, 0), (40, 0, 0, 0, 0)]
    assert run.peak == 8
    # tokens over time: 3 x 10, 4 x 10, 5 x 10, 6 x 10; slots of the second block that stay empty: 2 x 20;
    # slots used later: the fourth for 10, the sixth for 10
    assert (run.mean.used, run.mean.internal, run.mean.reserved) == (180 / 40, 40 / 40, 20 / 40)
    assert run.mean.total == (4 * 20 + 8 * 20) / 40


def test_the_maximum_is_reserved_for_everybody() -> None:
    # 10 slots: 3 used at first, 3 later, 4 never
    run = run_pool([ONE], Reserved("maximum", 10))
    assert rows(run) == [(0, 3, 3, 4, 0), (40, 0, 0, 0, 0)]
    assert run.peak == 10
    # reserved: the slots of the tokens at 10, 20 and 30, until then
    assert (run.mean.used, run.mean.reserved, run.mean.internal) == (180 / 40, 60 / 40, 4)


def test_the_next_power_of_two_is_reserved_for_the_output() -> None:
    # 3 + 4: one slot of the four is never used; what is known exactly wastes nothing for good
    assert rows(run_pool([ONE], Reserved("power_of_two", 100)))[0] == (0, 3, 3, 1, 0)
    assert rows(run_pool([ONE], Reserved("power_of_two", 6)))[0] == (
        0,
        3,
        3,
        0,
        0,
    )  # no more than the maximum
    assert rows(run_pool([ONE], Reserved("exact", 100)))[0] == (0, 3, 3, 0, 0)
    # Kwon et al.: for 25 tokens of output 32 are reserved
    assert run_pool([Request(0, 1, 7, 25)], Reserved("power_of_two", 2048)).peak == 7 + 32


def test_doubling_holds_old_and_new_while_it_copies() -> None:
    # 4 slots for the prompt of 3 (0-3); at 20 the fifth token takes 8 more (4-11), copies 4, frees the old
    run = run_pool([ONE], Doubling())
    assert rows(run) == [(0, 3, 1, 0, 0), (20, 5, 1, 2, 4), (40, 0, 0, 0, 0)]
    assert run.peak == 12
    assert run.copied == 4


def test_what_lies_between_requests_is_external() -> None:
    # a at 0-3, b at 4-9, c at 10-12; b goes at 10; d of 4 slots takes its place at 20: 4-7, 8-9 stay empty
    a, b, c = Request(0, 50, 4, 0), Request(1, 10, 6, 0), Request(2, 50, 3, 0)
    d = Request(20, 50, 4, 0)
    run = run_pool([a, b, c, d], Reserved("exact", 10))
    external = {moment: gap for moment, *_, gap in rows(run)}
    assert external == {0: 0, 1: 0, 2: 0, 10: 6, 20: 2, 50: 0}
    assert run.peak == 13
    assert run.mean.external == (10 * 6 + 30 * 2) / 50


def test_a_request_is_refused_though_there_are_slots_enough() -> None:
    # a at 0-3, b at 4-7, c at 8-10; when b is gone, 4-7 and 11-12 are free: 6 in all, but no 5 in a row for d
    a, b, c = Request(0, 50, 4, 0), Request(1, 10, 4, 0), Request(2, 50, 3, 0)
    stream = [a, b, c, Request(20, 50, 5, 0)]
    run = run_pool(stream, Reserved("exact", 10), capacity=13)
    assert (run.refused, run.fragmented, run.refused_share) == (1, 1, 0.25)
    paged = run_pool(stream, Paged(1), capacity=13)
    assert (paged.refused, paged.peak) == (0, 12)
    small = run_pool([a, b, c], Reserved("exact", 10), capacity=10)
    assert (small.refused, small.fragmented) == (1, 0)  # c wants 3 of 2


def test_a_request_that_cannot_grow_is_dropped_and_gives_back_what_it_has() -> None:
    # both have a block of 4 at first and need a second at 20; the first gets the last block, the other none
    run = run_pool([ONE, ONE], Paged(4), capacity=15)  # three whole blocks
    assert (run.refused, run.dropped, run.fragmented, run.refused_share) == (0, 1, 0, 0.5)
    assert rows(run) == [(0, 6, 2, 0, 0), (20, 5, 1, 2, 0), (40, 0, 0, 0, 0)]
    assert run.peak == 12


def test_who_ends_makes_room_for_who_comes_at_that_moment() -> None:
    stream = [Request(0, 10, 5, 0), Request(10, 20, 5, 0)]
    assert run_pool(stream, Reserved("exact", 5)).peak == 5


def test_little_of_a_reserved_maximum_is_ever_used_and_most_of_a_block_is() -> None:
    """Requests at a steady pace: each has, on average over its time, its prompt and half of its output."""
    stream = [Request(10 * start, 10 * start + 1000, 100, 99) for start in range(300)]
    reserved = run_pool(stream, Reserved("maximum", 2048))
    mean = reserved.mean
    assert mean.used / mean.internal == pytest.approx((100 + 99 / 2) / (2048 - 199), rel=1e-3)
    assert mean.reserved / mean.internal == pytest.approx((99 / 2) / (2048 - 199), rel=1e-3)
    paged = run_pool(stream, Paged(16)).mean
    assert paged.used == mean.used
    # less than a block of 16 is empty, on average about half of it
    assert paged.total - paged.used == pytest.approx(100 * 7.5 * 3000 / 3990, rel=0.1)
    assert reserved.peak == 100 * 2048  # a new one comes when the hundredth before it goes


@given(STREAMS, ALLOCATIONS, st.none() | st.integers(0, 120))
def test_used_and_wasted_slots_are_all_there_is(
    stream: list[Request], allocation: Allocation, capacity: int | None
) -> None:
    run = run_pool(stream, allocation, capacity)
    for column in (run.used, run.reserved, run.internal, run.external):
        assert all(value >= 0 for value in column.tolist())
        assert not len(column) or column[-1] == 0  # all is given back
    total = run.used + run.reserved + run.internal + run.external
    assert run.peak >= max(total.tolist(), default=0)
    assert capacity is None or run.peak <= capacity
    if isinstance(allocation, Paged):
        assert not run.external.any()
        assert run.fragmented == 0
    assert all(first < second for first, second in pairwise(run.times.tolist()))
    assert run.refused + run.dropped <= run.requests == len(stream)


@given(STREAMS, ALLOCATIONS)
def test_the_peak_is_the_smallest_pool_that_serves_everybody(
    stream: list[Request], allocation: Allocation
) -> None:
    peak = run_pool(stream, allocation).peak
    assert run_pool(stream, allocation, peak).refused_share == 0
    if peak:
        assert run_pool(stream, allocation, peak - 1).refused_share > 0


@given(STREAMS, ALLOCATIONS)
def test_tokens_are_counted_alike_by_the_definition(stream: list[Request], allocation: Allocation) -> None:
    """Nobody is refused: then at each moment, and on average, the tokens are those of the requests."""
    run = run_pool(stream, allocation)

    def tokens(request: Request, now: int) -> int:
        if not request.arrival <= now < request.end:
            return 0
        return request.prompt + sum(request.gained(n) <= now for n in range(1, request.output + 1))

    for moment, used, reserved, *_ in rows(run):
        assert used == sum(tokens(request, moment) for request in stream)
        here = [request for request in stream if request.arrival <= moment < request.end]
        later = sum(request.tokens - tokens(request, moment) for request in here)
        if isinstance(allocation, Reserved):
            assert reserved == later
        else:
            assert reserved <= later
    if stream:
        first, last = min(r.arrival for r in stream), max(r.end for r in stream)
        by_tick = sum(tokens(request, now) for request in stream for now in range(first, last))
        assert run.mean.used == pytest.approx(by_tick / (last - first))


@given(STREAMS, st.integers(1, 8))
def test_a_block_wastes_less_than_itself_a_request(stream: list[Request], block: int) -> None:
    run = run_pool(stream, Paged(block))
    for moment, used, reserved, internal, _ in rows(run):
        here = sum(request.arrival <= moment < request.end for request in stream)
        assert reserved + internal <= here * (block - 1)
        assert (used + reserved + internal) % block == 0


@given(st.data())
def test_slots_that_are_free_are_never_in_use_and_first_fit_is_the_lowest(data: st.DataObject) -> None:
    capacity = data.draw(st.integers(1, 40))
    space, owner = AddressSpace(capacity), [False] * capacity
    held: dict[int, int] = {}
    for _ in range(data.draw(st.integers(0, 30))):
        if data.draw(st.booleans()) and held:
            start = data.draw(st.sampled_from(sorted(held)))
            size = held.pop(start)
            space.give(start, size)
            owner[start : start + size] = [False] * size
        else:
            size = data.draw(st.integers(1, 12))
            fits = [at for at in range(capacity - size + 1) if not any(owner[at : at + size])]
            start_or_none = space.take(size)
            assert start_or_none == (fits[0] if fits else None)
            if start_or_none is not None:
                held[start_or_none] = size
                owner[start_or_none : start_or_none + size] = [True] * size
        free = {slot for start, size in space.gaps for slot in range(start, start + size)}
        assert free == {slot for slot in range(capacity) if not owner[slot]}
        assert all(first[0] + first[1] < second[0] for first, second in pairwise(space.gaps))
        assert (space.taken, space.free) == (sum(owner), capacity - sum(owner))
        assert space.extent == max((slot + 1 for slot in range(capacity) if owner[slot]), default=0)


def test_output_tokens_come_evenly_also_over_days() -> None:
    day = 86_400 * 10**12
    request = Request(7, 7 + 30 * day, 1, 99_999)
    births = request.births(request.end)
    assert births.tolist()[::11_111] == [request.gained(number) for number in range(1, 100_000, 11_111)]
    assert births[-1] == 7 + 99_999 * 30 * day // 100_000
    assert len(request.births(7 + 15 * day)) == ceil(100_000 / 2) - 1


def test_a_stream_of_nobody_takes_nothing() -> None:
    run = run_pool([], Paged(16))
    assert (run.peak, run.refused_share, run.mean.total, rows(run)) == (0, 0, 0, [])


def test_requests_that_make_no_sense_are_refused() -> None:
    for arguments in ((5, 5, 1, 0), (0, 5, 0, 3), (0, 5, 1, -1)):
        with pytest.raises(ValueError, match="ends after it arrives"):
            Request(*arguments)
    with pytest.raises(ValueError, match="before the clock does"):
        Request(0, 2**63, 1, 0)
    with pytest.raises(ValueError, match="6 tokens is above the maximum of 5"):
        run_pool([ONE], Reserved("maximum", 5))
