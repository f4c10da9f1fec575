"""How far an axis goes before a number passes a bound: the longest context, the most users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kvsim.errors import ScenarioError
from kvsim.reporting.study_measures import axis_title, describe, measure_text, unit_of
from kvsim.study.loader import load
from kvsim.study.select import Results, Row, Unknown
from kvsim.study.spec import ClaimSpec

PACE = {("old", 1): 0.02, ("old", 2): 0.05, ("old", 4): 0.3, ("old", 8): 0.04}
PACE |= {("new", users): 0.01 * users for users in (1, 2, 4, 8)}
ROWS = [
    Row({"users": str(users), "kind": kind}, {"step_latency_s.p50": time})
    for (kind, users), time in PACE.items()
]
AXES = {"users": ("1", "2", "4", "8"), "kind": ("old", "new")}


def claim(**fields: Any) -> ClaimSpec:
    told = {
        "name": "c",
        "metric": "step_latency_s.p50",
        "where": {"kind": "new"},
        "reach": {"along": "users", "at_most": 0.05},
        "operator": ">",
        "value": 0,
    }
    return ClaimSpec.model_validate(told | fields)


def reached(**fields: Any) -> float:
    asked = claim(**fields)
    return Results(AXES, ROWS).measured(asked, asked.where)


def test_the_last_value_that_keeps_the_bound_is_reached() -> None:
    """10 ms a user: 40 ms for four, 80 ms for eight."""
    assert reached() == 4
    assert reached(reach={"along": "users", "at_most": 0.04}) == 4, "at most includes it"
    assert reached(reach={"along": "users", "at_most": 1.0}) == 8


def test_what_comes_after_a_value_that_breaks_it_does_not_count() -> None:
    """Eight would be quick enough again, but four are not."""
    assert reached(where={"kind": "old"}) == 2


def test_nothing_is_reached_where_the_first_value_breaks_it() -> None:
    assert reached(reach={"along": "users", "at_most": 0.001}) == 0


def test_a_selection_limits_how_far_it_looks() -> None:
    assert reached(where={"kind": "new", "users": [1, 2]}) == 2


def test_two_reaches_are_related_as_other_numbers_are() -> None:
    assert reached(relative_to={"where": {"kind": "old"}}, relation="ratio") == 4 / 2
    assert reached(relative_to={"where": {"kind": "old"}}, relation="difference") == 4 - 2


def test_a_run_that_failed_on_the_way_leaves_it_unknown() -> None:
    rows = [
        Row(row.coordinates, {}, "out of memory") if row.coordinates["users"] == "2" else row for row in ROWS
    ]
    with pytest.raises(Unknown, match="out of memory"):
        Results(AXES, rows).measured(claim(), claim().where)


def test_it_is_told_in_words_and_in_the_numbers_of_the_axis() -> None:
    said = "ast users with a mean of step_latency_s.p50 of at most 50.0 ms"
    assert describe(claim()) == f"L{said} at kind new"
    assert axis_title(claim(), unit_of(claim(), 4)[1]) == f"l{said}"
    assert measure_text(claim(), 131072.0) == "131,072"
    against_old = claim(relative_to={"where": {"kind": "old"}}, relation="difference")
    assert measure_text(against_old, 131072.0) == "+131,072"


STUDY = """\
base: quickstart
axes:
  - {name: length, path: workload.context_tokens, values: [4096, 8192]}
  - {name: mode, path: execution.overlap, values: [demand, serial]}
  - {name: back, variants: {"2": {}, "1": {}}}
claims:
  - {name: c, metric: hit_rate, reach: {along: length, at_most: 0.5}, operator: ">", value: 0}
tables:
  - {name: t, title: T, metric: hit_rate, reach: {along: length, at_most: 0.5}, rows: [mode]}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("along: length", "along: lenght", "'lenght' is no axis of this study; did you mean 'length'?"),
        ("along: length", "along: mode", "mode has the value 'demand'; factors are numbers above 0"),
        ("along: length", "along: back", "claims.c.reach.along: the values of back must grow"),
        ("rows: [mode]", "rows: [length]", "this axis is the one along which `reach` looks"),
        ("rows: [mode]", "rows: [mode], spread: true", "no relative_to and no reach"),
        (
            'operator: ">"',
            'relation: rank_correlation, over: mode, relative_to: {}, operator: ">"',
            "claims.c.reach: means nothing with rank_correlation",
        ),
    ],
)
def test_a_problem_is_told_at_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ScenarioError) as raised:
        load(path)
    found = [str(problem) for problem in raised.value.problems]
    assert any(told in problem for problem in found), found
