"""Pydantic's validation errors in plain words: what is wrong, and what is allowed."""

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kvsim.errors import nearest
from kvsim.scenario.base import Spec
from kvsim.scenario.known import find, known_keys
from kvsim.scenario.references import reference_keys
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tree import Node, Origin, Path, Problems, label

__all__ = ["error_path", "note_all", "place_of"]

_QUOTED = re.compile(r"'([^']*)'")

_WORDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text (quote it if it looks like a number)",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must have {min_length} or more elements",
    "too_long": "must have at most {max_length} elements",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be {le:g} or less",
}
_MAPPING_ERRORS = ("model_type", "model_attributes_type", "dict_type")


def error_path(error: ErrorDetails) -> Path:
    """The path in the data that an error is about."""
    path = tuple(error["loc"])
    if path[:1] == ("workload",) and len(path) > 1:
        path = (path[0], *path[2:])  # pydantic names the chosen kind on the way
        if path[1:2] == ("tenants",) and len(path) > 3:
            path = (*path[:3], *path[4:])
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        path = (*path, "kind")
    if error["type"] == "missing" and isinstance(path[-1], int):
        path = path[:-1]  # an element is missing: the list is what can be pointed at
    return path


def note_all(
    error: ValidationError, root: Node, data: Any, problems: Problems, top: type[Spec] = Scenario
) -> None:
    """Note every error of a failed validation as a `top`, at the place in the tree that it is about."""
    errors = error.errors(include_url=False)
    misspelt: set[Path] = set()
    for details in errors:
        path = error_path(details)
        if details["type"] == "extra_forbidden":
            close = nearest(str(path[-1]), known_keys(path[:-1], data, top))
            if close is not None and find(data, (*path[:-1], close)) is None:
                misspelt.add((*path[:-1], close))
    for details in errors:
        path = error_path(details)
        if _follows(details, path, misspelt, problems):
            misspelt.add(path)
            continue
        unknown = details["type"] == "extra_forbidden"
        at = _key_place(root, path) if unknown else place_of(root, path)
        problems.add(path, at, _message(details, path, data, top), label(root, path), besides=unknown)
    problems.unsaid += misspelt


def _follows(details: ErrorDetails, path: Path, misspelt: set[Path], problems: Problems) -> bool:
    """Whether an error only follows from others.

    A key is missing because it is misspelt or because a catalog name is unknown; a list is too short
    because its elements are wrong.
    """
    if details["type"] == "too_short":
        return len(details["input"]) >= int(details["ctx"]["min_length"])
    if details["type"] != "missing":
        return False
    references = {(*path[:-1], key) for key in reference_keys(path[:-1])}
    return path in misspelt or any(found in references for found, _ in problems.found)


def place_of(root: Node, path: Path) -> Origin:
    """Where the value at a path was written; for what is missing, where its surroundings were."""
    node, at = root, root.at
    for key in path:
        child = node.child(key)
        if child is None:
            return node.key_at or at
        if child.value is None:
            return child.key_at or child.at
        node, at = child, child.at
    return at


def _key_place(root: Node, path: Path) -> Origin:
    node = root
    for key in path:
        child = node.child(key)
        if child is None:
            break
        node = child
    return node.key_at or node.at


def _message(error: ErrorDetails, path: Path, data: Any, top: type[Spec]) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "missing":
        in_list = isinstance(error["loc"][-1], int)
        return f"is too short with {len(given)} elements" if in_list else "is required"
    if kind == "extra_forbidden":
        return _unknown_key(path, data, top)
    if kind in ("literal_error", "union_tag_invalid"):
        allowed = _QUOTED.findall(str(context.get("expected", context.get("expected_tags", ""))))
        value = given.get("kind") if kind == "union_tag_invalid" and isinstance(given, dict) else given
        return _one_of(value, allowed)
    if kind == "union_tag_not_found":
        return "is required; it says which workload this is"
    if kind in _MAPPING_ERRORS:
        may_be_named = "preset" in reference_keys(path) and isinstance(path[-1], str)
        named = "a catalog name or " if may_be_named else ""
        return f"must be {named}a mapping of keys to values, not {_shown(given)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return f"{_shown(given)} does not have the form module:Class"
    words = _WORDS.get(kind)
    if words is None:
        return f"{error['msg']}, not {_shown(given)}"
    if kind in ("too_short", "too_long"):
        return f"{words.format(**context)}, not {context.get('actual_length', len(given))}"
    return f"{words.format(**context)}, not {_shown(given)}"


def _unknown_key(path: Path, data: Any, top: type[Spec]) -> str:
    known = known_keys(path[:-1], data, top)
    close = nearest(str(path[-1]), known)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"unknown key{hint} (known: {', '.join(known)})"


def _one_of(value: Any, allowed: list[str]) -> str:
    close = nearest(value, allowed) if isinstance(value, str) else None
    hint = f"; did you mean {close!r}?" if close else ""
    return f"must be one of {', '.join(allowed)}, not {_shown(value)}{hint}"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
