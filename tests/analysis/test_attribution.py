"""Exposed time by step, lane, class and cause, and the time lanes had work, on any machine."""

from __future__ import annotations

import numpy as np
from analysis.synthetic import Lane, make_run, step_row
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case, Mode
from sim.test_any_machine import machines, outcome, thorough
from strategies import cases

from kvsim.analysis.attribution import NO_CLASS, exposure, outstanding
from kvsim.analysis.critical_path import CriticalPaths
from kvsim.analysis.intervals import merge, overlap_ticks, total_ticks
from kvsim.analysis.metrics import summarise
from kvsim.errors import SimulationError
from kvsim.scenario.scenario import Scenario
from kvsim.sim.records import CAUSE_COLUMNS, Cause, TransferClass
from kvsim.sim.result import RunResult

OTHER_MODES: tuple[Mode, ...] = ("serial", "layered", "ideal")
MACHINES = st.one_of(machines(), *(cases(mode) for mode in OTHER_MODES))


def run(drawn: tuple[Case, Scenario] | Case) -> RunResult:
    if not isinstance(drawn, Case):
        return outcome(*drawn)
    try:
        return bridge.run(drawn)
    except SimulationError as error:
        assume("no room" not in str(error))
        raise


@given(MACHINES)
@thorough
def test_what_is_exposed_by_lane_class_and_cause_is_what_steps_waited(
    drawn: tuple[Case, Scenario] | Case,
) -> None:
    result = run(drawn)
    found, steps = exposure(result), result.records.steps
    waited = steps.column("end") - steps.column("start") - steps.column("compute")
    by_step = np.zeros(result.steps, dtype=np.int64)
    np.add.at(by_step, found.step, found.ticks)
    assert by_step.tolist() == waited.tolist()
    for cause, name in enumerate(CAUSE_COLUMNS):
        mine = found.cause == cause
        by_step = np.zeros(result.steps, dtype=np.int64)
        np.add.at(by_step, found.step[mine], found.ticks[mine])
        assert by_step.tolist() == steps.column(name).tolist()
    keys = list(zip(found.step, found.lane, found.issued_cls, found.cause, strict=True))
    assert keys == sorted(set(keys))
    assert sum(found.by_class().values()) == int(waited.sum())


@given(MACHINES)
@thorough
def test_a_lane_has_work_under_compute_under_waits_or_between_steps(
    drawn: tuple[Case, Scenario] | Case,
) -> None:
    """The three parts are measured against when steps ran, which the identity itself does not use."""
    result = run(drawn)
    records = result.records
    running = merge(records.steps.column("start"), records.steps.column("end"))
    lanes = summarise(result).links
    for index, (info, work) in enumerate(zip(result.lanes, outstanding(result), strict=True)):
        mine = records.hops.column("lane") == index
        queued, start, end = (records.hops.column(name)[mine] for name in ("queued", "start", "end"))
        union = merge(queued, end)
        assert work.total == total_ticks(union)
        assert work.hidden + work.waiting == overlap_ticks(union, running)
        assert work.between >= 0
        # No lane rests while something is queued for it: hidden time is the same however it is defined.
        assert [part.tolist() for part in union] == [part.tolist() for part in merge(start, end)]
        assert lanes[info.name].hidden_s == work.hidden / 10**12


@given(MACHINES)
@thorough
def test_critical_paths_tile_their_steps(drawn: tuple[Case, Scenario] | Case) -> None:
    result = run(drawn)
    steps = result.records.steps
    paths = CriticalPaths(result)
    for step, (start, end) in enumerate(zip(steps.column("start"), steps.column("end"), strict=True)):
        at = int(start)
        for span in paths.of(step):
            assert span.start == at < span.end
            at = span.end
        assert at == end


@given(MACHINES)
@thorough
def test_a_step_that_only_computes_has_a_path_of_compute(drawn: tuple[Case, Scenario] | Case) -> None:
    result = run(drawn)
    steps, paths = result.records.steps, CriticalPaths(result)
    span = steps.column("end") - steps.column("start")
    for step in np.flatnonzero(span == steps.column("compute")).tolist():
        assert {link.kind for link in paths.of(step)} <= {"compute"}


def test_a_late_prefetch_is_exposed_as_a_prefetch_and_a_new_page_as_none() -> None:
    late, demand = TransferClass.PREFETCH, TransferClass.DEMAND
    found = exposure(
        make_run(
            steps=[step_row(0, 0, 60, (0, 0, 20, 0, 40))],
            stalls=[
                (0, 0, 0, 30, Cause.LATE_PREFETCH, 0, 7),
                (0, 1, 30, 40, Cause.LATE_PREFETCH, 0, 7),
                (0, 1, 40, 60, Cause.ROOM, -1, 9),
            ],
            transfers=[(7, demand, late, 3, 1, 500, 1, 0, 0, 0, 0, 30)],
        )
    )
    rows = list(zip(found.step, found.lane, found.issued_cls, found.cause, found.ticks, strict=True))
    assert rows == [(0, -1, NO_CLASS, Cause.ROOM, 20), (0, 0, late, Cause.LATE_PREFETCH, 40)]


def test_work_after_the_last_step_is_between_steps() -> None:
    result = make_run(
        steps=[step_row(0, 0, 100)],
        layers=[(0, 0, 0, 100)],
        hops=[(0, 0, 80, 90, 130, 1, 40)],
        lanes=[Lane("pcie up", "pcie", "up")],
    )
    (work,) = outstanding(result)
    assert (work.hidden, work.waiting, work.between) == (20, 0, 30)
    kept = summarise(result).links["pcie up"].outstanding_s
    assert kept == {"hidden": 20 / 10**12, "waiting": 0, "between": 30 / 10**12, "total": 50 / 10**12}
