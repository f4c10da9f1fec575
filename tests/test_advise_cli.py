"""`kvsim advise` on the shipped measurements."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvsim.scenario.shipped import data_folder

RESULTS = data_folder("reports") / "eviction_benchmark" / "results.csv"
ASKED = {
    "dialogue": (
        "dialogue",
        "--gpu",
        "t4",
        "--model",
        "llama-3.2-1b",
        "--context",
        "32768",
        "--loss",
        "some",
    ),
    "documents": ("documents", "--gpu", "h100-sxm", "--model", "llama-3.1-8b", "--context", "131072"),
    "no loss": ("documents", "--gpu", "h100-sxm", "--context", "131072", "--loss", "none"),
}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with open(RESULTS, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=sorted(ASKED))
def advice(request: pytest.FixtureRequest, invoke: Callable[..., Any]) -> dict[str, Any]:
    outcome = invoke("advise", *ASKED[request.param], "--json")
    assert outcome.code == 0, outcome.err
    told: dict[str, Any] = json.loads(outcome.out)
    return told


def test_every_option_rests_on_measured_rows(advice: dict[str, Any], rows: list[dict[str, str]]) -> None:
    measured = {
        (row["lm"], row["task"], int(row["context"]), row["strategy"], float(row[f"answers.{metric}"]))
        for row in rows
        for metric in ("correct", "perplexity")
    }
    assert advice["options"]
    for option in advice["options"]:
        for row in option["evidence"]:
            place = (row["lm"], row["task"], row["context_tokens"])
            assert (*place, option["strategy"], row["measured"]) in measured
            assert (*place, "full", row["full"]) in measured


def test_no_option_loses_more_than_allowed_and_the_fastest_is_first(advice: dict[str, Any]) -> None:
    times = [option["token_time_s"] for option in advice["options"]]
    assert times == sorted(times)
    allowed = advice["need"]["loss"]
    assert max(option["loss"] for option in advice["options"]) <= allowed
    assert not allowed or all(option["loss"] > allowed for option in advice["too_lossy"])


def test_where_nothing_may_be_lost_only_what_cannot_lose_will_do(invoke: Callable[..., Any]) -> None:
    told = json.loads(invoke("advise", *ASKED["no loss"], "--json").out)
    assert [option["strategy"] for option in told["options"]] == ["full"]


def test_what_evicts_and_rounds_takes_no_fewer_bytes_than_its_budget(invoke: Callable[..., Any]) -> None:
    """An eighth of the bytes of 16.0 GiB, which is half of the tokens in four bits."""
    told = json.loads(invoke("advise", *ASKED["documents"], "--loss", "none", "--json").out)
    taken = {(each["strategy"], each["budget"]): each["kv_bytes"] for each in told["too_lossy"]}
    assert taken["h2o_int4", 0.125] == taken["h2o", 0.125] == 131_072 * 131_072 // 8


def test_different_needs_get_different_answers(invoke: Callable[..., Any]) -> None:
    """A dialogue may forget, documents may not, and where nothing may be lost all is kept."""
    first = {}
    for need, asked in ASKED.items():
        told = json.loads(invoke("advise", *asked, "--json").out)
        option = told["options"][0]
        first[need] = (option["strategy"], option["budget"])
    assert len(set(first.values())) == 3, first


def test_a_person_reads_the_choice_first_and_what_it_rests_on(invoke: Callable[..., Any]) -> None:
    lines = invoke("advise", *ASKED["documents"]).out.splitlines()
    assert lines[0] == "documents with llama-3.1-8b on h100-sxm"
    text = "\n".join(lines)
    assert "ms a token, " in " ".join(lines[2:5])
    assert "multi_hop" in text
    assert "loses too much" in text


def test_what_may_be_lost_is_a_share_or_a_word(invoke: Callable[..., Any], tmp_path: Path) -> None:
    outcome = invoke("advise", "documents", "--gpu", "t4", "--loss", "lots")
    assert outcome.code == 2
    assert "--loss must be none, little, some, or a share from 0 to 1, not 'lots'" in outcome.err
