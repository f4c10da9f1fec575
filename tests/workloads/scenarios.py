"""Small scenarios around a workload; what a workload does not look at is as plain as possible."""

from __future__ import annotations

from typing import Any

from kvsim.scenario.scenario import Scenario

MODEL = {
    "name": "small",
    "layers": 3,
    "hidden": 64,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 8,
    "parameters": 1_000_000,
}
SCALARS_PER_TOKEN_LAYER = 2 * 2 * 8
"""Keys and values of two heads of eight."""
GPU = {
    "name": "plain",
    "memory": "80 GB",
    "bandwidth": "1 TB/s",
    "flops": "100 TFLOP/s",
    "l2": "50 MB",
    "host_link": "pcie4-x16",
    "power_w": 300,
}


def scenario(workload: dict[str, Any], seed: int = 0, **parts: Any) -> Scenario:
    """One big tier, the model and the GPU above, and the roofline; `parts` replaces any of it."""
    hierarchy = {"tiers": [{"name": "hbm", "capacity": "80 GB"}], "links": []}
    given = {"name": "test", "hierarchy": hierarchy, "model": MODEL, "gpu": GPU, **parts}
    return Scenario.model_validate({**given, "seed": seed, "workload": workload})
