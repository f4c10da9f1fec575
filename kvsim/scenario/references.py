"""Catalog names in a scenario, replaced by what they stand for.

`gpu: h100-sxm`, `model: llama-3.1-8b`, `scheme: fp16` (of the scenario and of a tier) and
`hierarchy: kv-hierarchy-lab` are names, or mappings with the name under `preset` and keys that refine the
entry. A rule of a mixed scheme is such a mapping. A link takes its defaults from `link: pcie5-x16`, a tier
from `memory: ddr5-4800-x8`; own keys win.
"""

from functools import cache
from typing import Literal

from kvsim.errors import ScenarioError, nearest
from kvsim.scenario.document import read_file
from kvsim.scenario.shipped import data_folder, displayed
from kvsim.scenario.tree import Node, Path, Problems, label, merge, spelled_out

__all__ = ["CATALOGS", "Catalog", "catalog", "expand", "expand_at", "own_keys", "reference_keys"]

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


def own_keys(node: Node, path: Path) -> dict[str, Node]:
    """What a mapping at that path says itself, without what an entry of the catalog has put there."""
    kind, key = _PLACES[_general(path)]
    entry_file = displayed(data_folder("models") / f"{kind}.yaml")
    return {name: value for name, value in node.value.items() if name != key and value.at.file != entry_file}


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
    entry = catalog(kind).get(reference.value) if isinstance(reference.value, str) else None
    if entry is None:
        where = path if long is not node else (*path, key)
        problems.add(where, reference.at, _unknown(kind, reference.value), label(top, where))
        return own
    return merge(entry, own)


def _unknown(kind: Catalog, name: object) -> str:
    known = list(catalog(kind))
    close = nearest(str(name), known)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"unknown {CATALOGS[kind]} {name!r}{hint} (known: {', '.join(known)})"
