"""YAML text to a tree of values with their places.

Scalars follow YAML 1.2's core schema rather than PyYAML's reading of 1.1: `1e9` is a number, `on`, `yes` and
`off` are text, and a number with a leading zero is refused because readers disagree about it. A key that
occurs twice is a problem. Anchors, aliases and merge keys (`<<`) work.
"""

import re
from decimal import Decimal
from math import isinf
from pathlib import Path as FilePath
from typing import Any

import yaml

from kvsim.scenario.tree import Node, Origin, Path, Problems, label

__all__ = ["compose", "read_file", "read_text"]

_LARGEST_TREE = 100_000  # values; a few aliases of aliases can stand for billions
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map"))
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_OTHER_BASE = re.compile(r"[-+]?0[xobXOB][0-9a-fA-F_]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _Loader(yaml.CSafeLoader):
    """Composes only; plain scalars stay text for the resolver here."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - overrides PyYAML's table, which is one


class _TooLargeError(Exception):
    """The tree has more values than any scenario; a tower of aliases."""


def read_file(path: FilePath, problems: Problems, shown: str | None = None) -> Node | None:
    """The tree of a YAML file whose top is a mapping, or None with the problem noted."""
    name = shown or str(path)
    whole = Origin(name)
    try:
        data = path.read_bytes()
    except IsADirectoryError:
        problems.add((), whole, "is a directory, not a file", "")
    except FileNotFoundError:
        problems.add((), whole, "no such file", "")
    except OSError as error:
        problems.add((), whole, f"cannot be read: {error.strerror or error}", "")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = data[: error.start].rpartition(b"\n")[2].decode("utf-8", "replace")
            line = data.count(b"\n", 0, error.start) + 1
            at = Origin(name, line, len(before) + 1)
            problems.add((), at, f"is not UTF-8 text: byte 0x{data[error.start]:02x}", "")
        else:
            return read_text(text, Origin(name, folder=path.parent), problems)
    return None


def read_text(text: str, origin: Origin, problems: Problems) -> Node | None:
    """The tree of a YAML text whose top is a mapping, or None with the problem noted."""
    node = compose(text, origin, problems)
    if node is None:
        return None
    if node.value is None:
        problems.add((), Origin(origin.file), "is empty; a scenario is a mapping of keys to values", "")
        return None
    if not node.is_mapping:
        problems.add((), node.at, f"is {_describe(node)}; a scenario is a mapping of keys to values", "")
        return None
    return node


def _describe(node: Node) -> str:
    return "a list" if isinstance(node.value, list) else f"the text {str(node.value)[:40]!r}"


def compose(
    text: str, origin: Origin, problems: Problems, path: Path = (), marked: bool = True
) -> Node | None:
    """The tree of any YAML text, or None with the problem noted.

    `path` is where the value belongs; `marked`: values know line and column, else only `origin`.
    """
    name = ".".join(map(str, path))
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Origin(origin.file, mark.line + 1, mark.column + 1) if mark and marked else origin
        problems.add(path, at, f"is not YAML: {_syntax(error)}", name)
        return None
    except yaml.YAMLError as error:
        problems.add(path, origin, f"is not YAML: {str(error).splitlines()[0]}", name)
        return None
    if root is None:
        return Node(None, origin)
    builder = _Builder(origin, marked)
    try:
        node = builder.build(root, path)
    except (_TooLargeError, RecursionError):
        problems.add(path, origin, f"has more than {_LARGEST_TREE} values, or values nested too deep", name)
        return None
    for where, at, message in builder.findings:
        shown = label(node, where[len(path) :])
        problems.add(where, at, message, ".".join(part for part in (name, shown) if part))
    return node


def _syntax(error: yaml.MarkedYAMLError) -> str:
    what = error.problem or error.context or "unreadable"
    if "single document" in f"{error.context}":
        return "more than one document in the file"
    return what if error.context is None or error.problem is None else f"{what} ({error.context})"


class _Builder:
    """Turns composed nodes into values."""

    def __init__(self, origin: Origin, marked: bool) -> None:
        self.findings: list[tuple[Path, Origin, str]] = []
        self._origin = origin
        self._marked = marked
        self._open: set[int] = set()
        self._count = 0

    def build(self, node: yaml.Node, path: Path) -> Node:
        """The value of a composed node."""
        at = self._at(node)
        self._count += 1
        if self._count > _LARGEST_TREE:
            raise _TooLargeError
        if node.tag not in _TAGS:
            self._note(path, at, f"the tag {node.tag!r} is not supported; write a plain value")
            return Node(None, at)
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, path, at), at)
        if id(node) in self._open:
            self._note(path, at, "the alias stands for something that contains it")
            return Node(None, at)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return Node([self.build(item, (*path, i)) for i, item in enumerate(node.value)], at)
            assert isinstance(node, yaml.MappingNode)
            return Node(self._mapping(node, path), at)
        finally:
            self._open.discard(id(node))

    def _note(self, path: Path, at: Origin, message: str) -> None:
        self.findings.append((path, at, message))

    def _at(self, node: yaml.Node) -> Origin:
        if not self._marked:
            return self._origin
        mark = node.start_mark
        return Origin(self._origin.file, mark.line + 1, mark.column + 1, self._origin.folder)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            at = self._at(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(path, at, "a key must be a plain word")
                continue
            key = key_node.value
            if key == "<<" and not key_node.style:
                merged = {**self._merged(value_node, path), **merged}
            elif key in own:
                first = own[key].key_at
                where = f" (first in line {first.line})" if first is not None and first.line else ""
                # one level down: the value that is kept may have a problem of its own
                self._note((*path, key, ""), at, f"the key occurs twice{where}; keep one")
            else:
                own[key] = self.build(value_node, (*path, key))
                own[key].key_at = at
        return {**merged, **own}

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, Node]:
        """The keys a merge key brings in; of several mappings the first wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Node] = {}
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                found = {**self.build(source, path).value, **found}
            else:
                message = "a merge key takes a mapping, or a list of mappings"
                self._note((*path, "<<"), self._at(source), message)
        return found

    def _scalar(self, node: yaml.ScalarNode, path: Path, at: Origin) -> object:
        text = str(node.value)
        if node.style:  # quoted or a block: text, whatever it looks like
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text) if len(text) < 1000 else text
        if _LEADING_ZERO.fullmatch(text) or _OTHER_BASE.fullmatch(text):
            message = (
                f"{text} is read as different numbers by different readers; write it in decimal without a"
            )
            self._note(path, at, f"{message} leading zero, or quote it if it is text")
            return text
        if _NOT_FINITE.fullmatch(text):
            self._note(path, at, f"{text} is not a finite number")
            return text
        if _FLOAT.fullmatch(text):
            return _number(text)
        return text


def _number(text: str) -> int | float | str:
    """A decimal number; a whole one written with an exponent, such as 8.03e9, is an integer.

    Unless it is so long that a float is only near to it: Python writes large floats that way.
    """
    digits = text.replace("_", "")
    exact = Decimal(digits)
    if exact and not -400 < exact.adjusted() < 309:
        return text
    number = float(digits)
    if isinf(number):
        return text
    return int(number) if "e" in digits.lower() and number == exact.to_integral_value() == exact else number
