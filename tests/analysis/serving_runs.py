"""Small runs of requests, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kvsim.scenario.loader import loads_mapping
from kvsim.scenario.scenario import Scenario
from kvsim.sim.run import run_scenario
from kvsim.sim.serving.result import ServingResult

Row = tuple[int, int, int, list[int], str]
"""Arrival in microseconds, tokens of the prompt, output tokens, blocks, tenant."""


def plain(arrival: int, prompt: int, output: int, *blocks: int, tenant: str = "") -> Row:
    return (arrival, prompt, output, list(blocks), tenant)


def serving_scenario(rows: Sequence[Row], **parts: Any) -> Scenario:
    """An iteration takes 1 ms, a block has 4 tokens and 1,000 bytes, the link takes 1 us for one."""
    mapping: dict[str, Any] = {
        "name": "served",
        "hierarchy": {
            "tiers": [{"name": "hbm", "capacity": "100 kB"}, {"name": "dram", "capacity": "1 MB"}],
            "links": [{"name": "pcie", "between": ["hbm", "dram"], "bandwidth": "1 GB/s"}],
        },
        "workload": {
            "kind": "custom",
            "workload_class": "workloads.own_requests:Scripted",
            "options": {"rows": [list(row) for row in rows]},
        },
        "execution": {"compute_time": "1 ms"},
    }
    return loads_mapping(mapping | parts)


def served(rows: Sequence[Row], **parts: Any) -> ServingResult:
    """A finished run of these requests."""
    result = run_scenario(serving_scenario(rows, **parts))
    assert isinstance(result, ServingResult)
    return result


def tight(dram: str = "1 MB", hbm: int = 5) -> dict[str, Any]:
    """A hierarchy whose first tier holds a few blocks."""
    return {
        "tiers": [{"name": "hbm", "capacity": f"{hbm * 1000} B"}, {"name": "dram", "capacity": dram}],
        "links": [{"name": "pcie", "between": ["hbm", "dram"], "bandwidth": "1 GB/s"}],
    }


def busy_serving(records: str = "all", requests: int = 60) -> ServingResult:
    """Requests of two tenants that share prefixes on two instances, with loads, write-backs and a queue."""
    rows = [
        plain(
            300 * number,
            22 + number % 5,
            5 + number % 7,
            *(100 * (number % 4) + block for block in range(5)),
            *range(10_000 + 10 * number, 10_000 + 10 * number + -(-(22 + number % 5) // 4) - 5),
            tenant=("chat", "rag")[number % 2],
        )
        for number in range(requests)
    ]
    return served(
        rows,
        hierarchy=tight(hbm=24),
        execution={"compute_time": "1 ms", "records": records},
        serving={"instances": {"count": 2}, "objectives": {"ttft": "20 ms", "tpot": "3 ms"}},
    )
