"""How a study's figures, claims and runs are put in words; shared by the table, the page and the report."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.reporting.text import (
    NOT_RECORDED,
    bytes_text,
    count_text,
    duration_text,
    number_text,
    percent_text,
    significant,
)
from kvsim.study.claims import Case, CaseWord, Verdict
from kvsim.study.measure import Number
from kvsim.study.metrics import kind_of
from kvsim.study.select import Row
from kvsim.study.spec import ClaimSpec

__all__ = [
    "case_row",
    "claim_heads",
    "claim_row",
    "columns",
    "figure_text",
    "kind_of",
    "result_row",
    "score_text",
    "varied",
    "word_of",
]


def figure_text(metric: str, value: Number) -> str:
    """A figure of a run with its unit."""
    if value is None:
        return NOT_RECORDED
    kind = kind_of(metric)
    if kind == "time":
        return duration_text(value)
    if kind == "bytes":
        return bytes_text(round(value))
    if kind == "share":
        return percent_text(value)
    return count_text(value) if isinstance(value, int) else number_text(value)


def varied(rows: Sequence[Row]) -> list[str]:
    """The axes of the results."""
    return list(rows[0].coordinates) if rows else []


def columns(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """The heads of a table of results; errors have a column where there are any."""
    return [*varied(rows), *metrics, *(["error"] if any(row.error for row in rows) else [])]


def result_row(row: Row, metrics: Sequence[str], errors: bool) -> list[str]:
    """The cells of one run in a table of results."""
    cells = [*row.coordinates.values()]
    cells += ["" if row.error else figure_text(name, row.metrics.get(name)) for name in metrics]
    return [*cells, row.error or ""] if errors else cells


def word_of(claim: ClaimSpec, word: CaseWord) -> str:
    """A verdict for people: a claim holds or does not, a question is answered yes or no."""
    return _ANSWERS.get(word, word) if claim.question else word


_ANSWERS: dict[CaseWord, str] = {"holds": "yes", "does not hold": "no"}


def score_text(verdicts: Sequence[Verdict]) -> str:
    """`5 of 6 claims hold; of 3 questions 2 are answered yes`, with how many cannot be evaluated."""
    claims = [verdict.verdict for verdict in verdicts if not verdict.claim.question]
    questions = [verdict.verdict for verdict in verdicts if verdict.claim.question]
    parts = []
    if claims:
        parts.append(f"{claims.count('holds')} of {len(claims)} claims hold{_unknown(claims)}")
    if questions:
        yes = questions.count("holds")
        asked = f"of {len(questions)} question{'s' if len(questions) > 1 else ''}"
        parts.append(f"{asked} {yes} {'is' if yes == 1 else 'are'} answered yes{_unknown(questions)}")
    return "; ".join(parts) or "no claims"


def _unknown(words: Sequence[str]) -> str:
    unknown = words.count("cannot be evaluated")
    return f", {unknown} cannot be evaluated" if unknown else ""


claim_heads = ("claim", "verdict", "measured", "claimed", "runs", "source")


def claim_row(verdict: Verdict) -> tuple[str, str, str, str, str, str]:
    """The cells of one claim: name and statement, verdict, numbers, source."""
    claim, case = verdict.claim, verdict.deciding
    statement = claim.text or _statement(claim)
    name = f"{claim.name}: {statement.rstrip('.')}"
    if len(verdict.cases) > 1:
        name += f" [{_count(verdict)}; shown: {case.describe()}]"
    elif case.describe():
        name += f" [{case.describe()}]"
    _, *numbers = case_row(claim, case)
    word = word_of(claim, verdict.verdict)
    measured, claimed, runs = numbers
    return name, f"{word} ({case.reason})" if case.reason else word, measured, claimed, runs, claim.source


def case_row(claim: ClaimSpec, case: Case) -> tuple[str, str, str, str]:
    """The cells of one case: verdict, numbers."""
    word = word_of(claim, case.verdict)
    measured, expected = _claimed(claim, case.measured), _expected(claim, case)
    return f"{word} ({case.reason})" if case.reason else word, measured, expected, str(case.runs)


def _count(verdict: Verdict) -> str:
    """How many cases hold, of those that say anything, and why the others do not."""
    undefined = verdict.undefined
    holding = sum(one.verdict == "holds" for one in verdict.cases)
    text = f"{holding} of {len(verdict.cases) - len(undefined)} cases"
    text += ": yes" if verdict.claim.question else " hold"
    if undefined:
        such = " such as" if len(undefined) > 1 else ""
        text += f", {len(undefined)} undefined:{such} {undefined[0].reason}"
    return text


def _statement(claim: ClaimSpec) -> str:
    relative = f", {claim.relation} against a baseline," if claim.relative_to else ""
    reach = f"last {claim.reach.along} within {claim.reach.at_most:g} of " if claim.reach else ""
    return f"{reach}{claim.aggregate} {claim.metric}{relative} {claim.operator} " + (
        f"{claim.value:g}" if claim.value is not None else "that of other runs"
    )


def _expected(claim: ClaimSpec, case: Case) -> str:
    slack = max(claim.tolerance, claim.relative_tolerance * abs(case.expected or 0.0))
    within = f" ± {_claimed(claim, slack)}" if slack else ""
    return f"{claim.operator} {_claimed(claim, case.expected)}{within}"


def _claimed(claim: ClaimSpec, value: float | None) -> str:
    """A number of a claim: a change in percent, a ratio plain, all else in the unit of its metric."""
    if value is None:
        return NOT_RECORDED
    if claim.relative_to is not None and claim.relation == "change":
        return f"{value * 100:.4g} %"
    plain = claim.relative_to is not None and claim.relation in ("ratio", "rank_correlation", "elasticity")
    if claim.reach is not None and not plain:
        return f"{value:,.10g}"
    if claim.aggregate == "count" or plain:
        return f"{value:.4g}"
    kind = kind_of(claim.metric)
    if kind == "share":
        return f"{value:.4g}"
    if kind == "number":
        return f"{value:,.0f}" if value == int(value) else significant(value)
    return figure_text(claim.metric, value)
