"""Tuning finds the best of the whole grid where fields do not interfere, and tells no more than it knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import kvsim
from kvsim.errors import KvsimError, ScenarioError, ScenarioWarning
from kvsim.reporting.found import tuned_data
from kvsim.study.tune import Axis, Tuned, parse_axis, tune

Invoke = Callable[..., Any]

SERIAL = """\
# A step's time is the sum of its parts: compute, and for each of 5 reads a latency, a set-up and 0.5 us.
hierarchy:
  tiers:
    - {name: hbm, capacity: 4 MB}
    - {name: dram, capacity: 16 MB}
  links:
    - {name: pcie, between: [hbm, dram], bandwidth: 2 GB/s, latency: 7 us, setup: 3 us}
workload: {kind: layers, page_bytes: 1 kB, steps: 3, reads: 5, again: 0}
execution: {compute_time: 9 us, overlap: serial}
policy: {placement: last}
"""
AXES = (
    "execution.compute_time=5 us,3 us,9 us,4 us",
    "hierarchy.links.pcie.latency=6 us,2 us,1 us,7 us",
    "hierarchy.links.pcie.setup=3 us,1 us,4 us,2 us",
)
OWN = ("execution.compute_time=9 us", "hierarchy.links.pcie.latency=7 us", "hierarchy.links.pcie.setup=3 us")
"""What the scenario has already."""
LATENCY = "step_latency_s.mean"


@pytest.fixture
def serial(tmp_path: Path) -> Path:
    path = tmp_path / "serial.yaml"
    path.write_text(SERIAL, encoding="utf-8")
    return path


def tuned(source: Path, *axes: str, metric: str = LATENCY, **options: Any) -> Tuned:
    return tune(source, [parse_axis(text) for text in axes], metric, **options)


@pytest.mark.parametrize("greatest", [False, True])
def test_fields_that_do_not_interfere_are_tuned_as_by_the_whole_grid(serial: Path, greatest: bool) -> None:
    grid = {
        texts: kvsim.run(serial, overrides=texts).summary.step_latency_s["mean"]
        for texts in product(*(parse_axis(text).texts for text in AXES))
    }
    best = (max if greatest else min)(grid, key=lambda texts: grid[texts])
    found = tuned(serial, *AXES, greatest=greatest, budget=30)
    assert found.after == grid[best]
    assert found.best == tuple(text for text in best if text not in OWN)
    assert (found.settled, found.complete, found.settings) == (True, False, 64)
    assert len(found.trials) <= 30 < len(grid)


def test_the_gain_is_against_the_scenario_as_it_is(serial: Path) -> None:
    """9 + 5 x (7 + 3 + 0.5) us = 61.5 us as it is; 3 + 5 x (1 + 1 + 0.5) us = 15.5 us at best."""
    found = tuned(serial, *AXES)
    assert (found.before, found.after) == (61.5e-6, 15.5e-6)
    assert found.gain == pytest.approx(46 / 61.5)


def test_the_whole_grid_is_tried_if_the_budget_allows_it(serial: Path) -> None:
    """Where fields interfere, single changes need not lead to the best; trying all does."""
    found = tuned(
        serial, "execution.overlap=serial,async", "execution.depth=1,2,3", "workload.layers=4,2", budget=20
    )
    assert found.complete
    assert found.settings == 12
    tried = {trial.texts for trial in found.trials}
    assert ("execution.overlap=async", "execution.depth=3", "workload.layers=4") in tried


def test_the_budget_is_kept(serial: Path) -> None:
    found = tuned(serial, *AXES, budget=4)
    assert len(found.trials) == 4
    assert not found.settled
    assert found.best == ("execution.compute_time=3 us",)


def test_where_nothing_is_better_the_scenario_stays_as_it_is(serial: Path) -> None:
    found = tuned(serial, "execution.compute_time=9 us,10 us,11 us")
    assert (found.best, found.before, found.gain) == ((), found.after, 0)
    assert len(found.trials) == 3  # its own value is no second trial


def test_a_run_that_cannot_become_the_best_is_given_up(serial: Path) -> None:
    """10 steps of 61.5 us; with 109 us of compute, 161.5 us each, the fourth brings their sum above that."""
    found = tuned(serial, "execution.compute_time=109 us", overrides=["workload.steps=10"])
    given_up = found.trials[1].outcome
    assert (given_up.given_up, given_up.steps) == (True, 4)


def test_combinations_that_cannot_be_run_are_passed_over(serial: Path) -> None:
    marks = ("hierarchy.tiers.hbm.low_watermark=0.5,0.8", "hierarchy.tiers.hbm.high_watermark=0.6,0.9")
    overrides = ["hierarchy.tiers.hbm.low_watermark=0.7", "hierarchy.tiers.hbm.high_watermark=0.9"]
    with pytest.warns(ScenarioWarning, match="must not be above"):
        found = tuned(serial, *marks, overrides=overrides, metric="hit_rate", greatest=True)
    refused = [trial for trial in found.trials if trial.outcome.reason]
    assert {("hierarchy.tiers.hbm.low_watermark=0.8", marks[1].partition(",")[0])} <= {
        t.texts for t in refused
    }
    assert found.complete


def test_the_result_hangs_on_no_number_of_workers(serial: Path) -> None:
    assert tuned_data(tuned(serial, *AXES, budget=30)) == tuned_data(tuned(serial, *AXES, budget=30, jobs=2))


def test_a_scenario_that_cannot_run_has_nothing_to_compare_with(serial: Path) -> None:
    with pytest.raises(ScenarioError, match="does not fit"):
        tuned(serial, *AXES, overrides=["hierarchy.tiers.dram.capacity=1 B"])


def test_values_are_yaml() -> None:
    assert parse_axis("a.b=1, 2.5,80 GiB,[1, 2]") == Axis(
        "a.b", ("a.b=1", "a.b=2.5", "a.b=80 GiB", "a.b=[1, 2]")
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("execution.depth", "is written as path=value,value,..."),
        ("execution..depth=1", "is written as path=value,value,..."),
        ("execution.depth=", "lacks a value"),
        ("execution.depth=1,,2", "is not YAML"),
        ("execution.depth=[1", "is not YAML"),
        ("execution.depth=1,2,1", "names a value twice"),
    ],
)
def test_an_axis_that_cannot_be_read_is_told_in_a_line(text: str, reason: str) -> None:
    with pytest.raises(ScenarioError) as wrong:
        parse_axis(text)
    assert str(wrong.value).startswith(f"--over {text}: ")
    assert reason in str(wrong.value)
    assert len(str(wrong.value).splitlines()) == 1


class TestCommand:
    def test_prints_the_best_setting_as_overrides(self, serial: Path, invoke: Invoke) -> None:
        outcome = invoke(
            "tune", serial, *(part for axis in AXES for part in ("--over", axis)), "--objective", LATENCY
        )
        assert (outcome.code, outcome.err) == (0, "")
        assert "step_latency_s.mean: 61.5 µs as it is, 15.5 µs (74.8 % less) with\n" in outcome.out
        best = [line.strip() for line in outcome.out.splitlines() if line.startswith("  --set")]
        assert best[0] == "--set 'execution.compute_time=3 us'"
        assert len(best) == 3

    def test_prints_all_of_it_as_json(self, serial: Path, invoke: Invoke) -> None:
        outcome = invoke("tune", serial, "--over", AXES[0], "--objective", LATENCY, "--max", "--json")
        told = json.loads(outcome.out)
        assert (told["best"], told["before"], told["greatest"]) == ([], 61.5e-6, True)
        assert [len(trial["set"]) for trial in told["trials"]] == [0, 1, 1, 1]

    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (("--over", "execution.dept=1,2"), "--set execution.dept=1: execution.dept: unknown key"),
            (("--over", "execution.depth"), "--over execution.depth: is written as"),
            (
                ("--over", "execution.depth=1", "--over", "execution.depth=2"),
                "--over execution.depth: is given twice",
            ),
            (("--over", "execution.depth=1", "--budget", "0"), "error: --budget must be 1 or more, not 0"),
            (
                ("--over", "execution.depth=1", "--objective", "hit"),
                "--objective hit: 'hit' is no figure of a run",
            ),
            (("--over", "execution.depth=1", "--jobs", "-2"), "error: --jobs must be 1 or more"),
        ],
    )
    def test_tells_what_is_wrong_in_a_line(
        self, serial: Path, invoke: Invoke, arguments: tuple[str, ...], line: str
    ) -> None:
        outcome = invoke("tune", serial, "--objective", LATENCY, *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(line)
        assert len(outcome.err.splitlines()) == 1


def test_a_policy_that_fails_is_told_only_if_its_run_is_asked_for(
    serial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from kvsim.policies import EvictionPolicy\n\n\nclass Broken(EvictionPolicy):\n"
        '    """Fails."""\n\n    name = "broken_tune"\n\n    def accessed(self, pages, tier):\n'
        '        raise ValueError("broken")\n\n    inserted = removed = accessed\n'
        "    def victim(self, tier):\n        return None\n    def contents(self, tier):\n        return ()\n"
    )
    (tmp_path / "broken_tune.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KvsimError, match="ValueError: broken"):
        tuned(serial, "policy.eviction=broken_tune:Broken")
