"""A layer's weights streamed while it computes share the links with the KV pages.

A bandwidth of 10^12 bytes a second serves one byte a tick, so sizes are times where nothing else is said.
"""

from __future__ import annotations

from dataclasses import replace as replaced
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier
from sim.test_any_machine import machines, outcome, thorough
from strategies import cases
from workloads.scenarios import GPU, MODEL
from workloads.scenarios import scenario as decode_scenario

from kvsim.analysis.attribution import exposure
from kvsim.analysis.critical_path import CriticalPaths
from kvsim.analysis.metrics import summarise
from kvsim.analysis.run_bounds import run_bounds
from kvsim.reporting.perfetto import trace_events
from kvsim.reporting.timeline import timeline_figure
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import CAUSE_COLUMNS, Cause
from kvsim.sim.result import RunResult
from kvsim.workloads import make_workload
from kvsim.workloads.base import Step as KvsimStep
from kvsim.workloads.base import Workload
from kvsim.workloads.tiles import tiled

ONE = 10**12
"""Bytes a second: one byte a tick."""
LARGE = 10**12
"""Room for everything."""


def streamed(scenario: Scenario, **link: Any) -> Scenario:
    """The scenario with weights in its last tier, and these fields of all its links."""
    plain = scenario.model_dump(mode="json")
    plain["execution"]["weights"] = scenario.hierarchy.tiers[-1].name
    for each in plain["hierarchy"]["links"]:
        each |= link
    return Scenario.model_validate(plain)


def streaming(case: Case, weights: int) -> Workload:
    """The case's workload, whose layers stream so many bytes, each one more than the one before it."""
    workload = bridge.workload(case)
    for step in workload.steps():
        for number, layer in enumerate(step.layers):
            layer.stream_bytes = weights + number
    return workload


def run(case: Case, weights: int, **link: Any) -> RunResult:
    return simulate(streamed(bridge.scenario(case), **link), streaming(case, weights))


def pages(count: int, size: int, compute: int, depth: int = 1) -> Case:
    """One step of as many layers, each with a page of its own in tier 1 that nothing has fetched yet."""
    return Case(
        tiers=(Tier(LARGE), Tier(LARGE, inclusive=True)),
        links=(Link(0, 1, ONE),),
        scalars=(size,) * count,
        initial=count,
        steps=(Step(tuple(Layer((number,), compute) for number in range(count))),),
        mode="layered",
        depth=depth,
    )


@pytest.mark.parametrize("arbitration", ["fifo", "fair"])
@pytest.mark.parametrize("compute", [0, 130, 171, 400])
@pytest.mark.parametrize(("size", "weights"), [(100, 40), (40, 100)])
def test_weights_and_pages_take_the_link_in_turn_or_together(
    arbitration: str, compute: int, size: int, weights: int
) -> None:
    """S + sum over the layers but the last of max(C, S + W_l) + max(C, W_last), with one layer fetched ahead.

    While a layer computes, the page of the next one and its own weights W_l need S + W_l ticks of the link,
    whoever goes first: the next layer begins when they and the compute are over.
    """
    result = run(pages(4, size, compute), weights, arbitration=arbitration)
    own = [weights + layer for layer in range(4)]
    expected = size + sum(max(compute, size + each) for each in own[:-1]) + max(compute, own[-1])
    assert result.makespan_ticks == expected
    assert result.makespan_ticks >= 4 * size + sum(own)
    assert result.weights_bytes == sum(own)


@pytest.mark.parametrize("arbitration", ["fifo", "priority", "fair"])
@pytest.mark.parametrize("depth", [1, 2, 7])
def test_a_link_that_is_never_idle_takes_the_sum_of_all_bytes(arbitration: str, depth: int) -> None:
    """With compute below the weights of any layer the link is the bottleneck from start to end."""
    result = run(pages(8, 300, 90, depth), 100, arbitration=arbitration)
    work = 8 * 300 + sum(100 + layer for layer in range(8))
    # Shares are whole bytes a second, and services end at whole ticks: at most a tick a transfer is lost.
    rounding = 0 if arbitration == "fifo" else 16
    assert work <= result.makespan_ticks <= work + rounding


def test_uncontended_weights_at_the_speed_of_the_roofline_expose_nothing() -> None:
    """All KV is in tier 0; the link has the GPU's bandwidth, of which the roofline reaches all."""
    links = [{"name": "hbm", "between": ["sram", "dram"], "bandwidth": GPU["bandwidth"]}]
    tiers = [{"name": "sram", "capacity": "1 GB"}, {"name": "dram", "capacity": "80 GB"}]
    scenario = decode_scenario(
        {"kind": "dense_decode", "context_tokens": 64, "steps": 20},
        hierarchy={"tiers": tiers, "links": links},
        execution={"bandwidth_efficiency": 1, "weights": "dram"},
    )
    result = simulate(scenario)
    assert sum(result.exposed_ticks) == 0
    # 20 steps of 3 layers of 2 x 1,000,000 / 3 bytes each.
    assert result.weights_bytes == 20 * 3 * (2 * 1_000_000 // 3)
    summary = summarise(result)
    assert summary.weights_bytes == summary.bytes_by_link["hbm"]["weights"] == result.weights_bytes
    slower = [links[0] | {"bandwidth": "0.5 TB/s"}]
    half = scenario.model_dump(mode="json") | {"hierarchy": {"tiers": tiers, "links": slower}}
    exposed = simulate(Scenario.model_validate(half)).exposed_ticks
    assert exposed[Cause.DEMAND_SERVICE] == sum(exposed) > 0


@pytest.mark.parametrize("overlap", ["serial", "ideal"])
def test_where_nothing_competes_nothing_changes(overlap: str) -> None:
    case = replaced(pages(4, 100, 50), mode="serial" if overlap == "serial" else "ideal")
    result = run(case, 100)
    assert result.makespan_ticks == bridge.run(case).makespan_ticks
    assert result.weights_bytes == 0


def test_the_wait_for_weights_is_told_by_lane_and_belongs_to_no_page() -> None:
    # Page 1 is fetched for 30 ticks from tick 30 on, weights of 100 for 100 ticks after it; compute takes 50.
    result = run(pages(2, 30, 50), 100)
    transfers = result.records.transfers
    assert transfers.column("page").tolist() == [0, 1, -1, -1]
    assert transfers.column("pages").tolist() == [1, 1, 0, 0]
    stalls = result.records.stalls.array().tolist()
    assert stalls[1:] == [
        [0, 0, 80, 160, Cause.DEMAND_SERVICE, 0, 3],
        [0, 1, 210, 261, Cause.DEMAND_SERVICE, 0, 4],
    ]


def test_those_who_report_a_transfer_call_it_weights() -> None:
    result = run(pages(2, 30, 50), 100)
    names = [event for event in trace_events(result) if '"name":"weights"' in event]
    assert len(names) == 2
    assert not any('"page":' in event for event in names)
    drawn = [text for trace in timeline_figure(result).data for text in trace.customdata]
    assert sum("<br>weights · 100 B · step 0<br>" in text for text in drawn) == 2  # its service, and the wait
    assert [(span.kind, span.what) for span in CriticalPaths(result).of(0)] == [
        ("service", "demand over link0 up"),
        ("service", "prefetch over link0 up"),
        ("service", "weights over link0 up"),
        ("service", "weights over link0 up"),
    ]


def test_a_demand_for_weights_overtakes_prefetches_at_their_next_chunk() -> None:
    # The page of layer 1 has just begun when the weights of layer 0 come: they wait for its first 10 bytes.
    case = replaced(pages(2, 100, 0), links=(Link(0, 1, ONE, chunk=10),))
    result = run(case, 40, arbitration="priority")
    layer = result.records.stalls.array()[result.records.stalls.column("layer") == 0]
    assert layer[-1, 3] == 100 + 10 + 40


def test_weights_pass_no_codec() -> None:
    case = replaced(pages(2, 100, 0), tiers=(Tier(LARGE), Tier(LARGE, bits=4, decompress=ONE // 10)))
    result = run(case, 40)
    hops = result.records.hops
    of_weights = [
        result.lanes[lane].name
        for lane, size in zip(hops.column("lane"), hops.column("bytes"), strict=True)
        if size in (40, 41)
    ]
    assert of_weights == ["link0 up"] * 2


@pytest.mark.parametrize("kind", ["dense_decode", "sparse_decode"])
def test_tiles_of_a_layer_stream_its_weights_in_parts(kind: str) -> None:
    scenario = decode_scenario(
        {"kind": kind, "context_tokens": 16 * 5, "steps": 2},
        execution={"weights": "dram", "tile": 2},
        hierarchy={"tiers": [{"name": "sram", "capacity": "1 MB"}, {"name": "dram", "capacity": "80 GB"}]},
    )
    weights = 2 * MODEL["parameters"] // 3  # type: ignore[operator]
    parts = [
        layer.stream_bytes
        for step in tiled(make_workload(scenario).steps(), 2)
        for layer in step.layers
        if layer.layer == 0
    ]
    assert parts == [weights * 2 // 5, weights * 4 // 5 - weights * 2 // 5, weights - weights * 4 // 5] * 2


# --- any machine ----------------------------------------------------------------------------------------


@st.composite
def streams(draw: Any) -> tuple[Case, Scenario, list[KvsimStep]]:
    """Any machine, some with codecs, whose layers stream weights from any tier but the first."""
    if draw(st.booleans()):
        case, scenario = draw(machines())
    else:
        case = draw(cases(draw(st.sampled_from(["demand", "layered"])), busy=True))
        scenario = bridge.scenario(case)
    plain = scenario.model_dump(mode="json")
    below = [tier.name for tier in scenario.hierarchy.tiers[1:]]
    plain["execution"]["weights"] = draw(st.sampled_from(below))
    for link in plain["hierarchy"]["links"]:
        link["compute_share"] = draw(st.sampled_from([0.0, 0.1]))
    steps = list(bridge.workload(case).steps())
    for layer in (layer for step in steps for layer in step.layers):
        layer.stream_bytes = draw(st.sampled_from([0, 1, 777, 3001]))
    return case, Scenario.model_validate(plain), steps


@given(streams())
@thorough
def test_the_books_balance_with_streams_too(machine: tuple[Case, Scenario, list[KvsimStep]]) -> None:
    case, scenario, steps = machine
    result = outcome_of(case, scenario, steps)  # audited
    wanted = [layer.stream_bytes for step in steps for layer in step.layers if layer.stream_bytes]
    transfers = result.records.transfers
    of_weights = transfers.array()[transfers.column("pages") == 0]
    assert of_weights[:, transfers.columns.index("bytes")].tolist() == wanted
    assert result.weights_bytes == sum(wanted)
    found, table = exposure(result), result.records.steps
    for cause, name in enumerate(CAUSE_COLUMNS):
        by_step = np.zeros(result.steps, dtype=np.int64)
        np.add.at(by_step, found.step[found.cause == cause], found.ticks[found.cause == cause])
        assert by_step.tolist() == table.column(name).tolist()
    paths = CriticalPaths(result)
    for step, (start, end) in enumerate(zip(table.column("start"), table.column("end"), strict=True)):
        assert sum(span.end - span.start for span in paths.of(step)) == end - start
    bounds = run_bounds(result)
    assert bounds.lower_ticks <= result.makespan_ticks <= bounds.additive_ticks


@given(streams())
@thorough
def test_a_layer_ends_when_its_weights_are_there(machine: tuple[Case, Scenario, list[KvsimStep]]) -> None:
    """From the records: a stream begins with the compute it belongs to, and is over before the next layer."""
    case, scenario, steps = machine
    result = outcome_of(case, scenario, steps)
    transfers, layers = result.records.transfers, result.records.layers
    weights = transfers.array()[transfers.column("pages") == 0].tolist()
    sizes = iter(weights)
    flat = [layer for step in steps for layer in step.layers]
    starts, ends = layers.column("start").tolist(), layers.column("end").tolist()
    followers = [*starts[1:], result.makespan_ticks]
    for layer, start, end, following in zip(flat, starts, ends, followers, strict=True):
        if layer.stream_bytes:
            requested, granted, arrived = next(sizes)[-3:]
            assert requested == granted == start
            assert following >= max(end, arrived)
    assert next(sizes, None) is None


def outcome_of(case: Case, scenario: Scenario, steps: list[KvsimStep]) -> RunResult:
    workload = bridge.workload(case)
    workload._steps = steps
    return outcome(case, scenario, workload)
