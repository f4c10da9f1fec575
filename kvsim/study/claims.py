"""Claims checked against results: take the claimed measure, compare. No code is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kvsim.study.select import AllAlike, Results, Row, Unknown, narrowed
from kvsim.study.spec import ClaimSpec, StudySpec

__all__ = ["Case", "CaseWord", "Verdict", "VerdictWord", "check_claim", "check_claims"]

VerdictWord = Literal["holds", "does not hold", "cannot be evaluated"]
CaseWord = Literal[VerdictWord, "undefined"]
"""`undefined`: there is nothing to order where all are alike; such a case speaks neither for nor against."""


@dataclass(frozen=True, slots=True)
class Case:
    """A claim for one value of its `each` axes (or, without, for all runs)."""

    where: Mapping[str, str]
    """The values of the `each` axes; empty without."""
    verdict: CaseWord
    measured: float | None
    expected: float | None
    runs: int
    """Runs behind the measured number."""
    reason: str
    """Why it cannot be evaluated or is undefined; else empty."""

    def describe(self) -> str:
        """The case in words; empty for a claim without cases."""
        return ", ".join(f"{axis} {label}" for axis, label in self.where.items())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claim: it holds if one of its cases does, and all but those that are undefined."""

    claim: ClaimSpec
    verdict: VerdictWord
    cases: tuple[Case, ...]

    @property
    def undefined(self) -> tuple[Case, ...]:
        """The cases that say nothing, because all are alike there."""
        return tuple(case for case in self.cases if case.verdict == "undefined")

    @property
    def deciding(self) -> Case:
        """The case to show: the first that fails, else the one nearest to failing."""
        of_kind = [case for case in self.cases if case.verdict == self.verdict] or self.cases
        return min(of_kind, key=lambda case: _margin(self.claim, case))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        claim = self.claim
        shown = self.deciding
        fields = claim.model_dump(mode="json", exclude_none=True)
        for name in ("question", "note"):  # said where they say something
            if not fields[name]:
                del fields[name]
        return {
            "name": claim.name,
            "text": claim.text,
            "source": claim.source,
            **fields,
            "verdict": self.verdict,
            "measured": shown.measured,
            "expected": shown.expected,
            "reason": shown.reason,
            "cases": [asdict(case) for case in self.cases],
        }


def check_claims(spec: StudySpec, axes: Mapping[str, Sequence[str]], rows: Sequence[Row]) -> list[Verdict]:
    """Every claim of a study, in its order; `axes` gives the labels of each axis."""
    return [check_claim(claim, axes, rows) for claim in spec.claims]


def check_claim(claim: ClaimSpec, axes: Mapping[str, Sequence[str]], rows: Sequence[Row]) -> Verdict:
    """One claim against the results."""
    results = Results(axes, rows)
    cases = tuple(_case(claim, corner, results) for corner in results.corners(claim.each, claim.where))
    words = [case.verdict for case in cases]
    order: tuple[VerdictWord, ...] = ("does not hold", "cannot be evaluated", "holds")
    return Verdict(claim, next((word for word in order if word in words), "cannot be evaluated"), cases)


def _case(claim: ClaimSpec, corner: Mapping[str, str], results: Results) -> Case:
    where = narrowed(claim.where, corner)
    measured: float | None = None
    count = len(results.chosen(where))
    try:
        measured = results.measured(claim, where)
        if claim.than is not None:
            expected = results.measured(claim, where, claim.than)
        else:
            expected = float(claim.value or 0.0)
    except AllAlike as alike:
        return Case(corner, "undefined", measured, claim.value, count, str(alike))
    except Unknown as unknown:
        return Case(corner, "cannot be evaluated", measured, claim.value, count, str(unknown))
    slack = max(claim.tolerance, claim.relative_tolerance * abs(expected))
    fine = _OPERATORS[claim.operator](measured, expected, slack)
    return Case(corner, "holds" if fine else "does not hold", measured, expected, count, "")


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
