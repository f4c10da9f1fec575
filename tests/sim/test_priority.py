"""What a demand waits for under `priority`: never more than one chunk of a less urgent transfer on a link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case
from oracle.roads import hops, service
from simpy import Environment
from strategies import cases

from kvsim.errors import SimulationError
from kvsim.scenario.hierarchy import LinkSpec
from kvsim.scenario.scenario import Scenario
from kvsim.sim.dma import DmaScheduler
from kvsim.sim.engine import simulate
from kvsim.sim.lane import Transfer
from kvsim.sim.link import Link as EngineLink
from kvsim.sim.move import Move
from kvsim.sim.records import TransferClass
from kvsim.sim.result import RunResult
from kvsim.sim.route import Route

DEMAND, WRITE_BACK, PREFETCH = TransferClass.DEMAND, TransferClass.WRITE_BACK, TransferClass.PREFETCH
ONE = 10**12
"""Bytes a second: one byte a tick."""


@dataclass(frozen=True)
class Service:
    """A row of the `hops` table with what is known of its transfer."""

    number: int
    lane: int
    queued: int
    start: int
    end: int
    chunk: int
    """Ticks that one chunk of it takes on the lane at most, set-up included."""
    always_urgent: bool
    """Demand from the first to the last."""
    ever_urgent: bool
    """Demand in the end."""


def services(case: Case, scenario: Scenario, result: RunResult) -> Iterator[Service]:
    """Every service on a link with priorities."""
    links = {link.name: link for link in scenario.hierarchy.links}
    columns = ("transfer", "source", "target", "cls", "issued_cls")
    table = zip(*(result.records.transfers.column(name).tolist() for name in columns), strict=True)
    transfers = {number: facts for number, *facts in table}
    for number, lane, queued, start, end, size, _ in result.records.hops.array().tolist():
        info = result.lanes[lane]
        link = links.get(info.link) if info.kind == "link" else None
        if link is None or link.arbitration != "priority":
            continue
        source, target, cls, issued = transfers[number]
        pieces = 1 if link.chunk is None else -(-size // link.chunk)
        name = bridge._lane(info.link, info.kind, info.direction)
        road = hops(case, source, max(0, target), direct=target < 0)
        hop = next(hop for hop in road if hop.lane[:2] == name[:2])
        chunk = hop.setup + service(-(-size // pieces), hop.rate)
        yield Service(number, lane, queued, start, end, chunk, issued == DEMAND, cls == DEMAND)


def unexplained(wait: Service, others: list[Service]) -> int:
    """Ticks of the wait during which no other demand was on the lane."""
    spans = sorted((other.queued, other.end) for other in others if other.ever_urgent and other is not wait)
    left = 0
    at = wait.queued
    for begin, end in spans:
        if begin > at:
            left += max(0, min(begin, wait.start) - at)
        at = max(at, end)
    return left + max(0, wait.start - at)


@st.composite
def machines(draw: Any) -> tuple[Case, Scenario]:
    """A machine all of whose links go by class, with fetches and guesses ahead of need."""
    case = draw(cases("layered", busy=True, absent="compute"))
    chunks = st.sampled_from([100, 250, 400])
    links = tuple(replace(link, priority=True, chunk=draw(chunks)) for link in case.links)
    case = replace(case, links=links, max_in_flight=None, depth=draw(st.sampled_from([1, 2])))
    plain = bridge.scenario(case).model_dump(mode="json")
    plain["execution"]["overlap"] = draw(st.sampled_from(["layered", "async", "async"]))
    plain["policy"]["prefetch"] = draw(st.sampled_from(["next_layer", "next_page", "stride"]))
    return case, Scenario.model_validate(plain)


def outcome(case: Case, scenario: Scenario) -> RunResult:
    try:
        return simulate(scenario, bridge.workload(case))
    except SimulationError as error:
        assume("no room" not in str(error))
        raise


def longest_chunk(there: list[Service]) -> int:
    """Ticks of the longest chunk that a transfer which was not always a demand takes there; 0: none."""
    return max((other.chunk for other in there if not other.always_urgent), default=0)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(machines())
def test_a_demand_never_waits_behind_more_than_one_chunk_of_anything_less_urgent(
    machine: tuple[Case, Scenario],
) -> None:
    case, scenario = machine
    result = outcome(case, scenario)
    by_lane: dict[int, list[Service]] = {}
    for each in services(case, scenario, result):
        by_lane.setdefault(each.lane, []).append(each)
    for there in by_lane.values():
        most = longest_chunk(there)
        for wait in there:
            if wait.always_urgent:
                assert unexplained(wait, there) <= most


def link(env: Environment, chunk: int | None = None, **settings: Any) -> EngineLink:
    """One byte a tick, by class."""
    plain = {
        "name": "link",
        "between": ("near", "far"),
        "bandwidth": f"{ONE} B/s",
        "arbitration": "priority",
        "chunk": None if chunk is None else f"{chunk} B",
        **settings,
    }
    return EngineLink(env, LinkSpec.model_validate(plain))


@pytest.mark.parametrize(("chunk", "wait"), [(None, 990), (500, 490), (100, 90), (1000, 990)])
def test_a_demand_waits_for_the_chunk_under_way_and_without_chunks_for_all_of_it(
    chunk: int | None, wait: int
) -> None:
    env = Environment()
    shared = link(env, chunk)
    shared.transfer(1000, cls=PREFETCH)
    env.run(until=10)
    demand = shared.transfer(50)
    env.run()
    assert demand.start - demand.queued == wait


def test_two_demands_take_two_channels_each_at_its_own_next_boundary() -> None:
    """Chunks of 100 at half a byte a tick: the first channel is at a boundary at 200, the other at 210."""
    env = Environment()
    shared = link(env, 100, channels=2, channel_bandwidth=f"{ONE // 2} B/s")
    first = shared.transfer(1000, cls=PREFETCH)
    env.run(until=10)
    second = shared.transfer(1000, cls=PREFETCH)
    env.run(until=50)
    demands = [shared.transfer(50), shared.transfer(50)]
    env.run()
    assert [demand.start for demand in demands] == [200, 210]
    assert [first.end, second.end] == [2000 + 100, 10 + 2000 + 100]


def test_a_transfer_that_has_become_as_urgent_does_not_make_way_any_more() -> None:
    env = Environment()
    shared = link(env, 100)
    first = shared.transfer(1000, cls=PREFETCH)
    env.run(until=10)
    second = shared.transfer(50)
    env.run(until=20)
    shared.up.raise_class(first, DEMAND)
    env.run()
    assert (first.end, second.start) == (1000, 1000)


def two_hops(env: Environment, chunks: tuple[int, int]) -> tuple[list[EngineLink], Route]:
    """A slow link, then one ten times as fast, and the route over both."""
    slow, fast = (
        link(env, chunk, bandwidth=f"{ONE // each} B/s") for chunk, each in zip(chunks, (10, 1), strict=True)
    )
    return [slow, fast], Route((slow.hop("up"), fast.hop("up")), max(chunks))


def test_a_transfer_that_waits_for_its_last_part_makes_way_though_not_at_a_boundary_of_the_link() -> None:
    """Four parts of 25 on the route, five of 20 on the fast link: it runs dry there at 75, not 60 or 80."""
    env = Environment()
    (_, fast), route = two_hops(env, (25, 20))
    transfer = Transfer(env, 0, 100, PREFETCH, route)
    route.hops[0].lane.enter(transfer)
    env.run(until=250 + 70)  # the first part has left the slow link at 250; 70 bytes are on the far side
    demand = fast.transfer(50)
    env.run()
    assert demand.start == 250 + 75
    assert transfer.end == 1000 + 25


def test_a_raised_transfer_is_raised_on_every_lane_that_its_parts_are_on() -> None:
    """The rest of a prefetch stands aside on the first lane while its head is on the second."""
    env = Environment()
    (slow, _), route = two_hops(env, (25, 25))
    move = Move(env, 0, 100, PREFETCH, route, 0, 1, 0, 0, 0, 0)
    move.callbacks = []
    route.hops[0].lane.enter(move)
    env.run(until=260)  # the first of four parts is across
    demand = slow.transfer(10)  # from 500 to 600
    other = slow.transfer(10, cls=WRITE_BACK)
    env.run(until=550)
    DmaScheduler(None, 1).raise_class(move, DEMAND)
    env.run()
    assert (demand.start, demand.end) == (500, 600)
    assert move.end == 1000 + 100 + 25  # it goes on at 600, before the write-back
    assert other.start == 1100


def test_interrupted_transfers_of_a_class_go_on_in_order_of_arrival() -> None:
    env = Environment()
    shared = link(env, 100, channels=2, channel_bandwidth=f"{ONE // 2} B/s")
    first, second = shared.transfer(1000, cls=PREFETCH), shared.transfer(900, cls=PREFETCH)
    env.run(until=10)
    demands = [shared.transfer(200), shared.transfer(250)]
    env.run()
    assert [(demand.start, demand.end) for demand in demands] == [(200, 600), (200, 700)]
    assert (first.end, second.end) == (600 + 1800, 700 + 1600)


def test_a_half_duplex_link_is_as_fast_down_as_it_says() -> None:
    """Whatever the arbitration."""
    for arbitration in ("fifo", "priority", "fair"):
        env = Environment()
        half = link(env, duplex="half", bandwidth_down=f"{2 * ONE} B/s", arbitration=arbitration)
        down = half.transfer(100, "down")
        env.run()
        assert down.end == 50
