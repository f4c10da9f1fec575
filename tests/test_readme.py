"""The README is true: every snippet in it is found here and exercised."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import kvsim

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Invoke = Callable[..., Any]


@dataclass(frozen=True)
class Snippet:
    """One fenced block. A first line such as `# mine.yaml` names the file it belongs in."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        named = re.match(r"# ([\w.]+)\n", self.text)
        return named[1] if named else None

    def __str__(self) -> str:
        return self.file or self.text.partition("\n")[0][:50]


SNIPPETS = [Snippet(language, text) for language, text in FENCE.findall(README)]


def snippets(language: str) -> list[Snippet]:
    return [snippet for snippet in SNIPPETS if snippet.language == language]


def is_study(snippet: Snippet) -> bool:
    return "\nclaims:" in snippet.text


def commands() -> list[str]:
    """The command lines, without those that build an environment."""
    lines = [line for snippet in snippets("sh") for line in snippet.text.splitlines()]
    return [line for line in lines if not line.startswith("python3 -m venv")]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with every file the README shows."""
    for snippet in SNIPPETS:
        if snippet.file:
            (tmp_path / snippet.file).write_text(snippet.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_every_snippet_is_of_a_kind_that_is_exercised_here() -> None:
    assert {snippet.language for snippet in SNIPPETS} == {"sh", "yaml", "python", "text"}


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("snippet", [one for one in snippets("yaml") if not is_study(one)], ids=str)
def test_a_scenario_runs(snippet: Snippet) -> None:
    assert snippet.file
    assert kvsim.run(snippet.file).result.makespan_ticks > 0


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("snippet", [one for one in snippets("yaml") if is_study(one)], ids=str)
def test_the_claims_of_a_study_hold(snippet: Snippet, invoke: Invoke) -> None:
    assert snippet.file
    assert "2 of 2 claims hold" in invoke("experiment", snippet.file).out


@pytest.mark.parametrize("snippet", snippets("python"), ids=str)
def test_python_runs(snippet: Snippet, desk: Path) -> None:
    file = snippet.file or "snippet.py"
    (desk / file).write_text(snippet.text, encoding="utf-8")
    tests = (
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"] if file.startswith("test_") else []
    )
    environment_is_kept_but_for_the_directory = [sys.executable, *tests, file]
    done = subprocess.run(
        environment_is_kept_but_for_the_directory,
        cwd=desk,
        # but for plugins of pytest that happen to be here, too: the reader may have none
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("command", commands())
def test_a_command_succeeds(command: str, invoke: Invoke) -> None:
    program, *arguments = shlex.split(command)
    assert program == "kvsim"
    outcome = invoke(*arguments)
    written = f"wrote {arguments[arguments.index('--out') + 1]}\n" if "--out" in arguments else ""
    assert (outcome.code, outcome.err) == (0, written)
    assert outcome.out


def test_the_first_command_runs_what_the_table_shows() -> None:
    first = snippets("sh")[0].text
    assert first.startswith(
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/kvsim run quickstart "
    )


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("snippet", snippets("text"), ids=str)
def test_printed_tables_are_what_the_command_prints(
    snippet: Snippet, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line with an ellipsis stands for any lines left out."""
    command, _, shown = snippet.text.partition("\n")
    assert command.startswith("$ kvsim ")
    monkeypatch.setenv("COLUMNS", "80")
    printed = invoke(*shlex.split(command)[2:]).out
    rest = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    for part in shown.split("…\n"):
        assert part in rest, f"{command} prints now:\n{printed}"
        rest = rest.partition(part)[2] if part else rest


def test_relative_links_lead_somewhere() -> None:
    root = Path(__file__).resolve().parents[1]
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (root / target).exists(), target


def test_the_folders_of_the_layout_exist() -> None:
    root = Path(__file__).resolve().parents[1]
    layout = README.partition("## Layout")[2]
    folders = re.findall(r"`([\w/]+)`", layout)
    assert folders
    assert [folder for folder in folders if not (root / folder).is_dir()] == []
