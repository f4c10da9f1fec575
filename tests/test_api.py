"""The Python API: what `load` and `run` take, and what a `Run` gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import kvsim
from kvsim.errors import ScenarioError
from kvsim.scenario.scenario import Scenario

CAUSES = ("demand_queueing", "demand_service", "room", "codec", "late_prefetch", "copy_kernel", "decision")


class TestLoad:
    def test_gives_the_same_scenario_for_a_path_as_text(self, tiny: Path) -> None:
        assert kvsim.load(tiny) == kvsim.load(str(tiny))

    def test_takes_the_name_of_a_shipped_scenario(self) -> None:
        assert kvsim.load("quickstart").name == "quickstart"

    def test_applies_overrides(self, tiny: Path) -> None:
        changed = kvsim.load(tiny, ["seed=7", "execution.overlap=demand"])
        assert (changed.seed, changed.execution.overlap) == (7, "demand")

    @pytest.mark.parametrize(
        ("override", "field"),
        [
            ("policy.eviction=nothing", "policy.eviction"),
            ("policy.prefetch=nothing", "policy.prefetch"),
        ],
    )
    def test_refuses_names_that_only_the_registries_know(self, tiny: Path, override: str, field: str) -> None:
        with pytest.raises(ScenarioError) as refusal:
            kvsim.load(tiny, [override])
        assert [problem.field for problem in refusal.value.problems] == [field]


class TestRun:
    def test_a_path_and_a_loaded_scenario_give_the_same(self, tiny: Path) -> None:
        assert kvsim.run(tiny).summary == kvsim.run(kvsim.load(tiny)).summary

    def test_a_shipped_scenario_by_name(self) -> None:
        assert kvsim.run("quickstart", overrides=["execution.max_steps=2"]).result.steps == 2

    def test_knows_what_it_simulated(self, tiny: Path) -> None:
        assert kvsim.run(tiny, overrides=["seed=3"]).scenario == kvsim.load(tiny, ["seed=3"])

    def test_overrides_do_not_change_a_loaded_scenario(self, tiny: Path) -> None:
        with pytest.raises(TypeError, match="overrides"):
            kvsim.run(kvsim.load(tiny), overrides=["seed=3"])

    def test_refuses_a_bad_file_before_it_runs(self, tiny: Path) -> None:
        tiny.write_text("name: nothing else\n", encoding="utf-8")
        with pytest.raises(ScenarioError, match="hierarchy"):
            kvsim.run(tiny)

    def test_reports_progress_up_to_the_last_step(self, tiny: Path) -> None:
        seen: list[int] = []
        run = kvsim.run(tiny, progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == run.result.steps == 60


class TestTables:
    @pytest.fixture
    def run(self, tiny: Path) -> kvsim.Run:
        return kvsim.run(tiny)

    def test_each_step_is_its_compute_and_its_exposed_causes(self, run: kvsim.Run) -> None:
        steps = run.steps
        spent = steps["compute_s"] + steps[[f"{cause}_s" for cause in CAUSES]].sum(axis="columns")
        assert len(steps) == run.result.steps == 60
        pd.testing.assert_series_equal(spent, steps["latency_s"], check_names=False, rtol=1e-12)

    def test_the_stalls_add_up_to_the_exposed_time(self, run: kvsim.Run) -> None:
        assert run.stalls["exposed_s"].sum() == pytest.approx(run.summary.exposed_s["total"], rel=1e-12)

    def test_one_access_a_step_makes_one_compute_interval(self, run: kvsim.Run) -> None:
        assert len(run.layers) == run.result.steps

    def test_each_miss_of_this_workload_is_one_demand_transfer_over_one_link(self, run: kvsim.Run) -> None:
        demands = run.transfers[run.transfers["issued_class"] == "demand"]
        assert len(demands) == run.result.accesses - run.steps["hits"].sum() > 0
        assert set(demands["lane"]) == {"pcie up"}

    def test_are_made_once(self, run: kvsim.Run) -> None:
        assert run.steps is run.steps
        assert run.summary is run.summary

    def test_are_empty_when_only_the_summary_is_recorded(self, tiny: Path) -> None:
        run = kvsim.run(tiny, overrides=["execution.records=summary"])
        assert len(run.steps) == 60
        assert (len(run.layers), len(run.stalls), len(run.transfers)) == (0, 0, 0)


class TestWrite:
    def test_makes_the_directory_and_returns_it(self, tiny: Path, tmp_path: Path) -> None:
        target = tmp_path / "a" / "b"
        assert kvsim.run(tiny).write(str(target)) == target
        assert list(target.iterdir())

    def test_the_written_scenario_runs_again_to_the_same_summary(self, tiny: Path, tmp_path: Path) -> None:
        first = kvsim.run(tiny, overrides=["seed=5"])
        (written,) = first.write(tmp_path / "out").glob("scenario*.yaml")
        assert kvsim.run(written).summary == first.summary


def test_a_scenario_is_frozen(tiny: Path) -> None:
    scenario: Scenario = kvsim.load(tiny)
    with pytest.raises(ValueError, match="frozen"):
        setattr(scenario, "seed", 1)  # noqa: B010 - the type checker knows better than to assign


def test_the_package_offers_its_api_without_importing_it_early() -> None:
    code = (
        "import sys, kvsim; assert 'kvsim.api' not in sys.modules;"
        "assert all(hasattr(kvsim, name) for name in kvsim.__all__); assert 'kvsim.api' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = kvsim.nothing


def test_a_scenario_built_in_python_passes_the_same_checks(tiny: Path) -> None:
    scenario = kvsim.load(tiny)
    tiers = scenario.hierarchy.tiers
    twice = scenario.hierarchy.model_copy(update={"tiers": (tiers[0], tiers[0])})
    with pytest.raises(ScenarioError, match=r"<scenario>: hierarchy\.tiers\.1\.name"):
        kvsim.run(scenario.model_copy(update={"hierarchy": twice}))
