"""Running a study: the same results for any number of workers, on any backend, stopped and resumed or not."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kvsim.errors import KvsimError
from kvsim.reporting.study_output import FILES, results_csv
from kvsim.study import journal, runner
from kvsim.study.loader import load
from kvsim.study.measure import Measured, Task, measure
from kvsim.study.runner import Batches, run_study

LONG = """\
base: quickstart
axes:
  - {name: overlap, path: execution.overlap, values: [serial, demand, layered, async, ideal]}
  - {name: prefetch, path: policy.prefetch, values: [none, next_layer]}
seeds: [1, 2, 3, 4, 5, 6]
metrics: [exposed_s.total, hit_rate, links.nvme up.mean_queue_s]
claims:
  - {name: c, metric: misses, where: {overlap: ideal}, operator: <, than: {metric: accesses}}
"""
"""Sixty runs that take seconds: long enough to be killed on the way."""
STUDY = LONG.replace("base: quickstart", "base: quickstart\nset: {workload.length: 60}").replace(
    "[1, 2, 3, 4, 5, 6]", "[1, 2]"
)
"""Twenty of the same that together take a moment."""
FRAGILE = """\
base: quickstart
set: {workload.kind: custom, workload.workload_class: "fragile:Fragile"}
axes: [{name: fails, path: workload.options.fails, values: ["no", raise, "no way"]}]
metrics: [accesses]
claims: [{name: c, metric: accesses, operator: "==", value: 3}]
"""
CLASS = '''\
import numpy as np
from kvsim.workloads import LayerAccess, Step


class Fragile:
    """Fails where it is told to."""

    name = "fragile"
    absent = "appear"
    initial_pages = 4
    page_scalars = 100
    total_steps = 3

    def __init__(self, scenario, fails: str):
        self.fails = fails

    def steps(self):
        for step in range(3):
            if step == 2 and self.fails == "raise":
                raise ZeroDivisionError("a bug\\nof the workload")
            yield Step((LayerAccess(np.array([step]), 1000),))
'''

Invoke = Callable[..., Any]


def write(folder: Path, text: str = STUDY, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "kvsim", "experiment", *map(str, arguments)]


def kept(directory: Path) -> int:
    """Runs in the journal."""
    path = directory / journal.JOURNAL
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of the study, run on one worker and never stopped."""
    return run_through(tmp_path_factory.mktemp("undisturbed"), STUDY)


def run_through(folder: Path, text: str) -> Path:
    """The outputs of a study that is run in a process of its own, on one worker."""
    subprocess.run(command(write(folder, text), "--out", folder / "out"), check=True, capture_output=True)
    return folder / "out"


def test_results_are_a_line_a_run_in_the_order_of_the_cells(undisturbed: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((undisturbed / "results.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 20
    assert list(rows[0]) == [
        *("overlap", "prefetch", "seed", "exposed_s.total", "hit_rate", "links.nvme up.mean_queue_s"),
        *("misses", "accesses", "error"),
    ]
    assert [row["seed"] for row in rows[:3]] == ["1", "2", "1"]
    assert {row["error"] for row in rows} == {""}
    assert all(float(row["exposed_s.total"]) == 0 for row in rows if row["overlap"] == "ideal")
    (claim,) = json.loads((undisturbed / "claims.json").read_text(encoding="utf-8"))["claims"]
    assert claim["verdict"] == "holds"
    assert claim["expected"] == 60


def test_two_workers_give_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run(command(write(tmp_path), "--out", out, "--jobs", "2"), check=True, capture_output=True)
    assert contents(out) == contents(undisturbed)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs the extra `dask`")
def test_a_local_dask_cluster_gives_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted = command(write(tmp_path), "--out", out, "--jobs", "2", "--backend", "dask")
    subprocess.run(wanted, check=True, capture_output=True, timeout=240)
    assert contents(out) == contents(undisturbed)


def test_without_its_package_a_backend_is_refused(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in ("dask", "ray"):
        monkeypatch.setitem(sys.modules, {"dask": "distributed"}.get(backend, backend), None)
        outcome = invoke("experiment", write(tmp_path), "--backend", backend)
        assert (outcome.code, outcome.out) == (2, "")
        assert f"the {backend} backend needs" in outcome.err


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_ten_times_and_resumed_it_gives_the_same_bytes(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    (tmp_path / "undisturbed").mkdir()
    undisturbed = run_through(tmp_path / "undisturbed", LONG)
    study, out = write(tmp_path, LONG), tmp_path / "out"
    kills = 0
    before = 0
    for number in range(10):
        jobs = str(1 + number % 2)
        process = subprocess.Popen(
            command(study, "--out", out, "--jobs", jobs, "--resume"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        goal = before + chance.randrange(0, 8)
        limit = time.monotonic() + 60
        while process.poll() is None and kept(out) < goal and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(chance.random() * (0.6 if number < 3 else 0.01))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        stop_group(process.pid)
        before = kept(out)
    assert kills >= 5, "the study ended before it could be killed"
    subprocess.run(command(study, "--out", out, "--resume"), check=True, capture_output=True)
    assert contents(out) == contents(undisturbed)
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, journal.JOURNAL])


def stop_group(leader: int) -> None:
    """End the workers that the killed process has left; the session is theirs alone."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def count_measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the runs that are made from here on, in this process."""
    made: list[str] = []

    def counting(tasks: Sequence[Task]) -> list[Measured]:
        made.extend(task.key for task in tasks)
        return measure(tasks)

    monkeypatch.setattr(runner, "measure", counting)
    return made


def test_resuming_repeats_no_finished_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = load(write(tmp_path))
    rows = run_study(study, "1", directory=tmp_path)
    path = tmp_path / journal.JOURNAL
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) == 20
    path.write_text("".join(lines[:13]) + lines[13][:-10], encoding="utf-8")  # cut off in the middle
    made = count_measured(monkeypatch)
    assert run_study(study, "1", directory=tmp_path, resume=True) == rows
    assert len(made) == len(set(made)) == 7
    made.clear()
    assert run_study(study, "1", directory=tmp_path, resume=True) == rows
    assert made == []
    run_study(study, "2", directory=tmp_path, resume=True)
    assert len(made) == 20, "another version may give other results"


def test_kept_runs_serve_another_study_that_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(load(write(tmp_path)), "1", directory=tmp_path)
    made = count_measured(monkeypatch)
    wider = load(write(tmp_path, STUDY.replace("[1, 2]", "[1, 2, 3]")))
    run_study(wider, "1", directory=tmp_path, resume=True)
    assert len(made) == 10
    made.clear()
    run_study(
        load(write(tmp_path, STUDY.replace("[exposed", "[hits, exposed"))),
        "1",
        directory=tmp_path,
        resume=True,
    )
    assert len(made) == 20, "a figure that was not kept needs the run"


def test_equal_runs_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "base: quickstart\naxes: [{name: a, variants: {x: {seed: 1}, y: {seed: 1}}}]\n"
    made = count_measured(monkeypatch)
    first, second = run_study(load(write(tmp_path, text)), "1")
    assert first.metrics == second.metrics
    assert len(made) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_is_a_row_and_the_rest_go_on(tmp_path: Path, jobs: int) -> None:
    write(tmp_path, CLASS, "fragile.py")
    wanted = command(write(tmp_path, FRAGILE), "--out", "out", "--jobs", str(jobs))
    done = subprocess.run(wanted, check=False, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 runs, 1 failed · 0 of 1 claims hold, 1 cannot be evaluated" in done.stdout
    assert (tmp_path / "out" / "results.csv").read_text(encoding="utf-8") == (
        "fails,seed,accesses,error\n"
        "no,11,3,\n"
        "raise,11,,ZeroDivisionError: a bug; of the workload\n"
        "no way,11,3,\n"
    )
    assert "ZeroDivisionError" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert kept(tmp_path / "out") == 2, "a failed run is tried again"


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    run_study(load(write(tmp_path)), "1", progress=lambda *counts: seen.append(counts))
    assert (seen[0], seen[-1]) == ((0, 20), (20, 20))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_results_do_not_depend_on_the_order_of_arrival(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load(write(tmp_path))
    straight = results_csv(study.spec, run_study(study, "1"))
    monkeypatch.setattr(Batches, "_take", lambda self, size: [self._tasks.pop() for _ in range(size)])
    assert results_csv(study.spec, run_study(study, "1")) == straight


class TestBatches:
    """Batches of what takes a tenth of a second."""

    def batches(self, count: int, workers: int) -> Batches:
        scenario = load("overlap_modes").scenarios[0]
        return Batches([Task(str(number), scenario, ()) for number in range(count)], workers)

    def test_begin_with_single_runs_and_grow(self) -> None:
        batches = self.batches(1000, 2)
        assert len(next(batches)) == len(next(batches)) == 1
        batches.learn([Measured("0", {}, None, 0.002)])
        assert len(next(batches)) == 50
        batches.learn([Measured("1", {}, None, 10.0)])
        assert len(next(batches)) == 1

    def test_hand_out_every_task_once_and_share_the_last(self) -> None:
        batches = self.batches(100, 4)
        batches.learn([Measured("0", {}, None, 1e-9)])
        sizes = []
        seen = []
        for batch in batches:
            sizes.append(len(batch))
            seen += [task.key for task in batch]
        assert seen == [str(number) for number in range(100)]
        assert sizes[0] == 25
        assert sizes == sorted(sizes, reverse=True)


class TestDirectory:
    """What is written where, and what is left alone."""

    def test_without_out_no_file_is_written(
        self, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        outcome = invoke("experiment", "overlap_modes")
        assert outcome.code == 0
        assert "40 runs, 0 failed · 3 of 3 claims hold" in outcome.out
        assert list(tmp_path.iterdir()) == []

    def test_strange_files_are_refused_and_left(self, tmp_path: Path, invoke: Invoke) -> None:
        (tmp_path / "out").mkdir()
        write(tmp_path / "out", "mine", "notes.txt")
        outcome = invoke("experiment", write(tmp_path), "--out", tmp_path / "out")
        assert (outcome.code, outcome.out) == (2, "")
        assert "notes.txt" in outcome.err
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]

    def test_a_stopped_study_is_not_thrown_away(self, tmp_path: Path, invoke: Invoke) -> None:
        study = write(tmp_path)
        (tmp_path / "out").mkdir()
        run_study(load(study), "1", directory=tmp_path / "out")
        outcome = invoke("experiment", study, "--out", tmp_path / "out")
        assert outcome.code == 2
        assert "--resume" in outcome.err
        assert kept(tmp_path / "out") == 20

    def test_a_finished_study_makes_room(self, tmp_path: Path, invoke: Invoke) -> None:
        study = write(tmp_path, STUDY.replace("[1, 2]", "[1]"))
        for _ in range(2):
            assert invoke("experiment", study, "--out", tmp_path / "out").code == 0
            assert kept(tmp_path / "out") == 10

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--resume"], "--resume needs --out"),
            (["--jobs", "0"], "--jobs must be"),
            (["--backend", "spark"], "known: loky, dask, ray"),
        ],
    )
    def test_wrong_options(self, invoke: Invoke, arguments: list[str], told: str) -> None:
        outcome = invoke("experiment", "overlap_modes", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert told in outcome.err

    def test_the_list_names_the_studies(self, invoke: Invoke) -> None:
        assert "overlap_modes" in invoke("list").out


def test_a_dead_worker_is_told_and_the_finished_runs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CLASS.replace("raise ZeroDivisionError", "__import__('os')._exit(9) or str")
    assert "_exit" in text
    write(tmp_path, text, "fragile_exit.py")
    monkeypatch.syspath_prepend(tmp_path)
    study = load(write(tmp_path, FRAGILE.replace("fragile:", "fragile_exit:")))
    with pytest.raises(KvsimError, match="--resume"):
        run_study(study, "1", directory=tmp_path, jobs=2)


def test_a_study_measures_bounds(tmp_path: Path) -> None:
    """In serial mode the additive law is the makespan itself; without records there are no bounds."""
    axes = "axes: [{name: records, path: execution.records, values: [all, summary]}]\n"
    text = "base: quickstart\nset: {execution.overlap: serial, workload.length: 60}\n" + axes
    text += "metrics: [makespan_s, bounds.additive_law_s, bounds.additive_law_ratio, bounds.overlapped]\n"
    known, unknown = run_study(load(write(tmp_path, text)), version="1")
    makespan_s = known.metrics["makespan_s"]
    assert makespan_s
    assert list(known.metrics.values()) == [makespan_s, makespan_s, 1.0, 0.0]
    assert list(unknown.metrics.values()) == [makespan_s, None, None, None]
