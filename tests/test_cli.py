"""The command line: exit codes, what goes where, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Those that name `simulate` at their top are imported before a test puts something else in its place.
import kvsim.api
import kvsim.study.explain
import kvsim.study.measure
import kvsim.study.whatif
from kvsim import cli

Invoke = Callable[..., Any]


def edit(path: Path, *edits: tuple[str, str]) -> None:
    """Replace in the file what the patterns match; each must match."""
    text = path.read_text(encoding="utf-8")
    for pattern, replacement in edits:
        literal = replacement.replace("\\", "\\\\")
        text, count = re.subn(pattern, literal, text, count=1, flags=re.DOTALL)
        assert count == 1, pattern
    path.write_text(text, encoding="utf-8")


def kvsim_process(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """The command as users start it, in a process of its own."""
    command = [sys.executable, "-m", "kvsim", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, encoding="utf-8", cwd=cwd, env=env)


def files_below(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


class TestBadInput:
    """Exit code 2, the reason on standard error, nothing else anywhere."""

    @pytest.mark.parametrize(
        ("pattern", "replacement", "reason"),
        [
            pytest.param(".*", "hierarchy: [", "tiny.yaml:", id="no YAML"),
            pytest.param(".*", "", "tiny.yaml", id="empty"),
            pytest.param(".*", "- 1\n", "tiny.yaml", id="no mapping"),
            pytest.param("capacity", "capacty", "tiny.yaml:4", id="unknown key"),
            pytest.param("2 us", "2", "tiny.yaml:9", id="number without unit"),
            pytest.param(r"\Z", "policy: {eviction: lruu}", "did you mean 'lru'", id="unknown policy"),
            pytest.param("kind: rag_burst", "kind: nothing", "rag_burst", id="unknown workload"),
            pytest.param("kind: rag_burst", "kind: mooncake, path: gone.jsonl", "gone.jsonl", id="no trace"),
            pytest.param(r"\[hbm, dram", "[hbm, disk", "disk", id="unknown tier"),
            pytest.param("64 KiB", "1 KiB", "hbm", id="no page fits"),
        ],
    )
    def test_is_told_with_its_place_and_leaves_nothing(
        self, tiny: Path, tmp_path: Path, invoke: Invoke, pattern: str, replacement: str, reason: str
    ) -> None:
        edit(tiny, (pattern, replacement))
        before = files_below(tmp_path)
        for command in (["check", tiny], ["run", tiny, "--out", tmp_path / "out"]):
            outcome = invoke(*command)
            assert outcome.code == 2
            assert outcome.out == ""
            assert reason in outcome.err
            assert "Traceback" not in outcome.err
        assert files_below(tmp_path) == before

    @pytest.mark.parametrize(
        ("source", "reason"),
        [("nowhere.yaml", "nowhere.yaml"), ("quikstart", "quickstart"), (".", "directory"), ("", "")],
    )
    def test_a_source_that_is_none(self, invoke: Invoke, source: str, reason: str) -> None:
        outcome = invoke("run", source)
        assert (outcome.code, outcome.out) == (2, "")
        assert reason in outcome.err

    def test_a_file_that_is_no_text(self, tiny: Path, invoke: Invoke) -> None:
        tiny.write_bytes(b"name: \xff\xfe\n")
        outcome = invoke("check", tiny)
        assert (outcome.code, outcome.out) == (2, "")
        assert "tiny.yaml" in outcome.err

    @pytest.mark.parametrize(
        ("override", "reason"),
        [
            ("seed", "seed"),
            ("=1", "--set"),
            ("seed=one", "seed"),
            ("sed=1", "sed"),
            ("hierarchy.tiers.disk.capacity=1 GiB", "disk"),
            ("hierarchy.tiers.hbm.capacity=80", "80"),
        ],
    )
    def test_a_bad_override(self, tiny: Path, invoke: Invoke, override: str, reason: str) -> None:
        outcome = invoke("run", tiny, "--set", override)
        assert (outcome.code, outcome.out) == (2, "")
        assert reason in outcome.err

    def test_all_problems_come_together(self, tiny: Path, invoke: Invoke) -> None:
        edit(tiny, ("capacity", "capacty"), ("2 us", "2"))
        outcome = invoke("check", tiny)
        assert outcome.code == 2
        assert all(field in outcome.err for field in ("capacty", "compute_time"))

    @pytest.mark.parametrize(
        "arguments", [["--wrong"], ["simulate"], ["run"], ["run", "a", "b"], ["list", "all"]]
    )
    def test_a_wrong_command_line(self, invoke: Invoke, arguments: list[str]) -> None:
        outcome = invoke(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert "Usage" in outcome.err


class TestOutputDirectory:
    """What cannot be written is told before the simulation starts."""

    @pytest.fixture
    def no_simulation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from kvsim.sim import engine

        def fail(*_: object, **__: object) -> None:
            raise AssertionError("simulated")

        monkeypatch.setattr(engine, "simulate", fail)

    @pytest.mark.usefixtures("no_simulation")
    def test_a_file_in_its_place(self, tiny: Path, invoke: Invoke) -> None:
        before = tiny.read_bytes()
        outcome = invoke("run", tiny, "--out", tiny)
        assert (outcome.code, outcome.out) == (2, "")
        assert "tiny.yaml" in outcome.err
        assert tiny.read_bytes() == before

    @pytest.mark.usefixtures("no_simulation")
    def test_a_file_above_it(self, tiny: Path, invoke: Invoke) -> None:
        outcome = invoke("run", tiny, "--out", tiny / "below" / "it")
        assert (outcome.code, outcome.out) == (2, "")
        assert "tiny.yaml" in outcome.err

    @pytest.mark.usefixtures("no_simulation")
    def test_a_directory_that_takes_no_files(
        self, tiny: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("kvsim.cli.tempfile.TemporaryFile", refuse)
        outcome = invoke("run", tiny, "--out", tmp_path / "out")
        assert (outcome.code, outcome.out) == (2, "")
        assert "Permission denied" in outcome.err

    def test_is_taken_away_again_when_the_run_fails(
        self, tiny: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kvsim.errors import SimulationError
        from kvsim.sim import engine

        def fail(*_: object) -> None:
            raise SimulationError("no room for page 7")

        monkeypatch.setattr(engine, "simulate", fail)
        before = files_below(tmp_path)
        outcome = invoke("run", tiny, "--out", tmp_path / "a" / "b")
        assert (outcome.code, outcome.out, outcome.err) == (2, "", "error: no room for page 7\n")
        assert files_below(tmp_path) == before

    def test_holds_what_the_run_writes(self, tiny: Path, tmp_path: Path, invoke: Invoke) -> None:
        out = tmp_path / "runs" / "tiny"
        outcome = invoke("run", tiny, "--out", out)
        assert outcome.code == 0
        assert outcome.err == f"wrote {out}\n"
        assert any(path.stat().st_size for path in out.iterdir())

    def test_is_overwritten_by_the_same_run_with_the_same_files(
        self, tiny: Path, tmp_path: Path, invoke: Invoke
    ) -> None:
        out = tmp_path / "out"
        contents = []
        for _ in range(2):
            assert invoke("run", tiny, "--out", out).code == 0
            contents.append({path.name: path.read_bytes() for path in out.iterdir()})
        assert contents[0] == contents[1]


class TestRun:
    def test_prints_one_table_and_writes_no_file(
        self, tiny: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = files_below(tmp_path)
        monkeypatch.chdir(tmp_path)
        outcome = invoke("run", tiny)
        assert (outcome.code, outcome.err) == (0, "")
        assert "demand service" in outcome.out
        assert files_below(tmp_path) == before

    def test_prints_the_same_twice(self, tiny: Path, invoke: Invoke) -> None:
        assert invoke("run", tiny) == invoke("run", tiny)

    def test_takes_overrides(self, tiny: Path, invoke: Invoke) -> None:
        ideal = invoke("run", tiny, "--set", "execution.overlap=ideal", "--set", "workload.length=20")
        assert ideal.code == 0
        assert ideal != invoke("run", tiny)

    def test_runs_the_shipped_quickstart(self, invoke: Invoke) -> None:
        assert invoke("run", "quickstart").code == 0

    def test_tells_unphysical_settings_in_one_line(self, tiny: Path, invoke: Invoke) -> None:
        edit(tiny, ("name: pcie", "name: pcie, link: pcie5-x16"), ("16 GB/s", "900 GB/s"))
        for command in ("check", "run"):
            outcome = invoke(command, tiny)
            assert outcome.code == 0
            assert [line[:9] for line in outcome.err.splitlines()] == ["warning: "]
            assert "pcie" in outcome.err

    def test_interrupted_ends_with_130_and_no_traceback(
        self, tiny: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kvsim.sim import engine

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(engine, "simulate", interrupt)
        outcome = invoke("run", tiny)
        assert (outcome.code, outcome.out) == (130, "")
        assert "Traceback" not in outcome.err


class TestProgress:
    @staticmethod
    def on_a_terminal(monkeypatch: pytest.MonkeyPatch, shown_after_s: float) -> None:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setattr(cli, "BAR_AFTER_S", shown_after_s)
        monkeypatch.setattr(cli, "BAR_EVERY_S", 0.0)

    def test_a_long_run_shows_a_bar_on_a_terminal(
        self, tiny: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.on_a_terminal(monkeypatch, shown_after_s=0.0)
        outcome = invoke("run", tiny)
        assert outcome.code == 0
        assert "60/60" in outcome.err

    def test_a_short_run_shows_none(
        self, tiny: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.on_a_terminal(monkeypatch, shown_after_s=60.0)
        assert invoke("run", tiny).err == ""

    def test_there_is_none_off_a_terminal(
        self, tiny: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cli, "BAR_AFTER_S", 0.0)
        assert invoke("run", tiny).err == ""


class TestOtherCommands:
    def test_version(self, invoke: Invoke) -> None:
        outcome = invoke("--version")
        assert (outcome.code, outcome.out, outcome.err) == (0, f"kvsim {kvsim.__version__}\n", "")

    def test_check_says_ok_in_one_line(self, tiny: Path, invoke: Invoke) -> None:
        outcome = invoke("check", tiny)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out == f"{tiny}: ok: tiny (rag_burst on hbm, dram)\n"

    def test_list_names_everything_there_is_to_choose_from(self, root: Path, invoke: Invoke) -> None:
        from kvsim import policies, workloads

        outcome = invoke("list")
        assert (outcome.code, outcome.err) == (0, "")
        listed = {line.split()[0] for line in outcome.out.splitlines() if line.strip()}
        scenarios = {path.stem for path in (root / "scenarios").glob("*.yaml")}
        chosen = {name for names in policies.names().values() for name in names}
        assert listed >= scenarios | chosen | set(workloads.names())

    def test_schema_is_a_json_schema_with_meanings(self, invoke: Invoke) -> None:
        outcome = invoke("schema")
        assert (outcome.code, outcome.err) == (0, "")
        schema = json.loads(outcome.out)
        assert schema["$schema"].startswith("https://json-schema.org/")
        assert "hierarchy" in schema["properties"]
        assert all("description" in field for field in schema["properties"].values())


class TestProcess:
    """What only shows in a process of its own."""

    def test_help_is_quick_because_it_imports_nothing_heavy(self) -> None:
        heavy = {"numpy", "pandas", "plotly", "pydantic", "simpy", "yaml"}
        code = f"import sys, kvsim.cli; print(*{heavy} & set(sys.modules))"
        command = [sys.executable, "-c", code]
        loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert loaded.split() == []

    def test_an_error_ends_without_a_traceback(self, tmp_path: Path) -> None:
        process = kvsim_process("run", "nowhere.yaml", "--out", "out", cwd=tmp_path)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, "")
        assert "nowhere.yaml" in err
        assert "Traceback" not in err
        assert files_below(tmp_path) == []

    def test_a_reader_that_goes_away_causes_no_noise(self) -> None:
        process = kvsim_process("schema")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == ""
        process.stderr.close()

    def test_text_is_written_where_the_locale_knows_only_ascii(self, tiny: Path) -> None:
        environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
        process = kvsim_process("run", str(tiny), env=environment)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert "hbm" in out


def test_the_console_script_is_the_same_command(invoke: Invoke) -> None:
    from importlib.metadata import PackageNotFoundError, entry_points, version

    try:
        assert version("kvsim") == kvsim.__version__
    except PackageNotFoundError:
        pytest.skip("kvsim is not installed here")
    (script,) = entry_points(group="console_scripts", name="kvsim")
    main: Callable[[], None] = script.load()
    assert main is cli.main


def test_a_directory_with_other_files_is_refused_before_the_run(
    tiny: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    monkeypatch.setattr("kvsim.sim.engine.simulate", lambda *_: pytest.fail("time was spent on a run"))
    outcome = invoke("run", tiny, "--out", tmp_path / "mine")
    assert (outcome.code, outcome.out) == (2, "")
    assert "thesis.tex" in outcome.err
