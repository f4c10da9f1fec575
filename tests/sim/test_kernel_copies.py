"""Copies by a kernel take a share of the compute while they are in service.

A bandwidth of 10^12 bytes a second serves one byte a tick, so sizes are times where nothing else is said.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case, Layer, Link, Mode, Step, Tier
from sim.test_any_machine import machines, outcome, thorough
from strategies import cases

from kvsim.analysis.attribution import exposure
from kvsim.analysis.critical_path import CriticalPaths
from kvsim.analysis.intervals import merge, overlap_ticks
from kvsim.analysis.run_bounds import run_bounds
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import CAUSE_COLUMNS, Cause
from kvsim.sim.result import RunResult

ONE = 10**12
"""Bytes a second: one byte a tick."""
LARGE = 10**12
"""Room for everything."""


def shared(
    scenario: Scenario, links: list[float], formats: list[float] | None = None, **link: Any
) -> Scenario:
    """The scenario with these shares of its links, which all get these fields, and of its tiers' formats."""
    plain = scenario.model_dump(mode="json")
    for each, share in zip(plain["hierarchy"]["links"], links, strict=True):
        each |= {"compute_share": share, **link}
    for tier, share in zip(plain["hierarchy"]["tiers"], formats or [], strict=False):
        tier["scheme"]["compute_share"] = share
    return Scenario.model_validate(plain)


def fetched_ahead(size: int, compute: int, tiers: int = 2, mode: Mode = "layered", **last: Any) -> Case:
    """A page of one byte, then one of `size`, fetched while the layer of the first computes."""
    return Case(
        tiers=(*[Tier(LARGE)] * (tiers - 1), Tier(LARGE, **last)),
        links=tuple(Link(far - 1, far, ONE) for far in range(1, tiers)),
        scalars=(1, size),
        initial=2,
        steps=(Step((Layer((0,), compute), Layer((1,)))),),
        mode=mode,
    )


def run(case: Case, links: list[float], formats: list[float] | None = None, **link: Any) -> RunResult:
    return simulate(shared(bridge.scenario(case), links, formats, **link), bridge.workload(case))


def taken(result: RunResult) -> dict[str, int]:
    """Ticks that copies took from compute, by lane."""
    stalls = result.records.stalls
    mine = stalls.array()[stalls.column("cause") == Cause.COPY_KERNEL]
    ticks: dict[str, int] = {}
    for _, _, start, end, _, lane, _ in mine.tolist():
        ticks[result.lanes[lane].name] = ticks.get(result.lanes[lane].name, 0) + end - start
    return ticks


@pytest.mark.parametrize("arbitration", ["fifo", "priority", "fair"])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("size", [1, 60, 100, 103, 500])
def test_compute_goes_on_at_the_rate_that_copies_leave(arbitration: str, share: float, size: int) -> None:
    """A copy inside the compute C delays it by s X. One that outlasts it leaves 1 - s of every tick.

    Then C whole ticks are done, to within one, when (1 - s) W > C - 1: the first such W is below C / (1 - s).
    A copy that ends between C and there has taken s X. The layer of its page starts when both are over.
    """
    compute, s = 100, Fraction(repr(share))
    outlasted = floor((compute - 1) / (1 - s)) + 1
    expected = min(outlasted, compute + floor(s * size))
    result = run(fetched_ahead(size, compute), [share], arbitration=arbitration)
    assert sum(taken(result).values()) == expected - compute
    assert result.compute_ticks == compute
    assert result.makespan_ticks == 1 + max(expected, size)
    if size == 500:
        assert compute / (1 - share) - 1 / (1 - share) < expected <= compute / (1 - share)


def test_each_lane_takes_its_share_and_the_wait_is_told_by_lane() -> None:
    # Over one link after the other, 30 ticks each: 7.5 + 3 ticks of the 100 that the layer computes.
    result = run(fetched_ahead(30, 100, tiers=3), [0.25, 0.1])
    assert taken(result) in ({"link0 up": 7, "link1 up": 3}, {"link0 up": 8, "link1 up": 2})
    assert result.exposed_ticks[Cause.COPY_KERNEL] == 10
    assert result.makespan_ticks == 2 + 100 + 10
    stalls = result.records.stalls
    assert set(stalls.column("transfer")[stalls.column("cause") == Cause.COPY_KERNEL]) == {-1}


@pytest.mark.parametrize("arbitration", ["fifo", "fair"])
def test_a_transfer_with_its_route_to_itself_takes_as_much(arbitration: str) -> None:
    """Three links, 30 ticks on each: a route that is booked as a whole where nobody counts its services."""
    result = run(fetched_ahead(30, 200, tiers=4), [0.1, 0.1, 0.1], arbitration=arbitration)
    assert taken(result) == {"link0 up": 3, "link1 up": 3, "link2 up": 3}
    cut = run(fetched_ahead(30, 40, tiers=4), [0, 0.5, 0], arbitration=arbitration)
    # The second link serves from tick 30 to 60: W - 40 = floor((W - 30) / 2) first holds for W = 49.
    assert taken(cut) == {"link1 up": 9}


def test_copies_in_both_directions_take_twice() -> None:
    # Room for two pages of 50: while layer 0 computes, page 0 of the step before leaves for page 2.
    case = Case(
        tiers=(Tier(100), Tier(LARGE)),
        links=(Link(0, 1, ONE),),
        scalars=(50, 50, 50),
        initial=3,
        steps=(Step((Layer((0,)),)), Step((Layer((1,), 200), Layer((2,))))),
        mode="layered",
    )
    result = run(case, [0.1])
    # Page 0 leaves for 50 ticks, then page 2 comes for 50 ticks: 5 ticks each.
    assert taken(result) == {"link0 up": 5, "link0 down": 5}
    half = run(case, [0.1], duplex="half")
    assert taken(half) == {"link0": 10}


def test_a_conversion_by_a_kernel_takes_the_share_of_its_format() -> None:
    # 60 bytes in tier 0 are 30 in tier 1: 30 ticks on the link, and 60 to decompress at a byte a tick.
    case = fetched_ahead(60, 200, bits=4, decompress=ONE)
    assert taken(run(case, [0], [0.5, 0.1])) == {"decompress": 6}
    assert taken(run(case, [0.2], [0.5, 0.1])) == {"link0 up": 6, "decompress": 6}


@pytest.mark.parametrize("mode", ["serial", "ideal"])
def test_what_never_meets_compute_takes_nothing_from_it(mode: Mode) -> None:
    case = fetched_ahead(60, 100, mode=mode)
    assert run(case, [0.5]).makespan_ticks == run(case, [0]).makespan_ticks
    assert run(case, [0.5]).exposed_ticks[Cause.COPY_KERNEL] == 0


def test_a_copy_engine_is_the_default_and_changes_nothing() -> None:
    case = fetched_ahead(500, 100)
    result, plain = run(case, [0]), bridge.run(case)
    assert result.makespan_ticks == plain.makespan_ticks == 501
    assert result.events == plain.events


# --- any machine ----------------------------------------------------------------------------------------

SHARE = st.sampled_from([0.0, 0.03, 0.1])


@st.composite
def slowed(draw: Any) -> tuple[Case, Scenario]:
    """Any machine, some with codecs, whose copies and conversions take shares of compute."""
    if draw(st.booleans()):
        case, scenario = draw(machines())
    else:
        case = draw(cases(draw(st.sampled_from(["demand", "layered"])), busy=True))
        scenario = bridge.scenario(case)
    links, tiers = scenario.hierarchy.links, scenario.hierarchy.tiers
    return case, shared(scenario, [draw(SHARE) for _ in links], [draw(SHARE) for _ in tiers])


@given(slowed())
@thorough
def test_every_layer_loses_what_the_services_beside_its_compute_took(machine: tuple[Case, Scenario]) -> None:
    """Summed anew from the records: the wait is the first that covers what was lost until its end."""
    result = outcome(*machine)
    services = _services(result)
    stalls = result.records.stalls
    kernel = stalls.array()[stalls.column("cause") == Cause.COPY_KERNEL]
    for step, layer, start, end in result.records.layers.array().tolist():
        mine = kernel[(kernel[:, 0] == step) & (kernel[:, 1] == layer)]
        waited = int((mine[:, 3] - mine[:, 2]).sum())
        assert waited == _lost(services, start, end + waited)
        if waited:
            assert mine[0, 2] == end
            assert _lost(services, start, end + waited - 1) >= waited


@given(slowed())
@thorough
def test_the_books_of_slowed_steps_balance_by_lane_class_and_cause(machine: tuple[Case, Scenario]) -> None:
    result = outcome(*machine)  # audited
    found, steps = exposure(result), result.records.steps
    for cause, name in enumerate(CAUSE_COLUMNS):
        by_step = np.zeros(result.steps, dtype=np.int64)
        np.add.at(by_step, found.step[found.cause == cause], found.ticks[found.cause == cause])
        assert by_step.tolist() == steps.column(name).tolist()
    paths = CriticalPaths(result)
    for step, (start, end) in enumerate(zip(steps.column("start"), steps.column("end"), strict=True)):
        assert sum(span.end - span.start for span in paths.of(step)) == end - start
    bounds = run_bounds(result)
    assert bounds.lower_ticks <= result.makespan_ticks <= bounds.additive_ticks


Services = list[tuple[Fraction, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]]


def _services(result: RunResult) -> Services:
    """When transfers that take a share were in service: the share, and their union on a lane."""
    hierarchy = result.scenario.hierarchy
    links = {link.name: link.compute_share for link in hierarchy.links}
    formats = [tier.scheme.compute_share if tier.scheme else 0.0 for tier in hierarchy.tiers]
    transfers = result.records.transfers
    ends = dict(
        zip(
            transfers.column("transfer").tolist(),
            zip(transfers.column("source").tolist(), transfers.column("target").tolist(), strict=True),
            strict=True,
        )
    )
    intervals: dict[tuple[int, float], list[tuple[int, int]]] = {}
    for transfer, lane, _, start, end, _, _ in result.records.hops.array().tolist():
        info = result.lanes[lane]
        share = links.get(info.link, 0.0) if info.kind == "link" else 0.0
        if info.kind == "codec":
            source, target = ends[transfer]
            share = formats[source if info.direction == "up" else target]
        if share:
            intervals.setdefault((lane, share), []).append((start, end))
    return [
        (Fraction(repr(share)), merge(*(np.array(side, dtype=np.int64) for side in zip(*rows, strict=True))))
        for (_, share), rows in intervals.items()
    ]


def _lost(services: Services, start: int, end: int) -> int:
    span = (np.array([start]), np.array([end]))
    return floor(sum(share * overlap_ticks(union, span) for share, union in services))
