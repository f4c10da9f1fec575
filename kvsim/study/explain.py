"""Why the slowest steps of a scenario are slow, and which single change would shorten steps most.

The scenario is run once with all its records, for what the steps waited for, and once more for every change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from kvsim.analysis.attribution import Exposure, exposure
from kvsim.analysis.critical_path import CriticalPaths, Span
from kvsim.analysis.frames import CAUSE_NAMES, CLASS_NAMES
from kvsim.analysis.metrics import summarise
from kvsim.errors import KvsimError
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.result import RunResult
from kvsim.study.whatif import Effect, changes, effects, shortened
from kvsim.units import TICKS_PER_SECOND
from kvsim.workloads.requests import asks_requests

__all__ = ["LEAST_GAIN", "Explanation", "PathPart", "SlowStep", "Wait", "explain"]

LEAST_GAIN = 0.02
"""Share by which a change must shorten the mean step to be called its bottleneck."""
SLOWEST = 3
LONGEST_PATH = 6


@dataclass(frozen=True, slots=True)
class Wait:
    """What a step waited for: the sum over its waits of one cause, lane and class."""

    cause: str
    lane: str | None
    issued_class: str | None
    """Class with which the transfer was issued; None where a new page waited for room."""
    exposed_s: float


@dataclass(frozen=True, slots=True)
class SlowStep:
    """One step: how long it took and what for."""

    step: int
    latency_s: float
    compute_s: float
    waits: tuple[Wait, ...]
    """The longest first; with the compute time they are the latency."""


@dataclass(frozen=True, slots=True)
class PathPart:
    """Neighbouring links of a critical path that are alike, or all alike of a path that is long."""

    kind: str
    """As of a `Span`, but services and latencies of a way belong together, as `transfer`."""
    what: str
    links: int
    """How many compute intervals, services or waits."""
    time_s: float
    latency_s: float
    """The part of it that is latency."""
    start_s: float | None
    """From the start of the step; None for a part that is in several pieces."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is to be said of a scenario."""

    scenario: str
    steps: int
    """Steps that were run."""
    limit: int | None
    """Where the runs were cut off because the scenario is long; None: they were not."""
    mean_step_s: float
    makespan_s: float
    compute_share: float
    """Of the time of all steps; 1 if they took none."""
    slowest: tuple[SlowStep, ...]
    """The one asked for, or the slowest ones; never more than there are."""
    path: tuple[PathPart, ...]
    """The critical path of the first of them: in order of time if that is short, else the largest first."""
    effects: tuple[Effect, ...]
    """Of every change, the best first."""

    def gain(self, effect: Effect) -> float:
        """Share by which a change shortens the mean step; negative if it makes steps longer."""
        return 1 - effect.mean_step_s / self.mean_step_s if self.mean_step_s else 0.0

    @property
    def bottleneck(self) -> Effect | None:
        """The best change of the machine or of its settings; None if none is worth the name.

        A narrower format is a remedy for several bottlenecks and the name of none.
        """
        best = next((effect for effect in self.effects if effect.change.kind != "scheme"), None)
        return best if best is not None and self.gain(best) >= LEAST_GAIN else None

    @property
    def remedy(self) -> Effect | None:
        """A narrower format, if that does more than anything else and is worth mentioning."""
        best = next(iter(self.effects), None)
        worthy = best is not None and best.change.kind == "scheme" and self.gain(best) >= LEAST_GAIN
        return best if worthy else None


def explain(
    scenario: Scenario, step: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Explanation:
    """Run a checked scenario and its changes; `step` names the one to look at in place of the slowest.

    `progress` is told how many of the runs are done. Raises KvsimError if there is no such step, or if the
    workload is one of requests.
    """
    if asks_requests(scenario):
        raise KvsimError(
            f"{scenario.name}: only steps can be explained, and the workload is one of requests; a run says "
            "what these wait for"
        )
    cut, limit = shortened(scenario, at_least=0 if step is None else step + 1)
    execution = cut.execution.model_copy(update={"records": "all"})
    result = simulate(cut.model_copy(update={"execution": execution}))
    summary = summarise(result)
    if step is not None and not 0 <= step < result.steps:
        raise KvsimError(f"there is no step {step}: the run has {result.steps}, counted from 0")
    chosen = _slowest(result) if step is None else [step]
    spent = summary.compute_s + summary.exposed_s["total"]
    return Explanation(
        scenario=scenario.name,
        steps=result.steps,
        limit=limit,
        mean_step_s=summary.step_latency_s["mean"],
        makespan_s=summary.makespan_s,
        compute_share=summary.compute_s / spent if spent else 1.0,
        slowest=_stories(result, chosen),
        path=_condensed(CriticalPaths(result).of(chosen[0])) if chosen else (),
        effects=effects(changes(cut), progress) if spent else (),
    )


def _slowest(result: RunResult) -> list[int]:
    """The slowest steps, of equals the earlier one first."""
    steps = result.records.steps
    latency = steps.column("end") - steps.column("start")
    slowest: list[int] = np.argsort(-latency, kind="stable")[:SLOWEST].tolist()
    return slowest


def _stories(result: RunResult, chosen: Sequence[int]) -> tuple[SlowStep, ...]:
    waits = exposure(result)
    steps = result.records.steps
    latency, compute = steps.column("end") - steps.column("start"), steps.column("compute")
    stories: list[SlowStep] = []
    for step in chosen:
        mine = np.flatnonzero(waits.step == step)
        mine = mine[np.argsort(-waits.ticks[mine], kind="stable")]
        parts = tuple(_wait(result, waits, row) for row in mine.tolist())
        took, computed = int(latency[step]), int(compute[step])
        stories.append(SlowStep(step, took / TICKS_PER_SECOND, computed / TICKS_PER_SECOND, parts))
    return tuple(stories)


def _wait(result: RunResult, waits: Exposure, row: int) -> Wait:
    lane, cls = int(waits.lane[row]), int(waits.issued_cls[row])
    return Wait(
        cause=CAUSE_NAMES[int(waits.cause[row])],
        lane=result.lanes[lane].name if lane >= 0 else None,
        issued_class=CLASS_NAMES[cls] if cls >= 0 else None,
        exposed_s=int(waits.ticks[row]) / TICKS_PER_SECOND,
    )


def _condensed(path: Sequence[Span]) -> tuple[PathPart, ...]:
    """Links alike put together: neighbours, or all of them where that leaves too many parts."""
    begin = path[0].start if path else 0
    parts = [_part(list(links), begin) for _, links in groupby(path, key=_likeness)]
    if len(parts) <= LONGEST_PATH:
        return tuple(parts)
    alike = sorted(path, key=_likeness)
    sums = [_part(list(links), None) for _, links in groupby(alike, key=_likeness)]
    return tuple(sorted(sums, key=lambda part: -part.time_s))


def _likeness(span: Span) -> tuple[str, str]:
    """What two links must have in common to be put together; layers are all alike."""
    if span.kind in ("service", "latency"):
        return "transfer", span.what
    return span.kind, "" if span.kind == "compute" else span.what


def _part(links: Sequence[Span], begin: int | None) -> PathPart:
    kind, what = _likeness(links[0])
    latencies = [link for link in links if link.kind == "latency"]
    return PathPart(
        kind=kind,
        what=what,
        links=len(links) - len(latencies) or 1,
        time_s=_length_s(links),
        latency_s=_length_s(latencies),
        start_s=None if begin is None else (links[0].start - begin) / TICKS_PER_SECOND,
    )


def _length_s(links: Sequence[Span]) -> float:
    return sum(link.end - link.start for link in links) / TICKS_PER_SECOND
