"""The engine and the oracle agree to the tick, on anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from oracle import bridge, naive
from oracle.decisions import NoRoom
from oracle.description import Case, Mode
from oracle.outcome import Outcome
from strategies import cases

from kvsim.errors import SimulationError
from kvsim.sim.engine import simulate
from kvsim.sim.result import RunResult

Facts = dict[str, Any]

thorough = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
"""The same cases every time; `derandomize=False` and more of them to hunt."""


def _merged(stalls: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Waits of one layer that follow each other at once are one wait."""
    result: list[tuple[int, int, int, int]] = []
    for step, layer, start, end in sorted(stalls):
        if result and result[-1][:2] == (step, layer) and result[-1][3] == start:
            result[-1] = (step, layer, result[-1][2], end)
        elif end > start:
            result.append((step, layer, start, end))
    return result


def _of_oracle(case: Case, outcome: Outcome) -> Facts:
    lanes = {
        (f"{'link' if kind == 'link' else 'tier'}{number}", direction): size
        for (kind, number, direction), size in outcome.lane_bytes.items()
    }
    return {
        "end": outcome.end,
        "steps": outcome.steps,
        "computes": outcome.computes,
        "stalls": _merged(outcome.stalls),
        "arrivals": sorted(
            (a.requested, a.granted, a.arrived, a.page, a.source, a.target, a.size, a.cls, a.issued)
            for a in outcome.arrivals
        ),
        "residency": outcome.residency,
        "found": outcome.found,
        "absent": outcome.absent,
        "evictions": outcome.evictions,
        "discards": outcome.discards,
        "lanes": lanes,
    }


def _of_engine(case: Case, result: RunResult) -> Facts:
    records = result.records
    steps = records.steps
    transfers = records.transfers
    names = ("requested", "granted", "arrived", "page", "source", "target", "bytes", "cls", "issued_cls")
    residency = result.residency.tolist()
    return {
        "end": result.makespan_ticks,
        "steps": [
            tuple(row)
            for row in zip(
                *(steps.column(name).tolist() for name in ("start", "end", "compute")), strict=True
            )
        ],
        "computes": [tuple(row) for row in records.layers.array().tolist()],
        "stalls": _merged([tuple(row[:4]) for row in records.stalls.array().tolist()]),
        "arrivals": sorted(zip(*(transfers.column(name).tolist() for name in names), strict=True)),
        "residency": residency + [-1] * (len(case.scalars) - len(residency)),
        "found": [tier.found for tier in result.tiers],
        "absent": result.absent,
        "evictions": [tier.evictions for tier in result.tiers],
        "discards": [tier.discards for tier in result.tiers],
        "lanes": {(lane.link, lane.direction): lane.bytes_out for lane in result.lanes},
    }


def run(case: Case) -> RunResult:
    """The engine's result."""
    return simulate(bridge.scenario(case), bridge.workload(case))


DECISIONS = ("residency", "found", "absent", "evictions", "discards", "lanes")
"""What does not depend on the order of events that fall on the same tick."""


def check(case: Case) -> None:
    """The engine does what the oracle does, failing included."""
    try:
        outcome = naive.simulate(case)
    except NoRoom:
        with pytest.raises(SimulationError):
            run(case)
        return
    expected, found = _of_oracle(case, outcome), _of_engine(case, run(case))
    compared = set(DECISIONS) if outcome.races else set(expected)
    if case.mode in ("serial", "ideal"):  # their moves have no life of their own to compare
        compared.discard("arrivals")
    assert {key: found[key] for key in compared} == {key: expected[key] for key in compared}


@thorough
@given(cases("serial"))
def test_serial_agrees(case: Case) -> None:
    check(case)


@thorough
@given(cases("demand"))
def test_demand_agrees(case: Case) -> None:
    check(case)


@thorough
@given(cases("layered"))
def test_layered_agrees(case: Case) -> None:
    check(case)


@thorough
@given(cases("ideal"))
def test_ideal_agrees(case: Case) -> None:
    check(case)


def _in(case: Case, mode: Mode) -> RunResult:
    return run(replace(case, mode=mode))


@thorough
@given(cases("demand"))
def test_serial_demand_and_ideal_decide_alike(case: Case) -> None:
    results = [_of_engine(case, _in(case, mode)) for mode in ("serial", "demand", "ideal")]
    for key in DECISIONS:
        if key == "lanes":  # nothing crosses a lane in ideal mode
            assert results[0][key] == results[1][key]
        else:
            assert results[0][key] == results[1][key] == results[2][key], key


@thorough
@given(cases("demand"))
def test_serial_is_never_faster_than_demand_and_ideal_never_slower(case: Case) -> None:
    # A transfer makes progress at every moment of a wait, and in serial mode each progresses alone.
    serial, demand, ideal = (_in(case, mode).makespan_ticks for mode in ("serial", "demand", "ideal"))
    assert ideal <= demand <= serial


@thorough
@given(cases("layered", absent_costs=False))
def test_ideal_is_never_slower_than_layered(case: Case) -> None:
    # Fetching ahead changes which pages are lost and computed again, so those must cost nothing here.
    try:
        layered = run(case)
    except SimulationError:
        return
    assert _in(case, "ideal").makespan_ticks <= layered.makespan_ticks


@thorough
@given(cases("layered"))
def test_a_run_repeats_itself(case: Case) -> None:
    try:
        first = run(case)
    except SimulationError:
        return
    assert _of_engine(case, first) == _of_engine(case, run(case))
