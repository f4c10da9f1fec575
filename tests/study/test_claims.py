"""Claims are arithmetic on rows; every number here is worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kvsim.study.claims import Verdict, check_claim
from kvsim.study.select import Row
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


def test_a_baseline_may_be_the_value_before() -> None:
    """Chat comes after rag: mean 3 against 5 for lru, 3 against 10 for fifo."""
    fields: dict[str, Any] = {
        "relative_to": {"previous": "work"},
        "relation": "ratio",
        "each": ["policy"],
        "operator": "<",
    }
    verdict = check(where={"work": "chat"}, value=1, **fields)
    assert [case.measured for case in verdict.cases] == [0.6, 0.3]
    for where, reason in ((RAG, "nothing comes before work rag"), ({}, "several values of work")):
        verdict = check(where=where, value=1, **fields)
        assert verdict.verdict == "cannot be evaluated"
        assert reason in verdict.deciding.reason


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


def order(**sides: list[float]) -> list[Row]:
    """Rows of the policies a, b, c, d under the modes `was` and `now`, one workload per argument."""
    rows = []
    for work, times in sides.items():
        for mode, of in (("was", times[:4]), ("now", times[4:])):
            places = zip("abcd", of, strict=True)
            rows += [Row({"work": work, "mode": mode, "policy": p}, {"time": time}) for p, time in places]
    return rows


def check_order(rows: list[Row], **fields: Any) -> Verdict:
    ranked: dict[str, Any] = {"relation": "rank_correlation", "over": "policy", "each": ["work"]}
    ranked |= {"where": {"mode": "now"}, "relative_to": {"where": {"mode": "was"}}}
    given = {"name": "c", "metric": "time", "operator": ">", "value": 0.3, **ranked, **fields}
    works = tuple(dict.fromkeys(row.coordinates["work"] for row in rows))
    axes = {"work": works, "mode": ("was", "now"), "policy": tuple("abcd")}
    return check_claim(ClaimSpec.model_validate(given), axes, rows)


def test_a_rank_correlation_goes_over_an_axis_with_ties_at_their_average_rank() -> None:
    """Ranks 1, 2.5, 2.5, 4 against 3, 1, 2, 4; less their mean -1.5, 0, 0, 1.5 against .5, -1.5, -.5, 1.5.

    The sum of products is 1.5, the sums of squares are 4.5 and 5: rho = 1.5 / sqrt(22.5) = 1 / sqrt(10).
    """
    rows = order(rag=[1, 2, 2, 40, 3, 1, 2, 9])
    verdict = check_order(rows)
    assert verdict.deciding.measured == pytest.approx(10**-0.5, rel=1e-15)
    assert (verdict.verdict, verdict.deciding.runs) == ("holds", 4)
    three = check_order(rows, where={"mode": "now", "policy": ["a", "b", "d"]}, operator="==", value=0.5)
    assert three.verdict == "holds", "ranks 1, 2, 3 against 2, 1, 3"


def test_a_rank_correlation_takes_another_selection_too() -> None:
    """The order of `now` is that of `was` turned round; `was` against itself gives 1."""
    verdict = check_order(
        order(rag=[1, 2, 3, 4, 9, 8, 7, 6]), operator="<", value=None, than={"where": {"mode": "was"}}
    )
    assert (verdict.deciding.measured, verdict.deciding.expected) == (-1, 1)


def test_cases_that_are_all_alike_neither_hold_nor_fail() -> None:
    fine, alike = [1.0, 2, 3, 4, 1, 2, 3, 4], [5.0, 5, 5, 5, 1, 2, 3, 4]
    verdict = check_order(order(rag=fine, chat=alike))
    assert [case.verdict for case in verdict.cases] == ["holds", "undefined"]
    assert verdict.verdict == "holds"
    assert verdict.undefined[0].reason == "all 4 values of policy have the same time at mode was, work chat"
    assert verdict.deciding.describe() == "work rag"
    assert check_order(order(rag=fine[::-1], chat=alike), operator="<").verdict == "does not hold"
    nothing = check_order(order(rag=alike, chat=alike))
    assert nothing.verdict == "cannot be evaluated"
    assert "all 4 values of policy" in nothing.to_dict()["reason"]


@pytest.mark.parametrize("broken", [None, Row({"work": "chat", "mode": "now", "policy": "d"}, {}, "stuck")])
def test_a_missing_or_failed_run_is_no_such_case(broken: Row | None) -> None:
    fine = [1.0, 2, 3, 4, 1, 2, 3, 4]
    rows = order(rag=fine, chat=fine)[:-1] + ([broken] if broken else [])
    verdict = check_order(rows)
    assert [case.verdict for case in verdict.cases] == ["holds", "cannot be evaluated"]
    assert verdict.verdict == "cannot be evaluated"


def test_json_says_question_and_note_where_they_say_something() -> None:
    plain = check(where=RAG, value=7.5).to_dict()
    assert not {"question", "note", "over"} & plain.keys()
    said = check(where=RAG, value=1, question=True, note="see there").to_dict()
    assert (said["question"], said["note"], said["verdict"]) == (True, "see there", "does not hold")
    assert list(said)[:4] == ["name", "text", "source", "metric"]
