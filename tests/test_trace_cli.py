"""`kvsim trace`: what goes where, exit codes, and that the commands agree with one another."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., Any]


@pytest.fixture
def trace(invoke: Invoke, tmp_path: Path) -> Path:
    """2,000 reads under a power law."""
    path = tmp_path / "z.csv"
    outcome = invoke("trace", "generate", "zipf", path, "--set", "workload.length=2000", "--seed", "3")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"wrote {path}: 2000 rows\n")
    return path


def test_info_counts(invoke: Invoke, trace: Path) -> None:
    outcome = invoke("trace", "info", trace)
    assert outcome.code == 0
    assert "2,000" in next(line for line in outcome.out.splitlines() if line.startswith("reads  "))
    assert "distinct pages" in outcome.out
    assert "reuse distance p50" in outcome.out


def test_conversions_lose_nothing_that_counts(invoke: Invoke, trace: Path, tmp_path: Path) -> None:
    chain = [trace, tmp_path / "z.oracleGeneral", tmp_path / "z.jsonl.gz", tmp_path / "again.txt"]
    for source, target in pairwise(chain):
        extra = ("--to", "csv") if target.suffix == ".txt" else ()
        assert invoke("trace", "convert", source, target, *extra).code == 0
    header, *rows = trace.read_text().splitlines()
    without_layer = [row.replace(",0,,,", ",,,,", 1) for row in rows]  # oracleGeneral has none to tell
    assert chain[-1].read_text().splitlines() == [header, *without_layer]
    curves = [invoke("trace", "mrc", path).out for path in chain[:-1]]
    assert curves == curves[:1] * 3
    assert invoke("trace", "mrc", chain[-1], "--format", "csv").out == curves[0]


def test_generate_takes_the_workload_of_a_scenario(invoke: Invoke, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    assert invoke("trace", "generate", tiny, path, "--steps", "2").code == 0
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith('{"step":0,"page":')
    assert '"bytes":' in lines[0]


def test_equal_seeds_write_equal_files(invoke: Invoke, trace: Path, tmp_path: Path) -> None:
    for seed, same in (("3", True), ("4", False)):
        path = tmp_path / f"{seed}.csv"
        invoke("trace", "generate", "zipf", path, "--set", "workload.length=2000", "--seed", seed)
        assert (path.read_bytes() == trace.read_bytes()) == same


def test_mrc_prints_a_row_a_size_and_a_column_a_policy(invoke: Invoke, trace: Path, tmp_path: Path) -> None:
    html = tmp_path / "mrc.html"
    sizes = ("--size", "100", "--size", "1", "--size", "5000")
    outcome = invoke("trace", "mrc", trace, "--policy", "lru", "--policy", "all", *sizes, "--html", html)
    assert outcome.code == 0
    head, *rows = (line.split() for line in outcome.out.splitlines())
    assert head[:1] == ["capacity"]
    assert "lru" in head
    assert [row[0] for row in rows] == ["1", "100", "5,000"]
    assert all(len(row) == len(head) for row in rows)
    assert outcome.err == f"wrote {html}\n"
    text = html.read_text(encoding="utf-8")
    assert "2,000 reads of" in text
    assert '<script src="http' not in text


def test_reuse_prints_classes_positions_and_predictors(invoke: Invoke, trace: Path) -> None:
    outcome = invoke("trace", "reuse", trace)
    assert (outcome.code, outcome.err) == (0, "")
    classes, positions, predictors = (part.splitlines() for part in outcome.out.split("\n\n"))
    assert classes[0].startswith("pages ")
    assert [line.split()[0] for line in classes[1:4]] == ["all", "top", "to"]
    assert classes[1].split()[1] == "2,000"
    assert [line.split()[0] for line in positions[1:5]] == ["1", "2", "3", "5"]
    assert [line.split()[0] for line in predictors[1:]] == ["recency", "frequency", "regret", "markov"]


def test_reuse_agrees_with_the_miss_ratio_of_lru(invoke: Invoke, trace: Path) -> None:
    told = json.loads(invoke("trace", "reuse", trace, "--json").out)
    rows = invoke("trace", "mrc", trace, "--size", "8", "--size", "64").out.splitlines()[1:]
    hit_rate = {position["high"]: position["hit_rate"] for position in told["positions"]}
    for line in rows:
        size, missed = line.split()
        assert hit_rate[int(size)] == pytest.approx(1 - float(missed), abs=0.00005)
    recency = told["predictors"][0]
    assert told["ranks"] == [1, 8, 64]
    assert recency["hit_rates"] == [hit_rate[rank] for rank in told["ranks"]]


def test_reuse_takes_a_workload_as_generate_does(invoke: Invoke, trace: Path) -> None:
    made = ("zipf", "--set", "workload.length=2000", "--seed", "3")
    assert invoke("trace", "reuse", *made).out == invoke("trace", "reuse", trace).out
    some = [invoke("trace", "reuse", *source, "--steps", "9", "--json").out for source in (made, (trace,))]
    assert some[0] == some[1]
    assert json.loads(some[0])["total"]["reads"] == 9


def test_reuse_knows_the_places_of_a_scenarios_pages(invoke: Invoke, tiny: Path) -> None:
    # kv-hierarchy-lab's pages are those of 16 layers and 8 head groups in turn.
    assert json.loads(invoke("trace", "reuse", tiny, "--json").out)["by"] == "layer"
    told = json.loads(invoke("trace", "reuse", tiny, "--json", "--by", "head_group").out)
    assert [each["name"] for each in told["classes"]] == [str(group) for group in range(8)]
    assert sum(each["reads"] for each in told["classes"]) == told["total"]["reads"] == 60


def test_a_larger_window_of_regret_is_an_option(invoke: Invoke, trace: Path) -> None:
    small, large = (
        json.loads(invoke("trace", "reuse", trace, "--json", "--window", size).out) for size in ("4", "400")
    )
    assert small["predictors"][2]["name"] == "regret"
    assert small["predictors"][2]["reciprocal_rank"] > large["predictors"][2]["reciprocal_rank"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("info", "gone.csv"), "gone.csv: cannot be read: No such file"),
        (("mrc", "gone.csv", "--policy", "lur"), "did you mean 'lru'?"),
        (("reuse", "gone.csv"), "gone.csv: cannot be read: No such file"),
        (("reuse", "gone"), "gone: is neither a file nor a shipped scenario"),
        (("reuse", "gone.yaml"), "gone.yaml"),
        (("reuse", "gone", "--format", "csv"), "gone: cannot be read"),
        (("reuse", "gone.csv", "--seed", "1"), "gone.csv is a trace: --set and --seed are for scenarios"),
        (("reuse", "zipf", "--by", "head_group"), "zipf: the trace does not tell the head group"),
        (("convert", "gone.csv", "out.jsonl"), "gone.csv: cannot be read"),
        (("generate", "zipff", "out.csv"), "zipff"),
        (("generate", "dense_decode", "out.csv"), "workload.steps: is required"),
        (("generate", "zipf", "out.csv", "--set", "workload.pages=0"), "must be 1 or more"),
        (("generate", "zipf", "out.txt"), "does not tell the format"),
        (("generate", "zipf", "nowhere/out.csv"), "No such file or directory"),
    ],
)
def test_bad_input_is_told_with_exit_code_2_and_leaves_nothing(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = invoke("trace", *arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert reason in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_bad_row_leaves_no_half_written_file(invoke: Invoke, tmp_path: Path) -> None:
    source = tmp_path / "s.csv"
    source.write_text("step,page\n0,1\nx,2\n")
    outcome = invoke("trace", "convert", source, tmp_path / "out.jsonl")
    assert outcome.code == 2
    assert f"{source}:3: step: must be a whole number" in outcome.err
    assert list(tmp_path.iterdir()) == [source]
