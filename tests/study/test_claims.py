"""Claims are arithmetic on rows; every number here is worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kvsim.study.claims import Row, Verdict, check_claim
from kvsim.study.spec import ClaimSpec

AXES = {"work": ("rag", "chat"), "policy": ("lru", "fifo"), "seed": ("1", "2")}
TIMES = {
    ("rag", "lru"): (4.0, 6.0),
    ("rag", "fifo"): (8.0, 12.0),
    ("chat", "lru"): (3.0, 3.0),
    ("chat", "fifo"): (2.0, 4.0),
}
ROWS = [
    Row({"work": work, "policy": policy, "seed": seed}, {"time": time, "misses": round(10 * time), "n": None})
    for (work, policy), times in TIMES.items()
    for seed, time in zip(("1", "2"), times, strict=True)
]
RAG = {"work": "rag"}


def check(rows: list[Row] = ROWS, **fields: Any) -> Verdict:
    claim = ClaimSpec.model_validate({"name": "a claim", "metric": "time", "operator": "==", **fields})
    return check_claim(claim, AXES, rows)


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [
        ("mean", 7.5),
        ("min", 4),
        ("max", 12),
        ("median", 7),
        ("sum", 30),
        ("count", 4),
        ("std", (35 / 3) ** 0.5),
    ],
)
def test_aggregates(aggregate: str, value: float) -> None:
    verdict = check(where=RAG, aggregate=aggregate, value=value, tolerance=1e-12)
    assert verdict.deciding.measured == pytest.approx(value)
    assert (verdict.verdict, verdict.deciding.runs) == ("holds", 4)


@pytest.mark.parametrize(("relation", "value"), [("ratio", 0.5), ("change", -0.5), ("difference", -5)])
def test_relations_to_a_baseline_laid_over_where(relation: str, value: float) -> None:
    """Mean lru 5 against mean fifo 10: the baseline keeps `work` and changes `policy`."""
    where = {"work": "rag", "policy": "lru"}
    verdict = check(where=where, relative_to={"where": {"policy": "fifo"}}, relation=relation, value=value)
    assert verdict.deciding.measured == value
    assert verdict.verdict == "holds"


def test_another_selection_in_place_of_a_value() -> None:
    than = {"where": {"policy": "fifo"}, "aggregate": "min"}
    verdict = check(where={"work": "rag", "policy": "lru"}, operator="<", than=than)
    assert (verdict.deciding.measured, verdict.deciding.expected) == (5, 8)
    assert verdict.verdict == "holds"


def test_another_selection_is_measured_relative_to_the_same_baseline() -> None:
    verdict = check(
        where={"policy": "lru", "work": "rag"},
        relative_to={"where": {"policy": "fifo"}, "metric": "misses"},
        relation="ratio",
        operator="<",
        than={"where": {"policy": "fifo"}},
    )
    assert (verdict.deciding.measured, verdict.deciding.expected) == (0.05, 0.1)


def test_several_values_of_an_axis_and_all_of_them() -> None:
    assert check(where={"work": ["rag", "chat"]}, aggregate="count", value=8).verdict == "holds"
    verdict = check(where=RAG, aggregate="count", operator="<", than={"where": {"work": "*"}})
    assert (verdict.deciding.measured, verdict.deciding.expected) == (4, 8)


@pytest.mark.parametrize(
    ("operator", "tolerance", "holds"),
    [
        ("<", 0, False),
        ("<", 0.1, True),
        ("<=", 0, True),
        (">", 0, False),
        (">", 0.1, True),
        (">=", 0, True),
        ("==", 0, True),
        ("!=", 0, False),
    ],
)
def test_operators_at_equality(operator: str, tolerance: float, holds: bool) -> None:
    verdict = check(where=RAG, aggregate="max", operator=operator, value=12, tolerance=tolerance)
    assert verdict.verdict == ("holds" if holds else "does not hold")


@pytest.mark.parametrize(
    ("slack", "holds"),
    [
        ({"tolerance": 0.9}, False),
        ({"tolerance": 1.0}, True),
        ({"relative_tolerance": 0.1}, True),
        ({"relative_tolerance": 0.05}, False),
        ({"tolerance": 1.0, "relative_tolerance": 0.001}, True),
    ],
)
def test_tolerances(slack: dict[str, Any], holds: bool) -> None:
    """12 measured, 11 claimed."""
    for operator in ("==", "<="):
        verdict = check(where=RAG, aggregate="max", value=11, operator=operator, **slack)
        assert verdict.verdict == ("holds" if holds else "does not hold")
    assert (
        check(where=RAG, aggregate="max", value=11, operator="!=", **slack).verdict == "holds"
    ) is not holds


def test_each_case_must_hold_and_the_worst_is_shown() -> None:
    fields: dict[str, Any] = {
        "where": {"policy": "lru"},
        "relative_to": {"where": {"policy": "fifo"}},
        "operator": "<",
        "value": 0,
    }
    assert check(**fields).verdict == "holds"
    verdict = check(**fields, each=["work"])
    assert [(case.describe(), case.measured) for case in verdict.cases] == [
        ("work rag", -0.5),
        ("work chat", 0),
    ]
    assert (verdict.verdict, verdict.deciding.describe()) == ("does not hold", "work chat")
    one = check(**{**fields, "where": {"policy": "lru", "work": ["rag"]}}, each=["work"])
    assert [case.describe() for case in one.cases] == ["work rag"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"metric": "n", "value": 1}, "8 of 8 runs at all runs have no n"),
        ({"where": {"work": "other"}, "value": 1}, "no run lies at work other"),
        ({"relative_to": {"metric": "zero"}, "value": 1}, "the baseline is 0"),
        (
            {"where": {"work": "rag", "policy": "lru", "seed": 1}, "aggregate": "std", "value": 1},
            "two runs or more",
        ),
    ],
)
def test_what_cannot_be_evaluated_says_why(fields: dict[str, Any], reason: str) -> None:
    rows = [Row(row.coordinates, {**row.metrics, "zero": 0}) for row in ROWS]
    verdict = check(rows, **fields)
    assert verdict.verdict == "cannot be evaluated"
    assert reason in verdict.deciding.reason


def test_a_failed_run_leaves_its_claims_open_and_no_others() -> None:
    broken = Row(ROWS[0].coordinates, {}, "SimulationError: stuck")
    rows = [broken, *ROWS[1:]]
    verdict = check(rows, where=RAG, value=1)
    assert verdict.verdict == "cannot be evaluated"
    assert "SimulationError: stuck" in verdict.deciding.reason
    assert check(rows, where={"work": "chat"}, value=3).verdict == "holds"


def test_a_verdict_is_json() -> None:
    verdict = check(where=RAG, each=["policy"], operator="<", value=7)
    data = json.loads(json.dumps(verdict.to_dict()))
    assert (data["verdict"], data["measured"], data["expected"]) == ("does not hold", 10, 7)
    assert [case["verdict"] for case in data["cases"]] == ["holds", "does not hold"]
    assert data["where"] == {"work": ["rag"]}
