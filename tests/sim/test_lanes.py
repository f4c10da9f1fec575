"""Lanes: who is served when. Sizes are such that 1 byte takes 1 tick unless a test says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment

from kvsim.scenario.hierarchy import LinkSpec
from kvsim.sim.link import Link, LinkTransfer
from kvsim.sim.records import TransferClass
from kvsim.sim.shared import Pool, share_out

DEMAND, WRITE_BACK, PREFETCH = TransferClass.DEMAND, TransferClass.WRITE_BACK, TransferClass.PREFETCH
BYTE_A_TICK = "1000000000000 B/s"  # 10^12 bytes per second: one byte a picosecond


def spec(**settings: Any) -> LinkSpec:
    return LinkSpec.model_validate(
        {"name": "link", "between": ("near", "far"), "bandwidth": BYTE_A_TICK, **settings}
    )


def arrivals(link: Link, requests: list[tuple[int, int, str, TransferClass]]) -> list[int]:
    """Tick at which each (at, size, direction, class) has arrived."""
    done = [-1] * len(requests)

    def ask(number: int, at: int, size: int, direction: str, cls: TransferClass) -> Any:
        yield link.env.timeout(at)
        transfer = yield link.transfer(size, direction, cls)
        assert isinstance(transfer, LinkTransfer)
        done[number] = int(link.env.now)

    for number, request in enumerate(requests):
        link.env.process(ask(number, *request))
    link.env.run()
    return done


def run(
    requests: list[tuple[int, int, str, TransferClass]], shared: bool = False, **settings: Any
) -> list[int]:
    env = Environment()
    return arrivals(Link(env, spec(**settings), shared=shared), requests)


def up(at: int, size: int, cls: TransferClass = DEMAND) -> tuple[int, int, str, TransferClass]:
    return at, size, "up", cls


def test_a_transfer_takes_setup_then_service_then_latency() -> None:
    assert run([up(5, 100)], setup="7 ps", latency="11 ps") == [5 + 7 + 100 + 11]


def test_fifo_serves_in_order_of_arrival_and_latency_occupies_nothing() -> None:
    assert run([up(0, 100), up(10, 50)], latency="1000 ps") == [1100, 1150]


def test_full_duplex_directions_do_not_meet_but_half_duplex_ones_do() -> None:
    requests = [up(0, 100), (0, 100, "down", DEMAND)]
    assert run(requests) == [100, 100]
    assert run(requests, duplex="half") == [100, 200]


def test_each_direction_has_its_own_bandwidth() -> None:
    half = "500000000000 B/s"
    assert run([up(0, 100), (0, 100, "down", DEMAND)], bandwidth_down=half) == [100, 200]


def test_service_time_is_rounded_up_to_a_whole_tick() -> None:
    assert run([up(0, 1)], bandwidth="300000000000 B/s") == [4]  # 3.33 ticks


def test_channels_of_their_own_bandwidth_serve_side_by_side() -> None:
    half = "500000000000 B/s"
    # each at half speed; the third starts when the first ends
    assert run([up(0, 100), up(0, 100), up(0, 50)], channels=2, channel_bandwidth=half) == [200, 200, 300]


def test_copy_engines_share_the_bandwidth_and_hide_each_others_setup() -> None:
    # alone: 40 set-up + 100. Two engines: both set up until 40, then share until both end at 240;
    # one engine would need 280.
    assert run([up(0, 100), up(0, 100)], channels=2, setup="40 ps") == [240, 240]
    # the second's set-up (10..50) runs while the first moves 0..100 at full speed until 50
    assert run([up(0, 100), up(10, 100)], channels=2, setup="40 ps") == [40 + 10 + 2 * 90, 240]


def test_priority_serves_the_most_urgent_first_but_does_not_interrupt_without_chunks() -> None:
    requests = [up(0, 100, PREFETCH), up(1, 100, PREFETCH), up(2, 100, DEMAND), up(3, 10, WRITE_BACK)]
    assert run(requests, arbitration="priority") == [100, 310, 200, 210]


def test_a_demand_overtakes_at_the_next_chunk_boundary_and_the_rest_resumes_without_setup() -> None:
    # prefetch: set-up 5, chunks end at 30, 55, ...; the demand (set-up 5 + 50) runs 30..85, the rest of
    # the prefetch (75 bytes) 85..160
    requests = [up(0, 100, PREFETCH), up(10, 50, DEMAND)]
    assert run(requests, arbitration="priority", chunk="25 B", setup="5 ps") == [160, 85]


def test_an_equal_class_never_interrupts() -> None:
    requests = [up(0, 100, PREFETCH), up(10, 50, PREFETCH)]
    assert run(requests, arbitration="priority", chunk="25 B") == [100, 150]


def test_raising_the_class_of_a_waiting_transfer_lets_it_pass() -> None:
    env = Environment()
    link = Link(env, spec(arbitration="priority"))
    log: list[tuple[str, int]] = []

    def wait(name: str, transfer: LinkTransfer) -> Any:
        yield transfer
        log.append((name, int(env.now)))

    first = link.transfer(100, cls=DEMAND)
    second = link.transfer(100, cls=WRITE_BACK)
    third = link.transfer(100, cls=PREFETCH)
    link.up.raise_class(third, DEMAND)
    for name, transfer in (("first", first), ("second", second), ("third", third)):
        env.process(wait(name, transfer))
    env.run()
    assert log == [("first", 100), ("third", 200), ("second", 300)]


def test_fair_sharing_gives_equal_shares_whoever_is_there() -> None:
    # 0..10 alone (10 bytes), then halves: the short one needs 2 x 20 = 40 more ticks, ends at 50; the
    # long one has moved 10 + 20, the last 70 go at full speed
    assert run([up(0, 100), up(10, 20)], arbitration="fair") == [120, 50]


def test_a_bus_caps_both_directions_together() -> None:
    env = Environment()
    pool = Pool(env, 1_500_000_000_000)
    link = Link(env, spec(bus="bus"), pool)
    # both directions at 0.75 byte a tick while both move: 75 bytes in 100 ticks
    assert arrivals(link, [up(0, 75), (0, 150, "down", DEMAND)]) == [100, 175]


def test_two_links_of_one_bus_share_it_max_min() -> None:
    env = Environment()
    pool = Pool(env, 1_000_000_000_000)
    slow = Link(env, spec(name="slow", bandwidth="200000000000 B/s", bus="bus"), pool)
    fast = Link(env, spec(name="fast", bus="bus"), pool)
    log: dict[str, int] = {}

    def move(link: Link, size: int) -> Any:
        yield link.transfer(size)
        log[link.spec.name] = int(env.now)

    env.process(move(slow, 20))  # 0.2 byte a tick, below its equal share
    env.process(move(fast, 100))  # the other 0.8: 80 bytes until 100, then 20 at full speed
    env.run()
    assert log == {"slow": 100, "fast": 120}


@given(
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(1, 500), st.sampled_from(["up", "down"])),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["full", "half"]),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_the_shared_lane_serves_fifo_exactly_like_the_fast_one(
    wishes: list[tuple[int, int, str]], duplex: str, setup: int, latency: int
) -> None:
    requests = [(at, size, direction, DEMAND) for at, size, direction in wishes]
    settings: dict[str, Any] = {"duplex": duplex, "setup": f"{setup} ps", "latency": f"{latency} ps"}
    settings["bandwidth"] = "700000000000 B/s"
    assert run(requests, shared=True, **settings) == run(requests, **settings)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 8))
def test_fair_sharing_conserves_work(sizes: list[int], chunk: int) -> None:
    """Started together, the last transfer ends when all bytes are across, whatever the sharing."""
    ends = run([up(0, size) for size in sizes], arbitration="fair", chunk=f"{chunk} B")
    total = sum(sizes)
    # equal integer shares lose less than one byte a second per flow: at most a tick per departure
    assert total <= max(ends) <= total + len(sizes)
    for size, end in zip(sizes, ends, strict=True):
        assert all(end <= later + len(sizes) for s, later in zip(sizes, ends, strict=True) if s > size)


@given(st.integers(1, 10**9), st.lists(st.integers(1, 10**9), min_size=1, max_size=6))
def test_shares_are_max_min_fair(total: int, wanted: list[int]) -> None:
    shares = share_out(total, wanted)
    assert sum(shares) <= total
    assert all(0 <= share <= want for share, want in zip(shares, wanted, strict=True))
    if sum(wanted) > total:
        assert total - sum(shares) < len(wanted)  # nothing but the rounding is left
    for share, want in zip(shares, wanted, strict=True):
        if share < want:  # whoever is held back gets as much as anybody, up to rounding
            assert share >= max(shares) - len(wanted)


@pytest.mark.parametrize(("size", "direction"), [(0, "up"), (-1, "up"), (1, "sideways")])
def test_an_impossible_transfer_is_refused(size: int, direction: str) -> None:
    link = Link(Environment(), spec())
    with pytest.raises(ValueError, match="at least 1 byte"):
        link.transfer(size, direction)


@pytest.mark.parametrize("arbitration", ["fifo", "priority", "fair"])
def test_an_uncontended_transfer_costs_at_most_two_events_whatever_its_chunks(arbitration: str) -> None:
    env = Environment()
    link = Link(env, spec(arbitration=arbitration, chunk="10 B", latency="3 ps", setup="2 ps"))
    before = next(env._eid)
    link.transfer(1000)
    env.run()
    assert next(env._eid) - before - 1 <= 2
