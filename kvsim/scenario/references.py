"""Catalog names in a scenario, replaced by what they stand for.

`gpu: h100-sxm`, `model: llama-3.1-8b`, `scheme: fp16` (of the scenario and of a tier) and
`hierarchy: kv-hierarchy-lab` are names, or mappings with the name under `preset` and keys that refine the
entry. A rule of a mixed scheme is such a mapping. A link takes its defaults from `link: pcie5-x16`, a tier
from `memory: ddr5-4800-x8`; own keys win. In place of a model's name the path of its `config.json` or GGUF
file may stand, relative to the file that says so.
"""

from functools import cache
from pathlib import Path as FilePath
from typing import Any, Literal

from kvsim.errors import KvsimError, ScenarioError, nearest
from kvsim.scenario.document import read_file
from kvsim.scenario.model_file import is_model_path, read_model
from kvsim.scenario.shipped import data_folder, displayed
from kvsim.scenario.tree import Node, Origin, Path, Problems, label, merge, plain, spelled_out

__all__ = ["CATALOGS", "Catalog", "catalog", "entry", "expand", "expand_at", "own_keys", "reference_keys"]

Catalog = Literal["gpus", "llms", "schemes", "links", "memories", "hierarchies"]

CATALOGS: dict[Catalog, str] = {
    "gpus": "GPU",
    "llms": "model",
    "schemes": "scheme",
    "links": "link",
    "memories": "memory",
    "hierarchies": "hierarchy",
}
"""The catalog files in `models/`, and what one entry is called."""

_PLACES: dict[Path, tuple[Catalog, str]] = {
    ("gpu",): ("gpus", "preset"),
    ("model",): ("llms", "preset"),
    ("scheme",): ("schemes", "preset"),
    ("scheme", "mixed", "*"): ("schemes", "preset"),
    ("hierarchy",): ("hierarchies", "preset"),
    ("hierarchy", "tiers", "*"): ("memories", "memory"),
    ("hierarchy", "tiers", "*", "scheme"): ("schemes", "preset"),
    ("hierarchy", "tiers", "*", "scheme", "mixed", "*"): ("schemes", "preset"),
    ("hierarchy", "links", "*"): ("links", "link"),
}
_ON_THE_WAY = frozenset(place[:length] for place in _PLACES for length in range(len(place) + 1))
"""Every place, and every path that leads to one."""
_NAMED_BY_USER = ("links", "memories", "hierarchies")  # the entry's own name is not the spec's


@cache
def catalog(kind: Catalog) -> dict[str, Node]:
    """The entries of a catalog file by name; ScenarioError if the file is unusable."""
    problems = Problems()
    path = data_folder("models") / f"{kind}.yaml"
    root = read_file(path, problems, displayed(path))
    if root is None or problems.found:
        raise ScenarioError(problems.ordered())
    entries: dict[str, Node] = {}
    for name, entry in root.value.items():
        own_name = {} if kind in _NAMED_BY_USER else {"name": Node(name, entry.at, entry.key_at)}
        entries[name] = Node({**own_name, **entry.value}, entry.at, entry.key_at)
    return entries


def entry(kind: Catalog, name: str) -> dict[str, Any]:
    """One entry of a catalog as plain data; KvsimError that names the nearest if there is none."""
    data: dict[str, Any] = plain(_entry(kind, name))
    return data


def _entry(kind: Catalog, name: object) -> Node:
    found = catalog(kind).get(name) if isinstance(name, str) else None
    if found is None:
        raise KvsimError(_unknown(kind, name))
    return found


def own_keys(node: Node, path: Path) -> dict[str, Node]:
    """What a mapping at that path says itself, without what an entry of the catalog has put there."""
    kind, key = _PLACES[_general(path)]
    entry_file = displayed(data_folder("models") / f"{kind}.yaml")

    def is_own(value: Node) -> bool:
        read = value.at.line is None and is_model_path(value.at.file)
        return value.at.file != entry_file and not read

    return {name: value for name, value in node.value.items() if name != key and is_own(value)}


def reference_keys(path: Path) -> tuple[str, ...]:
    """The keys that refer to the catalog in a mapping at that path."""
    place = _PLACES.get(_general(path))
    return () if place is None else (place[1],)


def _general(path: Path) -> Path:
    return tuple("*" if isinstance(part, int) else part for part in path)


def expand(root: Node, problems: Problems) -> Node:
    """The tree with every catalog name in it replaced; unknown names are noted and taken out."""
    return _expand_below(root, (), problems, root)


def _expand_below(node: Node, path: Path, problems: Problems, top: Node) -> Node:
    node = expand_at(node, path, problems, top)
    if _general(path) not in _ON_THE_WAY:
        return node
    inner = {key: _expand_below(value, (*path, key), problems, top) for key, value in node.children()}
    if node.is_mapping:
        return Node(inner, node.at, node.key_at)
    return Node(list(inner.values()), node.at, node.key_at) if inner else node


def expand_at(node: Node, path: Path, problems: Problems, top: Node) -> Node:
    """The node with a catalog name of its own replaced; `top` is the whole tree, for its labels."""
    place = _PLACES.get(_general(path))
    if place is None:
        return node
    kind, key = place
    long = spelled_out(node, path[-1])
    reference = long.get(key)
    if reference is None:
        return node
    own = Node({k: v for k, v in long.value.items() if k != key}, long.at, long.key_at)
    if reference.value is None:
        return own
    where = path if long is not node else (*path, key)
    try:
        found = _found(kind, reference)
    except KvsimError as error:
        problems.add(where, reference.at, str(error), label(top, where))
        return own
    return merge(found, own)


def _found(kind: Catalog, reference: Node) -> Node:
    """What a reference names: an entry of the catalog, or the model of a file. Raises KvsimError."""
    name = reference.value
    if kind == "llms" and is_model_path(name):
        return _of_file(name, (reference.at.folder or FilePath()) / FilePath(name).expanduser())
    return _entry(kind, name)


def _of_file(name: str, path: FilePath) -> Node:
    """The model of a file; its values have no line, by which they are known later."""
    try:
        spec = read_model(path, name).spec
    except ScenarioError as error:
        raise KvsimError(f"{name!r}: {error.problems[0].message}") from None
    at = Origin(name)

    def node(value: object) -> Node:
        return Node([node(item) for item in value] if isinstance(value, list) else value, at, at)

    fields = spec.model_dump(mode="json", exclude_none=True)
    return Node({key: node(value) for key, value in fields.items()}, at)


def _unknown(kind: Catalog, name: object) -> str:
    known = list(catalog(kind))
    close = nearest(str(name), known)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"unknown {CATALOGS[kind]} {name!r}{hint} (known: {', '.join(known)})"
