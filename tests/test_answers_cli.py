"""`kvsim answers` and `kvsim bench-eviction` on a small part."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from kvsim.scenario.tiny import tiny_models
from kvsim.workloads.page_trace import read_pages

pytestmark = pytest.mark.skipif("small" not in tiny_models(), reason="no model is shipped")

SHORT = (
    "--set", "workload.context_tokens=128", "--set", "workload.samples=4",
    "--set", "hierarchy.tiers.hbm.capacity=500 MB",
)  # fmt: skip


def test_answers_are_told_beside_those_of_the_full_cache(invoke: Callable[..., Any]) -> None:
    outcome = invoke("answers", "language_model", *SHORT)
    assert outcome.code == 0, outcome.err
    assert "small: recall in 4 samples of 128 tokens · h2o, lossy · fp16" in outcome.out
    assert "right answers" in outcome.out
    assert "4 answers; right by chance: 0.148 %" in outcome.out, "one of 26 x 26 names"


def test_as_json_both_sides_are_told_in_full(invoke: Callable[..., Any]) -> None:
    told = json.loads(invoke("answers", "language_model", *SHORT, "--json").out)
    assert told["full_cache"]["perplexity_ratio"] == 1
    assert told["here"]["perplexity_ratio"] == pytest.approx(
        told["here"]["perplexity"] / told["full_cache"]["perplexity"], rel=1e-9
    )


def test_reads_are_written_with_masses_that_add_up(invoke: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "reads.csv.gz"
    assert invoke("answers", "language_model", *SHORT, "--reads", path).code == 0
    rows = list(read_pages(path))
    for _, layer in groupby(rows, lambda row: (row.step, row.layer)):
        assert sum(row.mass or 0 for row in layer) == pytest.approx(1, abs=1e-6)


def test_a_scenario_in_which_nothing_answers_is_refused(invoke: Callable[..., Any]) -> None:
    outcome = invoke("answers", "quickstart")
    assert outcome.code == 2
    assert "the workload 'rag_burst' answers nothing; language_model does" in outcome.err


def test_a_part_of_the_benchmark_runs(invoke: Callable[..., Any], tmp_path: Path) -> None:
    part = ("--lm", "small", "--task", "text", "--context", "512", "--strategy", "full,int8")
    outcome = invoke("bench-eviction", *part, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    lines = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert [line.split(",")[3] for line in lines[1:]] == ["full", "int8"]
