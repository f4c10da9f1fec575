"""An objective: a figure of a run held against a value, `step_latency_s.p99 <= 50 ms`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kvsim.errors import Problem, ScenarioError
from kvsim.scenario.scenario import Scenario
from kvsim.study.metrics import kind_of, metric_problem
from kvsim.units import parse_bytes, parse_duration, seconds
from kvsim.workloads.requests import asks_requests

__all__ = ["Objective", "check_metric", "needs_events", "parse_objective"]

_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_OPTION: Final = "--objective"
_OF_EVENTS: Final = (
    "hidden_s",
    "overlap_efficiency",
    "exposed_by_class_s",
    "bounds",
    "links",
    "prefetch",
    "transfers",
)
"""Figures that may need the records of all events."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What a run is to reach."""

    metric: str
    """Dotted path into the summary."""
    sign: str
    """`<=`, `<`, `>=` or `>`."""
    value: float
    """In seconds, bytes, or without a unit, as the metric is."""

    def met(self, number: float) -> bool:
        """Whether a run with that figure reaches it."""
        return _OPERATORS[self.sign](number, self.value)

    @property
    def bounds_above(self) -> bool:
        """Whether less is better."""
        return self.sign in ("<", "<=")


def parse_objective(text: str) -> Objective:
    """The objective of a text, its quantity with a unit. Raises ScenarioError, one line on what is wrong."""
    match = re.fullmatch(r"\s*([^<>=]*?)\s*(<=|>=|<|>)\s*([^<>=]*?)\s*", text)
    if match is None or not match[1] or not match[3]:
        example = "step_latency_s.p99 <= 50 ms"
        raise _wrong(text, f"is written as METRIC <= VALUE (or <, >=, >), such as {example!r}")
    metric, sign, said = match.groups()
    try:
        return Objective(metric, sign, _value(metric, said))
    except ValueError as error:
        raise _wrong(text, str(error), metric) from None


def check_metric(metric: str, scenario: Scenario | None, text: str) -> None:
    """ScenarioError if runs of such a scenario (None: unknown) have no such figure; `text` is what was given
    as the objective."""
    tiers = [] if scenario is None else [tier.name for tier in scenario.hierarchy.tiers]
    of_requests = scenario is not None and asks_requests(scenario)
    problem = metric_problem(metric, tiers, of_requests=of_requests)
    if problem is None and metric.startswith("predicted_s."):
        problem = "comes from closed forms, without a run; there is nothing to search"
    if problem is not None:
        raise _wrong(text, problem)


def needs_events(metric: str) -> bool:
    """Whether it may take the records of all events to have the figure."""
    return metric.partition(".")[0] in _OF_EVENTS


def _value(metric: str, said: str) -> float:
    kind = kind_of(metric)
    if kind == "time":
        return seconds(parse_duration(said))
    if kind == "bytes":
        return float(parse_bytes(said))
    percent = re.fullmatch(r"(.*?)\s*%", said)
    try:
        number = float(percent[1] if percent else said)
    except ValueError:
        raise ValueError(f"{said!r} is not a number, which {metric} is") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(f"{said!r} is not a number that a run can reach")
    return number / 100 if percent else number


def _wrong(text: str, message: str, field: str = "") -> ScenarioError:
    return ScenarioError((Problem(f"{_OPTION} {text}", None, None, field, message),))
