"""The engine and the oracle agree to the tick, on anything."""

from __future__ import annotations

import os
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

thorough = settings(
    max_examples=int(os.environ.get("KVSIM_EXAMPLES", "50")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
"""The same cases every time, 200 of a kind in the environment `slow`. To hunt: more, and not derandomized."""


DECISIONS = ("residency", "found", "absent", "evictions", "discards")
"""What does not depend on time."""


def facts(outcome: Outcome, *, timed: bool = True, lanes: bool = True) -> dict[str, Any]:
    """What two runs must have in common; arrivals on the same tick in any order."""
    names = [*DECISIONS, *(["lane_bytes"] if lanes else [])]
    if timed:
        names += ["end", "steps", "computes", "stalls"]
    return {name: getattr(outcome, name) for name in names}


def travels(outcome: Outcome) -> list[Any]:
    """Every transfer with its times, those that arrive on the same tick in order of their pages."""
    return sorted((arrival.arrived, arrival.page, arrival) for arrival in outcome.arrivals)


def check(case: Case) -> None:
    """The engine does what the oracle does, failing included.

    Where unrelated transfers reach a lane on the same tick, which of them goes first is not promised, and
    only decisions are compared.
    """
    try:
        expected = naive.simulate(case)
    except NoRoom:
        with pytest.raises(SimulationError):
            bridge.run(case)
        return
    found = bridge.simulate(case)
    timed = not expected.races
    assert facts(found, timed=timed) == facts(expected, timed=timed)
    if timed and case.mode in ("demand", "layered"):  # in the other modes moves have no life of their own
        assert travels(found) == travels(expected)


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


@thorough
@given(cases("serial", busy=True))
def test_serial_agrees_on_busy_machines(case: Case) -> None:
    check(case)


@thorough
@given(cases("demand", busy=True))
def test_demand_agrees_on_busy_machines(case: Case) -> None:
    check(case)


@thorough
@given(cases("layered", busy=True))
def test_layered_agrees_on_busy_machines(case: Case) -> None:
    check(case)


@thorough
@given(cases("ideal", busy=True))
def test_ideal_agrees_on_busy_machines(case: Case) -> None:
    check(case)


def _in(case: Case, mode: Mode) -> Outcome:
    return bridge.simulate(replace(case, mode=mode))


@thorough
@given(cases("demand"))
def test_serial_demand_and_ideal_decide_alike(case: Case) -> None:
    serial, demand, ideal = (_in(case, mode) for mode in ("serial", "demand", "ideal"))
    assert facts(serial, timed=False) == facts(demand, timed=False)
    # Nothing crosses a lane in ideal mode.
    assert facts(ideal, timed=False, lanes=False) == facts(demand, timed=False, lanes=False)


@thorough
@given(cases("demand"))
def test_serial_is_never_faster_than_demand_and_ideal_never_slower(case: Case) -> None:
    # A transfer makes progress at every moment of a wait, and in serial mode each progresses alone.
    serial, demand, ideal = (_in(case, mode).end for mode in ("serial", "demand", "ideal"))
    assert ideal <= demand <= serial


@thorough
@given(cases("layered", absent_costs=False))
def test_ideal_is_never_slower_than_layered(case: Case) -> None:
    # Fetching ahead changes which pages are lost and computed again, so those must cost nothing here.
    try:
        layered = bridge.simulate(case)
    except NoRoom:
        return
    assert _in(case, "ideal").end <= layered.end


@thorough
@given(cases("layered"))
def test_a_run_repeats_itself(case: Case) -> None:
    try:
        first = bridge.simulate(case)
    except NoRoom:
        return
    assert first == bridge.simulate(case)
