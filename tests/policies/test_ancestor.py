"""The six policies of kv-hierarchy-lab give its published table, driven by a sketch of its engine."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from policies.ancestor import SCENARIOS, WORKLOADS, Ancestor

SHARED = Path(__file__).parents[2] / "shared" / "reference"
PLACES = (SHARED, Path(__file__).parents[1] / "reference", Path(__file__).parents[3] / "shared" / "reference")
TABLE = next((p for f in PLACES if (p := f / "kv_hierarchy_lab_default_sweep.csv").exists()), None)
POLICIES = ("lru", "windowed_recency", "heavy_hitter", "cost_aware", "predictive", "regret_aware")
COLUMNS = {
    "miss_count": "misses",
    "eviction_count": "evictions",
    "demand_bytes_moved": "demand",
    "prefetch_bytes_moved": "prefetched",
    "prefetch_requests": "requests",
    "useful_prefetches": "useful",
    "wasted_prefetches": "wasted",
}


@pytest.mark.skipif(TABLE is None, reason="kv_hierarchy_lab_default_sweep.csv is not there")
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("policy", POLICIES)
def test_counts_and_bytes_are_those_of_the_published_table(policy: str, scenario: str) -> None:
    assert TABLE is not None
    with TABLE.open() as file:
        rows = [r for r in csv.DictReader(file) if (r["policy"], r["scenario"]) == (policy, scenario)]
    assert [row["workload"] for row in rows] == list(WORKLOADS)
    for row in rows:
        counts = Ancestor(scenario, row["workload"], policy).run()
        assert {c: getattr(counts, f) for c, f in COLUMNS.items()} == {c: int(row[c]) for c in COLUMNS}
        mean = counts.latency / int(row["accesses"])
        assert mean == pytest.approx(float(row["avg_latency_ms"]), rel=1e-6)
