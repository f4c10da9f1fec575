"""The errors kvsim raises, and the warning it gives.

Every error can be rebuilt as ``type(exc)(*exc.args)``: SimPy re-raises the exception of a failed process
that way, and multiprocessing sends exceptions between processes that way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = [
    "AuditError",
    "KvsimError",
    "Problem",
    "RegistryError",
    "RoomError",
    "ScenarioError",
    "ScenarioWarning",
    "SimulationError",
    "TraceError",
    "nearest",
]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to a misspelt one, or None if nothing comes close.

    Case and the difference between ``-`` and ``_`` do not count. The beginning of a name means that
    name, the shortest of several.
    """
    plain = {_fold(candidate): candidate for candidate in known}
    begun = [candidate for candidate in plain if len(name) > 2 and candidate.startswith(_fold(name))]
    if begun:
        return plain[min(begun, key=len)]
    found = get_close_matches(_fold(name), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def _fold(name: str) -> str:
    return name.casefold().replace("_", "-")


class KvsimError(Exception):
    """The root of everything kvsim raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input, and where.

    ``file`` is the file as the user knows it, or the override (``--set a.b=1``) that caused the problem.
    ``line`` and ``column`` count from 1. ``field`` is the dotted path of the field, empty for a whole file.
    ``message`` says what is wrong and what is allowed.
    """

    file: str
    line: int | None
    column: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}" if self.column is None else f":{self.line}:{self.column}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class ScenarioError(KvsimError):
    """A scenario cannot be simulated; ``problems`` lists every reason, in the order of the input."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class RoomError(ScenarioError):
    """Nothing is wrong with a scenario but that its pages do not fit the memories."""


class TraceError(KvsimError):
    """A line of a trace file cannot be used; ``problem`` says which and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.problem)


class SimulationError(KvsimError):
    """A run came to a state it cannot continue from, such as a page that finds no room in tier 0."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class AuditError(KvsimError):
    """The books of a finished run do not balance; ``findings`` lists every mismatch."""

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(self.findings)


class RegistryError(KvsimError):
    """A name is not registered, or registered twice; ``known`` lists the names of that ``kind``."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(kind, name, known)
        self.kind = kind
        self.name = name
        self.known = known

    def __str__(self) -> str:
        listing = ", ".join(self.known) or "none"
        if self.name in self.known:
            return f"{self.kind} {self.name!r} is already registered (known: {listing})"
        close = nearest(self.name, self.known)
        hint = f"; did you mean {close!r}?" if close else ""
        return f"unknown {self.kind} {self.name!r}{hint} (known: {listing})"


class ScenarioWarning(UserWarning):
    """A scenario can be simulated, but its figures are beyond what hardware does."""
