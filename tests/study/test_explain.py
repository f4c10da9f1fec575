"""An explanation names the bottleneck that was planted, and says what the slowest steps waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kvsim
from kvsim.errors import KvsimError
from kvsim.reporting.explanation import explanation_data, verdict_of
from kvsim.study.explain import Explanation, explain
from kvsim.study.whatif import changes, shortened

Invoke = Callable[..., Any]

SMALL = (
    "workload.context_tokens=4096",
    "workload.steps=2",
    "hierarchy.tiers.hbm.capacity=100 MB",
    "hierarchy.links.pcie.latency=1 us",
)
"""32 layers of 16 pages of 1 MiB, of which tier 0 holds six layers; one computes for about 0.4 ms."""
SLOW_LINK = "hierarchy.links.pcie.bandwidth=10 GB/s"
PLANTED = {
    "bandwidth": ("bandwidth of pcie", (SLOW_LINK, "hierarchy.links.pcie.bandwidth_down=10 GB/s")),
    "latency": ("latency of pcie", ("execution.overlap=demand", "hierarchy.links.pcie.latency=5 ms")),
    "capacity": ("capacity of hbm", (SLOW_LINK, "hierarchy.tiers.hbm.capacity=300 MB")),
    "channels": (
        "how few transfers pcie serves at once",
        ("execution.dma.coalesce=1", "hierarchy.links.pcie.channel_bandwidth=5 GB/s"),
    ),
    "depth": ("how few layers are fetched ahead", (SLOW_LINK, "hierarchy.links.pcie.latency=3 ms")),
}


def told(*overrides: str, name: str = "long_context_decode", step: int | None = None) -> Explanation:
    small = SMALL if name == "long_context_decode" else ()
    return explain(kvsim.load(name, (*small, *overrides)), step)


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_bottleneck_is_named(kind: str) -> None:
    words, overrides = PLANTED[kind]
    found = told(*overrides)
    assert found.bottleneck is not None
    assert found.bottleneck.change.kind == kind
    assert f"the bottleneck is {'the ' if 'of' in words else ''}{words}: " in verdict_of(found)


def test_copies_by_a_kernel_are_named() -> None:
    """A layer computes for 1 ms; its 16 MiB come in about 0.3 ms, of which 0.4 are lost to compute."""
    found = told("execution.compute_time=1 ms", "hierarchy.links.pcie.compute_share=0.4")
    assert found.bottleneck is not None
    assert (found.bottleneck.change.kind, found.bottleneck.change.of) == ("copies", "pcie")
    assert "the compute that copies on pcie take: a copy engine, which takes none, makes" in verdict_of(found)
    assert found.slowest[0].waits[0].cause == "copy_kernel"


def test_decisions_that_a_step_waits_for_are_named() -> None:
    """32 layers compute for about 0.4 ms each: next to that a decision of a second is long."""
    found = told("policy.placement=adaptive", "policy.decision_time=1 s")
    assert found.slowest[0].waits[0].cause == "decision"
    assert found.slowest[0].waits[0].exposed_s == 1
    assert any(part.what == "decision" for part in found.path)


def test_a_slow_second_link_is_named() -> None:
    found = told("hierarchy.links.nvme.bandwidth=200 kB/s", name="quickstart")
    assert found.bottleneck is not None
    assert (found.bottleneck.change.kind, found.bottleneck.change.of) == ("bandwidth", "nvme")


def test_where_all_is_compute_nothing_else_is_blamed() -> None:
    found = told("hierarchy.tiers.hbm.capacity=2 GB", "hierarchy.tiers.hbm.read_latency=0 s")
    assert found.bottleneck is None
    assert verdict_of(found).startswith("The bottleneck is compute, 100 % of the time of steps: ")


def test_effects_are_those_of_running_with_the_change() -> None:
    found = told(SLOW_LINK)
    lengths = [effect.mean_step_s for effect in found.effects]
    assert lengths == sorted(lengths)
    twice = next(effect for effect in found.effects if effect.change.kind == "capacity")
    run = kvsim.run(
        "long_context_decode", overrides=[*SMALL, SLOW_LINK, "hierarchy.tiers.hbm.capacity=200 MB"]
    )
    assert (twice.mean_step_s, twice.makespan_s) == (
        run.summary.step_latency_s["mean"],
        run.summary.makespan_s,
    )


def test_the_parts_of_a_step_are_its_latency() -> None:
    found = told(SLOW_LINK)
    for step in found.slowest:
        assert step.compute_s + sum(wait.exposed_s for wait in step.waits) == pytest.approx(step.latency_s)
    assert sum(part.time_s for part in found.path) == pytest.approx(found.slowest[0].latency_s)
    latencies = [step.latency_s for step in found.slowest]
    assert latencies == sorted(latencies, reverse=True)


def test_changes_that_cannot_be_run_are_left_out() -> None:
    """The last tier is inclusive: with all of its room taken by copies, tier 0 must not grow beyond it."""
    scenario = kvsim.load(
        "long_context_decode",
        [*SMALL, "hierarchy.tiers.hbm.capacity=500 MB", "hierarchy.tiers.dram.capacity=900 MB"],
    )
    assert "capacity" not in {change.kind for change in changes(scenario)}
    assert "scheme" in {change.kind for change in changes(scenario)}
    fixed = kvsim.load("quickstart", ["execution.overlap=demand", "scheme=int4"])
    assert {change.kind for change in changes(fixed)} == {"bandwidth", "latency", "channels", "capacity"}


def test_a_bandwidth_is_doubled_with_the_tiers_and_the_bus_that_limit_it() -> None:
    scenario = kvsim.load("long_context_decode", [*SMALL, "hierarchy.tiers.dram.read_bandwidth=20 GB/s"])
    wider = next(change.scenario for change in changes(scenario) if change.kind == "bandwidth").hierarchy
    assert wider.links[0].bandwidth == 2 * scenario.hierarchy.links[0].bandwidth
    assert wider.tiers[1].read_bandwidth == 40 * 10**9


def test_a_long_scenario_is_cut_and_the_step_asked_for_is_in_it() -> None:
    scenario = kvsim.load("quickstart", ["workload.length=200000"])
    cut, limit = shortened(scenario)
    assert cut.execution.max_steps == limit == 50_000
    assert shortened(scenario, at_least=60_000)[1] == 60_000
    assert shortened(kvsim.load("quickstart")) == (kvsim.load("quickstart"), None)


def test_there_must_be_such_a_step() -> None:
    assert told(SLOW_LINK, step=1).slowest[0].step == 1
    with pytest.raises(KvsimError, match="there is no step 2: the run has 2, counted from 0"):
        told(SLOW_LINK, step=2)


class TestCommand:
    def test_it_fits_a_screen_and_comes_to_the_point(self, invoke: Invoke, tiny: Path) -> None:
        found = invoke("explain", tiny)
        assert found.code == 0, found.err
        lines = found.out.splitlines()
        assert lines[0] == "tiny"
        assert "bottleneck" in found.out
        assert len(lines) <= 48

    def test_a_finished_run_is_explained_as_its_scenario(
        self, invoke: Invoke, tiny: Path, tmp_path: Path
    ) -> None:
        changed = ("--set", "hierarchy.links.pcie.latency=3 us")
        assert invoke("run", tiny, *changed, "--out", tmp_path / "run").code == 0
        by_run = invoke("explain", tmp_path / "run", "--json")
        assert by_run.code == 0, by_run.err
        assert by_run.out == invoke("explain", tiny, *changed, "--json").out

    def test_json_has_the_same_as_the_text(self, invoke: Invoke, tiny: Path) -> None:
        data = json.loads(invoke("explain", tiny, "--step", "7", "--json").out)
        assert data == json.loads(json.dumps(explanation_data(explain(kvsim.load(tiny), 7))))
        assert [step["step"] for step in data["slowest"]] == [7]
        assert {"kind", "of", "change", "mean_step_s", "makespan_s"} == set(data["changes"][0])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["{tiny}", "--step", "60"], "error: there is no step 60: the run has 60, counted from 0"),
            (["{tiny}", "--step", "-1"], "error: there is no step -1: the run has 60, counted from 0"),
            (["{empty}"], "error: {empty} is a directory, but not of a run: it has no scenario.yaml"),
        ],
    )
    def test_what_is_wrong_is_one_line(
        self, invoke: Invoke, tiny: Path, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        places = {"tiny": str(tiny), "empty": str(tmp_path / "empty")}
        (tmp_path / "empty").mkdir()
        found = invoke("explain", *(argument.format(**places) for argument in arguments))
        assert (found.code, found.out, found.err.strip()) == (2, "", message.format(**places))

    def test_a_run_without_time_has_nothing_to_shorten(self, invoke: Invoke, tiny: Path) -> None:
        instant = ("--set", "execution.overlap=ideal", "--set", "execution.compute_time=0")
        found = invoke("explain", tiny, *instant)
        assert found.out.splitlines() == ["tiny", "Steps take no time: there is nothing to shorten."]
