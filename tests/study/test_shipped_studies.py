"""Every shipped study, found by itself, runs; its claims hold, and its committed report is what it prints.

Images are left out of the comparison, since their bytes depend on the fonts of the machine; that they are
there, one for each figure, is what is asked.
"""

from __future__ import annotations

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


IMAGE = re.compile(r"^## .*\n\n!\[.*\n\n", re.MULTILINE)
"""A heading, and the image below it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
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
