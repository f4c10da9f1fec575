"""Every shipped study, found by itself, runs; its claims hold, and its committed report is what it prints."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvsim.scenario.shipped import available_experiments

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted(available_experiments())


@pytest.mark.parametrize("name", STUDIES)
def test_runs_and_its_claims_hold(name: str, tmp_path: Path, invoke: Callable[..., Any]) -> None:
    outcome = invoke("experiment", name, "--jobs", "1", "--out", tmp_path / name)
    assert outcome.code == 0, outcome.err
    claims = json.loads((tmp_path / name / "claims.json").read_text(encoding="utf-8"))["claims"]
    assert {claim["name"]: claim["verdict"] for claim in claims} == {
        claim["name"]: "holds" for claim in claims
    }
    committed = ROOT / "reports" / name
    if committed.exists():
        files = sorted(path.name for path in committed.iterdir())
        _, different, missing = filecmp.cmpfiles(committed, tmp_path / name, files, shallow=False)
        assert (different, missing) == ([], [])


def test_every_committed_report_has_its_study() -> None:
    reported = {path.name for path in (ROOT / "reports").iterdir() if path.is_dir()}
    assert reported <= set(STUDIES)
