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


REQUESTS = "arrival_s,input_tokens,output_tokens,blocks\n0,30,2,1;2\n1,20,0,1;3\n2,16,1,1\n"


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Three requests of one prefix; the last has its only block from the first two."""
    path = tmp_path / "r.csv"
    path.write_text(REQUESTS)
    return path


def test_info_tells_what_is_in_a_trace_of_requests(invoke: Invoke, requests: Path) -> None:
    outcome = invoke("trace", "info", requests)
    assert (outcome.code, outcome.err) == (0, "")
    told = dict(line.split("  ", 1) for line in outcome.out.splitlines()[1:])
    told = {name: value.strip() for name, value in told.items()}
    assert told == {
        "requests": "3",
        "time of the arrivals": "2 s",
        "requests a second": "1",
        "variation of the gaps": "0",
        "input tokens": "22.0 on average, p50 20, p99 29, most 30",
        "output tokens": "1.0 on average, p50 1, p99 1, most 2",
        "blocks": "5 of 16 tokens",
        "distinct blocks": "3",
        "hit rate of a cache without end": "0.4000",
    }


def test_requests_are_converted_to_requests_and_to_block_references(
    invoke: Invoke, requests: Path, tmp_path: Path
) -> None:
    there, back = tmp_path / "r.jsonl", tmp_path / "again.csv.gz"
    outcome = invoke("trace", "convert", requests, there)
    told = "its blocks have 16 tokens: say so when it is read (block_tokens)\n"
    assert (outcome.code, outcome.err) == (0, f"wrote {there}: 3 rows\n{told}")
    assert invoke("trace", "convert", there, back, "--block-tokens", "16").code == 0
    infos = [invoke("trace", "info", path).out.splitlines()[1:] for path in (requests, back)]
    assert [line.split() for line in infos[0]] == [line.split() for line in infos[1]]
    pages = tmp_path / "r.oracleGeneral"
    assert invoke("trace", "convert", requests, pages, "--block-bytes", "2 kB").code == 0
    rows = invoke("trace", "mrc", pages, "--size", "1", "--size", "3").out.splitlines()[1:]
    # 1 2 1 3 1: one block never hits but for none in a row; three blocks miss the first time only
    assert [line.split()[1] for line in rows] == ["1.0000", "0.6000"]
    assert invoke("trace", "mrc", requests, "--size", "1", "--size", "3").out.splitlines()[1:] == rows
    log = tmp_path / "log.csv"
    size = ("--block-bytes", "1 MiB")
    assert invoke("trace", "convert", requests, log, "--to", "mlperf_storage", *size).code == 0
    assert log.read_text().splitlines()[3] == "1.000000,Read,1048576,Tier-2,block1,Decode"


def test_lines_left_out_are_counted_aloud(invoke: Invoke, requests: Path, tmp_path: Path) -> None:
    requests.write_text(f"{REQUESTS}3,x,1,4\n2.5,1,1,4\n3,,1,4\n")
    assert f"{requests}:5: input_tokens: must be a whole number of tokens, not text 'x'" in (
        invoke("trace", "info", requests).err
    )
    outcome = invoke("trace", "info", requests, "--skip")
    told = "left out 2 lines: input_tokens: wrong type 1; input_tokens: is missing 1"
    assert (outcome.code, outcome.err) == (0, f"{requests}: {told}\n")
    out = tmp_path / "o.csv"
    outcome = invoke("trace", "convert", requests, out, "--skip")
    assert (outcome.code, outcome.err) == (0, f"wrote {out}: 4 rows\n{requests}: {told}\n")


def test_generate_writes_the_requests_of_a_scenario(invoke: Invoke, requests: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "execution: {compute_time: 1 us}\nhierarchy: {tiers: [{name: m, capacity: 1 GB}]}\n"
        "workload: {kind: requests, path: r.csv, block_bytes: 1 MB, arrivals: {speedup: 2.0}}\n"
    )
    out = tmp_path / "o.csv"
    outcome = invoke("trace", "generate", scenario, out, "--steps", "2")
    assert (outcome.code, outcome.err) == (0, f"wrote {out}: 2 rows\n")
    header, *rows = out.read_text().splitlines()
    assert header.startswith("arrival_s,input_tokens,output_tokens,")
    assert rows == ["0,30,2,,,,1;2,,", "0.5,20,0,,,,1;3,,"]
    assert json.loads(invoke("trace", "reuse", scenario, "--json").out)["total"]["reads"] == 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("convert", "r.csv", "out"), "out: its name does not tell the format"),
        (("convert", "r.csv", "o.csv", "--to", "mlperf_storage"), "say how many bytes a block has"),
        (("convert", "r.csv", "o.csv", "--block-bytes", "2"), "--block-bytes: '2' has no unit"),
        (("convert", "r.csv", "o.csv", "--to", "burstgpt"), "request 2 has no output"),
        (("info", "r.csv", "--block-tokens", "512"), "blocks: has 2 ids, but 30 tokens are 1 blocks of 512"),
        (("info", "r.csv", "--format", "azure"), "TIMESTAMP: the header has no such column"),
        (("mrc", "a.csv"), "a.csv: its requests do not tell their blocks"),
        (("convert", "p.csv", "o.csv", "--to", "burstgpt"), "requests cannot be made of page reads"),
        (
            ("convert", "r.csv", "o.csv", "--to", "jsonl"),
            "known: mooncake, csv, burstgpt, mlperf_storage, page_",
        ),
        (("events", "gone"), "gone: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_done_with_requests_is_told(
    invoke: Invoke,
    requests: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00+00:00,4,4\n"
    )
    (tmp_path / "p.csv").write_text("step,page\n0,1\n")
    outcome = invoke("trace", *arguments)
    assert outcome.code == 2
    assert reason in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "p.csv", "r.csv"]


def test_requests_are_made_up_after_those_of_a_trace(invoke: Invoke, tmp_path: Path) -> None:
    trace, out, fast = (tmp_path / name for name in ("trace.jsonl", "out.jsonl", "fast.jsonl"))
    rows = [
        {"timestamp": 1000 * n, "input_length": 600 + n, "output_length": 2 * n, "hash_ids": [n % 3, 100 + n]}
        for n in range(20)
    ]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = invoke("trace", "synthesise", trace, out, "--requests", "60", "--seed", "4")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"wrote {out}: 60 rows\n")
    made_up = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(row["input_length"], row["output_length"]) for row in made_up} <= {
        (row["input_length"], row["output_length"]) for row in rows
    }
    assert made_up[59]["timestamp"] == 59_000  # all gaps are one second
    again = ("--requests", "60", "--seed", "4", "--speedup", "2")
    assert invoke("trace", "synthesise", trace, fast, *again).code == 0
    assert json.loads(fast.read_text().splitlines()[59])["timestamp"] == 29_500


def test_nothing_is_made_up_after_a_trace_of_pages(invoke: Invoke, trace: Path, tmp_path: Path) -> None:
    outcome = invoke("trace", "synthesise", trace, tmp_path / "out.jsonl")
    assert outcome.code == 2
    assert outcome.err == f"error: {trace}: a trace of pages; made up are requests after requests\n"
