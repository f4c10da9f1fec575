"""Changes given beside the file: `--set hierarchy.tiers.hbm.capacity=80 GiB`.

The key is a dotted path; elements of a list are said by name or by position from 0. The value is YAML. What
a mapping lacks is made. A path may lead into a catalog entry: that entry is then written out and changed.
Another `kind` empties its mapping of what the old kind was given, except by other overrides.
"""

from kvsim.errors import nearest
from kvsim.scenario.document import compose
from kvsim.scenario.references import expand_at, own_keys, reference_keys
from kvsim.scenario.tree import Node, Origin, Path, Problems, element_names

__all__ = ["apply"]

_PREFIX = "--set "


def apply(root: Node, text: str, problems: Problems) -> Node:
    """The tree with one override `a.b=value` applied; as it was, with the reason noted, if it cannot be."""
    key, sign, value_text = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    origin = Origin(_PREFIX + text)
    here: Path = ("--set", text)
    if not sign or not all(parts):
        problems.add(here, origin, "an override is written as path=value, such as execution.depth=2", "")
        return root
    if parts[0] == "extends":
        problems.add(here, origin, "is settled before overrides; name the other scenario instead", "extends")
        return root
    value = compose(value_text, origin, problems, tuple(parts), marked=False)
    if value is None:
        return root
    if not value_text.strip():
        value = Node("", origin)
    value.key_at = origin
    try:
        return _Change(parts, value, origin, problems, root).within(root, ())
    except LookupError as error:
        problems.add(here, origin, str(error.args[0]), ".".join(parts))
        return root


class _Change:
    """One value put at a path; what is on the way is copied, so nodes shared with the catalog stay whole."""

    def __init__(self, parts: list[str], value: Node, origin: Origin, problems: Problems, root: Node) -> None:
        self._parts = parts
        self._value = value
        self._origin = origin
        self._problems = problems
        self._root = root

    def within(self, node: Node, path: Path) -> Node:
        """The node with the change made somewhere below; LookupError with the reason if it cannot be."""
        depth = len(path)
        part = self._parts[depth]
        said = ".".join(self._parts[:depth]) or "the scenario"
        if node.value is None:
            node = Node({}, self._origin, node.key_at)
        if node.is_mapping:
            return Node(self._mapping(node, part, path), node.at, node.key_at)
        if isinstance(node.value, list):
            index = _position(node, part, said)
            changed = list(node.value)
            changed[index] = self._next(changed[index], (*path, index))
            return Node(changed, node.at, node.key_at)
        raise LookupError(f"{said} is the single value {node.value!r}, it has no {part!r}")

    def _mapping(self, node: Node, part: str, path: Path) -> dict[str, Node]:
        changed: dict[str, Node] = dict(node.value)
        last = len(path) + 1 == len(self._parts)
        old = changed.get(part)
        if last and part == "kind" and old is not None and old.value != self._value.value:
            changed = {key: kept for key, kept in changed.items() if kept.at.file.startswith(_PREFIX)}
        if last and part in reference_keys(path):
            changed = own_keys(node, path)  # another entry takes the place of all that the old one said
        changed[part] = self._next(old or Node({}, self._origin, self._origin), (*path, part))
        return changed

    def _next(self, old: Node, path: Path) -> Node:
        if len(path) == len(self._parts):
            return self._value
        return self.within(expand_at(old, path, self._problems, self._root), path)


def _position(node: Node, part: str, said: str) -> int:
    """Where in a list the element of that name or number is."""
    names = element_names(node) or []
    if part in names:
        return names.index(part)
    count = len(node.value)
    if part.isdecimal() and int(part) < count:
        return int(part)
    close = nearest(part, names)
    hint = f"; did you mean {close!r}?" if close else ""
    listing = ", ".join(names) if names else "none by name"
    numbers = f", or 0 to {count - 1}" if count else ""
    raise LookupError(f"there is no {part!r} in {said}{hint} (known: {listing}{numbers})")
