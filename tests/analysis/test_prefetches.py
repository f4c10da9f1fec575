"""The fates of prefetches: what the records say of each is what the engine counted."""

from __future__ import annotations

import pytest
from analysis.synthetic import Lane, make_run, step_row
from hypothesis import given
from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier
from sim.test_any_machine import machines, outcome, thorough

from kvsim.analysis.frames import frames
from kvsim.analysis.metrics import summarise
from kvsim.analysis.prefetches import LATE, TIMELY, WASTED, late_saved_ticks, prefetches, stolen_ticks
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import Cause, TransferClass
from kvsim.sim.result import RunResult

DEMAND, PREFETCH = int(TransferClass.DEMAND), int(TransferClass.PREFETCH)


@given(machines())
@thorough
def test_the_records_tell_the_fates_that_were_counted(machine: tuple[Case, Scenario]) -> None:
    result = outcome(*machine)
    found, counted = prefetches(result), result.prefetch
    assert int(found.pages.sum()) == counted.issued
    assert int(found.wasted.sum()) == counted.wasted
    late = found.fate == LATE
    assert int(found.pages[late].sum()) >= counted.late  # neighbours on a late transfer come along
    if result.scenario.execution.dma.coalesce == 1:
        assert [int((found.fate == fate).sum()) for fate in (TIMELY, LATE, WASTED)] == [
            counted.timely,
            counted.late,
            counted.wasted,
        ]
    assert (found.waited[late] > 0).all()
    assert (found.saved >= 0).all()
    assert (found.saved + found.waited)[late].tolist() == (found.arrived - found.requested)[late].tolist()


@given(machines())
@thorough
def test_no_more_is_stolen_than_demand_queued(machine: tuple[Case, Scenario]) -> None:
    result = outcome(*machine)
    found, hops = prefetches(result), result.records.hops
    table = result.records.transfers
    classes = dict(zip(table.column("transfer"), table.column("issued_cls"), strict=True))
    rows = zip(*(hops.column(name).tolist() for name in ("transfer", "queued", "start")), strict=True)
    queued = sum(start - begin for number, begin, start in rows if classes[number] == DEMAND)
    stolen = stolen_ticks(result, found)
    assert 0 <= stolen <= queued
    assert stolen <= int(found.stolen.sum())  # with several channels a moment may be laid at several doors
    if all(lane.channels == 1 for lane in result.lanes) and not int(found.stolen.sum()):
        assert stolen == 0


def late_run() -> RunResult:
    """Two prefetches requested at 10 and 20; a layer waits for both from 50, until 90."""
    return make_run(
        steps=[step_row(0, 0, 100, (0, 0, 0, 0, 40))],
        layers=[(0, 0, 0, 50), (0, 1, 90, 100)],
        stalls=[(0, 1, 50, 90, Cause.LATE_PREFETCH, 0, 2)],
        transfers=[
            (1, DEMAND, PREFETCH, 7, 1, 500, 1, 0, 0, 10, 10, 60),
            (2, DEMAND, PREFETCH, 8, 2, 500, 1, 0, 0, 20, 20, 90),
            (3, PREFETCH, PREFETCH, 10, 1, 500, 1, 0, 0, 30, 30, 95),
            (4, DEMAND, DEMAND, 11, 1, 500, 1, 0, 0, 35, 35, 99),
        ],
        hops=[
            (1, 0, 10, 10, 60, 500, 50),
            (2, 0, 20, 60, 90, 500, 30),
            (3, 0, 30, 90, 95, 500, 5),
            (4, 0, 35, 95, 99, 500, 4),
        ],
        prefetches=[(7, 0), (8, 0), (9, 0)],  # read; page 10 never is
        lanes=[Lane("pcie up", "pcie", "up")],
    )


def test_a_late_prefetch_saves_its_head_start() -> None:
    found = prefetches(late_run())
    assert found.transfer.tolist() == [1, 2, 3]
    assert found.needed.tolist() == [50, 50, -1]
    assert found.waited.tolist() == [10, 40, 0]
    assert found.saved.tolist() == [40, 30, 0]
    assert found.fate.tolist() == [LATE, LATE, WASTED]


def test_steps_gained_what_the_last_arrival_saved() -> None:
    assert late_saved_ticks(late_run()) == 30


def test_a_prefetch_steals_from_demand_until_it_is_needed_itself() -> None:
    """Demand queues from 35 to 95, behind services [10, 50) of 1, none of 2 (needed at 50) and [90, 95)."""
    result = late_run()
    found = prefetches(result)
    assert found.stolen.tolist() == [50 - 35, 0, 95 - 90]
    assert stolen_ticks(result, found) == 15 + 5
    assert summarise(result).prefetch["stolen_s"] == 20 / 10**12


def test_the_table_of_prefetches_has_a_row_each() -> None:
    table = frames(late_run()).prefetches
    assert table["fate"].tolist() == ["late", "late", "wasted"]
    assert table["needed_s"].isna().tolist() == [False, False, True]
    assert table["saved_s"].tolist() == [40 / 10**12, 30 / 10**12, 0]


def test_without_event_records_times_are_unknown_and_counts_are_not() -> None:
    fates = summarise(make_run(keep_events=False)).prefetch
    counts = ("issued", "timely", "late", "wasted", "dropped", "polluted", "cancelled")
    assert fates == dict.fromkeys(counts, 0) | {
        "late_saved_s": None,
        "stolen_s": None,
    }


@pytest.mark.parametrize("mode", ["serial", "async"])
def test_a_miss_on_a_page_that_a_guess_displaced_is_pollution(mode: str) -> None:
    """Tier 0 holds two pages. After 1 is read, 2 is guessed and 0 has to leave: its next read is a miss."""
    reads = (0, 1, 0, 5, 0)
    case = Case(
        tiers=(Tier(capacity=2000), Tier(capacity=100_000)),
        links=(Link(0, 1, bandwidth=10**9, latency=500),),
        scalars=(1000,) * 12,
        initial=10,
        steps=tuple(Step((Layer((page,), compute=10**8),)) for page in reads),
        mode="demand",
        fill=True,
    )
    plain = bridge.scenario(case).model_dump(mode="json")
    plain["execution"]["overlap"] = mode
    plain["policy"]["prefetch"] = {"name": "next_page", "options": {}}
    result = simulate(Scenario.model_validate(plain), bridge.workload(case))
    moves = result.records.transfers
    up = zip(*(moves.column(name).tolist() for name in ("page", "issued_cls", "target")), strict=True)
    assert [(page, cls == PREFETCH) for page, cls, target in up if target == 0][:2] == [(2, True), (0, False)]
    assert result.prefetch.polluted >= 1
    assert result.prefetch.polluted <= result.accesses - result.tiers[0].found
