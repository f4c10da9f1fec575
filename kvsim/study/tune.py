"""The best setting of a scenario: thresholds and other values found by search, within a budget of runs.

One field after another takes each of its values, the others staying as they are, and keeps the best; when a
whole round has changed nothing, no single change makes the scenario better. Where fields do not interfere,
that is the best of all settings after one round. If the rest of the grid is within the budget it is run too,
and then it is the best for sure. A run that cannot be better than the best so far is given up.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from math import prod
from pathlib import Path

from kvsim.errors import KvsimError, Problem, RoomError, ScenarioError, ScenarioWarning
from kvsim.scenario.document import compose
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tree import Origin, Problems, plain
from kvsim.study.attempt import Outcome, Progress, Session, load, load_quietly, session
from kvsim.study.grid import override_text
from kvsim.study.objective import Objective, check_metric

__all__ = ["AS_IT_IS", "Axis", "Trial", "Tuned", "parse_axis", "tune"]

Setting = tuple[int, ...]
"""By axis the number of its value, from 0."""
AS_IT_IS = -1
"""In place of such a number: the scenario's own value."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A field and the values it may take."""

    path: str
    texts: tuple[str, ...]
    """Each as an override, `path=value`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting that was tried."""

    texts: tuple[str, ...]
    """Its overrides; none for the scenario as it is."""
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning found."""

    scenario: str
    metric: str
    greatest: bool
    """Whether more is better."""
    before: float
    """The figure of the scenario as it is."""
    after: float
    best: tuple[str, ...]
    """The overrides of the best setting; none if it is the scenario as it is."""
    trials: tuple[Trial, ...]
    """In the order they were tried."""
    settings: int
    """How many settings the values make."""
    settled: bool
    """Whether no single change makes it better; false if the budget ran out before that was known."""
    complete: bool
    """Whether every setting was tried."""

    @property
    def gain(self) -> float | None:
        """Share by which the figure is less, or with `greatest` more, than before; None if that was 0."""
        return abs(self.after - self.before) / abs(self.before) if self.before else None


def parse_axis(text: str) -> Axis:
    """The axis of `path=v1,v2,…`, each value as YAML; ScenarioError with one line that says what is wrong."""
    origin = f"--over {text}"
    path, sign, values = text.partition("=")
    if not sign or not all(part.strip() for part in path.split(".")):
        raise _wrong(origin, "is written as path=value,value,..., such as execution.depth=1,2,4")
    path = ".".join(part.strip() for part in path.split("."))
    problems = Problems()
    node = compose(f"[{values}]", Origin(origin), problems, (path,), marked=False)
    if node is None or problems.found:
        raise ScenarioError(problems.ordered())
    several = plain(node, keep_empty=True)
    if not isinstance(several, list) or not several or None in several:
        raise _wrong(origin, "lacks a value", path)
    texts = [override_text(path, value) for value in several]
    if len(set(texts)) < len(texts):
        raise _wrong(origin, "names a value twice", path)
    return Axis(path, tuple(texts))


def tune(
    source: str | Path,
    axes: Sequence[Axis],
    metric: str,
    *,
    greatest: bool = False,
    overrides: Sequence[str] = (),
    budget: int = 100,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Tuned:
    """Search for the setting with the least `metric` (or the greatest), the same for any number of `jobs`.

    `budget` is the most runs, that of the scenario as it is included. Among equals the first that was tried
    wins. Raises ScenarioError if the scenario is wrong as it is or with every value of an axis; KvsimError if
    it cannot run as it is.
    """
    if budget < 1:
        raise KvsimError(f"--budget must be 1 or more, not {budget}")
    for number, axis in enumerate(axes):
        if any(axis.path == other.path for other in axes[:number]):
            raise _wrong(f"--over {axis.path}", "is given twice")
    base = load(source, overrides)
    check_metric(metric, base, metric)

    def make(setting: Setting) -> Scenario:
        return load_quietly(source, [*overrides, *_texts(axes, setting)])

    values = [_values(number, axes, base, make) for number in range(len(axes))]
    with session(make, metric, jobs, progress, excused=ScenarioError) as runs:
        descent = _Descent(runs, values, greatest, budget)
        descent.settle()
        descent.finish()
        return Tuned(
            scenario=base.name,
            metric=metric,
            greatest=greatest,
            before=descent.before,
            after=descent.number,
            best=_texts(axes, descent.best),
            trials=tuple(Trial(_texts(axes, key), one) for key, one in runs.asked.items()),
            settings=descent.settings,
            settled=descent.settled,
            complete=descent.complete,
        )


class _Descent:
    """The best setting so far, and the rounds that make it better."""

    def __init__(
        self, runs: Session[Setting], values: Sequence[Sequence[int]], greatest: bool, budget: int
    ) -> None:
        self._runs = runs
        self._sign = ">" if greatest else "<"
        self._left = budget
        self._values = values
        """What each axis may take."""
        self.best: Setting = (AS_IT_IS,) * len(values)
        first = self._ask(self.best, None)
        if first.number is None:
            raise KvsimError(f"the scenario cannot be run as it is: {first.reason}")
        self.before = self.number = first.number
        self.settings = prod(map(len, values))
        self.settled = False
        self.complete = False

    def settle(self) -> None:
        """Rounds over the axes until no axis changes any more, or the budget is spent."""
        unchanged = 0
        for number in cycle(range(len(self._values))):
            before, after = self.best[:number], self.best[number + 1 :]
            line = [(*before, value, *after) for value in self._values[number]]
            found = self.best
            if not self._try(line):
                return
            unchanged = unchanged + 1 if self.best == found else 1
            if unchanged >= len(self._values):
                self.settled = True
                return

    def finish(self) -> None:
        """Whatever of the grid has not been tried, if all of it is within the budget."""
        if self.settings > self._left + len(self._runs.asked):
            return
        grid = list(product(*self._values))
        if sum(setting not in self._runs.asked for setting in grid) <= self._left:
            self.complete = self._try(grid)

    def _try(self, settings: Sequence[Setting]) -> bool:
        """Try settings side by side; the best of them is now the best. False if the budget is too small."""
        new = [setting for setting in settings if setting not in self._runs.asked]
        affordable = new[: self._left]
        better = self._better()
        self._runs.prepare(affordable, better)
        for setting in affordable:
            number = self._ask(setting, better).number
            if number is not None and self._better().met(number):
                self.best, self.number = setting, number
        return len(affordable) == len(new)

    def _better(self) -> Objective:
        return Objective(self._runs.metric, self._sign, self.number)

    def _ask(self, setting: Setting, objective: Objective | None) -> Outcome:
        self._left -= 1
        return self._runs.ask(setting, objective)


def _values(
    number: int, axes: Sequence[Axis], base: Scenario, make: Callable[[Setting], Scenario]
) -> list[int]:
    """What an axis may take; AS_IT_IS where a value is the scenario's own.

    Raises ScenarioError if each of its values, the others being as they are, is refused for more than room;
    warns of single ones, which may do along with others.
    """
    found: list[int] = []
    errors: list[ScenarioError] = []
    for value in range(len(axes[number].texts)):
        setting = tuple(value if place == number else AS_IT_IS for place in range(len(axes)))
        try:
            found.append(AS_IT_IS if make(setting) == base else value)
        except RoomError:
            found.append(value)
        except ScenarioError as error:
            errors.append(error)
            found.append(value)
    if len(errors) == len(found):
        raise errors[0]
    for refused in errors:
        warnings.warn(str(refused).replace("\n", "; "), ScenarioWarning, stacklevel=2)
    return list(dict.fromkeys(found))


def _texts(axes: Sequence[Axis], setting: Setting) -> tuple[str, ...]:
    return tuple(axis.texts[value] for axis, value in zip(axes, setting, strict=True) if value != AS_IT_IS)


def _wrong(origin: str, message: str, field: str = "") -> ScenarioError:
    return ScenarioError((Problem(origin, None, None, field, message),))
