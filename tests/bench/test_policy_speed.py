"""What a scored policy costs beside lru, on the same reads in the same run."""

from __future__ import annotations

from typing import Any

import pytest
from bench.test_engine_speed import engine_loop, machine, rate_of, reads

PAGES = 100_000
"""Half of them fit tier 0."""
ROUNDS = 3


@pytest.mark.parametrize(("hit_rate", "steps"), [(0.5, 500), (0.9, 1500), (0.99, 3000)])
def test_regret_aware_costs_at_most_five_times_lru(hit_rate: float, steps: int, benchmark: Any) -> None:
    workload = reads(hit_rate, steps, PAGES)
    machines = {policy: machine(PAGES, eviction=policy) for policy in ("lru", "regret_aware")}
    best = dict.fromkeys(machines, 0.0)
    for _ in range(ROUNDS):
        for policy, scenario in machines.items():
            best[policy] = max(best[policy], rate_of(engine_loop(scenario, workload, [])))
    times_lru = best["lru"] / best["regret_aware"]
    benchmark.extra_info["times_lru"] = round(times_lru, 2)
    benchmark.pedantic(
        lambda run: run(), setup=lambda: ((engine_loop(machines["regret_aware"], workload, []),), {})
    )
    print(f"\nhit rate {hit_rate}: regret_aware takes {times_lru:.2f} times lru")
    assert times_lru <= 5
