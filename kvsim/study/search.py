"""The largest value of a whole-number field at which a scenario can run and reaches an objective.

Leaps of doubling length from the least value, so that the first runs are the cheap ones and none is far
beyond what is looked for, then halving. This takes for granted that what holds at a value holds below it;
whatever runs say otherwise is told, and a few more runs are made to look for it. Where runs are long and the
objective is about steps in general, short runs first tell where to begin with the long ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from kvsim.analysis.cost import Cost, Prices, token_cost
from kvsim.errors import KvsimError, RoomError
from kvsim.scenario.geometry import decoded_sequences
from kvsim.scenario.scenario import Scenario
from kvsim.study.attempt import Outcome, Progress, Session, load, load_quietly, planned_steps, session
from kvsim.study.objective import Objective, check_metric
from kvsim.workloads import make_workload
from kvsim.workloads.requests import asks_requests

__all__ = ["SHORTHANDS", "Bracket", "Found", "Probe", "Range", "search"]

SHORTHANDS: Mapping[str, str] = {"context": "workload.context_tokens", "batch": "workload.batch"}
"""Fields that have a short name."""

LEAST_STEPS = 64
"""Steps of a run from which on short runs come first."""
_SHORTER = 8
"""By how much these are shorter."""
_FARTHEST = 1024
"""Values go up to so many times the least one, or that of the scenario, unless told otherwise."""
_ABOUT_STEPS = (
    "step_latency_s",
    "step_response_s",
    "tokens_per_s",
    "hit_rate",
    "tier_hit_rate",
    "absent_rate",
)
"""Metrics of which a part of a run gives an idea."""

_Key = tuple[int, int | None]
"""A value, and the steps that its run is cut to; None: all."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values that are looked at: low, low + step, … up to high."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        if self.step < 1:
            raise KvsimError(f"--step must be 1 or more, not {self.step}")
        if self.high < self.low:
            raise KvsimError(f"--high {self.high} is below --low {self.low}")

    @property
    def top(self) -> int:
        """The number of the last value, from 0."""
        return (self.high - self.low) // self.step

    def value(self, index: int) -> int:
        """The value of that number."""
        return self.low + index * self.step


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between which numbers the answer lies, and which to try next."""

    top: int
    start: int
    met: int = -1
    """The largest number known to do; -1: none."""
    lost: int | None = None
    """The least number known not to do; None: none."""
    leap: int = 1

    @property
    def probe(self) -> int | None:
        """The number to try next; None when the answer is known: it is `met`."""
        if self.met < 0 and self.lost is None:
            return self.start
        if self.lost is None:
            return min(self.met + self.leap, self.top) if self.met < self.top else None
        if self.lost - self.met == 1:
            return None
        if self.met < 0:
            return max(self.lost - self.leap, 0)
        return (self.met + self.lost) // 2

    def after(self, number: int, met: bool) -> Bracket:
        """What is known once that number has been tried."""
        leapt = 2 * self.leap if self.met >= 0 or self.lost is not None else self.leap
        return replace(self, met=number, leap=leapt) if met else replace(self, lost=number, leap=leapt)


@dataclass(frozen=True, slots=True)
class Probe:
    """A value that was tried."""

    value: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    scenario: str
    path: str
    objective: Objective
    range: Range
    answer: int | None
    """The largest value that does; None if not even the least one does."""
    probes: tuple[Probe, ...]
    """The values tried in runs of full length, in rising order."""
    runs: int
    """Simulations made, short ones included; values at which the scenario does not fit need none."""
    short_runs: int
    short_steps: int | None
    """Steps of the short runs; None without."""
    violations: tuple[str, ...]
    """What contradicts that the objective is the harder to reach the larger the value is."""
    cost: Cost | None
    """What tokens cost with the answer; None without an answer, or if no price was given."""

    @property
    def at_limit(self) -> bool:
        """Whether the answer is the last value there is to try, so that more might do."""
        return self.answer == self.range.value(self.range.top)

    def outcome(self, value: int) -> Outcome | None:
        """What came of a value; None if it was not tried."""
        return next((probe.outcome for probe in self.probes if probe.value == value), None)


def search(
    source: str | Path,
    path: str,
    objective: Objective,
    *,
    text: str,
    overrides: Sequence[str] = (),
    low: int | None = None,
    high: int | None = None,
    step: int | None = None,
    checks: int = 2,
    prices: Prices | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Found:
    """Search a scenario for the largest value of the field at `path`; the same for any number of `jobs`.

    `text` is the objective as it was given, for messages. Defaults: `step` is a page for a context, else 1;
    `low` is `step`; `high` goes far beyond. `checks` more runs look for values at which it is otherwise than
    the search assumes. Raises ScenarioError if the scenario is wrong with the least value but for room.
    """
    path = SHORTHANDS.get(path, path)
    values, sample = _range(source, path, overrides, low, high, step)
    _check_prices(prices, sample)
    check_metric(objective.metric, sample, text)

    def make(key: _Key) -> Scenario:
        value, steps = key
        cut = [] if steps is None else [f"execution.max_steps={steps}"]
        return load_quietly(source, [*overrides, f"{path}={value}", *cut])

    with session(make, objective.metric, jobs, progress) as runs:
        tries = _Tries(runs, values, objective)
        short = _short_steps(sample, objective)
        start = 0 if short is None else max(0, tries.settle(Bracket(values.top, 0), short))
        answer = tries.settle(Bracket(values.top, start))
        tries.check(answer, checks)
        probes = tries.probes()
        return Found(
            scenario=sample.name if sample else str(source),
            path=path,
            objective=objective,
            range=values,
            answer=None if answer < 0 else values.value(answer),
            probes=probes,
            runs=runs.runs,
            short_runs=sum(one.simulated for (_, cut), one in runs.asked.items() if cut is not None),
            short_steps=short,
            violations=tuple(_violations(path, objective, probes)),
            cost=None
            if answer < 0
            else _cost(prices, make((best := values.value(answer), None)), runs.asked[best, None]),
        )


class _Tries:
    """Tries numbers of a range, those that may come next along with them where there are workers."""

    def __init__(self, runs: Session[_Key], values: Range, objective: Objective) -> None:
        self._runs = runs
        self._values = values
        self._objective = objective

    def settle(self, bracket: Bracket, steps: int | None = None) -> int:
        """The largest number that does; -1 if none does."""
        known: dict[int, bool] = {}
        while (number := bracket.probe) is not None:
            if self._runs.workers > 1:
                ahead = self._ahead(bracket, steps)
                self._runs.prepare([self._key(one, steps) for one in ahead], self._objective)
            known[number] = self._runs.ask(self._key(number, steps), self._objective).met
            bracket = bracket.after(number, known[number])
        return bracket.met

    def check(self, answer: int, count: int) -> None:
        """Try that many numbers more, spread evenly from 0 to about twice the answer."""
        tried = set(self._runs.asked)
        span = min(self._values.top, 2 * max(answer, 0) + 1)
        numbers = {span * place // (count + 1) for place in range(1, count + 1)}
        keys = [key for number in sorted(numbers) if (key := self._key(number, None)) not in tried]
        self._runs.prepare(keys, self._objective)
        for key in keys:
            self._runs.ask(key, self._objective)

    def probes(self) -> tuple[Probe, ...]:
        """All values tried in full, in rising order."""
        full = [Probe(value, outcome) for (value, cut), outcome in self._runs.asked.items() if cut is None]
        return tuple(sorted(full, key=lambda probe: probe.value))

    def _ahead(self, bracket: Bracket, steps: int | None) -> list[int]:
        """Numbers not tried yet of which the next ones will be, a number for each worker."""
        wanted: dict[int, None] = {}
        waiting = deque([bracket])
        while waiting and len(wanted) < self._runs.workers:
            here = waiting.popleft()
            if (number := here.probe) is None:
                continue
            made = self._runs.made(self._key(number, steps))
            if made is None:
                wanted[number] = None
                waiting += (here.after(number, True), here.after(number, False))
            else:
                waiting.append(here.after(number, made.met))
        return list(wanted)

    def _key(self, number: int, steps: int | None) -> _Key:
        return self._values.value(number), steps


def _range(
    source: str | Path,
    path: str,
    overrides: Sequence[str],
    low: int | None,
    high: int | None,
    step: int | None,
) -> tuple[Range, Scenario | None]:
    """The values to look at, and the scenario as it is or with the least of them, if one of these fits."""
    sample: Scenario | None
    try:
        sample = load(source, overrides)
    except RoomError:
        sample = None
    own = _own(sample, path)
    if step is None:
        of_context = sample is not None and path == SHORTHANDS["context"]
        step = getattr(sample.workload, "page_tokens", 1) if sample and of_context else 1
    low = step if low is None else low
    values = Range(low, max(low, own, 1) * _FARTHEST if high is None else high, step)
    try:
        least = load_quietly(source, [*overrides, f"{path}={values.low}"])
    except RoomError:
        least = None
    return values, least or sample


def _check_prices(prices: Prices | None, scenario: Scenario | None) -> None:
    """KvsimError, before anything runs, if there is nothing in the scenario that the prices are of."""
    if prices is None or scenario is None:
        return
    if decoded_sequences(scenario) is None:
        kind = scenario.workload.kind
        raise KvsimError(
            f"costs need a workload that decodes (dense_decode, sparse_decode, language_model), not {kind}"
        )
    tiers = [tier.name for tier in scenario.hierarchy.tiers]
    for name in prices.gb_hour:
        if name not in tiers:
            raise KvsimError(
                f"a price is given for {name!r}, but there is no such tier (known: {', '.join(tiers)})"
            )


def _cost(prices: Prices | None, scenario: Scenario, outcome: Outcome) -> Cost | None:
    batch = decoded_sequences(scenario)
    if prices is None or batch is None or not outcome.mean_step_s:
        return None
    return token_cost(prices, batch, outcome.mean_step_s, outcome.used_bytes)


def _own(scenario: Scenario | None, path: str) -> int:
    """The value of the field in the scenario; 0 if it has none."""
    found: object = scenario
    for part in path.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, int) else 0


def _short_steps(scenario: Scenario | None, objective: Objective) -> int | None:
    """Steps of the runs that come first; None where they would not tell, or not be much shorter."""
    of_steps = scenario is not None and not asks_requests(scenario)
    steps = planned_steps(scenario, make_workload(scenario)) if scenario and of_steps else None
    about_steps = objective.metric.partition(".")[0] in _ABOUT_STEPS
    return steps // _SHORTER if steps is not None and steps >= LEAST_STEPS and about_steps else None


def _violations(path: str, objective: Objective, probes: Sequence[Probe]) -> Iterator[str]:
    """Pairs of values that are the wrong way round: in whether they do, and in the figure itself."""
    lost = next((probe for probe in probes if not probe.outcome.met), None)
    again = [probe for probe in probes if lost is not None and probe.outcome.met and probe.value > lost.value]
    if lost is not None and again:
        yield f"it does not hold at {path} {lost.value:,}, but holds at {again[-1].value:,}"
    sign = 1 if objective.bounds_above else -1
    for before, after in pairwise(probe for probe in probes if probe.outcome.number is not None):
        first, second = before.outcome.number or 0.0, after.outcome.number or 0.0
        if sign * first > sign * second:
            yield f"{objective.metric} is better at {path} {after.value:,} than at {before.value:,}"
