"""kv-hierarchy-lab's ablation against its published means, row by row.

`tests/reference/regret_ablation.csv` holds its `artifacts/regret_ablation/aggregated_summary.csv` (MIT):
mean and sample standard deviation over three seeds. Rows of `regret_aware` on `periodic_reuse` are all alike
there, so one stands for the nine.
"""

from __future__ import annotations

import csv
import statistics
from functools import cache
from pathlib import Path

import pytest

from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.plan import Plan
from kvsim.sim.residency import NOWHERE, TIER, Residency
from kvsim.study import loader

PUBLISHED = Path(__file__).resolve().parents[1] / "reference" / "regret_ablation.csv"
with PUBLISHED.open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))


def unprotected(row: dict[str, str]) -> bool:
    """Rows in which the original pushes the page that is being read down, to make room for itself."""
    return (
        row["scenario"] == "constrained" and row["workload"] == "chat_continuation" and row["policy"] != "lru"
    )


def named(row: dict[str, str]) -> str:
    return "-".join((row["scenario"], row["workload"], row["policy"]))


@cache
def runs() -> dict[tuple[str, str, str], list[Scenario]]:
    """The scenarios of every cell, over the seeds."""
    study = loader.load("regret_ablation")
    found: dict[tuple[str, str, str], list[Scenario]] = {}
    for cell, scenario in zip(study.cells, study.scenarios, strict=True):
        at = cell.coordinates
        found.setdefault((at["capacity"], at["workload"], at["policy"]), []).append(scenario)
    return found


def check(row: dict[str, str]) -> None:
    policy = row["policy"].removeprefix("regret_aware_").replace(".0_", "_")
    results = [simulate(scenario) for scenario in runs()[row["scenario"], row["workload"], policy]]
    assert len(results) == 3
    latencies = [result.makespan_ticks / 1e9 / result.accesses for result in results]
    misses = [result.accesses - result.tiers[0].found for result in results]
    sizes = [sum(lane.bytes_out for lane in result.lanes) for result in results]
    assert statistics.fmean(latencies) == pytest.approx(float(row["avg_latency_ms_mean"]), rel=1e-6)
    assert statistics.stdev(latencies) == pytest.approx(float(row["avg_latency_ms_std"]), rel=1e-6)
    assert statistics.fmean(misses) == pytest.approx(float(row["miss_count_mean"]), rel=1e-12)
    assert statistics.fmean(sizes) == pytest.approx(float(row["bytes_moved_mean"]), rel=1e-12)


@pytest.mark.parametrize("row", [row for row in ROWS if not unprotected(row)], ids=named)
def test_the_published_row(row: dict[str, str]) -> None:
    check(row)


@pytest.mark.parametrize("row", [row for row in ROWS if unprotected(row)], ids=named)
def test_the_published_row_once_the_page_being_read_is_not_protected(
    row: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(self: Hierarchy, plan: Plan, page: int, tier: int, cls: int) -> None:
        """The page may have moved by the time there is room for it; the way is charged from where it was."""
        if tier == NOWHERE:
            tier = self._bring_into_being(plan, page)
        self.make_room(0, self.residency.bytes_of(page, 0))
        self._promote(page, self.residency.where[page] & TIER, cls, tier)

    monkeypatch.setattr(Residency, "is_pinned", lambda self, page: False)
    monkeypatch.setattr(Hierarchy, "_fetch", fetch)
    check(row)


def test_on_a_loop_no_weight_and_no_horizon_makes_a_difference() -> None:
    for (_, workload, policy), scenarios in runs().items():
        if workload == "periodic_reuse" and policy not in ("lru", "cost_aware"):
            assert all(simulate(s).tiers[0].found == 0 for s in scenarios)
