"""Runs made in search of something: each under an objective, and given up once it cannot be reached.

A `Session` keeps what came of every run, makes several at once where there are workers for it, and counts
those that were asked for: runs made on a guess, before it is known whether they will be needed, change what a
search takes, never what it finds or says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import joblib

from kvsim.analysis.metrics import summarise
from kvsim.analysis.serving import summarise_serving
from kvsim.errors import KvsimError, RoomError, ScenarioError, ScenarioWarning, SimulationError
from kvsim.policies import check_policies
from kvsim.scenario import loader
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import Simulation
from kvsim.sim.serving.engine import serve
from kvsim.sim.serving.result import ServingResult
from kvsim.study.backends import parallel
from kvsim.study.measure import figure
from kvsim.study.objective import Objective, needs_events
from kvsim.study.watch import watch
from kvsim.workloads import check_workload, make_workload
from kvsim.workloads.base import Workload
from kvsim.workloads.requests import asks_requests, make_requests

__all__ = ["Outcome", "Progress", "Session", "load", "load_quietly", "planned_steps", "session"]

Key = TypeVar("Key", bound=Hashable)
Progress = Callable[[int], None]
"""Told how many runs have been made."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    number: float | None = None
    """The figure that was asked for; None if the run did not come to its end."""
    met: bool = False
    """Whether the objective was reached; true without one."""
    steps: int = 0
    """Steps simulated; 0 where requests are served."""
    given_up: bool = False
    """Whether it was stopped because the objective could not be reached any more."""
    reason: str = ""
    """Why the scenario cannot be run, such as that its pages do not fit; empty if it can."""
    failure: KvsimError | None = None
    """What went wrong beyond that, such as an error of a custom policy."""
    simulated: bool = True
    """Whether there was a run; false where the scenario was refused before."""
    mean_step_s: float = 0.0
    used_bytes: Mapping[str, int] = field(default_factory=dict)
    """Most bytes used at a time, by tier."""

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.number is not None


@dataclass(frozen=True, slots=True)
class _Task(Generic[Key]):
    key: Key
    scenario: Scenario
    metric: str
    objective: Objective | None


class _GivenUpError(KvsimError):
    """Stops a run from its progress hook."""


def load(source: str | Path, overrides: Sequence[str]) -> Scenario:
    """A checked scenario; raises and warns as the loader does."""
    return loader.load(source, overrides, checks=(check_policies, check_workload))


def load_quietly(source: str | Path, overrides: Sequence[str]) -> Scenario:
    """The same without warnings, which the scenario as it is has given already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScenarioWarning)
        return load(source, overrides)


def planned_steps(scenario: Scenario, workload: Workload) -> int | None:
    """Steps that a run has at most; None if only the run tells."""
    custom = scenario.workload.kind == "custom"  # what it says serves a progress bar; it may be wrong
    limits = (None if custom else workload.total_steps, scenario.execution.max_steps)
    return min((limit for limit in limits if limit is not None), default=None)


def _attempt(task: _Task[Key]) -> tuple[Key, Outcome]:
    """Make a run; whatever goes wrong is told in its outcome, for it may be one that nobody needs."""
    try:
        return task.key, _run(task)
    except SimulationError as error:
        return task.key, Outcome(reason=str(error))
    except KvsimError as error:
        return task.key, Outcome(failure=error)
    except Exception as error:  # noqa: BLE001 - whatever a policy or workload raises is told where it matters
        return task.key, Outcome(failure=KvsimError(f"{type(error).__name__}: {error}"))


def _run(task: _Task[Any]) -> Outcome:
    records = "all" if needs_events(task.metric) else "summary"
    execution = task.scenario.execution.model_copy(update={"records": records})
    scenario = task.scenario.model_copy(update={"execution": execution})
    if asks_requests(scenario):
        return _served(task, serve(scenario, make_requests(scenario)))
    simulation = Simulation(scenario, make_workload(scenario))
    try:
        result = simulation.run(_stopper(simulation, task.objective))
    except _GivenUpError:
        return Outcome(steps=simulation.decoder.steps, given_up=True)
    summary = summarise(result)
    number = figure(result, summary, task.metric)
    if number is None:
        raise KvsimError(f"a run of {scenario.name} has no {task.metric}")
    return Outcome(
        number=number,
        met=task.objective is None or task.objective.met(number),
        steps=result.steps,
        mean_step_s=summary.step_latency_s["mean"],
        used_bytes=dict(summary.peak_bytes),
    )


def _served(task: _Task[Any], result: ServingResult) -> Outcome:
    """What came of a run of requests, which is never given up."""
    summary = summarise_serving(result)
    number = figure(result, summary, task.metric)
    if number is None:
        raise KvsimError(f"a run of {result.scenario.name} has no {task.metric}")
    met = task.objective is None or task.objective.met(number)
    return Outcome(number=number, met=met, used_bytes=dict(summary.peak_bytes))


def _stopper(simulation: Simulation, objective: Objective | None) -> Progress | None:
    """A progress hook that ends the run once its objective is lost."""
    lost = (
        None
        if objective is None
        else watch(objective, planned_steps(simulation.scenario, simulation.workload))
    )
    if lost is None:
        return None
    rows = simulation.records.steps

    def look(_: int) -> None:
        if lost(rows.last()):
            raise _GivenUpError

    return look


class Session(Generic[Key]):
    """The runs of one search; see `session`."""

    def __init__(
        self,
        make: Callable[[Key], Scenario],
        metric: str,
        mapped: Callable[[Any, Iterable[Any]], Iterator[Any]],
        workers: int,
        progress: Progress | None,
        excused: type[ScenarioError],
    ) -> None:
        self.metric = metric
        self.workers = workers
        self.asked: dict[Key, Outcome] = {}
        """What came of the runs that were asked for, in their order."""
        self._make = make
        self._map = mapped
        self._excused = excused
        self._progress = progress
        self._made: dict[Key, Outcome] = {}

    @property
    def runs(self) -> int:
        """Runs that were asked for and could be made."""
        return sum(outcome.simulated for outcome in self.asked.values())

    def prepare(self, keys: Iterable[Key], objective: Objective | None) -> None:
        """Make the runs of these keys that have not been made, all at once."""
        tasks = []
        for key in keys:
            if key in self._made:
                continue
            try:
                tasks.append(_Task(key, self._make(key), self.metric, objective))
            except ScenarioError as error:
                excused = isinstance(error, self._excused)
                self._made[key] = (
                    Outcome(reason=_reason(error), simulated=False) if excused else Outcome(failure=error)
                )
        for key, outcome in self._map(_attempt, tasks):
            self._made[key] = outcome
            if self._progress is not None:
                self._progress(len(self._made))

    def made(self, key: Key) -> Outcome | None:
        """What came of a run, asked for or not; None if it has not been made."""
        return self._made.get(key)

    def ask(self, key: Key, objective: Objective | None) -> Outcome:
        """What comes of the run of a key. Raises KvsimError if it failed otherwise than it may."""
        self.prepare([key], objective)
        outcome = self._made[key]
        if outcome.failure is not None:
            raise outcome.failure
        self.asked[key] = outcome
        return outcome


def _reason(error: ScenarioError) -> str:
    """What is wrong, without the file: it is the search's own doing."""
    return "; ".join(dict.fromkeys(problem.message for problem in error.problems))


@contextmanager
def session(
    make: Callable[[Key], Scenario],
    metric: str,
    jobs: int = 1,
    progress: Progress | None = None,
    excused: type[ScenarioError] = RoomError,
) -> Iterator[Session[Key]]:
    """A session whose runs share `jobs` processes of this machine (-1: one per CPU).

    `make` gives the scenario of a key; where it raises `excused`, the key is one that cannot be run.
    """
    workers = joblib.cpu_count() if jobs < 0 else jobs
    try:
        with parallel("loky", jobs) as mapped:
            yield Session(make, metric, mapped, workers, progress, excused)
    except joblib.externals.loky.process_executor.TerminatedWorkerError as error:
        raise KvsimError(f"a worker process died (out of memory?): {error}") from error
