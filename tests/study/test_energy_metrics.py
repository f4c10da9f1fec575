"""Energy among the figures that a study can ask for."""

from __future__ import annotations

import pytest
from workloads.scenarios import GPU, scenario

from kvsim.analysis.metrics import summarise
from kvsim.sim.engine import simulate
from kvsim.study.measure import figure
from kvsim.study.metrics import metric_problem

WORK = {"kind": "dense_decode", "context_tokens": 64, "steps": 2, "batch": 4}


def test_energy_is_measured_by_component_and_per_token() -> None:
    """Idle power alone: 10 W for the makespan, 2 steps of 4 tokens."""
    result = simulate(scenario(WORK, gpu=GPU | {"idle_power_w": 10, "mac_energy": "1 pJ"}))
    summary = summarise(result)
    idle = 10 * summary.makespan_s
    macs = figure(result, summary, "energy_j.macs")
    assert macs is not None
    assert figure(result, summary, "energy_j.idle") == pytest.approx(idle, rel=1e-12)
    assert figure(result, summary, "energy_j.total") == pytest.approx(idle + macs, rel=1e-12)
    assert figure(result, summary, "energy_per_token_j") == pytest.approx((idle + macs) / 8, rel=1e-12)
    assert figure(result, summary, "energy_per_step_j") == pytest.approx((idle + macs) / 2, rel=1e-12)
    assert figure(result, summary, "energy_j.kv.hbm") is None  # no figure: not known, and not 0
    assert figure(result, summary, "energy_j.link.none") is None


def test_a_run_without_figures_has_none_of_them() -> None:
    result = simulate(scenario(WORK))
    summary = summarise(result)
    assert figure(result, summary, "energy_j.total") is None
    assert figure(result, summary, "energy_per_token_j") is None


@pytest.mark.parametrize(
    "name", ["energy_j.total", "energy_j.kv.hbm", "energy_per_token_j", "energy_per_step_j"]
)
def test_its_names_are_known(name: str) -> None:
    assert metric_problem(name, ["hbm"]) is None


def test_names_that_are_no_numbers_are_refused() -> None:
    assert "is no figure of a run" in (metric_problem("energy", []) or "")
    assert "has several figures" in (metric_problem("energy_j", []) or "")
    assert "is a single number" in (metric_problem("energy_per_token_j.hbm", []) or "")
