"""Staging in a scratch memory, and pages that a placement policy moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle.bridge import ExplicitWorkload

from kvsim.policies import PlacementPolicy
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import BACKGROUND, DEMAND
from kvsim.sim.result import RunResult
from kvsim.units import TICKS_PER_SECOND
from kvsim.workloads.base import LayerAccess, Step

PAGE = 50
MODES = ("serial", "demand", "layered", "async", "ideal")


class Told(PlacementPolicy):
    """Does what the test says: which pages stay in tier 0, and what moves after which step."""

    name = "told"
    watches = True
    first: int = 1
    kept: frozenset[int] = frozenset()
    moves: Sequence[Sequence[tuple[int, int]]] = ()
    read: list[list[int]]

    def start(self, page: int) -> int:
        return self.first

    def accessed(self, pages: NDArray[np.int64]) -> None:
        self.read.append(pages.tolist())

    def keeps(self, page: int) -> bool:
        return page in self.kept

    def migrations(self) -> Iterable[tuple[int, int]]:
        step = self.view.step
        return self.moves[step] if step < len(self.moves) else ()


def told(
    first: int = 1, kept: Iterable[int] = (), moves: Sequence[Sequence[tuple[int, int]]] = ()
) -> type[Told]:
    """The class to name in a scenario; a new one each time, so that tests do not meet."""
    fields = {"first": first, "kept": frozenset(kept), "moves": moves, "read": []}
    return type("Chosen", (Told,), fields)


class Steps(ExplicitWorkload):
    """Layers by the pages they read."""

    def __init__(self, steps: Sequence[Sequence[Sequence[int]]], pages: int) -> None:
        each = [
            Step([LayerAccess(np.array(read, dtype=np.int64), 1000, n) for n, read in enumerate(layers)])
            for layers in steps
        ]
        super().__init__(each, pages, np.full(pages, PAGE, dtype=np.int64), "appear")


def run(
    steps: Sequence[Sequence[Sequence[int]]],
    capacities: Sequence[int],
    policy: type[Told] | str,
    monkeypatch: pytest.MonkeyPatch | None = None,
    mode: str = "demand",
    pages: int = 6,
    inclusive: Sequence[int] = (),
    **tier: Any,
) -> RunResult:
    """A chain of tiers with room for so many pages, one byte a tick between neighbours, no latency."""
    tiers = [
        {"name": f"t{k}", "capacity": f"{room * PAGE} B", "inclusive": k in inclusive}
        for k, room in enumerate(capacities)
    ]
    tiers[1] |= tier
    links = [
        {"name": f"l{k}", "between": [f"t{k}", f"t{k + 1}"], "bandwidth": f"{TICKS_PER_SECOND} B/s"}
        for k in range(len(capacities) - 1)
    ]
    name = policy if isinstance(policy, str) else "tests:Chosen"
    scenario = Scenario.model_validate(
        {
            "name": "placed",
            "scheme": {"name": "byte", "bits": 8},
            "hierarchy": {"tiers": tiers, "links": links},
            "workload": {"kind": "custom", "workload_class": "oracle.bridge:ExplicitWorkload"},
            "policy": {"placement": name},
            "execution": {"overlap": mode, "compute_time": "1 ns"},
        }
    )
    if not isinstance(policy, str):
        assert monkeypatch is not None
        monkeypatch.setattr("kvsim.sim.engine.make_placement", lambda _name, view, _options: policy(view))
    return simulate(scenario, Steps(steps, pages))


def moved(result: RunResult) -> list[tuple[int, int, int]]:
    """Page, source and target of every transfer."""
    transfers = result.records.transfers
    return list(zip(*(transfers.column(name).tolist() for name in ("page", "source", "target")), strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_a_staged_page_keeps_its_place_below_and_leaves_tier_0_after_its_layer(mode: str) -> None:
    """Two layers that read two pages each through room for four, twice: every read is a fetch, nothing is
    written back, and the tier below is as full as ever."""
    steps = [[[0, 1], [2, 3]], [[0, 1], [2, 3]]]
    result = run(steps, [4, 6], "last", mode=mode, access="stage")
    assert result.residency.tolist() == [1] * 6
    assert [tier.found for tier in result.tiers] == [0, 8]
    assert result.tiers[1].read_bytes == result.tiers[0].written_bytes == 8 * PAGE
    assert result.tiers[1].written_bytes == result.tiers[0].read_bytes == 0
    assert result.tiers[0].peak_bytes == (2 if mode in ("serial", "demand", "ideal") else 4) * PAGE


def test_a_staged_page_that_another_announced_layer_reads_is_fetched_once() -> None:
    """Layered: while layer 0 computes, layer 1 is announced, which reads page 1 too; it leaves after that."""
    result = run([[[0, 1], [1, 2], [1, 3]]], [4, 6], "last", mode="layered", access="stage")
    assert [page for page, _, _ in moved(result)] == [0, 1, 2, 3]
    assert result.tiers[0].found == 2
    assert result.residency.tolist() == [1] * 6


def test_pages_that_the_policy_keeps_stay_and_others_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = told(kept=[1])
    result = run([[[0, 1, 2]], [[0, 1, 2]]], [3, 6], policy, monkeypatch)
    assert [page for page, _, _ in moved(result)] == [0, 1, 2, 0, 2]
    assert result.residency.tolist() == [1, 0, 1, 1, 1, 1]
    assert policy.read == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("mode", ["demand", "layered", "async"])
def test_a_migration_happens_in_the_background_and_its_page_is_waited_for(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After step 0, at 1000 + 50, page 5 leaves tier 2 for tier 1, which takes until 1100. Step 1 wants it at
    once in tier 0: 50 ticks for its migration and 50 for the fetch, then 1000 of compute."""
    policy = told(moves=[[(5, 1)]], first=2, kept=range(6))
    result = run([[[0]], [[5]]], [2, 2, 6], policy, monkeypatch, mode)
    # page 0 passes two links in step 0
    assert result.makespan_ticks == (100 + 1000) + (50 + 50 + 1000)
    assert moved(result) == [(0, 2, 0), (5, 2, 1), (5, 1, 0)]
    assert result.migrated == ((2, 1, 1),)
    transfers = result.records.transfers
    assert transfers.column("issued_cls").tolist() == [DEMAND, BACKGROUND, DEMAND]
    assert transfers.column("cls").tolist() == [DEMAND] * 3  # what a demand waits for is one


def test_a_synchronous_machine_pays_for_migrations_on_the_step_that_causes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = told(moves=[[(5, 1)]], first=2, kept=range(6))
    result = run([[[0]], [[5]]], [2, 2, 6], policy, monkeypatch, "serial")
    steps = result.records.steps
    assert (steps.column("end") - steps.column("start")).tolist() == [100 + 1000 + 50, 50 + 1000]


def test_a_page_goes_down_into_room_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tier 1 has room for one page: the wish to have page 1 there sends page 0 further down."""
    policy = told(kept=range(6), moves=[[(0, 1)], [(1, 1)]])
    result = run([[[0, 1]], [[2]], [[3]]], [4, 1, 6], policy, monkeypatch, "serial")
    assert result.residency.tolist()[:4] == [2, 1, 0, 0]
    assert result.migrated == ((0, 1, 2),)
    assert result.tiers[1].evictions == 1


def test_what_is_pinned_or_where_it_should_be_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page 7 does not exist; page 0 is in tier 0 already; page 1 finds no room above: pinned pages only."""
    policy = told(kept=range(6), moves=[[(7, 1), (0, 0), (0, 0)]])
    result = run([[[0]], [[0]]], [1, 6], policy, monkeypatch)
    assert result.migrated == ()


def test_a_copy_below_is_where_a_page_goes_down_to_for_free(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = told(kept=range(6), moves=[[(0, 1)]])
    result = run([[[0]], [[1]]], [3, 6], policy, monkeypatch, inclusive=[1])
    assert moved(result) == [(0, 1, 0), (1, 1, 0)]
    assert result.migrated == ((0, 1, 1),)
    assert result.residency.tolist()[:2] == [1, 0]


def test_a_page_that_enters_an_inclusive_tier_gives_up_the_copy_further_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tiers 1 and 2 are both inclusive. Page 0 goes up to tier 1, then to tier 0: one copy, in tier 1."""
    policy = told(first=2, kept=range(6), moves=[[(0, 1)], [(0, 0)], [(0, 1)]])
    result = run([[[5]], [[5]], [[5]], [[5]]], [3, 6, 6], policy, monkeypatch, "serial", inclusive=[1, 2])
    assert result.migrated == ((0, 1, 1), (1, 0, 1), (2, 1, 1))
    assert result.residency.tolist()[0] == 1
    assert result.tiers[2].resident_bytes == 5 * PAGE  # 1 … 4, and the copy of 5


@settings(max_examples=60)
@given(data=st.data())
def test_the_books_balance_whatever_a_policy_wants(data: st.DataObject) -> None:
    """The audit of every run, on any wishes: to stay, to pass, to go anywhere at any time."""
    pages = st.integers(0, 7)
    wishes = st.lists(st.tuples(pages, st.integers(0, 2)), max_size=6)
    steps = data.draw(
        st.lists(st.lists(st.lists(pages, max_size=3, unique=True), min_size=1, max_size=3), max_size=4)
    )
    policy = told(
        first=data.draw(st.integers(0, 2)),
        kept=data.draw(st.sets(pages)),
        moves=data.draw(st.lists(wishes, max_size=4)),
    )
    mode = data.draw(st.sampled_from(MODES))
    inclusive = data.draw(st.sets(st.integers(1, 2)))
    capacities = [data.draw(st.integers(7, 9)), data.draw(st.integers(3, 12)), 20]
    with pytest.MonkeyPatch.context() as monkeypatch:
        result = run(steps, capacities, policy, monkeypatch, mode, 8, sorted(inclusive))
    assert result.steps == len(steps)
    assert result.accesses == sum(len(read) for layers in steps for read in layers)
