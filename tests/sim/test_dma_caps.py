"""Limits of single classes: so many in flight, launched at such a pace, and nobody else held up by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case, Layer, Link, Mode, Step, Tier
from simpy import Environment
from strategies import cases

from kvsim.errors import SimulationError
from kvsim.scenario.execution import DmaSpec
from kvsim.sim.dma import ClassLimits, DmaScheduler
from kvsim.sim.engine import simulate
from kvsim.sim.lane import Hop, Label, Lane, Transfer
from kvsim.sim.move import Move
from kvsim.sim.records import BACKGROUND, DEMAND, PREFETCH, WRITE_BACK, TransferClass
from kvsim.sim.result import RunResult
from kvsim.sim.route import Route
from kvsim.units import parse_bandwidth, service_ticks

ONE = 10**12
"""Bytes a second: one byte a tick."""
LATENCY = 50

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def run(case: Case, dma: dict[str, Any]) -> RunResult:
    scenario = bridge.scenario(case)
    execution = scenario.execution.model_copy(update={"dma": DmaSpec.model_validate(dma)})
    return simulate(scenario.model_copy(update={"execution": execution}), bridge.workload(case))


def two_tiers(mode: Mode, *layers: Layer, pages: int = 8) -> Case:
    """Pages of 8 bytes, all of them far away: one takes 8 ticks on the link and 50 more to arrive."""
    tiers = (Tier(8 * pages), Tier(8 * pages))
    return Case(tiers, (Link(0, 1, ONE, latency=LATENCY),), (8,) * pages, pages, (Step(layers),), mode)


def arrivals(result: RunResult) -> dict[int, int]:
    transfers = result.records.transfers
    return dict(zip(transfers.column("page").tolist(), transfers.column("arrived").tolist(), strict=True))


# --- closed forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [58, 66, 74]),  # one after the other on the link
        ({"in_flight": 2}, [58, 66, 116]),  # the third starts when the first has arrived
        ({"in_flight": 1}, [58, 116, 174]),
        ({"bandwidth": "250 GB/s"}, [58, 90, 122]),  # 8 bytes at a quarter of a byte a tick: every 32
        ({"bandwidth": "300 GB/s"}, [58, 85, 112]),  # 8 / 0.3 = 26.7, rounded up
        ({"bandwidth": "2 TB/s"}, [58, 66, 74]),  # the link is slower than that
        ({"in_flight": 1, "bandwidth": "250 GB/s"}, [58, 116, 174]),
    ],
)
def test_demands_go_as_their_limits_let_them(limits: dict[str, Any], expected: list[int]) -> None:
    result = run(two_tiers("demand", Layer((0, 1, 2))), {"classes": {"demand": limits}})
    assert [arrivals(result)[page] for page in (0, 1, 2)] == expected
    assert result.makespan_ticks == expected[-1]


def test_limits_of_a_class_are_no_matter_to_the_others() -> None:
    classes = {
        name: {"in_flight": 1, "bandwidth": "1 B/s"} for name in ("write_back", "prefetch", "background")
    }
    case = two_tiers("demand", Layer((0, 1, 2)))
    assert arrivals(run(case, {"classes": classes})) == arrivals(run(case, {}))


def test_a_prefetch_that_has_become_urgent_waits_no_longer_with_the_prefetches() -> None:
    """Page 1 flies from 58 to 116, so page 2 may not, until its layer's time has come at 68."""
    case = two_tiers("layered", Layer((0,), 10), Layer((1, 2), 10))
    result = run(case, {"classes": {"prefetch": {"in_flight": 1}}})
    assert arrivals(result) == {0: 58, 1: 116, 2: 68 + 8 + LATENCY}
    assert result.makespan_ticks == 126 + 10


def test_what_is_raised_on_its_way_leaves_the_place_of_a_demand_to_others() -> None:
    """Page 1 counts as the prefetch it was launched as: page 2 and then page 3 are the only demands."""
    case = two_tiers("layered", Layer((0,), 10), Layer((1, 2, 3), 10))
    limits = {"prefetch": {"in_flight": 1}, "demand": {"in_flight": 1}}
    assert arrivals(run(case, {"classes": limits})) == {0: 58, 1: 116, 2: 126, 3: 126 + 58}


# --- the scheduler by itself ----------------------------------------------------------------------------


class Desk(Lane):
    """Writes down what comes; nothing happens to it."""

    def __init__(self, env: Environment) -> None:
        super().__init__(env, Label("desk", "desk", "up"))
        self.came: list[tuple[int, int]] = []

    def enter(self, transfer: Transfer) -> None:
        self.came.append((int(self.env.now), transfer.number))


def desk() -> tuple[Desk, Callable[[int, int], Move]]:
    """A lane, and moves over it by number and class."""
    env = Environment()
    lane = Desk(env)
    route = Route((Hop(lane, ONE, 0, 0),), None)
    return lane, lambda number, cls: Move(env, number, 8, cls, route, number, 1, 0, 8, 8, 0)


def limited(**limits: ClassLimits) -> list[ClassLimits]:
    return [limits.get(cls.name.lower(), ClassLimits()) for cls in TransferClass]


def test_a_class_at_its_limit_lets_all_others_pass() -> None:
    lane, move = desk()
    dma = DmaScheduler(None, 1, limited(write_back=ClassLimits(1)))
    for number, cls in enumerate((WRITE_BACK, WRITE_BACK, BACKGROUND, DEMAND, PREFETCH)):
        dma.submit(move(number, cls))
    assert [number for _, number in lane.came] == [0, 2, 3, 4]


def test_the_total_bounds_the_classes_too() -> None:
    lane, move = desk()
    dma = DmaScheduler(2, 1, limited(demand=ClassLimits(1)))
    moves = [move(number, cls) for number, cls in enumerate((DEMAND, DEMAND, PREFETCH, PREFETCH))]
    for each in moves:
        dma.submit(each)
    assert [number for _, number in lane.came] == [0, 2]
    dma.landed(moves[2])  # the demand that waits is more urgent, but one is on its way
    assert [number for _, number in lane.came] == [0, 2, 3]
    dma.landed(moves[0])
    assert [number for _, number in lane.came] == [0, 2, 3, 1]


def test_pace_is_kept_without_anybody_landing() -> None:
    """8 bytes at half a byte a tick are 16 ticks; a demand in between goes at its own time."""
    lane, move = desk()
    dma = DmaScheduler(None, 1, limited(prefetch=ClassLimits(bandwidth=ONE // 2)))
    for number in range(3):
        dma.submit(move(number, PREFETCH))
    lane.env.run(until=20)
    dma.submit(move(3, DEMAND))
    lane.env.run()
    assert lane.came == [(0, 0), (16, 1), (20, 3), (32, 2)]


def test_what_is_raised_together_goes_in_the_order_in_which_it_was_ready() -> None:
    lane, move = desk()
    dma = DmaScheduler(None, 1, limited(prefetch=ClassLimits(1), demand=ClassLimits(2)))
    moves = [move(number, PREFETCH) for number in range(4)]
    for each in moves:
        dma.submit(each)
    dma.raise_all([moves[3], moves[2], moves[1]], DEMAND)
    assert [number for _, number in lane.came] == [0, 1, 2]


def test_urgent_ones_are_counted_from_their_submission_to_their_landing_both_ways() -> None:
    _, move = desk()
    dma = DmaScheduler(1, 1, counts=True)
    demand, prefetch = move(0, DEMAND), move(1, PREFETCH)
    back = move(2, WRITE_BACK)
    back.source, back.target = 0, 1
    counts: list[int] = []
    for each in (demand, prefetch, back):
        dma.submit(each)
        counts.append(dma.urgent(0, 1))
    dma.raise_class(prefetch, DEMAND)  # it waits
    counts.append(dma.urgent(1, 0))
    for each in (demand, prefetch, back):
        dma.landed(each)
        counts.append(dma.urgent(0, 1))
    assert counts == [1, 1, 2, 3, 2, 1, 0]


# --- any machine ----------------------------------------------------------------------------------------


@st.composite
def capped(draw: Any) -> tuple[Case, dict[str, Any]]:
    """A case and a scheduler with limits of any kind."""
    mode: Mode = draw(st.sampled_from(["demand", "layered"]))
    limits = st.fixed_dictionaries(
        {
            "in_flight": st.sampled_from([None, 1, 2, 3]),
            "bandwidth": st.sampled_from([None, "100 MB/s", "1 GB/s", "7 GB/s"]),
        }
    )
    dma = {
        "max_in_flight": draw(st.sampled_from([None, 1, 2, 4])),
        "coalesce": draw(st.sampled_from([1, 1, 3])),
        "classes": {cls.name.lower(): draw(limits) for cls in TransferClass},
    }
    return draw(cases(mode, busy=True)), dma


@given(capped())
@thorough
def test_every_run_ends_and_no_limit_is_ever_exceeded(drawn: tuple[Case, dict[str, Any]]) -> None:
    """A transfer flies from when it reaches its first lane until it arrives. The engine audits its books.

    Which class one was launched with shows where it ended with the class it was issued with.
    """
    case, dma = drawn
    try:
        result = run(case, dma)
    except SimulationError as error:
        assume("no room" not in str(error))
        raise
    assert result.accesses == sum(len(layer.pages) for step in case.steps for layer in step.layers)
    for (_, _, cls), flights in by_channel(result).items():
        limits = dma["classes"][TransferClass(cls).name.lower()]
        if limits["in_flight"] is not None:
            assert most_at_once(flights) <= limits["in_flight"]
        if limits["bandwidth"] is not None:
            rate = parse_bandwidth(limits["bandwidth"])
            for (start, _, size), (following, _, _) in pairwise(flights):
                assert following - start >= service_ticks(size, rate)


Flight = tuple[int, int, int]
"""Launched, arrived, bytes."""


def by_channel(result: RunResult) -> dict[tuple[int, int, int], list[Flight]]:
    """The flights of each source, target and class, in order."""
    hops, transfers = result.records.hops, result.records.transfers
    launched: dict[int, int] = {}
    for number, queued in zip(hops.column("transfer").tolist(), hops.column("queued").tolist(), strict=True):
        launched[number] = min(queued, launched.get(number, queued))
    names = ("transfer", "source", "target", "cls", "issued_cls", "arrived", "bytes")
    flights: dict[tuple[int, int, int], list[Flight]] = defaultdict(list)
    for number, source, target, cls, issued, arrived, size in zip(
        *(transfers.column(name).tolist() for name in names), strict=True
    ):
        if cls == issued:
            flights[source, target, cls].append((launched[number], arrived, size))
    return {key: sorted(each) for key, each in flights.items()}


def most_at_once(flights: Iterable[Flight]) -> int:
    changes = sorted(change for start, end, _ in flights for change in ((start, 1), (end, -1)))
    level = most = 0
    for _, change in changes:  # of one tick, those that leave come first
        level += change
        most = max(most, level)
    return most
