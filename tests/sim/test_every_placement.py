"""Every placement policy there is, on tiny machines, in every mode: the audit of each run is the test.

And what the policies are for, on a decode whose cache outgrows tier 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.bridge import ExplicitWorkload

from kvsim.analysis.attribution import exposure
from kvsim.analysis.critical_path import CriticalPaths
from kvsim.analysis.run_bounds import run_bounds
from kvsim.policies import names
from kvsim.policies.registry import PLACEMENT
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult
from kvsim.units import TICKS_PER_SECOND
from kvsim.workloads.base import LayerAccess, Step

PAGE = 50
LAYERS = 3
MODES = ("serial", "demand", "layered", "async", "ideal")
MACHINES: dict[str, list[tuple[int, dict[str, Any]]]] = {
    "promote": [(9, {}), (40, {})],
    "direct": [(9, {}), (40, {"access": "direct"})],
    "stage": [(9, {}), (40, {"access": "stage"})],
    "inclusive": [(9, {}), (40, {"inclusive": True})],
    "four levels": [(9, {}), (8, {"access": "direct"}), (8, {"access": "stage"}), (40, {})],
    "roomy": [(40, {}), (40, {})],
    "watermarks": [(9, {"high_watermark": 0.9, "low_watermark": 0.5}), (12, {"access": "direct"}), (40, {})],
}
"""Tiers: how many pages each holds, and what else."""


class Cache(ExplicitWorkload):
    """Four pages of each layer at the start, and one more at the end of every second step if it grows; a
    layer reads what the test says of its pages."""

    def __init__(self, reads: list[list[list[int]]], grows: bool) -> None:
        self.page_layers = np.arange(LAYERS * (4 + (len(reads) // 2 if grows else 0))) % LAYERS
        steps = []
        for number, layers in enumerate(reads):
            pages = LAYERS * (4 + number // 2)
            born = np.arange(pages, pages + LAYERS) if grows and number % 2 else np.empty(0, np.int64)
            steps.append(
                Step(
                    [
                        LayerAccess(
                            np.unique([index * LAYERS + layer for index in read]).astype(np.int64),
                            1000,
                            layer,
                            created=born[layer : layer + 1],
                        )
                        for layer, read in enumerate(layers)
                    ]
                )
            )
        super().__init__(steps, 4 * LAYERS, PAGE, "appear")


def run(
    placement: str,
    machine: list[tuple[int, dict[str, Any]]],
    reads: list[list[list[int]]],
    mode: str = "demand",
    policy: dict[str, Any] | None = None,
    grows: bool = True,
    during: bool = False,
) -> RunResult:
    """Links of one byte a tick; the pages of a layer compute for 1,000 ticks."""
    tiers = [
        {"name": f"t{k}", "capacity": f"{room * PAGE} B", "read_bandwidth": f"{2 * TICKS_PER_SECOND} B/s"}
        | more
        for k, (room, more) in enumerate(machine)
    ]
    links = [
        {"name": f"l{k}", "between": [f"t{k}", f"t{k + 1}"], "bandwidth": f"{TICKS_PER_SECOND} B/s"}
        for k in range(len(tiers) - 1)
    ]
    scenario = {
        "name": "placed",
        "scheme": {"name": "byte", "bits": 8},
        "hierarchy": {"tiers": tiers, "links": links},
        "workload": {"kind": "custom", "workload_class": "oracle.bridge:ExplicitWorkload"},
        "policy": {"placement": placement, **(policy or {})},
        "execution": {"overlap": mode, "compute_time": "1 ns", "in_place": "during" if during else "before"},
    }
    return simulate(Scenario.model_validate(scenario), Cache(reads, grows))


def everything(steps: int) -> list[list[list[int]]]:
    """Every layer reads all of its pages in every step."""
    return [[list(range(4 + number // 2))] * LAYERS for number in range(steps)]


def drifting(steps: int) -> list[list[list[int]]]:
    """Every layer reads two neighbours of its first four pages, others after every third step."""
    return [[[number // 3 % 4, (number // 3 + 1) % 4]] * LAYERS for number in range(steps)]


def fitting(placement: str) -> list[str]:
    """The machines that the policy can be used on."""
    direct = [name for name, tiers in MACHINES.items() if any("direct" in str(more) for _, more in tiers)]
    return direct if PLACEMENT.get(placement).needs_direct else list(MACHINES)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("placement", names()["placement"])
def test_the_books_balance_under_every_placement(placement: str, mode: str) -> None:
    for machine in fitting(placement):
        for reads in (everything(6), drifting(9)):
            for during in (False, True):
                guesses = {"prefetch": "next_page"}
                result = run(placement, MACHINES[machine], reads, mode, guesses, during=during)
                assert result.steps == len(reads)
                assert result.accesses == sum(len(read) for step in reads for read in step)


@given(data=st.data())
def test_the_books_balance_whatever_is_read_and_decisions_take(data: st.DataObject) -> None:
    placement = data.draw(st.sampled_from(names()["placement"]))
    machine = MACHINES[data.draw(st.sampled_from(fitting(placement)))]
    mode = data.draw(st.sampled_from(MODES))
    read = st.lists(st.integers(0, 3), max_size=4)
    reads = data.draw(st.lists(st.lists(read, min_size=LAYERS, max_size=LAYERS), min_size=1, max_size=6))
    times = st.sampled_from(("0 s", "7 ps", "2 ns"))
    policy = {
        "prefetch": "next_page",
        "decision_time": data.draw(times),
        "decision_time_per_page": data.draw(times),
    }
    result = run(placement, machine, reads, mode, policy, during=data.draw(st.booleans()))
    found = exposure(result)
    assert int(found.ticks.sum()) == sum(result.exposed_ticks)
    for step in range(result.steps):
        row = result.records.steps.array()[step]
        spans = CriticalPaths(result).of(step)
        assert sum(span.end - span.start for span in spans) == row[3] - row[2]
    bounds = run_bounds(result)
    assert bounds.lower_ticks <= result.makespan_ticks <= bounds.additive_ticks


# -- decisions -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "ideal"])
def test_decisions_take_their_time_after_each_step(mode: str) -> None:
    """Twelve pages, fifteen and eighteen after steps 1 and 3: 100 ticks and 3 for each. All stay where they
    are, but with a threshold that has to be looked at."""
    times = {"decision_time": "100 ps", "decision_time_per_page": "3 ps"}
    choice = {"placement": {"name": "adaptive", "options": {"thresholds": [0.0]}}}
    machine = MACHINES["roomy"]
    plain = run("adaptive", machine, everything(4), mode, choice)
    result = run("adaptive", machine, everything(4), mode, choice | times)
    steps = result.records.steps
    assert steps.column("decision").tolist() == [100 + 3 * n for n in (12, 15, 15, 18)]
    assert result.makespan_ticks == plain.makespan_ticks + sum(steps.column("decision").tolist())
    assert result.compute_ticks == plain.compute_ticks
    stalls = result.records.stalls
    mine = stalls.array()[stalls.column("cause") == Cause.DECISION]
    assert mine[:, 3].tolist() == steps.column("end").tolist()
    assert set(mine[:, 1].tolist()) == {LAYERS - 1}
    assert set(mine[:, 5:].flatten().tolist()) == {-1}


@pytest.mark.parametrize("placement", ["adaptive", "predictive", "oracle"])
def test_where_all_pages_fit_the_first_tier_there_is_nothing_to_decide(placement: str) -> None:
    times = {"decision_time": "100 ps", "decision_time_per_page": "3 ps"}
    assert run(placement, MACHINES["roomy"], everything(4), policy=times).exposed_ticks[Cause.DECISION] == 0
    assert run(placement, MACHINES["direct"], everything(4), policy=times).exposed_ticks[Cause.DECISION] > 0


@pytest.mark.parametrize("placement", ["static", "static_split", "parallel", "fill", "last"])
def test_what_is_decided_once_takes_no_time_on_the_steps(placement: str) -> None:
    times = {"decision_time": "100 ps", "decision_time_per_page": "3 ps"}
    result = run(placement, MACHINES["direct"], everything(4), "layered", times)
    assert result.exposed_ticks[Cause.DECISION] == 0


def test_in_ideal_decisions_take_no_time() -> None:
    result = run("adaptive", MACHINES["direct"], everything(4), "ideal", {"decision_time": "1 ns"})
    assert result.makespan_ticks == 4 * LAYERS * 1000


def test_moves_begin_when_they_have_been_decided() -> None:
    """Tier 0 holds two pages and stages nothing, as tier 1 is read in place. Step 0 reads pages 2 and 5 of
    layer 2 only: they go up, one byte a tick, when 500 ticks of decision are over."""
    machine = [(2, {}), (40, {"access": "direct"})]
    result = run("adaptive", machine, [[[], [], [0, 1]]] * 2, policy={"decision_time": "500 ps"})
    transfers = result.records.transfers
    up = transfers.array()[transfers.column("target") == 0]
    first = result.records.steps.array()[0]
    assert up[:, 3].tolist() == [2, 5]
    assert set(up[:, 9].tolist()) == {first[3]}
    assert first[3] == 2 * PAGE + 3 * 1000 + 500


def test_adaptive_beats_static_until_its_decisions_cost_more_than_it_saves() -> None:
    """A cache of twelve pages, six of them hot, of which tier 0 holds ten: static reads all six from below in
    every step, adaptive the last two of them in the first. They come up while the first layers compute, and
    nothing is waited for from then on. Once decisions take longer than that saves, adaptive loses."""
    reads = [[[2, 3]] * LAYERS] * 40
    machine = [(10, {}), (40, {"access": "direct"})]

    def ticks(placement: str, decision: int) -> int:
        times = {"decision_time": f"{decision} ps"}
        return run(placement, machine, reads, "demand", times, grows=False).makespan_ticks

    static = ticks("static", 0)
    assert static == 40 * LAYERS * (1000 + 2 * PAGE)
    saved = static - ticks("adaptive", 0)
    assert saved == (6 - 2) * PAGE + 39 * 6 * PAGE
    assert ticks("adaptive", saved // 40 - 2 * PAGE) < static < ticks("adaptive", saved // 40 + 2 * PAGE)
    assert ticks("static", saved) == static


# -- what they are for ---------------------------------------------------------------


def test_static_offloads_the_cache_before_it_has_outgrown_tier_0() -> None:
    """Twelve pages at the start fit the room for 13; the fifteen that there will be do not."""
    result = run("static", [(13, {}), (40, {"access": "direct"})], everything(2))
    assert result.tiers[0].found == 0
    assert result.residency[result.residency >= 0].tolist() == [1] * 15
    roomy = run("static", [(15, {}), (40, {"access": "direct"})], everything(2))
    assert roomy.tiers[1].found == 0


@pytest.mark.parametrize("access", ["promote", "stage", "direct"])
@pytest.mark.parametrize("mode", MODES)
def test_what_static_offloads_is_never_promoted(access: str, mode: str) -> None:
    result = run("static", [(9, {}), (40, {"access": access})], everything(6), mode)
    assert result.tiers[0].found == 0
    assert result.residency[result.residency >= 0].tolist() == [1] * (LAYERS * 7)
    assert result.tiers[0].evictions == 0
    assert result.migrated == ((0, 1, LAYERS * 3),)  # what was born
    reads = sum(len(read) for step in everything(6) for read in step)
    assert result.tiers[1].read_bytes == (0 if (mode, access) == ("ideal", "direct") else reads * PAGE)


def test_by_layers_the_last_layers_are_read_in_tier_0() -> None:
    """Layers of seven pages in the end: one of them fits, beside room for two that pass (at most half)."""
    placement = {"name": "static", "options": {"by": "layers"}}
    result = run("static", [(14, {}), (40, {})], everything(6), policy={"placement": placement})
    assert result.tiers[0].found == sum(4 + number // 2 for number in range(6))
    last = np.arange(LAYERS * 7) % LAYERS == LAYERS - 1
    assert result.residency[: LAYERS * 7].tolist() == np.where(last, 0, 1).tolist()


def test_four_levels_are_filled_by_how_often_pages_are_read() -> None:
    """Of the pages of each layer the first is read in every step, the second in every second and so on; there
    is a tier for each kind. They start in this order, and stay; the other way round they change places."""
    machine: list[tuple[int, dict[str, Any]]] = [
        (3, {}),
        (3, {"access": "direct"}),
        (3, {"access": "direct"}),
    ]
    machine.append((40, {"access": "direct"}))
    steady = {"placement": {"name": "adaptive", "options": {"weight": 0.2}}}
    often = [[[n for n in range(4) if step % 2**n == 0]] * LAYERS for step in range(32)]
    seldom = [[[3 - n for n in read] for read in layers] for layers in often]
    for reads, tiers in ((often, [0, 1, 2, 3]), (seldom, [3, 2, 1, 0])):
        result = run("adaptive", machine, reads, policy=steady, grows=False)
        assert result.residency[: LAYERS * 4].tolist() == [tier for tier in tiers for _ in range(LAYERS)]


def test_the_oracle_finds_no_less_in_tier_0_than_the_others() -> None:
    machine = [(9, {}), (40, {"access": "direct"})]
    for reads in (drifting(24), everything(8)):
        found = {
            name: run(name, machine, reads).tiers[0].found
            for name in ("oracle", "adaptive", "predictive", "static", "static_split")
        }
        assert found["oracle"] == max(found.values())
