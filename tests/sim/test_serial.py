"""The synchronous mode: one thing after another, on the step's own time."""

from __future__ import annotations

from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier

from kvsim.scenario.policy import PolicyRef
from kvsim.sim.engine import simulate
from kvsim.sim.records import TransferClass

ONE = 10**12
"""Bytes a second: one byte a tick."""
DEMAND, WRITE_BACK, PREFETCH = TransferClass.DEMAND, TransferClass.WRITE_BACK, TransferClass.PREFETCH


def test_a_prefetch_takes_the_way_from_where_its_page_was_found() -> None:
    """Tiers of one page: page 0 makes room for page 1 in tier 0, and page 1 room for page 0 in tier 1."""
    tiers = (Tier(8), Tier(8), Tier(64))
    links = (Link(0, 1, ONE, latency=10), Link(1, 2, ONE, latency=100))
    case = Case(tiers, links, (8, 8, 8), 3, (Step((Layer((0,), 1000),)),), "serial", fill=True)
    scenario = bridge.scenario(case)
    guessing = scenario.policy.model_copy(update={"prefetch": PolicyRef(name="next_page")})
    result = simulate(scenario.model_copy(update={"policy": guessing}), bridge.workload(case))
    columns = ("page", "cls", "source", "target", "requested", "arrived")
    moves = list(zip(*(result.records.transfers.column(name).tolist() for name in columns), strict=True))
    assert moves == [
        (1, WRITE_BACK, 1, 2, 1000, 1108),
        (0, WRITE_BACK, 0, 1, 1108, 1126),
        (1, PREFETCH, 1, 0, 1126, 1144),
    ]
    assert result.residency.tolist() == [1, 0, 2]
    assert result.makespan_ticks == 1000 + (8 + 100) + (8 + 10) + (8 + 10)


def test_the_clock_waits_for_a_step_that_arrives_later() -> None:
    """Steps run ahead of SimPy's clock, which they make catch up when there is nothing to do."""
    steps = (Step((Layer((0,), 50),)), Step((Layer((0,), 50),), 30), Step((Layer((0,), 50),), 400))
    case = Case((Tier(8), Tier(8)), (Link(0, 1, ONE),), (8,), 1, steps, "serial", fill=True)
    result = bridge.run(case)
    starts = result.records.steps.column("start").tolist()
    assert starts == [0, 50, 400]
    assert (result.idle_ticks, result.makespan_ticks) == (300, 450)
