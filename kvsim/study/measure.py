"""One cell: run its scenario and keep the wanted figures. This is what the workers execute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from time import perf_counter
from typing import Any

from kvsim.analysis.frames import CAUSE_NAMES, CLASS_NAMES
from kvsim.analysis.metrics import Summary, summarise
from kvsim.analysis.predictions import FORMS, predicted_s
from kvsim.analysis.run_bounds import BoundsSummary
from kvsim.errors import nearest
from kvsim.lm.answers import ANSWER_FIGURES, ANSWER_SHARES, answers_of
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import LanguageModel
from kvsim.sim.engine import simulate
from kvsim.sim.result import PrefetchInfo, RunResult

__all__ = ["Measured", "Number", "Task", "figure", "kind_of", "measure", "metric_problem"]

Number = int | float | None
"""A figure of a run; None where the run does not have it."""

_PREDICTED = "predicted_s"
"""What the closed forms say of the scenario; no part of the summary, because no run is needed for it."""
_ANSWERS = "answers"
"""What the language model of a scenario answers, of which the simulator knows nothing."""
_EXTRA = ("hits", "misses", _PREDICTED, _ANSWERS)
_PARTS: dict[str, tuple[str, ...]] = {
    "exposed_s": (*CAUSE_NAMES, "total"),
    "step_latency_s": ("mean", "p50", "p95", "p99", "max"),
    "step_response_s": ("mean", "p50", "p95", "p99", "max"),
    "prefetch": (*(field.name for field in fields(PrefetchInfo)), "late_saved_s", "stolen_s"),
    "exposed_by_class_s": (*CLASS_NAMES, "none"),
    "bounds": tuple(field.name for field in fields(BoundsSummary) if field.name != "longest"),
    _PREDICTED: FORMS,
    _ANSWERS: ANSWER_FIGURES,
}
_BY_TIER = (
    "tier_hit_rate",
    "evictions_by_tier",
    "read_bytes",
    "written_bytes",
    "peak_bytes",
    "capacity_bytes",
)
_BY_OTHERS = ("bytes_by_link", "bytes_by_class", "links", "reads_by_format", "energy_j")
_NO_NUMBERS = ("scenario", "records", "energy")
_ENERGY = ("energy_j", "energy_per_token_j", "energy_per_step_j")
"""Figures inside `Summary.energy`."""
_SHARES = (
    "hit_rate",
    "hit_mass",
    "tier_hit_rate",
    "absent_rate",
    "overlap_efficiency",
    "utilisation",
    "overlapped",
    *(f"{name}{end}" for name in ANSWER_SHARES for end in ("", "_low", "_high")),
)


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
        result = simulate(task.scenario)
        summary = summarise(result)
        said = _predicted(task) | _answered(task)
        kept = {name: said[name] if name in said else figure(result, summary, name) for name in task.metrics}
    except Exception as error:  # noqa: BLE001 - whatever a policy or workload raises becomes this run's row
        return Measured(task.key, {}, _reason(error), perf_counter() - begin)
    return Measured(task.key, kept, None, perf_counter() - begin)


def _predicted(task: Task) -> dict[str, Number]:
    """By metric, what the closed forms say; nothing where no metric asks for it."""
    if not any(name.startswith(f"{_PREDICTED}.") for name in task.metrics):
        return {}
    return {f"{_PREDICTED}.{form}": value for form, value in predicted_s(task.scenario).items()}


def _answered(task: Task) -> dict[str, Number]:
    """By metric, what the answers are worth; nothing where no metric asks for it."""
    if not any(name.startswith(f"{_ANSWERS}.") for name in task.metrics):
        return {}
    if not isinstance(task.scenario.workload, LanguageModel):
        return {}
    return {f"{_ANSWERS}.{name}": value for name, value in answers_of(task.scenario).to_dict().items()}


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {'; '.join(lines)}" if lines else type(error).__name__


def figure(result: RunResult, summary: Summary, path: str) -> Number:
    """The figure of a run at a dotted path into its summary, or its count of `hits` or `misses` of tier 0."""
    hits = result.tiers[0].found
    if path == "hits":
        return hits
    if path == "misses":
        return result.accesses - hits
    first, _, rest = path.partition(".")
    return _below(getattr(summary.energy if first in _ENERGY else summary, first, None), rest)


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


def kind_of(metric: str) -> str:
    """What a figure is: `time`, `bytes`, `share`, `count` or `number`, by its name."""
    parts = metric.split(".")
    if any(part.endswith("_per_s") for part in parts):
        return "number"
    if any(part.endswith("_s") for part in parts):
        return "time"
    if any(part == "bytes" or part.startswith("bytes_by") or part.endswith("_bytes") for part in parts):
        return "bytes"
    return "share" if any(part in _SHARES for part in parts) else "number"


def metric_problem(name: str, tiers: Sequence[str]) -> str | None:
    """Why a run cannot have that figure, as far as can be said before running; None if it may.

    `tiers` are the names of the tiers there are, empty if that is not known.
    """
    first, dot, rest = name.partition(".")
    known = [*(each.name for each in fields(Summary) if each.name not in _NO_NUMBERS), *_EXTRA, *_ENERGY]
    if first not in known:
        return f"{name!r} is no figure of a run{_hint(first, known)} (known: {', '.join(known)})"
    parts = tuple(tiers) if first in _BY_TIER else _PARTS.get(first)
    if parts is None and first not in _BY_OTHERS:
        return f"{first!r} is a single number, it has no {rest!r}" if dot else None
    if not dot:
        listing = f" ({', '.join(parts)})" if parts else ""
        return f"{first!r} has several figures{listing}; name one, such as {first}.{(parts or ('total',))[0]}"
    if parts and rest not in parts:
        return f"{first!r} has no {rest!r}{_hint(rest, parts)} (known: {', '.join(parts)})"
    return None


def _hint(name: str, known: Sequence[str]) -> str:
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else ""
