"""Routes of several hops: store and forward, cut-through, and what waiting does to them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment

from kvsim.scenario.hierarchy import LinkSpec
from kvsim.sim.lane import Transfer
from kvsim.sim.link import Link
from kvsim.sim.records import TransferClass
from kvsim.sim.route import Route

TICKS = 10**12


def links(env: Environment, rates: list[int], shared: bool = False, **settings: Any) -> list[Link]:
    """One link per rate, in bytes per second."""
    return [
        Link(
            env,
            LinkSpec.model_validate(
                {"name": f"l{i}", "between": (f"t{i}", f"t{i + 1}"), "bandwidth": f"{rate} B/s", **settings}
            ),
            shared=shared,
        )
        for i, rate in enumerate(rates)
    ]


def send(env: Environment, route: Route, size: int, at: int, log: list[int], slot: int) -> Any:
    yield env.timeout(at)
    transfer = Transfer(env, slot, size, TransferClass.DEMAND, route)
    route.hops[0].lane.enter(transfer)
    yield transfer
    log[slot] = int(env.now)


def arrivals(
    rates: list[int],
    chunk: int | None,
    requests: list[tuple[int, int]],
    shared: bool = False,
    **settings: Any,
) -> list[int]:
    env = Environment()
    route = Route(tuple(link.hop("up") for link in links(env, rates, shared, **settings)), chunk)
    log = [-1] * len(requests)
    for slot, (at, size) in enumerate(requests):
        env.process(send(env, route, size, at, log, slot))
    env.run()
    return log


def test_without_chunks_a_transfer_is_stored_and_forwarded() -> None:
    assert arrivals([TICKS, TICKS // 2], None, [(0, 100)]) == [100 + 200]


def test_chunks_cut_through_at_the_pace_of_the_slowest_hop() -> None:
    # K parts: tau_1 + (K - 1) max(tau_1, tau_2) + tau_2, with tau 25 and 50, then 50 and 25
    assert arrivals([TICKS, TICKS // 2], 25, [(0, 100)]) == [25 + 3 * 50 + 50]
    assert arrivals([TICKS // 2, TICKS], 25, [(0, 100)]) == [50 + 3 * 50 + 25]


def test_latencies_and_setups_add_to_the_pipeline() -> None:
    # head leaves hop 0 at 3+25, arrives at +7, sets up 3, then 100 at full pace, +7
    assert arrivals([TICKS, TICKS], 25, [(0, 100)], latency="7 ps", setup="3 ps") == [28 + 7 + 3 + 100 + 7]


def test_an_uneven_size_is_cut_into_equal_parts() -> None:
    # 100 bytes in chunks of 30 make 4 parts of 25
    assert Route((), 30).part(100) == 25
    assert Route((), 30).part(30) == 30
    assert Route((), None).part(100) == 100


def test_a_transfer_holds_the_second_hop_until_its_tail_is_through() -> None:
    # first: hop 0 0..200, hop 1 from 50 (head) to 200 + 25; the second, all across hop 0 at 210, waits
    # for hop 1 until 225 although that lane idled between chunks
    assert arrivals([TICKS // 2, TICKS], 25, [(0, 100), (1, 5)]) == [225, 230]


@given(
    st.lists(st.integers(10**11, 2 * 10**12), min_size=1, max_size=4),
    st.one_of(st.none(), st.integers(1, 400)),
    st.integers(1, 1000),
    st.integers(0, 100),
    st.integers(0, 30),
)
def test_alone_a_transfer_arrives_when_its_route_says_on_either_kind_of_lane(
    rates: list[int], chunk: int | None, size: int, latency: int, setup: int
) -> None:
    settings: dict[str, Any] = {"latency": f"{latency} ps", "setup": f"{setup} ps"}
    env = Environment()
    route = Route(tuple(link.hop("up") for link in links(env, rates, **settings)), chunk)
    *_, expected = route.alone(size)[-1]
    assert arrivals(rates, chunk, [(0, size)], **settings) == [expected]
    assert arrivals(rates, chunk, [(0, size)], shared=True, **settings) == [expected]


@given(
    st.lists(st.integers(10**11, 2 * 10**12), min_size=2, max_size=3),
    st.one_of(st.none(), st.integers(20, 400)),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 1000)), min_size=2, max_size=8),
)
def test_the_shared_lanes_serve_fifo_routes_exactly_like_the_fast_ones(
    rates: list[int], chunk: int | None, requests: list[tuple[int, int]]
) -> None:
    assert arrivals(rates, chunk, requests, shared=True) == arrivals(rates, chunk, requests)
