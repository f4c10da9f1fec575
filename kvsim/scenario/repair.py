"""A stand-in for a scenario with mistakes, so that what does not depend on them is checked in the same go.

What is wrong is dropped if it has a default and replaced by something harmless if it has none. Checks that
depend on a replaced value are not asked; see `kvsim.scenario.checks.Rule`.
"""

from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from kvsim.scenario.known import find, is_required, spec_at
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tree import Path
from kvsim.scenario.wording import error_path

__all__ = ["stand_in"]

_ROUNDS = 4  # dropping a value may bring out that another is missing, one level up each time


def stand_in(data: Any, error: ValidationError) -> Scenario | None:
    """A valid scenario as near as may be to data that failed with that error; None if there is none."""
    data = deepcopy(data)
    for _ in range(_ROUNDS):
        for details in error.errors(include_url=False):
            _repair(data, error_path(details))
        try:
            return Scenario.model_validate(data)
        except ValidationError as again:
            error = again
    return None


def _repair(data: Any, path: Path) -> None:
    """Drop or replace what is at the path, or the smallest thing around it that can be."""
    while path:
        parent = find(data, path[:-1])
        key = path[-1]
        substitute = _substitute(path)
        if isinstance(parent, dict):
            described = spec_at(path[:-1], data) is not None
            if described and not is_required(path, data):
                parent.pop(key, None)
                return
            if described and substitute is not None:
                parent[key] = substitute
                return
        elif (
            isinstance(parent, list) and isinstance(key, int) and key < len(parent) and substitute is not None
        ):
            parent[key] = substitute
            return
        path = path[:-1]


def _substitute(path: Path) -> Any:
    """Something valid for a required field or a list element; names are unlike any other."""
    number = next((part for part in reversed(path) if isinstance(part, int)), 0)
    bandwidth = "1 GB/s"
    tier = {"name": f"<tier {number}>", "capacity": "1 B"}
    bus = {"name": f"<bus {number}>", "bandwidth": bandwidth}
    if isinstance(path[-1], int):
        link = {**bus, "name": f"<link {number}>", "between": ["?", "?"]}
        return {"tiers": tier, "links": link, "buses": bus}.get(str(path[-2]))
    known: dict[str, Any] = {
        "hierarchy": {"tiers": [tier]},
        "tiers": [tier],
        "workload": {"kind": "rag_burst"},
        "name": f"<{number}>",
        "capacity": tier["capacity"],
        "between": ["?", "?"],
        "bandwidth": bandwidth,
        "context_tokens": 1,
        "steps": 1,
        "workload_class": "module:Class",
    }
    return known.get(path[-1])
