"""The walls of the house: imports run one way, and only one floor knows SimPy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kvsim"
FLOORS = {
    "errors": 0, "units": 1, "registry": 1, "randomness": 1,
    "scenario": 2, "policies": 3, "workloads": 3, "sim": 4, "lm": 4,
    "analysis": 5, "study": 6, "reporting": 7, "api": 8, "reported": 8, "run_bar": 8, "trace_files": 8,
    "study_cli": 9, "trace_cli": 9, "explain_cli": 9, "capacity_cli": 9, "tune_cli": 9,
    "catalog_cli": 9, "size_cli": 9, "pool_cli": 9, "capture_cli": 9,
    "answers_cli": 9, "advise_cli": 9, "cli": 10, "__main__": 11,
}  # fmt: skip
"""A module may import from its own part of the house and from parts of a lower number."""
OF_SIM_FOR_READERS = {
    "kvsim.sim.records",
    "kvsim.sim.result",
    "kvsim.sim.serving.records",
    "kvsim.sim.serving.result",
}
"""What those who interpret a run may know of the floor that made it: its records, no live objects."""
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)
EVERY_MODULE = pytest.mark.parametrize("path", MODULES, ids=[str(p.relative_to(PACKAGE)) for p in MODULES])


def is_module(dotted: str) -> bool:
    base = PACKAGE.parent.joinpath(*dotted.split("."))
    return base.with_suffix(".py").exists() or (base / "__init__.py").exists()


def imported(path: Path) -> Iterator[str]:
    """Full dotted names of the modules that a file imports."""
    return imported_by(path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).parent)


def imported_by(source: str, folder: Path) -> Iterator[str]:
    """The same for a text: wherever in it an import stands, also for type checking only."""
    package = ("kvsim", *folder.parts)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if base.startswith("kvsim") and is_module(inner) else base


def part_of(dotted: str) -> str:
    """The part of the house of `kvsim.part.module`; empty for the package itself."""
    return dotted.split(".")[1] if "." in dotted else ""


def own_part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def within(path: Path) -> list[str]:
    return [name for name in imported(path) if name == "kvsim" or name.startswith("kvsim.")]


@EVERY_MODULE
def test_imports_run_one_way(path: Path) -> None:
    own = own_part(path)
    if own == "__init__":  # the front door: it opens onto the API
        assert {part_of(name) for name in within(path)} <= {"api", "errors"}
        return
    assert own in FLOORS, f"{own} has no place in the house; give it one in FLOORS"
    for name in within(path):
        other = part_of(name)
        allowed = other in ("", own) or FLOORS[other] < FLOORS[own]
        assert allowed, f"{own} must not import {name}"


@EVERY_MODULE
def test_only_the_simulation_floor_knows_simpy(path: Path) -> None:
    if own_part(path) != "sim":
        assert not [name for name in imported(path) if name.split(".")[0] == "simpy"]


@EVERY_MODULE
def test_interpreters_of_a_run_see_its_records_alone(path: Path) -> None:
    if own_part(path) in ("analysis", "reporting"):
        from_sim = {name for name in within(path) if part_of(name) == "sim"}
        assert from_sim <= OF_SIM_FOR_READERS


def test_the_package_was_found() -> None:
    assert {"errors", "scenario", "policies", "workloads", "sim"} <= {own_part(path) for path in MODULES}


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import simpy.events as e", ["simpy.events"]),
        ("from kvsim.sim import records", ["kvsim.sim.records"]),
        ("from kvsim.units import seconds", ["kvsim.units"]),
        ("def f():\n    from kvsim import sim", ["kvsim.sim"]),
        ("from . import records", ["kvsim.sim.records"]),
        ("from ..units import seconds", ["kvsim.units"]),
        ("if TYPE_CHECKING:\n    import kvsim.cli", ["kvsim.cli"]),
    ],
)
def test_imports_are_found_wherever_they_are(source: str, modules: list[str]) -> None:
    assert list(imported_by(source, Path("sim"))) == modules
