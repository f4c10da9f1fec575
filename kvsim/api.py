"""The Python API: load a scenario, run it, look at what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from kvsim.analysis.frames import Frames, frames
from kvsim.analysis.metrics import Summary, summarise
from kvsim.analysis.serving import ServingSummary, summarise_serving
from kvsim.analysis.serving_frames import iterations_frame, moves_frame, requests_frame
from kvsim.analysis.summaries import AnyResult
from kvsim.errors import Problem, ScenarioError
from kvsim.policies import check_policies
from kvsim.scenario import loader
from kvsim.scenario.checks import cross_check
from kvsim.scenario.scenario import Scenario
from kvsim.sim.result import RunResult
from kvsim.sim.run import run_scenario
from kvsim.sim.serving.result import ServingResult
from kvsim.workloads import check_workload

__all__ = ["Run", "ServingRun", "finished", "load", "run"]


@dataclass(frozen=True)
class Run:
    """A finished run: its summary and, made on first use, its records as pandas tables.

    Times are seconds and sizes bytes, with the unit in the column name. With `execution.records: summary`
    only `steps` has rows.
    """

    result: RunResult
    """Records and counters as the engine left them, in ticks (picoseconds) and bytes."""

    @property
    def scenario(self) -> Scenario:
        """What was simulated, every default filled in."""
        return self.result.scenario

    @cached_property
    def summary(self) -> Summary:
        """The figures of the run: exposed time by cause, hit rates, bytes, links, prefetches."""
        return summarise(self.result)

    @property
    def steps(self) -> pd.DataFrame:
        """One row per step: when, what its time was spent on, what it read."""
        return self._frames.steps

    @property
    def layers(self) -> pd.DataFrame:
        """One row per compute interval."""
        return self._frames.layers

    @property
    def stalls(self) -> pd.DataFrame:
        """One row per exposed interval: cause, and the lane and transfer waited for."""
        return self._frames.stalls

    @property
    def transfers(self) -> pd.DataFrame:
        """One row per transfer and hop."""
        return self._frames.transfers

    @property
    def exposure(self) -> pd.DataFrame:
        """Exposed time by step, lane, class and cause: one row each."""
        return self._frames.exposure

    @property
    def prefetches(self) -> pd.DataFrame:
        """One row per transfer issued as a prefetch: its fate, what it saved, what it took."""
        return self._frames.prefetches

    def write(self, directory: str | Path) -> Path:
        """Write scenario, summary, tables, report and trace into `directory` and return it.

        An earlier run there is replaced. Raises KvsimError, leaving everything as it was, when the directory
        holds anything else or cannot be written.
        """
        from kvsim.reporting.output import write_run  # plotly is slow to import and needed only here

        return write_run(self.result, self.summary, directory)

    @cached_property
    def _frames(self) -> Frames:
        return frames(self.result)


@dataclass(frozen=True)
class ServingRun:
    """A finished run of requests: its summary and, made on first use, its records as pandas tables.

    Times are seconds and sizes bytes, with the unit in the column name. With `execution.records: summary`
    `transfers` has no rows.
    """

    result: ServingResult
    """Records and counters as the engine left them, in ticks (picoseconds) and bytes."""

    @property
    def scenario(self) -> Scenario:
        """What was simulated, every default filled in."""
        return self.result.scenario

    @cached_property
    def summary(self) -> ServingSummary:
        """The figures of the run: TTFT and TPOT, queueing by cause, hits by tier, links, tenants."""
        return summarise_serving(self.result)

    @cached_property
    def requests(self) -> pd.DataFrame:
        """One row per request: when, how many tokens, what its time went to."""
        return requests_frame(self.result)

    @cached_property
    def iterations(self) -> pd.DataFrame:
        """One row per iteration of an instance, or per several in a row with the same requests."""
        return iterations_frame(self.result)

    @cached_property
    def transfers(self) -> pd.DataFrame:
        """One row per transfer of blocks and hop."""
        return moves_frame(self.result)

    def write(self, directory: str | Path) -> Path:
        """Write scenario, summary, tables and report into `directory` and return it, as `Run.write` does."""
        from kvsim.reporting.output import write_run  # plotly is slow to import and needed only here

        return write_run(self.result, self.summary, directory)


def finished(result: AnyResult) -> Run | ServingRun:
    """A run that is over, to look at."""
    return ServingRun(result) if isinstance(result, ServingResult) else Run(result)


def load(source: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario and check all that can be checked before a run, policies and workload included.

    `source` is the path of a YAML file or the name of a shipped scenario (`kvsim list`). `overrides` are
    texts such as ``"hierarchy.tiers.hbm.capacity=80 GiB"``. Raises ScenarioError with every problem found.
    """
    return loader.load(source, overrides, checks=(check_policies, check_workload))


def run(
    scenario: Scenario | str | Path,
    *,
    overrides: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Run | Any:
    """Simulate a scenario: one already loaded, the path of a file, or the name of a shipped one.

    Gives a `Run`, or a `ServingRun` where the workload is one of requests (`Any` stands for it, so that type
    checkers need not be told which it is).

    `overrides` as for `load`; they need a file or a name. `progress` is called now and then with the number
    of steps, or requests, finished. Raises ScenarioError before anything runs, TraceError on an unusable line
    of a trace, SimulationError when it cannot go on, and AuditError when the books of the run do not balance.
    """
    if isinstance(scenario, Scenario):
        if overrides:
            raise TypeError("overrides need the path or the name of a scenario, not a loaded one")
        loaded = _verified(scenario)
    else:
        loaded = load(scenario, overrides)
    return finished(run_scenario(loaded, progress))


def _verified(scenario: Scenario) -> Scenario:
    """A scenario built in Python passes the same checks as one from a file."""
    checks = (cross_check, check_policies, check_workload)
    problems = tuple(
        Problem("<scenario>", None, None, ".".join(map(str, path)), message)
        for check in checks
        for path, message in check(scenario)
    )
    if problems:
        raise ScenarioError(problems)
    return scenario
