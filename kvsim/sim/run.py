"""One door to both engines: a scenario's workload is one of steps or one of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kvsim.scenario.scenario import Scenario
from kvsim.sim import engine
from kvsim.sim.result import RunResult
from kvsim.sim.running import Progress
from kvsim.sim.serving.engine import serve
from kvsim.sim.serving.result import ServingResult
from kvsim.workloads import make_workload
from kvsim.workloads.requests import asks_requests, make_requests

__all__ = ["Prepared", "prepare", "run_scenario"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin."""

    counts: Literal["steps", "requests"]
    """What its progress is counted in."""
    total: int | None
    """How many there will be at most; None if only the run tells."""
    run: Callable[[Progress | None], RunResult | ServingResult]
    """Makes the run; `progress` is told how many are over, now and then."""


def prepare(scenario: Scenario) -> Prepared:
    """Open the workload of a scenario. Raises as `make_workload` and `make_requests` do."""
    if asks_requests(scenario):
        requests = make_requests(scenario)
        return Prepared("requests", requests.total_requests, lambda told: serve(scenario, requests, told))
    steps = make_workload(scenario)
    limits = [limit for limit in (steps.total_steps, scenario.execution.max_steps) if limit is not None]
    return Prepared("steps", min(limits, default=None), lambda told: engine.simulate(scenario, steps, told))


def run_scenario(scenario: Scenario, progress: Progress | None = None) -> RunResult | ServingResult:
    """Simulate the steps of a scenario, or serve its requests, and audit the run."""
    return prepare(scenario).run(progress)
