"""Studies, searches and commands over scenarios of requests, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analysis.serving_runs import busy_serving

from kvsim.analysis.serving import summarise_serving
from kvsim.errors import KvsimError, ScenarioError
from kvsim.scenario.loader import load as load_scenario
from kvsim.study.explain import explain
from kvsim.study.loader import load
from kvsim.study.measure import figure
from kvsim.study.metrics import kind_of, metric_problem
from kvsim.study.objective import parse_objective
from kvsim.study.runner import run_study
from kvsim.study.search import search
from kvsim.workloads import make_workload

USERS = """\
description: Users who all ask at the start, one served at a time; an iteration takes 1 ms.
hierarchy:
  tiers: [{name: hbm, capacity: 1 GB}, {name: dram, capacity: 1 GB}]
  links: [{name: pcie, between: [hbm, dram], bandwidth: 1 GB/s}]
workload:
  kind: users
  users: 20
  requests: 20
  input_tokens: {mean: 100}
  output_tokens: {mean: 5}
  block_bytes: 2 kB
  arrivals: {process: together}
execution: {compute_time: 1 ms}
serving: {batch: {max_sequences: 1}}
"""
STUDY = """\
base: users.yaml
axes:
  - {name: slots, path: serving.batch.max_sequences, values: [1, 20]}
metrics: [ttft_s.p99, phases_s.slots, hit_rate, by_instance.0.utilisation]
claims:
  - {name: slots, metric: queue_s.mean, where: {slots: 20}, operator: "==", value: 0}
"""

Invoke = Callable[..., Any]


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.yaml"
    path.write_text(USERS, encoding="utf-8")
    return path


def problem(name: str, *, of_requests: bool = True) -> str:
    return metric_problem(name, ["hbm", "dram"], of_requests=of_requests) or ""


@pytest.mark.parametrize(
    "name",
    [
        "requests", "ttft_s.p99", "tpot_s.mean", "itl_s.p90", "parts_s.exposed", "phases_s.memory",
        "phases_mean_s.load", "tier_hit_rate.dram", "peak_bytes.hbm/1", "tokens.recomputed",
        "by_tenant.a.ttft_s.p99", "by_instance.0.mean_batch", "links.pcie up.utilisation",
    ],
)  # fmt: skip
def test_figures_of_requests_are_known(name: str) -> None:
    assert not problem(name)


def test_figures_of_the_other_kind_of_run_are_refused_with_the_reason() -> None:
    assert "'step_latency_s' is a figure of runs of steps, and the workload is one of requests" in problem(
        "step_latency_s.p99"
    )
    assert "'ttft_s' is a figure of runs of requests, and the workload is one of steps" in problem(
        "ttft_s.p99", of_requests=False
    )


def test_what_no_run_has_is_refused_with_what_may_be_meant() -> None:
    assert "did you mean 'ttft_s'" in problem("ttft")
    assert "did you mean 'memory'" in problem("phases_s.memry")
    assert "has several figures (mean, p50" in problem("ttft_s")
    assert "is a single number" in problem("hit_rate.hbm")
    assert "has no 'nvme'" in problem("tier_hit_rate.nvme")


def test_every_figure_that_is_known_is_there() -> None:
    result = busy_serving()
    summary = summarise_serving(result)
    for name, kind in {
        "ttft_s.p99": "time",
        "phases_s.memory": "time",
        "goodput_per_s": "number",
        "goodput_share": "share",
        "by_tenant.chat.hit_rate": "share",
        "by_tenant.rag.ttft_s.p99": "time",
        "by_instance.1.mean_batch": "number",
        "links.pcie/1 down.bytes_by_class.write_back": "bytes",
        "peak_bytes.hbm/1": "bytes",
        "tokens.reused": "number",
    }.items():
        assert metric_problem(name, ["hbm", "dram"], of_requests=True) is None
        assert figure(result, summary, name) is not None, name
        assert kind_of(name) == kind
    assert figure(result, summary, "by_tenant.nobody.ttft_s.p99") is None
    assert figure(result, summary, "hits") is None


def test_a_study_of_requests(users: Path, tmp_path: Path) -> None:
    """One after another, each for 5 ms, the last of 20 waits 95 ms and 1 ms; all at once each gets a first
    token after 1 ms."""
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    study = load(tmp_path / "study.yaml")
    rows = run_study(study, "test")
    assert [row.error for row in rows] == [None, None]
    assert [row.metrics["ttft_s.p99"] for row in rows] == [0.096, 0.001]
    assert rows[0].metrics["phases_s.slots"] == pytest.approx(0.005 * sum(range(20)))
    assert [row.metrics["by_instance.0.utilisation"] for row in rows] == [1.0, 1.0]
    assert [row.metrics["queue_s.mean"] for row in rows][1] == 0


def test_a_study_refuses_figures_of_steps(users: Path, tmp_path: Path) -> None:
    text = STUDY.replace("hit_rate,", "compute_s,")
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match="'compute_s' is a figure of runs of steps"):
        load(tmp_path / "study.yaml")


def test_bases_of_both_kinds_may_have_figures_of_either(users: Path, tmp_path: Path) -> None:
    text = "bases: {a: users.yaml, b: quickstart}\nmetrics: [ttft_s.p99, step_latency_s.p99, hit_rate]\n"
    text += 'claims: [{name: c, metric: hit_rate, operator: ">=", value: 0}]\n'
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    rows = run_study(load(tmp_path / "study.yaml"), "test")
    assert [row.metrics["ttft_s.p99"] is None for row in rows] == [False, True]
    assert [row.metrics["step_latency_s.p99"] is None for row in rows] == [True, False]


def test_the_most_requests_that_keep_an_objective(users: Path) -> None:
    """The n-th has its first token after 5 (n - 1) + 1 ms, at most 50 ms up to n = 10."""
    goal = "ttft_s.max <= 50 ms"
    assert search(users, "workload.requests", parse_objective(goal), text=goal, high=20).answer == 10
    with pytest.raises(ScenarioError, match="runs of steps"):
        search(users, "workload.requests", parse_objective("step_latency_s.max < 1 s"), text="x")


class TestSteps:
    def test_only_steps_are_explained(self, users: Path) -> None:
        with pytest.raises(KvsimError, match="only steps can be explained"):
            explain(load_scenario(users))

    def test_what_needs_steps_says_so(self, users: Path) -> None:
        with pytest.raises(KvsimError, match="the workload is one of requests, and this needs one of steps"):
            make_workload(load_scenario(users))

    def test_one_line_on_the_command_line(self, users: Path, invoke: Invoke) -> None:
        told = invoke("explain", users)
        assert told.code == 2
        assert told.err.count("\n") == 1
