"""The audit finds faults of accounting: each test plants one and expects its account to be named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier

from kvsim.errors import AuditError
from kvsim.policies.eviction.lru import Lru
from kvsim.sim import concurrent, decode, exposure
from kvsim.sim.engine import simulate
from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.lane import FifoLane, Transfer
from kvsim.sim.prefetcher import Speculation
from kvsim.sim.result import RunResult
from kvsim.sim.tier import Tier as LiveTier

CASE = Case(
    tiers=(Tier(capacity=3000), Tier(capacity=100_000)),
    links=(Link(0, 1, bandwidth=10**9, latency=500),),
    scalars=(1000,) * 12,
    initial=10,
    steps=tuple(
        Step((Layer((k % 10, (k + 3) % 10), compute=10**6, created=(10 + k // 5,) if k in (0, 5) else ()),))
        for k in range(9)
    ),
    mode="demand",
)


def run(mode: str = "demand") -> RunResult:
    scenario = bridge.scenario(CASE)
    execution = scenario.execution.model_copy(update={"overlap": mode})
    return simulate(scenario.model_copy(update={"execution": execution}), bridge.workload(CASE))


@pytest.mark.parametrize("mode", ["serial", "demand", "layered", "async", "ideal"])
def test_an_honest_run_balances(mode: str) -> None:
    result = run(mode)
    assert result.steps == 9
    assert result.tiers[0].resident_bytes <= 3000


def after(original: Callable[..., Any], fault: Callable[..., None]) -> Callable[..., Any]:
    """The original, and then the fault, called with the same arguments."""

    def faulty(*args: Any, **kwargs: Any) -> Any:
        outcome = original(*args, **kwargs)
        fault(*args, **kwargs)
        return outcome

    return faulty


def test_a_lane_that_loses_a_byte_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(lane: FifoLane, _transfer: Transfer) -> None:
        lane.bytes_by_class[0] -= 1

    monkeypatch.setattr(FifoLane, "enter", after(FifoLane.enter, lose))
    with pytest.raises(AuditError, match=r"bytes: \d+ entered link0 up but \d+ left it"):
        run()


def test_a_page_in_two_places_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Lru.removed

    def forgetful(policy: Lru, page: int, tier: int) -> None:
        if tier == 0:
            honest(policy, page, tier)

    monkeypatch.setattr(Lru, "removed", forgetful)
    with pytest.raises(AuditError, match="pages: policy lru believes"):
        run()


def test_a_leaked_pin_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Hierarchy.release

    def leak_the_last(hierarchy: Hierarchy, plan: Any) -> None:
        if plan.epoch < 9:
            honest(hierarchy, plan)

    monkeypatch.setattr(Hierarchy, "release", leak_the_last)
    with pytest.raises(AuditError, match=r"pages: \d+ layers still pin"):
        run()


def test_exposed_time_that_is_not_attributed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = exposure.attribute
    monkeypatch.setattr(concurrent, "attribute", lambda *args: honest(*args)[:-1])
    with pytest.raises(AuditError, match=r"time: step \d+ lasts \d+ ticks"):
        run()


def test_a_stall_recorded_for_the_wrong_step_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = decode.Tally.row

    def shifted(tally: decode.Tally, end: int) -> tuple[int, ...]:
        row = list(honest(tally, end))
        row[5], row[6] = row[6] + row[5], 0
        row[4] += 1
        row[3] += 1
        return tuple(row)

    monkeypatch.setattr(decode.Tally, "row", shifted)
    with pytest.raises(AuditError, match=r"time: steps and idle time sum to"):
        run()


def test_room_that_is_never_given_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = LiveTier.release

    def keep_some(tier: LiveTier, size: int) -> None:
        honest(tier, size - 1 if tier.number == 1 else size)

    monkeypatch.setattr(LiveTier, "release", keep_some)
    with pytest.raises(AuditError, match="space: tier tier1 took and gave back to"):
        run()


def test_a_prefetch_judged_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Speculation.judged
    monkeypatch.setattr(Speculation, "judged", lambda self, timely, late: honest(self, 2 * timely, 2 * late))
    two_layers = Case(
        **{
            **CASE.__dict__,
            "steps": (Step((Layer((0,), compute=10**6), Layer((1,), compute=10**6))),),
        }
    )
    scenario = bridge.scenario(two_layers)
    execution = scenario.execution.model_copy(update={"overlap": "layered"})
    with pytest.raises(AuditError, match="prefetches: 1 were issued but 2 judged"):
        simulate(scenario.model_copy(update={"execution": execution}), bridge.workload(two_layers))


def test_a_read_that_nothing_became_of_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def miscount(hierarchy: Hierarchy, tier: int, pages: list[int]) -> None:
        hierarchy.found[tier] -= len(pages)

    monkeypatch.setattr(Hierarchy, "_misses", after(Hierarchy._misses, miscount))
    with pytest.raises(AuditError, match=r"reads: 18 pages were read, but \d+ were found, 0 absent"):
        run()


def test_all_faults_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(lane: FifoLane, _transfer: Transfer) -> None:
        lane.bytes_by_class[0] -= 1

    monkeypatch.setattr(FifoLane, "enter", after(FifoLane.enter, lose))
    honest = exposure.attribute
    monkeypatch.setattr(concurrent, "attribute", lambda *args: honest(*args)[:-1])
    with pytest.raises(AuditError) as caught:
        run()
    assert {finding.split(":")[0] for finding in caught.value.findings} >= {"time", "bytes"}
