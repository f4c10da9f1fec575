"""Speculation at the edges of what a workload says."""

from __future__ import annotations

from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier

from kvsim.scenario.policy import PolicyRef
from kvsim.sim.engine import simulate

ONE = 10**12
"""Bytes a second: one byte a tick."""


def test_a_page_that_a_guess_made_appear_is_not_born_a_second_time() -> None:
    """Page 1 is guessed while page 0 is read, and made by the next step; the audit would see it twice."""
    case = Case(
        (Tier(64), Tier(64)),
        (Link(0, 1, ONE),),
        (8, 8),
        0,
        (Step((Layer((0,), 100),)), Step((Layer((0,), 100, created=(1,)),))),
        "layered",
        absent="appear",
    )
    scenario = bridge.scenario(case)
    parts = {
        "policy": scenario.policy.model_copy(update={"prefetch": PolicyRef(name="next_page")}),
        "execution": scenario.execution.model_copy(update={"overlap": "async"}),
    }
    result = simulate(scenario.model_copy(update=parts), bridge.workload(case))
    assert result.residency.tolist() == [0, 0]
    assert (result.prefetch.issued, result.prefetch.wasted) == (1, 1)
    assert [tier.resident_bytes for tier in result.tiers] == [16, 0]
