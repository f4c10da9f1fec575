"""Data with a memory of where each value was written, and what can be done with it before validation.

A scenario may be put together from several places (a base it extends, catalog entries, overrides), so every
value carries its origin.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from kvsim.errors import Problem

__all__ = ["Node", "Origin", "Path", "Problems", "element_names", "label", "merge", "plain", "spelled_out"]

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written."""

    file: str
    """The file as the user knows it, or the override."""
    line: int | None = None
    column: int | None = None
    folder: FilePath | None = None
    """What relative paths are relative to; None for the current directory."""


@dataclass(slots=True, eq=False)
class Node:
    """A value and where it was written: a mapping, a list, or a scalar."""

    value: Any
    """dict[str, Node], list[Node], or str, int, float, bool, None."""
    at: Origin
    key_at: Origin | None = None
    """Where the key stands that the value belongs to."""

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self.value, dict)

    def get(self, key: str) -> "Node | None":
        """The value of a key, if this is a mapping that has it."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return found if isinstance(found, Node) else None

    def child(self, key: str | int) -> "Node | None":
        """The value of a key or at a position, if there is one."""
        if isinstance(key, str):
            return self.get(key)
        if isinstance(self.value, list) and 0 <= key < len(self.value):
            found = self.value[key]
            return found if isinstance(found, Node) else None
        return None

    def children(self) -> Iterator[tuple[str | int, "Node"]]:
        """Keys or positions, and their values."""
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)


@dataclass(slots=True)
class Problems:
    """Collects what is wrong, one problem a place, so that consequences of a problem stay unsaid."""

    found: list[tuple[Path, Problem]] = field(default_factory=list)
    unsaid: list[Path] = field(default_factory=list)
    """Paths whose values are wrong as a consequence of what was found."""

    def add(self, path: Path, at: Origin, message: str, label: str, besides: bool = False) -> None:
        """Note a problem at a path, unless (or, `besides`, even if) that path or one above it has one."""
        if not besides and self.covers(path):
            return
        problem = Problem(at.file, at.line, at.column, label, message)
        if all(problem != other for _, other in self.found):
            self.found.append((path, problem))

    def covers(self, path: Path) -> bool:
        """Whether the path or one above it is wrong."""
        return any(wrong == path[: len(wrong)] for wrong in self._wrong())

    def touches(self, pattern: Path) -> bool:
        """Whether something is wrong at, above or below a path in which `*` stands for any one part."""
        return any(
            all(ours in ("*", theirs) for ours, theirs in zip(pattern, wrong, strict=False))
            for wrong in self._wrong()
        )

    def _wrong(self) -> Iterator[Path]:
        """Paths of what is wrong, those of the whole input left out."""
        yield from (path for path, _ in self.found if path)
        yield from self.unsaid

    def ordered(self) -> tuple[Problem, ...]:
        """All problems, in the order of the input, file by file; those without a line come last."""
        files: dict[str, int] = {}
        for _, problem in self.found:
            files.setdefault(problem.file, len(files))
        return tuple(
            sorted(
                (problem for _, problem in self.found),
                key=lambda p: (p.line is None, files[p.file], p.line or 0, p.column or 0),
            )
        )


def label(root: Node | None, path: Path) -> str:
    """The path as people write it, `hierarchy.tiers.hbm.capacity`: elements by name where that is unique."""
    parts: list[str] = []
    for key in path:
        part = str(key)
        item = root.child(key) if root is not None else None
        if isinstance(key, int) and root is not None and item is not None:
            names = element_names(root)
            if names is not None:
                part = names[key]
        parts.append(part)
        root = item
    return ".".join(part for part in parts if part)


def element_names(node: Node) -> list[str] | None:
    """The names of a list's elements, if every element has one and no two the same."""
    if not isinstance(node.value, list) or not node.value:
        return None
    found = [name.value for item in node.value if (name := item.get("name")) is not None]
    named = len(found) == len(node.value) and all(isinstance(name, str) for name in found)
    return found if named and len(set(found)) == len(found) else None


def plain(node: Node, keep_empty: bool = False) -> Any:
    """The data without its origins.

    Keys without a value are left out, which gives them their default; inside `options` they are kept.
    """
    if isinstance(node.value, dict):
        return {
            key: plain(value, keep_empty or key == "options")
            for key, value in node.value.items()
            if keep_empty or value.value is not None
        }
    if isinstance(node.value, list):
        return [plain(item, keep_empty) for item in node.value]
    return node.value


_SHORT_FORMS = {
    "model": "preset",
    "gpu": "preset",
    "scheme": "preset",
    "hierarchy": "preset",
    "eviction": "name",
    "prefetch": "name",
}


def spelled_out(node: Node, key: str | int) -> Node:
    """A name that stands for a mapping, as that mapping: `gpu: t4` is `gpu: {preset: t4}`."""
    long_key = _SHORT_FORMS.get(str(key))
    if long_key is None or not isinstance(node.value, str):
        return node
    return Node({long_key: Node(node.value, node.at, node.at)}, node.at, node.key_at)


def merge(base: Node, over: Node, key: str | int = "") -> Node:
    """`over` laid onto `base`; `key` is where both stand.

    Mappings merge key by key, and a key without a value takes the base's value away. Lists whose elements
    all have a name merge by name: elements of the same name merge, new ones follow. Everything else is
    replaced, and so is a mapping of another `kind` or another preset. Where the base is a name that stands
    for a mapping, a mapping refines what it stands for.
    """
    if over.is_mapping:
        base = spelled_out(base, key)
        if base.is_mapping and not _another_thing(base, over):
            merged = dict(base.value)
            for name, value in over.value.items():
                merged[name] = merge(merged[name], value, name) if name in merged else value
            return Node(merged, over.at, over.key_at or base.key_at)
    if element_names(base) is not None and element_names(over) is not None:
        return Node(_merge_named(base.value, over.value), over.at, over.key_at)
    return over


def _another_thing(base: Node, over: Node) -> bool:
    """Whether `over` is of another kind than the base, or starts from a preset of its own."""
    kinds, presets = (base.get("kind"), over.get("kind")), (base.get("preset"), over.get("preset"))
    if kinds[0] is not None and kinds[1] is not None and kinds[0].value != kinds[1].value:
        return True
    return presets[1] is not None and (presets[0] is None or presets[0].value != presets[1].value)


def _merge_named(base: list[Node], over: list[Node]) -> list[Node]:
    merged = {item.value["name"].value: item for item in base}
    for item in over:
        name = item.value["name"].value
        merged[name] = merge(merged[name], item) if name in merged else item
    return list(merged.values())
