"""Every shipped study, found by itself, runs; its claims hold, and its committed report is what it prints.

Images are left out of the comparison, since their bytes depend on the fonts of the machine; that they are
there, one for each figure, is what is asked.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kvsim.scenario.shipped import available_experiments

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted(available_experiments())


PARTS = {
    "eviction_benchmark": {
        "lm": "small",
        "context": "512",
        "task": "recall,text",
        "strategy": "h2o,quest_8,int2",
        "budget": "1,0.25",
    },
}
"""Studies that take too long for a test, and the part of each that is run in their place."""

IMAGE = re.compile(r"^## .*\n\n!\[.*\n\n", re.MULTILINE)
"""A heading, and the image below it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STUDIES if name not in PARTS])
def test_runs_and_its_claims_hold(name: str, tmp_path: Path, invoke: Callable[..., Any]) -> None:
    """Those that are no questions; the answer to a question stands in the committed report."""
    outcome = invoke("experiment", name, "--jobs", "1", "--out", tmp_path / name)
    assert outcome.code == 0, outcome.err
    claims = json.loads((tmp_path / name / "claims.json").read_text(encoding="utf-8"))["claims"]
    failed = {claim["name"]: claim["verdict"] for claim in claims if claim["verdict"] != "holds"}
    questions = {claim["name"] for claim in claims if claim.get("question")}
    assert failed.keys() - questions == set(), failed
    committed = ROOT / "reports" / name
    if committed.exists():
        for file in (path for path in committed.iterdir() if path.is_file()):
            assert text_of(file) == text_of(tmp_path / name / file.name), file.name


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_a_long_study_gives_the_committed_numbers(
    name: str, tmp_path: Path, invoke: Callable[..., Any]
) -> None:
    """To a hundredth: the last bits of a language model's sums are up to the machine."""
    only = [text for axis, labels in PARTS[name].items() for text in ("--only", f"{axis}={labels}")]
    outcome = invoke("experiment", name, *only, "--out", tmp_path / name)
    assert outcome.code == 0, outcome.err
    found, committed = (results(folder / name) for folder in (tmp_path, ROOT / "reports"))
    assert found
    for place, figures in found.items():
        assert figures == pytest.approx(committed[place], rel=0.01, abs=1e-6), place


def results(folder: Path) -> dict[tuple[str, ...], dict[str, float]]:
    """The figures of every run by where it lies, all of which are known."""
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figures = [name for name in rows[0] if "." in name or name in ("hit_rate", "tokens_per_s")]
    return {
        tuple(value for name, value in row.items() if name not in figures): {
            name: float(row[name]) for name in figures
        }
        for row in rows
    }


def test_committed_claims_of_a_long_study_hold() -> None:
    for name in PARTS:
        claims = json.loads((ROOT / "reports" / name / "claims.json").read_text(encoding="utf-8"))["claims"]
        assert {claim["verdict"] for claim in claims if not claim.get("question")} == {"holds"}


def text_of(path: Path) -> str:
    """A file with every byte of it, but a report without its images."""
    text = path.read_bytes().decode()
    return IMAGE.sub("", text) if path.name == "report.md" else text


def test_a_report_without_its_images_is_the_report_of_a_study_without(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    report.write_text("## Table\n\n| a |\n\n## It says\n\n![It says](figures/f.svg)\n\n## Results\n", "utf-8")
    assert text_of(report) == "## Table\n\n| a |\n\n## Results\n"


def test_committed_images_are_those_of_the_figures() -> None:
    for images in (ROOT / "reports").glob("*/figures"):
        study = yaml.safe_load((ROOT / "experiments" / f"{images.parent.name}.yaml").read_text("utf-8"))
        assert {path.name for path in images.iterdir()} == {
            f"{each['name']}.svg" for each in study["figures"]
        }


def test_every_committed_report_has_its_study() -> None:
    reported = {path.name for path in (ROOT / "reports").iterdir() if path.is_dir()}
    assert reported <= set(STUDIES)
