"""Fields that only steps look at are refused where requests are served, not ignored."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kvsim.errors import ScenarioError
from kvsim.scenario.base import Spec
from kvsim.scenario.execution import DmaSpec, ExecutionSpec
from kvsim.scenario.loader import loads_mapping
from kvsim.scenario.policy import PolicySpec

OF_REQUESTS: dict[str, Any] = {
    "name": "requests",
    "model": "llama-3.2-1b",
    "gpu": "t4",
    "hierarchy": {
        "tiers": [{"name": "hbm", "capacity": "1 GiB"}, {"name": "dram", "capacity": "4 GiB"}],
        "links": [{"name": "pcie", "between": ["hbm", "dram"], "bandwidth": "12 GB/s"}],
    },
    "workload": {"kind": "users"},
}
LOOKED_AT = {
    "policy": {"eviction"},
    "execution": {"compute_time", "flops_efficiency", "bandwidth_efficiency", "dma", "records", "weights"},
    "execution.dma": {"coalesce"},
}
"""The fields of each section that requests are served by, and weights, which only some workloads stream."""
OTHERS = {
    "policy.prefetch": "stride",
    "policy.placement": "last",
    "policy.lossy": "true",
    "policy.decision_time": "1 ms",
    "policy.decision_time_per_page": "1 us",
    "execution.overlap": "layered",
    "execution.depth": "2",
    "execution.tile": "8",
    "execution.in_place": "during",
    "execution.max_steps": "10",
    "execution.dma.max_in_flight": "2",
    "execution.dma.classes.demand.in_flight": "2",
    "execution.dma.prefetch_limit": "2",
    "execution.dma.prefetch_queue": "2",
    "execution.dma.pressure": "2",
}
"""All other fields, each with a value that is not its default."""


def problems(*overrides: str) -> list[str]:
    try:
        loads_mapping(OF_REQUESTS, overrides)
    except ScenarioError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_the_scenario_is_right_without_them() -> None:
    assert problems() == []


def test_every_field_of_these_sections_is_either_looked_at_or_tried_here() -> None:
    sections: dict[str, type[Spec]] = {
        "policy": PolicySpec,
        "execution": ExecutionSpec,
        "execution.dma": DmaSpec,
    }
    tried = {re.sub(r"(dma\.classes).*", r"\1", field) for field in OTHERS}
    for section, spec in sections.items():
        fields = {f"{section}.{name}" for name in spec.model_fields}
        assert fields == {f"{section}.{name}" for name in LOOKED_AT[section]} | (tried & fields)


@pytest.mark.parametrize(("field", "value"), OTHERS.items())
def test_a_field_that_only_steps_look_at_is_refused(field: str, value: str) -> None:
    given = f"{field}={value}"
    at = re.sub(r"(dma\.classes).*", r"\1", field)
    assert f"--set {given}: {at}: has no effect on requests, only on steps; leave it out" in problems(given)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("hierarchy.tiers.dram.access", "direct", "what requests read is in the first tier: `promote`"),
        (
            "hierarchy.links.pcie.compute_share",
            "0.1",
            "has no effect on requests, whose compute no copy slows; leave it out",
        ),
    ],
)
def test_a_tier_or_link_that_only_steps_understand_is_refused(field: str, value: str, said: str) -> None:
    assert [problem for problem in problems(f"{field}={value}") if problem.endswith(f"{field}: {said}")]


def test_a_flat_cache_has_one_tier() -> None:
    (problem,) = problems("serving.reuse.lookup=in_turn")
    assert "serving.reuse.lookup: blocks are looked up in turn in a flat cache: one tier, not 2" in problem
