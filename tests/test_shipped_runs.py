"""Every shipped scenario, found by itself, runs: books balanced, laws kept, same bytes each time."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kvsim
from kvsim.analysis.queueing import littles_law
from kvsim.scenario.loader import available_scenarios, load
from kvsim.workloads.requests.registry import asks_requests

SHARED_TRACE = Path(__file__).resolve().parents[2] / "shared" / "traces" / "mooncake_synthetic.jsonl"

needs_trace = pytest.mark.skipif(
    not SHARED_TRACE.exists(), reason="the Mooncake trace lies beside the checkout only"
)

SMALL_TRACE = """\
{"timestamp": 0, "input_length": 1300, "output_length": 3, "hash_ids": [0, 1, 2]}
{"timestamp": 0, "input_length": 1024, "output_length": 2, "hash_ids": [0, 1]}
{"timestamp": 3000, "input_length": 1600, "output_length": 5, "hash_ids": [0, 1, 2, 3]}
{"timestamp": 6000, "input_length": 700, "output_length": 1, "hash_ids": [4, 5]}
"""


@pytest.fixture(scope="module")
def small_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "small.jsonl"
    path.write_text(SMALL_TRACE)
    return path


def is_served(name: str) -> bool:
    """Whether its workload is one of requests; where it needs a trace any file will do to tell."""
    return asks_requests(load(name, [f"workload.path={__file__}"] if name.startswith("mooncake") else []))


SERVED = sorted(filter(is_served, available_scenarios()))
"""Those of requests."""
STEPPED = sorted(set(available_scenarios()) - set(SERVED))


def run(name: str, trace: Path, *overrides: str) -> Any:
    """The result of a run, of steps or of requests."""
    wanted = [f"workload.path={trace}"] if name.startswith("mooncake") else []
    return kvsim.run(name, overrides=[*wanted, *overrides]).result


@pytest.mark.parametrize("name", [*STEPPED, *SERVED])
def test_littles_law_holds_on_every_link(name: str, small_trace: Path) -> None:
    """L, integrated from the records, is lambda times W, summed by the lanes as they serve."""
    fewer = (
        ("workload.max_requests=200", "execution.records=all")
        if name in SERVED
        else ("execution.max_steps=400",)
    )
    result = run(name, SHARED_TRACE if SHARED_TRACE.exists() else small_trace, *fewer)
    measured = littles_law(result)
    hops = result.records.hops
    for number, lane in enumerate(result.lanes):
        law = measured[lane.name]
        here = hops.column("lane") == number
        in_service = int((hops.column("end") - hops.column("start"))[here].sum())
        assert law.area_ticks == lane.queue_ticks + in_service
        assert law.count == lane.transfers
        assert law.mean_in_system == pytest.approx(law.arrival_rate_per_s * law.mean_sojourn_s, rel=1e-12)


SMALLER = {
    "long_context_decode": (  # an eighth of the context, and of the tiers
        "workload.context_tokens=16384",
        "hierarchy.tiers.hbm.capacity=1.5 GB",
        "hierarchy.tiers.dram.capacity=32 GB",
    ),
    "language_model": ("workload.samples=4", "workload.context_tokens=256"),
    "overflow_nvlink": (  # one sequence of four, and a quarter of the tiers
        "workload.batch=1",
        "hierarchy.tiers.hbm.capacity=2 GB",
        "hierarchy.tiers.overflow.capacity=8 GB",
        "hierarchy.tiers.dram.capacity=16 GB",
        "hierarchy.tiers.nvme.capacity=250 GB",
    ),
}
"""Scenarios of so many pages that putting them in place takes a second; fewer fill all tiers as well."""


IN_ORDER = {"language_model": ("serial", "demand", "ideal")}
"""Scenarios in which layers must not be announced ahead, and the modes that they may have."""
MODES = ("serial", "demand", "layered", "async", "ideal")


@pytest.mark.parametrize("name", STEPPED)
def test_no_mode_is_faster_than_ideal_and_all_run(name: str, small_trace: Path) -> None:
    shape = ("execution.max_steps=3", *SMALLER.get(name, ()))
    spans = {
        mode: run(name, small_trace, f"execution.overlap={mode}", *shape).makespan_ticks
        for mode in IN_ORDER.get(name, MODES)
    }
    assert min(spans.values()) == spans["ideal"]
    assert spans["serial"] >= spans["demand"]


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("match", ["prefix", "any", "none"])
def test_every_request_is_served_whatever_is_reused(name: str, match: str, small_trace: Path) -> None:
    changes = ("workload.max_requests=100", f"serving.reuse.match={match}")
    result = run(name, small_trace, *changes)
    requests = result.records.requests
    told = 4 if name.startswith("mooncake") else 100
    assert len(requests.column("end")) == told
    reused = int((requests.column("reused") + requests.column("loaded")).sum())
    assert (reused == 0) == (match == "none")


def test_two_runs_write_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    """In processes of their own, so that nothing is shared and dictionaries hash differently."""
    for number in ("1", "2"):
        subprocess.run(
            [sys.executable, "-m", "kvsim", "run", "quickstart", "--out", str(tmp_path / number)],
            env={**os.environ, "PYTHONHASHSEED": number},
            check=True,
            capture_output=True,
        )
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    same, different, missing = filecmp.cmpfiles(tmp_path / "1", tmp_path / "2", names, shallow=False)
    assert (different, missing) == ([], [])
    assert same == [
        "report.html",
        "scenario.yaml",
        "steps.csv",
        "summary.json",
        "trace.json",
        "transfers.csv",
    ]


@needs_trace
@pytest.mark.parametrize(
    ("blocks", "published"),
    [(1_000, 0.0825), (5_859, 0.3094), (10_000, 0.4235), (30_000, 0.6242), (50_000, 0.6396)],
)
def test_a_flat_block_cache_hits_as_published(blocks: int, published: float) -> None:
    """Mooncake's `synthetic` trace under LRU, hit rate to four digits."""
    result = run("mooncake_flat", SHARED_TRACE, f"hierarchy.tiers.cache.capacity={blocks} pages")
    assert result.accesses == 121_877
    assert round(result.tiers[0].found / result.accesses, 4) == published


@needs_trace
def test_the_mooncake_trace_runs_through_three_tiers() -> None:
    result = run("mooncake", SHARED_TRACE, "execution.records=summary")
    assert result.steps == 3_993
    found = sum(tier.found for tier in result.tiers)
    assert found + result.absent == result.accesses == 121_877
    # nothing is lost while the last tier has room: every distinct block is absent exactly once
    assert result.absent == 43_924
    assert result.tiers[-1].discards == 0


@needs_trace
def test_mooncake_serving_finds_all_that_an_endless_cache_finds() -> None:
    """Blocks come again in order, so that prefixes find as much as blocks one by one: all but the first use
    of each of 43,924 different blocks, 1 - 43,924 / 121,877 = .6396; NVMe has room for all, 2.9 TB."""
    result = run("mooncake_serving", SHARED_TRACE)
    requests = result.records.requests
    assert result.requests == 3_993
    assert int(requests.column("blocks").sum()) == 121_877
    assert int(requests.column("output").sum()) == 595_432
    assert sum(tier.found for tier in result.tiers) == 121_877 - 43_924
    assert sum(tier.discards for tier in result.tiers) == 0


@needs_trace
def test_mooncake_serving_runs_in_parts() -> None:
    """Two instances for prompts, two that decode: who has more than the first token to decode ends there."""
    parts = ("serving.instances.count=4", "serving.instances.prefill=2", "workload.max_requests=500")
    result = run("mooncake_serving", SHARED_TRACE, *parts)
    assert result.requests == 500
    requests = result.records.requests
    assert set(requests.column("instance")[requests.column("output") > 1].tolist()) == {2, 3}


def test_requests_start_no_earlier_than_they_arrive(small_trace: Path) -> None:
    steps = run("mooncake", small_trace, "workload.jitter=0 s").records.steps
    assert np.all(steps.column("start") >= steps.column("arrival"))
    assert steps.column("arrival").tolist() == [0, 0, 3 * 10**12, 6 * 10**12]
