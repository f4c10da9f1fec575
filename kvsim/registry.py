"""Names for classes that a scenario chooses from: policies, workloads.

A class is registered under its own `name` by a decorator. Other packages add theirs by an entry point
(`kvsim.policies`, `kvsim.workloads`), and `module:Class` names any importable class without registration.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from kvsim.errors import KvsimError, RegistryError, nearest

__all__ = ["BadOption", "BadReference", "OptionProblem", "Registry"]

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])
OptionProblem = tuple[tuple[str | int, ...], str]
"""Where below the options (empty: the options as a whole), and what is wrong."""


class BadReference(RegistryError):
    """A `module:Class` reference leads to no usable class; `reason` says why."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...], reason: str) -> None:
        super().__init__(kind, name, known)
        self.args = (kind, name, known, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}: {self.reason}"


class BadOption(KvsimError):
    """Options do not fit the class they are for; `problems` lists each of them."""

    def __init__(self, kind: str, name: str, problems: tuple[OptionProblem, ...]) -> None:
        super().__init__(kind, name, problems)
        self.problems = problems

    def __str__(self) -> str:
        kind, name, problems = self.args
        lines = (": ".join((".".join(map(str, path)), text)) if path else text for path, text in problems)
        return f"{kind} {name!r}: " + "; ".join(lines)


class Registry(Generic[T]):
    """The known classes of one kind.

    `kind` is how messages call them ("eviction policy"), `group` the entry-point group, read when a name
    is first not found or all names are asked for. `base` tells whether a class is of this kind. Classes
    are constructed with one positional argument (a policy's view, a workload's scenario), and their
    options as keywords: the signature of `__init__` is the schema of the options.
    """

    def __init__(self, kind: str, group: str, base: Callable[[type[Any]], bool]) -> None:
        self.kind = kind
        self.group = group
        self._fits = base
        self._classes: dict[str, type[T]] = {}
        self._plugins_read = False

    def register(self, cls: C) -> C:
        """Class decorator: make the class known under its `name`.

        Raises RegistryError if the name is taken, TypeError if the class has no name or is of another kind.
        """
        name = getattr(cls, "name", None)
        if not isinstance(name, str) or not name or ":" in name:
            raise TypeError(f"{cls.__qualname__} needs a class attribute `name`, a text without a colon")
        if not self._fits(cls):
            raise TypeError(f"{cls.__qualname__} is no {self.kind}")
        if name in self._classes:
            raise RegistryError(self.kind, name, tuple(sorted(self._classes)))
        self._classes[name] = cls
        return cls

    def names(self) -> tuple[str, ...]:
        """Every registered name, those of other packages included, sorted."""
        self._read_plugins()
        return tuple(sorted(self._classes))

    def get(self, name: str) -> type[T]:
        """The class of that name, or of that `module:Class` reference.

        Raises RegistryError, with the known names and the nearest, if there is none, and BadReference
        if a reference cannot be followed.
        """
        if name not in self._classes:
            if ":" in name:
                return self._follow(name)
            self._read_plugins()
        try:
            return self._classes[name]
        except KeyError:
            raise RegistryError(self.kind, name, self.names()) from None

    def make(self, name: str, subject: object, options: Mapping[str, Any] | None = None) -> T:
        """Construct the class of that name for its subject, with checked options.

        Raises what `get` raises, and BadOption if the options do not fit.
        """
        cls = self.get(name)
        values, problems = _fit_options(cls, options or {})
        if problems:
            raise BadOption(self.kind, name, tuple(problems))
        return cast(Callable[..., T], cls)(subject, **values)

    def check(self, name: str, options: Mapping[str, Any] | None = None) -> Iterator[OptionProblem]:
        """Every reason why `make` would refuse the name or its options, with the place: nothing is raised.

        A path of () is about the name, ("options", key) about one option.
        """
        try:
            cls = self.get(name)
        except RegistryError as error:
            yield (), str(error)
            return
        for path, message in _fit_options(cls, options or {})[1]:
            yield ("options", *path), message

    def _follow(self, reference: str) -> type[T]:
        module_name, _, attribute = reference.partition(":")
        try:
            found: Any = import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
        except Exception as error:  # importing a user's module can raise anything
            raise BadReference(self.kind, reference, tuple(self._classes), _reason(error)) from error
        if not isinstance(found, type):
            raise BadReference(self.kind, reference, tuple(self._classes), "is no class")
        if not self._fits(found):
            raise BadReference(self.kind, reference, tuple(self._classes), f"is no {self.kind}")
        return cast(type[T], found)

    def _read_plugins(self) -> None:
        """Register the classes of the entry points. A broken one warns and is left out."""
        if self._plugins_read:
            return
        self._plugins_read = True
        for point in entry_points(group=self.group):
            try:
                self._add_plugin(point)
            except Exception as error:  # noqa: BLE001 - one broken plugin must not take the rest along
                text = f"entry point {point.name!r} of {self.group} is left out: {_reason(error)}"
                warnings.warn(text, RuntimeWarning, stacklevel=3)

    def _add_plugin(self, point: EntryPoint) -> None:
        found = point.load()
        if isinstance(found, type) and self._fits(found) and found not in self._classes.values():
            self.register(found)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _fit_options(cls: type[Any], options: Mapping[str, Any]) -> tuple[dict[str, Any], list[OptionProblem]]:
    """The options as `__init__` wants them, and the problems found on the way."""
    named, takes_any, hints = _signature(cast(Hashable, cls))
    values: dict[str, Any] = {}
    problems: list[OptionProblem] = []
    for key, value in options.items():
        if key in named:
            try:
                values[key] = _validated(hints.get(key, Any), value)
            except ValidationError as error:
                problems.extend(((key, *e["loc"]), e["msg"]) for e in error.errors())
        elif takes_any:
            values[key] = value
        else:
            problems.append(((key,), _unknown(key, tuple(named))))
    missing = (p.name for p in named.values() if p.default is p.empty and p.name not in options)
    problems.extend(((), f"option {name!r} is required") for name in missing)
    return values, problems


@lru_cache(maxsize=256)
def _signature(cls: Any) -> tuple[dict[str, inspect.Parameter], bool, dict[str, Any]]:
    """The options of a class by name, whether it takes any others, and their annotations."""
    parameters = list(inspect.signature(cls).parameters.values())[1:]  # the first is the view or the scenario
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters), _hints(cls)


def _hints(cls: type[Any]) -> dict[str, Any]:
    """Annotations of `__init__`; none if they name what only a type checker imports."""
    try:
        return get_type_hints(cls.__init__, include_extras=True)
    except NameError:
        return {}


def _validated(annotation: Any, value: Any) -> Any:
    """The value as the annotation wants it; as it is for types that pydantic does not know."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except PydanticSchemaGenerationError:
        return value
    return adapter.validate_python(value, strict=True)


def _unknown(key: str, known: tuple[str, ...]) -> str:
    if not known:
        return "unknown option (there are none)"
    close = nearest(key, known)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"unknown option{hint} (known: {', '.join(known)})"
