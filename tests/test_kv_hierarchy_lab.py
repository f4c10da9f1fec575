"""The synchronous ancestor as one special case: kv-hierarchy-lab's published table, row by row.

`serial` mode on its hierarchy must give the same misses, evictions, bytes, prefetch counts and hit
rates exactly, and the same mean latency to 1e-6. The table lies beside the checkout (MIT licence).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from kvsim.scenario.loader import loads_mapping
from kvsim.sim.engine import simulate
from kvsim.sim.records import TransferClass
from kvsim.sim.result import RunResult

TABLE = Path(__file__).resolve().parents[2] / "shared" / "reference" / "kv_hierarchy_lab_default_sweep.csv"

CAPACITIES = {"gpu_fast": 128_000, "gpu_overflow": 256_000, "host_ram": 1_000_000, "nvme_like": 8_000_000}
DIVISORS = {"base": 1, "small": 2, "constrained": 4}
CODEC = {"fp16": "0 s", "fp8": "10 us", "int4": "30 us", "int2": "60 us"}

SEEDS = {
    "chat_continuation": 7,
    "rag_burst": 11,
    "periodic_reuse": 13,
    "long_tail_mix": 17,
    "prefetch_friendly": 19,
    "adversarial_burst": 29,
    "mixed_locality": 31,
}

TWICE_RESIDENT = ("small_fp16_prefetch", "adversarial_burst", "predictive")
"""The row in which the original leaves a page in two tiers at once, which shows in its peaks alone."""


def published() -> list[dict[str, str]]:
    if not TABLE.exists():
        return []
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ROWS = published()


def scenario_of(row: dict[str, str]) -> dict[str, Any]:
    divisor = DIVISORS[row["scenario"].split("_")[0]]
    scheme = row["quantization_scheme"]
    fetches = row["policy"] == "predictive" and row["prefetch_enabled"] == "True"
    return {
        "name": "lab",
        "scheme": {"preset": scheme, "latency": CODEC[scheme]},
        "hierarchy": {
            "preset": "kv-hierarchy-lab",
            "tiers": [{"name": n, "capacity": f"{size // divisor} B"} for n, size in CAPACITIES.items()],
        },
        "workload": {"kind": row["workload"], "seed": SEEDS[row["workload"]]},
        "policy": {"eviction": row["policy"], "prefetch": "predictive" if fetches else "none"},
        "execution": {"overlap": "serial", "compute_time": 0},
    }


def found(result: RunResult) -> dict[str, Any]:
    transfers = result.records.transfers
    size = transfers.column("bytes")
    prefetched = int(size[transfers.column("cls") == TransferClass.PREFETCH].sum())
    fate = result.prefetch
    return {
        "accesses": result.accesses,
        "miss_count": result.accesses - result.tiers[0].found,
        "eviction_count": sum(tier.evictions for tier in result.tiers),
        "bytes_moved": int(size.sum()),
        "demand_bytes_moved": int(size.sum()) - prefetched,
        "prefetch_bytes_moved": prefetched,
        "prefetch_requests": fate.issued,
        "useful_prefetches": fate.timely + fate.late,
        "wasted_prefetches": fate.wasted,
    }


@pytest.mark.skipif(not ROWS, reason="the published table lies beside the checkout only")
@pytest.mark.parametrize(
    "row", ROWS, ids=["-".join((row["scenario"], row["workload"], row["policy"])) for row in ROWS]
)
def test_serial_mode_reproduces_the_published_row(row: dict[str, str]) -> None:
    result = simulate(loads_mapping(scenario_of(row)))
    counted = found(result)
    assert counted == {name: int(row[name]) for name in counted}
    assert 1 - counted["miss_count"] / result.accesses == float(row["overall_hit_rate"])
    mean_ms = result.makespan_ticks / 1e9 / result.accesses
    assert mean_ms == pytest.approx(float(row["avg_latency_ms"]), rel=1e-6)
    if (row["scenario"], row["workload"], row["policy"]) != TWICE_RESIDENT:
        peaks = list(json.loads(row["peak_footprint_bytes"]).values())
        assert [tier.peak_bytes for tier in result.tiers] == peaks
