"""From YAML to a frozen `Scenario`, with every problem reported at once, each with its place.

The steps: read the file, lay it onto what it `extends`, apply the overrides, replace catalog names, find the
trace, validate, cross-check. A key without a value has its default. `extends` names a shipped scenario or a
file, relative to the one that extends it; mappings merge, lists of named elements (tiers, links, buses)
merge by name.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from kvsim.errors import Problem, RoomError, ScenarioError, ScenarioWarning, nearest
from kvsim.scenario import overrides as override_module
from kvsim.scenario.checks import RULES, Check, Finding
from kvsim.scenario.document import read_file, read_text
from kvsim.scenario.dump import dump
from kvsim.scenario.plausible import doubts
from kvsim.scenario.references import expand
from kvsim.scenario.repair import stand_in
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.schema import schema
from kvsim.scenario.shipped import available_scenarios, displayed
from kvsim.scenario.tree import Node, Origin, Path, Problems, label, merge, plain
from kvsim.scenario.wording import note_all, place_of

__all__ = ["Check", "available_scenarios", "dump", "load", "loads", "loads_mapping", "schema"]


def load(source: str | FilePath, overrides: Sequence[str] = (), checks: Sequence[Check] = ()) -> Scenario:
    """The scenario of a file, or the shipped one of that name.

    `overrides` are texts such as ``"hierarchy.tiers.hbm.capacity=80 GiB"``, applied in order. `checks` are
    further checks, run with those of this floor. Raises ScenarioError with every problem found (RoomError
    where all of them are that pages do not fit); warns with ScenarioWarning of settings that no hardware has.
    """
    problems = Problems()
    path = find(source, available_scenarios(), "scenario", problems)
    if path is None:
        raise ScenarioError(problems.ordered())
    root = _read_extended(path, problems, (), _shown(source, path))
    return _finish(root, overrides, checks, problems, default_name=path.stem)


def loads(
    text: str, overrides: Sequence[str] = (), checks: Sequence[Check] = (), *, file: str = "<text>"
) -> Scenario:
    """The scenario of a YAML text; as `load`. Relative paths start from the current directory."""
    problems = Problems()
    root = read_text(text, Origin(file), problems)
    if root is not None:
        root = _extended(root, problems, ())
    return _finish(root, overrides, checks, problems, default_name=None)


def loads_mapping(
    data: Mapping[str, Any],
    overrides: Sequence[str] = (),
    checks: Sequence[Check] = (),
    *,
    file: str = "<mapping>",
) -> Scenario:
    """The scenario of plain data as a YAML file would hold it; as `load`, but problems have no line."""
    problems = Problems()
    root = _extended(_node(data, Origin(file)), problems, ())
    return _finish(root, overrides, checks, problems, default_name=None)


def _node(data: Any, origin: Origin) -> Node:
    if isinstance(data, Mapping):
        inner = {str(key): _node(value, origin) for key, value in data.items()}
        for value in inner.values():
            value.key_at = origin
        return Node(inner, origin)
    if isinstance(data, (list, tuple)):
        return Node([_node(item, origin) for item in data], origin)
    return Node(data, origin)


def find(
    source: str | FilePath,
    shipped: Mapping[str, FilePath],
    kind: str,
    problems: Problems,
    folder: FilePath | None = None,
) -> FilePath | None:
    """The file that a path or the name of something shipped means; None, with the reason noted."""
    text = str(source)
    path = (folder or FilePath()) / FilePath(text).expanduser()
    looks_like_path = isinstance(source, FilePath) or path.suffix in (".yaml", ".yml") or os.sep in text
    if not looks_like_path and text in shipped:
        return shipped[text]
    if looks_like_path or path.exists():
        return path
    close = nearest(text, shipped)
    hint = f"; did you mean {close!r}?" if close else ""
    message = f"is neither a file nor a shipped {kind}{hint} (known: {', '.join(shipped) or 'none'})"
    problems.add((), Origin(text or "''"), message, "")
    return None


def _shown(source: str | FilePath, path: FilePath) -> str:
    return str(source) if str(path) == str(source) else displayed(path)


def _read_extended(
    path: FilePath, problems: Problems, extending: tuple[FilePath, ...], shown: str
) -> Node | None:
    """The tree of a file, laid onto what it extends; `extending` are the files that led here."""
    root = read_file(path, problems, shown)
    if root is None:
        return None
    merged = _extended(root, problems, (*extending, path.resolve()))
    if root.get("name") is None:  # a variant is not its base: it takes its own file's name
        merged.value.pop("name", None)
    return merged


def _extended(root: Node, problems: Problems, extending: tuple[FilePath, ...]) -> Node:
    reference = root.value.pop("extends", None)
    if reference is None or reference.value is None:
        return root
    at = reference.at
    if not isinstance(reference.value, str):
        problems.add(
            ("extends",), at, "must be the path of a file or the name of a shipped scenario", "extends"
        )
        return root
    found = Problems()
    path = find(reference.value, available_scenarios(), "scenario", found, at.folder)
    if path is None or not path.is_file():
        reason = found.found[0][1].message if path is None else "is not a file"
        problems.add(("extends",), at, f"{reference.value!r} {reason}", "extends")
        return root
    if path.resolve() in extending:
        chain = " -> ".join(displayed(step) for step in (*extending, path.resolve()))
        problems.add(("extends",), at, f"the files extend one another: {chain}", "extends")
        return root
    base = _read_extended(path, problems, extending, displayed(path))
    return root if base is None else merge(base, root)


def _finish(
    root: Node | None,
    overrides: Sequence[str],
    checks: Sequence[Check],
    problems: Problems,
    default_name: str | None,
) -> Scenario:
    """Everything after reading: overrides, catalog, trace, validation, checks."""
    if root is None:
        raise ScenarioError(problems.ordered())
    for text in overrides:
        root = override_module.apply(root, text, problems)
    root = expand(root, problems)
    if default_name and root.get("name") is None:
        root.value["name"] = Node(default_name, Origin(root.at.file))
    _locate_trace(root, problems)
    scenario = _validate(root, checks, problems)
    if problems.found or scenario is None:
        kind = RoomError if scenario is not None and _only_room(scenario, problems) else ScenarioError
        raise kind(problems.ordered())
    for path, message in doubts(scenario):
        warnings.warn(str(_problem(root, path, message)), ScenarioWarning, stacklevel=3)
    return scenario


def _only_room(scenario: Scenario, problems: Problems) -> bool:
    """Whether every problem is that pages of the scenario do not fit."""
    said = {message for rule in RULES if rule.of_room for _, message in rule.check(scenario)}
    return all(problem.message in said for _, problem in problems.found)


def _locate_trace(root: Node, problems: Problems) -> None:
    """Make the path of a trace absolute; it must be a file."""
    work = root.get("workload")
    kind = work.get("kind") if work is not None else None
    if work is None or kind is None or kind.value not in ("mooncake", "replay", "requests"):
        return
    field: Path = ("workload", "path")
    given = work.get("path")
    if given is None or given.value in (None, ""):
        at = place_of(root, field)
        problems.add(field, at, "no trace is given; use --set workload.path=FILE", label(root, field))
    elif isinstance(given.value, str):
        folder = given.at.folder or FilePath()
        path = FilePath(os.path.abspath(folder / FilePath(given.value).expanduser()))
        if not path.is_file():
            what = "is a directory, not a trace file" if path.is_dir() else "no such file"
            problems.add(field, given.at, f"{given.value!r}: {what}", label(root, field))
        work.value["path"] = Node(str(path), given.at, given.key_at)


def _validate(root: Node, checks: Sequence[Check], problems: Problems) -> Scenario | None:
    """The scenario, or a stand-in that served to find more problems, or None."""
    data = plain(root)
    try:
        scenario: Scenario | None = Scenario.model_validate(data)
    except ValidationError as error:
        note_all(error, root, data, problems)
        scenario = stand_in(data, error)
    if scenario is None:
        return None
    for rule in RULES:
        if not any(problems.touches(tuple(need.split("."))) for need in rule.needs):
            _note(list(rule.check(scenario)), root, problems)
    for check in checks:
        _note(list(check(scenario)), root, problems)
    return scenario


def _note(findings: list[Finding], root: Node, problems: Problems) -> None:
    """Note the findings of one check, except where a value is a stand-in for a wrong one."""
    wrong = [path for path, _ in findings if problems.touches(tuple(path))]
    for path, message in findings:
        if path not in wrong:
            problems.add(tuple(path), place_of(root, path), message, label(root, path), besides=True)


def _problem(root: Node, path: Path, message: str) -> Problem:
    at = place_of(root, path)
    return Problem(at.file, at.line, at.column, label(root, path), message)
