"""From a study file to a checked `Study`, with every problem reported at once, each with its place.

All cells are made and checked before anything runs: a misspelt path is told here, at the line of the axis
that holds it, not after the first hour. A combination that cannot be simulated is a problem too; `exclude`
leaves it out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from kvsim.errors import KvsimError, Problem, ScenarioError, ScenarioWarning, nearest
from kvsim.policies import check_policies
from kvsim.scenario import loader as scenario_loader
from kvsim.scenario.document import read_file
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.shipped import available_experiments, available_scenarios, displayed
from kvsim.scenario.tree import Node, Origin, Path, Problems, label, plain
from kvsim.scenario.wording import error_path, note_all, place_of
from kvsim.study.checks import check, named_metrics
from kvsim.study.grid import Cell, cells, label_of, labels, matches, override_text
from kvsim.study.metrics import metric_problem
from kvsim.study.scaling import NoQuantity, factor_of, multiplied
from kvsim.study.spec import EVERY, MeasureSpec, StudySpec
from kvsim.workloads import check_workload
from kvsim.workloads.requests import asks_requests

__all__ = ["Study", "available_experiments", "load"]

_LARGEST = 1_000_000


@dataclass(frozen=True)
class Study:
    """A study that can be run: what was written, and the scenario of every cell."""

    spec: StudySpec
    cells: tuple[Cell, ...]
    scenarios: tuple[Scenario, ...]
    """One per cell."""

    def part(self, wanted: Mapping[str, tuple[str, ...]]) -> Study:
        """The same with some labels of some axes alone, and the claims and views that ask for any of these.

        Raises KvsimError for what is not there."""
        known = labels(self.spec)
        for axis, chosen in wanted.items():
            if axis not in known:
                raise KvsimError(f"{self.spec.name} has no axis {axis!r} (known: {', '.join(known)})")
            for name in chosen:
                if name not in known[axis]:
                    raise KvsimError(f"{axis} has no {name!r} (known: {', '.join(known[axis])})")
        there = [number for number, cell in enumerate(self.cells) if matches(cell.coordinates, dict(wanted))]
        if not there:
            raise KvsimError(f"{self.spec.name} has no such run")
        return Study(
            self.spec.model_copy(update=_narrowed(self.spec, wanted)),
            tuple(replace(self.cells[old], index=new) for new, old in enumerate(there)),
            tuple(self.scenarios[number] for number in there),
        )


def _narrowed(spec: StudySpec, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The fields of a study that name the values of its axes, with those wanted, and what asks for these."""

    def asked(measure: MeasureSpec) -> bool:
        return all(
            any(label_of(value) in (EVERY, *wanted.get(axis, (label_of(value),))) for value in values)
            for axis, values in measure.where.items()
        )

    def kept(axis: str, label: str) -> bool:
        return label in wanted.get(axis, (label,))

    axes = [
        axis.model_copy(
            update={
                "values": tuple(value for value in axis.values if kept(axis.name, label_of(value))),
                "variants": {name: some for name, some in axis.variants.items() if kept(axis.name, name)},
            }
        )
        for axis in spec.axes
    ]
    bases = {name: path for name, path in spec.bases.items() if kept("base", name)}
    seeds = tuple(seed for seed in spec.seeds if kept("seed", str(seed)))
    measures = {
        "claims": tuple(filter(asked, spec.claims)),
        "tables": tuple(filter(asked, spec.tables)),
        "figures": tuple(filter(asked, spec.figures)),
    }
    return {"axes": tuple(axes), "bases": bases, "seeds": seeds, **measures}


def load(source: str | FilePath) -> Study:
    """The study of a file, or the shipped one of that name. Raises ScenarioError with every problem found."""
    problems = Problems()
    path = scenario_loader.find(source, available_experiments(), "study", problems)
    shown = str(source) if path is not None and str(path) == str(source) else displayed(path or FilePath())
    root = None if path is None else read_file(path, problems, shown)
    if path is None or root is None or problems.found:
        raise ScenarioError(_about_studies(problems.ordered()))
    if root.get("name") is None:
        root.value["name"] = Node(path.stem, Origin(root.at.file))
    spec, whole = _validate(root, problems)
    if spec is not None:
        for where, message in check(spec, whole):
            if not problems.covers(where):
                problems.add(where, place_of(root, where), message, label(root, where))
    bases = _bases(root, path.parent, problems)
    grid: tuple[Cell, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    if spec is not None and whole and not any(problems.touches(part) for part in _OF_CELLS):
        grid = _cells(spec, root, problems)
        scenarios = _scenarios(grid, bases, problems, root)
    if spec is not None:
        _check_metrics(spec, scenarios, root, problems)
    if problems.found or spec is None:
        raise ScenarioError(problems.ordered())
    return Study(spec, grid, scenarios)


_OF_CELLS: tuple[Path, ...] = (("base",), ("bases",), ("set",), ("axes",), ("seeds",), ("exclude",))


def _about_studies(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The words of the reader, which speaks of scenarios."""
    return tuple(
        Problem(p.file, p.line, p.column, p.field, p.message.replace("a scenario is", "a study is"))
        for p in problems
    )


def _validate(root: Node, problems: Problems) -> tuple[StudySpec | None, bool]:
    """The spec, or one without the parts that are wrong; whether the cells of the study are all there."""
    data = _plain(root)
    try:
        return StudySpec.model_validate(data), True
    except ValidationError as error:
        note_all(error, root, data, problems, StudySpec)
        wrong = {error_path(details)[0] for details in error.errors(include_url=False)}
    rest = {key: value for key, value in data.items() if key not in wrong}
    try:
        return StudySpec.model_validate({"name": "?", **rest}), not wrong & {part[0] for part in _OF_CELLS}
    except ValidationError:
        return None, False


def _plain(root: Node) -> Any:
    """The data of a study; in overrides an empty value is a value, which takes the default."""
    data = plain(root)
    own = root.get("set")
    if own is not None and own.is_mapping:
        data["set"] = plain(own, keep_empty=True)
    axes = root.get("axes")
    for number, axis in axes.children() if axes is not None and isinstance(axes.value, list) else ():
        variants = axis.get("variants")
        if variants is not None and variants.is_mapping:
            data["axes"][number]["variants"] = {
                name: plain(one, keep_empty=True) if one.value is not None else {}
                for name, one in variants.value.items()
            }
    return data


def _cells(spec: StudySpec, root: Node, problems: Problems) -> tuple[Cell, ...]:
    count = 1
    for values in labels(spec).values():
        count *= len(values)
    if count > _LARGEST:
        problems.add(("axes",), place_of(root, ("axes",)), f"make {count:,} runs; too many", "axes")
        return ()
    grid = cells(spec)
    if not grid:
        problems.add(("exclude",), place_of(root, ("exclude",)), "leaves no run", "exclude")
    return grid


def _scenarios(
    grid: tuple[Cell, ...], bases: dict[str, FilePath | str], problems: Problems, root: Node
) -> tuple[Scenario, ...]:
    """The scenario of every cell; what is wrong with them is noted where the study says it."""
    found: list[Scenario] = []
    doubts: dict[str, None] = {}
    seen: set[Problem] = set()
    for cell in grid:
        base = bases.get(cell.base)
        if base is None:
            continue
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ScenarioWarning)
                found.append(_scenario(cell, base, problems, root))
        except ScenarioError as error:
            for problem in error.problems:
                if problem not in seen:
                    seen.add(problem)
                    _note(problem, cell, root, problems)
        else:
            doubts |= dict.fromkeys(str(one.message) for one in caught)
    for doubt in doubts:
        warnings.warn(doubt, ScenarioWarning, stacklevel=3)
    return tuple(found)


def _scenario(cell: Cell, base: FilePath | str, problems: Problems, root: Node) -> Scenario:
    """The scenario of a cell: with the values that are set, then with what multiplies them."""
    texts = [change.text for change in cell.overrides if not change.times]
    checks = (check_policies, check_workload)
    scenario = scenario_loader.load(base, texts, checks=checks)
    scaled = [change for change in cell.overrides if change.times]
    for change in scaled:
        try:
            text = multiplied(scenario, change.text, factor_of(change.times) or Decimal(1))
        except NoQuantity as error:
            problems.add(change.at, place_of(root, change.at), str(error), label(root, change.at))
        else:
            texts += [] if text is None else [override_text(change.text, text)]
    return scenario_loader.load(base, texts, checks=checks) if scaled else scenario


def _bases(root: Node, folder: FilePath, problems: Problems) -> dict[str, FilePath | str]:
    """The bases as the study writes them, and what the scenario loader is to read."""
    several = root.get("bases")
    places: list[Path] = [("base",)] if several is None else [("bases", key) for key, _ in several.children()]
    shipped = available_scenarios()
    found: dict[str, FilePath | str] = {}
    for at in places:
        node = root.get("base") if several is None else several.get(str(at[1]))
        if node is None or not isinstance(node.value, str) or not node.value:
            continue  # validation says so
        text = node.value
        path = folder / FilePath(text).expanduser()
        if text in shipped:
            found[text] = text
        elif path.is_file():
            found[text] = path
        else:
            close = nearest(text, shipped)
            hint = f"; did you mean {close!r}?" if close else ""
            message = f"{text!r} is neither a file nor a shipped scenario{hint} (known: {', '.join(shipped)})"
            problems.add(at, place_of(root, at), message, label(root, at))
    return found


def _note(problem: Problem, cell: Cell, root: Node, problems: Problems) -> None:
    """Note a problem of a cell's scenario: at the value of the study that caused it, if one did."""
    run = ", ".join(f"{axis} {value}" for axis, value in cell.coordinates.items())
    for change in cell.overrides:
        ours = problem.file.startswith(f"--set {change.text}=") if change.times else None
        if ours or problem.file == f"--set {change.text}":
            at = place_of(root, change.at)
            message = problem.message
            if problem.field and not change.text.startswith(f"{problem.field}="):
                message = f"{problem.field}: {message}"
            problems.add(change.at, at, message, label(root, change.at))
            return
    message = f"{problem.message} (in the run {run})" if run else problem.message
    at = Origin(problem.file, problem.line, problem.column)
    place: Path = ("<scenario>", problem.file, problem.field, message if not problem.field else "")
    problems.add(place, at, message, problem.field)


def _check_metrics(spec: StudySpec, scenarios: tuple[Scenario, ...], root: Node, problems: Problems) -> None:
    tiers = list(dict.fromkeys(tier.name for one in scenarios for tier in one.hierarchy.tiers))
    kinds = {asks_requests(one) for one in scenarios} or {False}
    for where, name in named_metrics(spec):
        messages = [metric_problem(name, tiers, of_requests=kind) for kind in sorted(kinds)]
        message = messages[0]
        if message is not None and None not in messages:  # some runs may have it, and others not
            problems.add(where, place_of(root, where), message, label(root, where))
