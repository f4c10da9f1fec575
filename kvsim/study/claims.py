"""Claims checked against results: select runs, make one number of them, compare. No code is evaluated."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import isfinite
from typing import Any, Literal

from kvsim.study.grid import label_of, matches
from kvsim.study.measure import Number
from kvsim.study.spec import EVERY, ClaimSpec, SelectionSpec, StudySpec, Where

__all__ = ["Case", "Row", "Verdict", "VerdictWord", "check_claim", "check_claims"]

VerdictWord = Literal["holds", "does not hold", "cannot be evaluated"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results: where a run lies, and its figures or why it failed."""

    coordinates: Mapping[str, str]
    metrics: Mapping[str, Number]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A claim for one value of its `each` axes (or, without, for all runs)."""

    where: Mapping[str, str]
    """The values of the `each` axes; empty without."""
    verdict: VerdictWord
    measured: float | None
    expected: float | None
    runs: int
    """Runs behind the measured number."""
    reason: str
    """Why it cannot be evaluated; else empty."""

    def describe(self) -> str:
        """The case in words; empty for a claim without cases."""
        return ", ".join(f"{axis} {label}" for axis, label in self.where.items())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claim: it holds if every one of its cases does."""

    claim: ClaimSpec
    verdict: VerdictWord
    cases: tuple[Case, ...]

    @property
    def deciding(self) -> Case:
        """The case to show: the first that fails, else the one nearest to failing."""
        of_kind = [case for case in self.cases if case.verdict == self.verdict]
        return min(of_kind, key=lambda case: _margin(self.claim, case))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        claim = self.claim.model_dump(mode="json", exclude_none=True)
        shown = self.deciding
        return {
            **claim,
            "verdict": self.verdict,
            "measured": shown.measured,
            "expected": shown.expected,
            "reason": shown.reason,
            "cases": [asdict(case) for case in self.cases],
        }


class _Unknown(Exception):
    """A number that the results do not give; the reason is the argument."""


def check_claims(spec: StudySpec, axes: Mapping[str, Sequence[str]], rows: Sequence[Row]) -> list[Verdict]:
    """Every claim of a study, in its order; `axes` gives the labels of each axis."""
    return [check_claim(claim, axes, rows) for claim in spec.claims]


def check_claim(claim: ClaimSpec, axes: Mapping[str, Sequence[str]], rows: Sequence[Row]) -> Verdict:
    """One claim against the results."""
    sides = [_values_of(axis, axes, claim.where) for axis in claim.each]
    corners = [dict(zip(claim.each, corner, strict=True)) for corner in product(*sides)]
    existing = [corner for corner in corners if any(_lies_at(row, corner) for row in rows)]
    cases = tuple(_case(claim, corner, rows) for corner in existing or corners[:1])
    words = [case.verdict for case in cases]
    order: tuple[VerdictWord, ...] = ("does not hold", "cannot be evaluated", "holds")
    return Verdict(claim, next(word for word in order if word in words), cases)


def _values_of(axis: str, axes: Mapping[str, Sequence[str]], where: Where) -> list[str]:
    wanted = [label_of(value) for value in where.get(axis, (EVERY,))]
    return [label for label in axes[axis] if EVERY in wanted or label in wanted]


def _lies_at(row: Row, corner: Mapping[str, str]) -> bool:
    return all(row.coordinates.get(axis) == label for axis, label in corner.items())


def _case(claim: ClaimSpec, corner: Mapping[str, str], rows: Sequence[Row]) -> Case:
    where = {**claim.where, **{axis: (label,) for axis, label in corner.items()}}
    here = SelectionSpec(metric=claim.metric, aggregate=claim.aggregate)
    measured: float | None = None
    count = sum(matches(row.coordinates, where) for row in rows)
    try:
        measured = _relative(claim, _number(here, claim, where, rows), where, rows)
        if claim.than is not None:
            expected = _relative(claim, _number(claim.than, claim, where, rows), where, rows)
        else:
            expected = float(claim.value or 0.0)
    except _Unknown as unknown:
        return Case(corner, "cannot be evaluated", measured, claim.value, count, str(unknown))
    slack = max(claim.tolerance, claim.relative_tolerance * abs(expected))
    fine = _OPERATORS[claim.operator](measured, expected, slack)
    return Case(corner, "holds" if fine else "does not hold", measured, expected, count, "")


def _relative(claim: ClaimSpec, number: float, where: Where, rows: Sequence[Row]) -> float:
    """The number, or what it is relative to the claim's baseline."""
    if claim.relative_to is None:
        return number
    baseline = _number(claim.relative_to, claim, where, rows)
    if claim.relation == "difference":
        return number - baseline
    if baseline == 0:
        raise _Unknown("the baseline is 0, nothing is relative to it")
    return number / baseline - (1 if claim.relation == "change" else 0)


def _number(part: SelectionSpec, claim: ClaimSpec, where: Where, rows: Sequence[Row]) -> float:
    """One number of the runs that a selection, laid over the claim's, leaves."""
    metric, aggregate = part.metric or claim.metric, part.aggregate or claim.aggregate
    wanted = {**where, **part.where}
    chosen = [row for row in rows if matches(row.coordinates, wanted)]
    said = ", ".join(f"{axis} {' or '.join(map(label_of, of))}" for axis, of in wanted.items()) or "all runs"
    if not chosen:
        raise _Unknown(f"no run lies at {said}")
    failed = [row for row in chosen if row.error is not None]
    if failed:
        raise _Unknown(f"{len(failed)} of {len(chosen)} runs at {said} failed: {failed[0].error}")
    values = [row.metrics.get(metric) for row in chosen]
    numbers = [value for value in values if value is not None and isfinite(value)]
    if len(numbers) < len(values):
        missing = len(values) - len(numbers)
        raise _Unknown(f"{missing} of {len(values)} runs at {said} have no {metric}")
    if aggregate == "std" and len(numbers) < 2:
        raise _Unknown(f"a standard deviation needs two runs or more, there is one at {said}")
    return float(_AGGREGATES[aggregate](numbers))


_AGGREGATES: dict[str, Callable[[list[int | float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "max": max,
    "median": statistics.median,
    "sum": sum,
    "std": statistics.stdev,
    "count": len,
}

_OPERATORS: dict[str, Callable[[float, float, float], bool]] = {
    "<": lambda measured, expected, slack: measured < expected + slack,
    "<=": lambda measured, expected, slack: measured <= expected + slack,
    ">": lambda measured, expected, slack: measured > expected - slack,
    ">=": lambda measured, expected, slack: measured >= expected - slack,
    "==": lambda measured, expected, slack: abs(measured - expected) <= slack,
    "!=": lambda measured, expected, slack: abs(measured - expected) > slack,
}


def _margin(claim: ClaimSpec, case: Case) -> float:
    """How far a case is from failing; negative where it fails, most negative where by most."""
    if case.measured is None or case.expected is None:
        return 0.0
    above = case.measured - case.expected
    return {"<": -above, "<=": -above, ">": above, ">=": above, "==": -abs(above), "!=": abs(above)}[
        claim.operator
    ]
