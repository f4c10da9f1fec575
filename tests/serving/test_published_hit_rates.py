"""Hit rates of Mooncake's published `synthetic` trace in a flat block cache, by requests that are served."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvsim.scenario.loader import loads_mapping
from kvsim.sim.run import run_scenario
from kvsim.sim.serving.result import ServingResult

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "traces" / "mooncake_synthetic.jsonl"
CAPACITIES = (1_000, 5_859, 10_000, 30_000, 50_000)
RATES = {
    "lru": (0.0825, 0.3094, 0.4235, 0.6242, 0.6396),
    "fifo": (0.0787, 0.3007, 0.3990, 0.5951, 0.6396),
    "lfu": (0.0401, 0.2429, 0.3578, 0.6260, 0.6396),  # ties go to the least recently used
    "belady": (0.2766, 0.5499, 0.6180, 0.6396, 0.6396),
}
"""By policy and capacity, to four digits; the same that the engine of steps is held against."""
CASES = [
    pytest.param(policy, blocks, rate, marks=() if blocks == 5_859 else pytest.mark.slow)
    for policy, rates in RATES.items()
    for blocks, rate in zip(CAPACITIES, rates, strict=True)
]
"""One of each policy wherever tests run, all twenty with the slow ones."""


def served(policy: str, blocks: int) -> ServingResult:
    """The trace on one tier of so many blocks, each request looking its blocks up one after another."""
    scenario = loads_mapping(
        {
            "name": "flat",
            "hierarchy": {"tiers": [{"name": "cache", "capacity": f"{blocks} pages"}]},
            "workload": {"kind": "requests", "path": str(PUBLISHED), "block_bytes": "1 MiB"},
            "policy": {"eviction": policy},
            "execution": {"compute_time": "1 us", "records": "summary"},
            "serving": {"reuse": {"lookup": "in_turn", "match": "any"}},
        }
    )
    result = run_scenario(scenario)
    assert isinstance(result, ServingResult)
    return result


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the Mooncake trace lies beside the checkout only")
@pytest.mark.parametrize(("policy", "blocks", "published"), CASES)
def test_requests_looked_up_in_turn_hit_as_published(policy: str, blocks: int, published: float) -> None:
    result = served(policy, blocks)
    assert int(result.records.requests.column("blocks").sum()) == 121_877
    assert round(result.tiers[0].found / 121_877, 4) == published
