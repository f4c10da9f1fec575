from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from analysis.synthetic import busy_run

from kvsim.analysis.metrics import summarise
from kvsim.errors import KvsimError
from kvsim.reporting import output
from kvsim.reporting.output import FILES, write_run
from kvsim.scenario.loader import load
from kvsim.sim.result import RunResult


def write(run: RunResult, directory: Path) -> Path:
    return write_run(run, summarise(run), directory)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_run_leaves_exactly_its_files(tmp_path: Path) -> None:
    target = write(busy_run(100), tmp_path / "deep" / "out")
    assert sorted(contents(target)) == sorted(FILES)
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    assert contents(write(busy_run(300), tmp_path / "a")) == contents(write(busy_run(300), tmp_path / "b"))


def test_the_files_say_what_the_run_was(tmp_path: Path) -> None:
    run = busy_run(300)
    target = write(run, tmp_path / "out")
    assert load(target / "scenario.yaml") == run.scenario
    assert json.loads((target / "summary.json").read_text(encoding="utf-8"))["steps"] == run.steps
    assert len(pd.read_csv(target / "steps.csv")) == run.steps
    transfers = pd.read_csv(target / "transfers.csv")
    assert len(transfers) == sum(lane.transfers for lane in run.lanes)
    assert transfers["bytes"].sum() == sum(lane.bytes_in for lane in run.lanes)


def test_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    write(busy_run(100), tmp_path / "out")
    old = contents(tmp_path / "out")
    write(busy_run(200), tmp_path / "out")
    assert contents(tmp_path / "out")["steps.csv"] != old["steps.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert sorted(contents(write(busy_run(100), tmp_path / "out"))) == sorted(FILES)


def test_a_directory_with_anything_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work", encoding="utf-8")
    with pytest.raises(KvsimError, match=r"not of a run: thesis\.tex"):
        write(busy_run(100), tmp_path)
    assert contents(tmp_path) == {"thesis.tex": b"ten years of work"}


def test_a_directory_that_only_looks_like_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    with pytest.raises(KvsimError, match=r"report\.html"):
        write(busy_run(100), tmp_path / "out")


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    with pytest.raises(KvsimError, match="is not a directory"):
        write(busy_run(100), tmp_path / "out")


def test_the_current_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KvsimError, match="current directory"):
        write(busy_run(100), Path())


def test_a_parent_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(KvsimError, match="cannot write to"):
        write(busy_run(100), tmp_path / "file" / "out")


@pytest.mark.parametrize("failing", ["write_trace", "report_html"])
@pytest.mark.parametrize("earlier", [True, False])
def test_a_failure_on_the_way_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, earlier: bool
) -> None:
    if earlier:
        write(busy_run(100), tmp_path / "out")
    before = contents(tmp_path / "out") if earlier else None

    def fail(*_arguments: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output, failing, fail)
    with pytest.raises(KvsimError, match="No space left"):
        write(busy_run(200), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if earlier else [])
    assert not earlier or contents(tmp_path / "out") == before


def test_a_failed_swap_puts_the_earlier_run_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(busy_run(100), tmp_path / "out")
    before = contents(tmp_path / "out")
    rename = Path.rename

    def stubborn(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(KvsimError, match="Permission denied"):
        write(busy_run(200), tmp_path / "out")
    assert contents(tmp_path / "out") == before
