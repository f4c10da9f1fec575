"""The project itself: what the wheel carries, what every shipped file has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kvsim

ROOT = Path(__file__).resolve().parents[1]
DATA = ("models", "scenarios", "experiments")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installation of the wheel puts on the import path."""
    place = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", build, str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


class TestWheel:
    def test_carries_the_data_as_it_lies_in_the_checkout(self, unpacked: Path) -> None:
        for folder in DATA:
            for path in sorted((ROOT / folder).rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    carried = unpacked / "kvsim" / "_data" / path.relative_to(ROOT)
                    assert carried.read_bytes() == path.read_bytes()

    def test_is_typed_and_licensed(self, unpacked: Path) -> None:
        assert (unpacked / "kvsim" / "py.typed").exists()
        assert list(unpacked.glob("kvsim-*.dist-info/licenses/LICENSE"))

    def test_holds_nothing_else(self, unpacked: Path) -> None:
        info = f"kvsim-{kvsim.__version__}.dist-info"
        assert {path.name for path in unpacked.iterdir()} == {"kvsim", info}

    def test_runs_shipped_scenarios_far_from_a_checkout(self, unpacked: Path, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "kvsim", "run", "quickstart", "--out", "out"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(unpacked)},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "wrote out\n")
        assert list((tmp_path / "out").iterdir())


class TestFiles:
    @pytest.mark.parametrize(
        "path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: str(path.name)
    )
    def test_a_shipped_scenario_tells_editors_its_schema(self, path: Path) -> None:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        marker, _, schema = first.partition("=")
        assert marker == "# yaml-language-server: $schema"
        assert (path.parent / schema).is_file()

    def test_the_schema_beside_the_scenarios_is_what_the_command_prints(
        self, invoke: Callable[..., Any]
    ) -> None:
        shipped = ROOT / "scenarios" / "scenario.schema.json"
        assert invoke("schema").out == shipped.read_text(encoding="utf-8"), (
            f"renew it with: kvsim schema > {shipped.relative_to(ROOT)}"
        )

    def test_the_changelog_tells_about_this_version(self) -> None:
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        assert re.search(rf"^## {re.escape(kvsim.__version__)}\b", changelog, re.MULTILINE)

    def test_ci_runs_the_test_command_of_the_readme(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (command,) = re.findall(r"^(python3 -m venv .*tox.*)$", readme, re.MULTILINE)
        assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        assert os.access(ROOT / ".ci" / "run", os.X_OK)

    def test_the_oldest_python_is_named_everywhere(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        oldest = project["project"]["requires-python"].removeprefix(">=")
        assert f"Programming Language :: Python :: {oldest}" in project["project"]["classifiers"]
        assert project["tool"]["mypy"]["python_version"] == oldest
        assert project["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
        assert f"Python {oldest}" in (ROOT / "README.md").read_text(encoding="utf-8")
