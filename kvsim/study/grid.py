"""From a study to its cells: every combination of base, axes and seeds, always in the same order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from kvsim.scenario.document import compose
from kvsim.scenario.tree import Origin, Path, Problems, plain
from kvsim.study.scaling import scaling_axis
from kvsim.study.spec import EVERY, AxisSpec, StudySpec, Where

__all__ = ["Cell", "Override", "axis_labels", "cells", "label_of", "labels", "matches", "override_text"]


@dataclass(frozen=True, slots=True)
class Override:
    """One value to set, and where in the study it is written."""

    text: str
    """As for `--set`: path=value."""
    at: Path
    """Path in the study file."""
    times: str = ""
    """Instead of a value in `text`, which is the path alone then: the axis whose label multiplies what is
    there, and in the override of a cell that label."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a study: where it lies on every axis, and how its scenario is made."""

    index: int
    """Position in the results, from 0."""
    base: str
    """The scenario, as the study writes it."""
    coordinates: Mapping[str, str]
    """Axis and label, in the order of the columns; without the seed if the study gives none."""
    overrides: tuple[Override, ...]


def cells(spec: StudySpec) -> tuple[Cell, ...]:
    """All cells: bases vary slowest, then the axes in their order, seeds fastest."""
    common = tuple(_overrides(spec.set, ("set",)))
    sides = [list(_bases(spec)), *(list(_steps(axis, ("axes", i))) for i, axis in enumerate(spec.axes))]
    if spec.seeds:
        sides.append([("seed", str(seed), (_seed(i, seed),)) for i, seed in enumerate(spec.seeds)])
    found: list[Cell] = []
    for combination in product(*sides):
        base = combination[0][1]
        coordinates = {axis: label for axis, label, _ in combination}
        if any(matches(coordinates, left_out) for left_out in spec.exclude):
            continue
        if spec.base is not None:
            del coordinates["base"]
        source = spec.base if spec.base is not None else spec.bases[base]
        changes = (*common, *(change for _, _, some in combination for change in some))
        settled = tuple(
            replace(change, times=coordinates[change.times]) if change.times else change for change in changes
        )
        found.append(Cell(len(found), source, coordinates, settled))
    return tuple(found)


def labels(spec: StudySpec) -> dict[str, tuple[str, ...]]:
    """The axes of a study, `base` and `seed` where it varies them, each with the labels of its values."""
    found: dict[str, tuple[str, ...]] = {}
    if spec.bases:
        found["base"] = tuple(spec.bases)
    found |= {axis.name: axis_labels(axis) for axis in spec.axes}
    if spec.seeds:
        found["seed"] = tuple(map(str, spec.seeds))
    return found


def axis_labels(axis: AxisSpec) -> tuple[str, ...]:
    """How the values of an axis are called."""
    return tuple(map(label_of, axis.values)) or tuple(axis.variants)


def label_of(value: str | int | float | bool) -> str:
    """How a value is written in results and selections."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def matches(coordinates: Mapping[str, str], where: Where) -> bool:
    """Whether a run lies in a selection."""
    for axis, values in where.items():
        wanted = [label_of(value) for value in values]
        if EVERY not in wanted and coordinates.get(axis) not in wanted:
            return False
    return True


def override_text(path: str, value: Any) -> str:
    """The override that sets a path to a plain value, as short as YAML allows."""
    for written in (str(value), json.dumps(value, ensure_ascii=False)):
        problems = Problems()
        node = compose(written, Origin(""), problems) if isinstance(value, (str, int, float)) else None
        if node is not None and not problems.found:
            back = plain(node)
            if type(back) is type(value) and back == value and written.strip() == written != "":
                return f"{path}={written}"
    return f"{path}={json.dumps(value, ensure_ascii=False)}"


def _bases(spec: StudySpec) -> Iterator[tuple[str, str, tuple[Override, ...]]]:
    for name in spec.bases or (spec.base or "",):
        yield "base", name, ()


def _steps(axis: AxisSpec, at: Path) -> Iterator[tuple[str, str, tuple[Override, ...]]]:
    for number, value in enumerate(axis.values):
        change = Override(override_text(axis.path or "", value), (*at, "values", number))
        yield axis.name, label_of(value), (change,)
    for label, changes in axis.variants.items():
        yield axis.name, label, tuple(_overrides(changes, (*at, "variants", label)))


def _overrides(changes: Mapping[str, Any], at: Path) -> Iterator[Override]:
    for path, value in changes.items():
        axis = scaling_axis(value)
        if axis is not None:
            yield Override(path, (*at, path), axis)
        else:
            yield Override(override_text(path, value), (*at, path))


def _seed(number: int, seed: int) -> Override:
    return Override(override_text("seed", seed), ("seeds", number))
