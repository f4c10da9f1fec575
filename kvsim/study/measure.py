"""One cell: run its scenario and keep the wanted figures. This is what the workers execute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from kvsim.analysis.metrics import Summary
from kvsim.analysis.predictions import predicted_s
from kvsim.analysis.summaries import AnyResult, AnySummary, summary_of
from kvsim.lm.answers import answers_of
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import LanguageModel
from kvsim.sim.result import RunResult
from kvsim.sim.run import run_scenario
from kvsim.study.metrics import ANSWERS, ENERGY, PREDICTED

__all__ = ["Measured", "Number", "Task", "figure", "measure"]

Number = int | float | None
"""A figure of a run; None where the run does not have it."""


@dataclass(frozen=True, slots=True)
class Task:
    """A run to be done: under which key its outcome is kept, and what of it."""

    key: str
    scenario: Scenario
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a run: its figures, or why it failed."""

    key: str
    metrics: Mapping[str, Number]
    error: str | None
    time_s: float
    """Time the run took here; for sizing batches, never a result."""


def measure(tasks: Sequence[Task]) -> list[Measured]:
    """Run a batch, one scenario after another; a run that fails does not stop the rest."""
    return [_measure_one(task) for task in tasks]


def _measure_one(task: Task) -> Measured:
    begin = perf_counter()
    try:
        result = run_scenario(task.scenario)
        summary = summary_of(result)
        said = _predicted(task) | _answered(task)
        kept = {name: said[name] if name in said else figure(result, summary, name) for name in task.metrics}
    except Exception as error:  # noqa: BLE001 - whatever a policy or workload raises becomes this run's row
        return Measured(task.key, {}, _reason(error), perf_counter() - begin)
    return Measured(task.key, kept, None, perf_counter() - begin)


def _predicted(task: Task) -> dict[str, Number]:
    """By metric, what the closed forms say; nothing where no metric asks for it."""
    if not any(name.startswith(f"{PREDICTED}.") for name in task.metrics):
        return {}
    return {f"{PREDICTED}.{form}": value for form, value in predicted_s(task.scenario).items()}


def _answered(task: Task) -> dict[str, Number]:
    """By metric, what the answers are worth; nothing where no metric asks for it."""
    if not any(name.startswith(f"{ANSWERS}.") for name in task.metrics):
        return {}
    if not isinstance(task.scenario.workload, LanguageModel):
        return {}
    return {f"{ANSWERS}.{name}": value for name, value in answers_of(task.scenario).to_dict().items()}


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {'; '.join(lines)}" if lines else type(error).__name__


def figure(result: AnyResult, summary: AnySummary, path: str) -> Number:
    """The figure of a run at a dotted path into its summary, or its count of `hits` or `misses` of tier 0."""
    if isinstance(result, RunResult) and path in ("hits", "misses"):
        hits = result.tiers[0].found
        return hits if path == "hits" else result.accesses - hits
    first, _, rest = path.partition(".")
    holder = summary.energy if first in ENERGY and isinstance(summary, Summary) else summary
    return _below(getattr(holder, first, None), rest)


def _below(value: Any, path: str) -> Number:
    """The number at the end of the path; names on the way may have dots themselves."""
    if not path:
        return value if isinstance(value, (int, float)) else None
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if path == name or path.startswith(f"{name}."):
                return _below(inner, path[len(name) + 1 :])
        return None
    first, _, rest = path.partition(".")
    return _below(getattr(value, first, None), rest)
