"""What the specs allow at a path: used to name the nearest key, and to tell required keys from others."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from kvsim.scenario.base import Spec
from kvsim.scenario.references import reference_keys
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tree import Path

__all__ = ["find", "is_required", "known_keys", "spec_at"]


def spec_at(path: Path, data: Any, top: type[Spec] = Scenario) -> type[Spec] | None:
    """The spec that describes the mapping at a path of plain data, if it is one; `top` is that of all."""
    spec: type[Spec] | None = top
    named: Any = None
    for key in path:
        data = _item(data, key)
        if isinstance(key, int):
            continue  # the spec of a list's elements was found with the list
        if named is not None:  # whatever the key is
            spec, named = _spec_in(named, data), None
            continue
        if spec is None or key not in spec.model_fields:
            return None
        annotation = spec.model_fields[key].annotation
        named = _values(annotation)
        spec = _spec_in(annotation, data)
    return spec


def known_keys(path: Path, data: Any, top: type[Spec] = Scenario) -> list[str]:
    """The keys that a mapping at a path may have."""
    spec = spec_at(path, data, top)
    own = list(spec.model_fields) if spec is not None else []
    if top is not Scenario:
        return own
    return [*own, *reference_keys(path), *(() if path else ("extends",))]


def is_required(path: Path, data: Any) -> bool:
    """Whether the field at a path has no default; False for what is not a field."""
    key = path[-1]
    spec = spec_at(path[:-1], data)
    if spec is None or not isinstance(key, str) or key not in spec.model_fields:
        return False
    return spec.model_fields[key].is_required()


def find(data: Any, path: Path) -> Any:
    """What is at a path of plain data; None if nothing is."""
    for key in path:
        data = _item(data, key)
    return data


def _item(data: Any, key: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(key)
    return data[key] if isinstance(data, list) and isinstance(key, int) and key < len(data) else None


def _spec_in(annotation: Any, data: Any) -> type[Spec] | None:
    """The spec an annotation stands for; of several kinds the one that the data says it is."""
    found = list(_specs(annotation))
    if len(found) > 1:
        kind = data.get("kind") if isinstance(data, dict) else None
        found = [spec for spec in found if spec.model_fields["kind"].default == kind]
    return found[0] if found else None


def _values(annotation: Any) -> Any:
    """What a mapping from any names holds; None for anything else."""
    if get_origin(annotation) is Annotated:
        return _values(get_args(annotation)[0])
    return get_args(annotation)[1] if get_origin(annotation) is dict else None


def _specs(annotation: Any) -> list[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    origin = get_origin(annotation)
    if origin in (Union, UnionType, Annotated, tuple):
        arguments = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
        return [spec for argument in arguments for spec in _specs(argument)]
    return []
