"""Pareto figures; the points are few, and what is on their front is seen by eye."""

from __future__ import annotations

from math import log10
from typing import Any

import plotly.graph_objects as go
import pytest

from kvsim.reporting.study_drawing import draw_figure
from kvsim.reporting.study_measures import described
from kvsim.reporting.study_scale import Scale
from kvsim.study.select import Results, Row
from kvsim.study.spec import FigureSpec

AXES = {
    "policy": ("lru", "<arc>", "slow", "poor"),
    "budget": ("half", "full"),
    "work": ("rag", "chat"),
    "seed": ("1", "2"),
}
RAG = {
    # time in ms and hit rate in %
    ("lru", "half"): (1, 20),
    ("<arc>", "half"): (2, 50),
    ("slow", "half"): (3, 50),
    ("poor", "half"): (2, 10),
    ("lru", "full"): (4, 90),
    ("<arc>", "full"): (4, 90),
    ("slow", "full"): (6, 80),
}
"""`poor` has no run with the full budget. Less time and more hits are better: `slow` takes longer than
`<arc>` for the same hits, `poor` has fewer than `lru` in more time."""


def rows(numbers: dict[tuple[str, str], tuple[float, float]] | None = None, work: str = "rag") -> list[Row]:
    """The seeds lie a tenth above and below."""
    return [
        Row(
            {"policy": policy, "budget": budget, "work": work, "seed": seed},
            {"wait_s": time * 1e-3 * share, "hit_rate": hits * 1e-2 * share},
        )
        for (policy, budget), (time, hits) in (RAG if numbers is None else numbers).items()
        for seed, share in (("1", 0.9), ("2", 1.1))
    ]


def spec(**fields: Any) -> FigureSpec:
    given = {"name": "f", "title": "T", "kind": "pareto", "metric": "hit_rate", "against": "wait_s"}
    given |= {"x": "policy", "colour": "budget", "more_is_better": "hit_rate"}
    return FigureSpec.model_validate({**given, **fields})


def drawn(kept: list[Row] | None = None, **fields: Any) -> go.Figure:
    made = draw_figure(spec(**fields), Results(AXES, rows() if kept is None else kept))
    assert made is not None
    return made


def spots(trace: Any) -> list[tuple[float, float]]:
    return [(round(x, 9), round(y, 9)) for x, y in zip(trace.x, trace.y, strict=True)]


def named(made: go.Figure) -> dict[str, Any]:
    return {note.text: note for note in made.layout.annotations if note.xref != "paper"}


def legend(made: go.Figure) -> list[str]:
    return [trace.name for trace in made.data if trace.name]


def test_the_front_is_joined_by_steps_and_the_rest_is_pale() -> None:
    made = drawn()
    pale, full = made.data[:2]
    assert spots(full) == [(1, 20), (2, 50), (4, 90), (4, 90)], "means over seeds, in ms and %"
    assert (full.mode, full.line.shape) == ("lines+markers", "hv"), "for 3 ms there are the hits of 2"
    assert sorted(spots(pale)) == [(2, 10), (3, 50), (6, 80)]
    assert pale.mode == "markers"
    assert not {*pale.marker.color} & {*full.marker.color}
    assert full.marker.color[0] == full.marker.color[1] != full.marker.color[2], "one colour a budget"
    assert legend(made) == ["half", "full", "on the Pareto front", "dominated"]


def test_every_point_has_its_name_and_those_at_one_spot_share_theirs() -> None:
    found = named(drawn())
    assert sorted(found) == ["&lt;arc&gt;", "lru", "lru, &lt;arc&gt;", "poor", "slow"]
    assert (round(found["poor"].x, 9), round(found["poor"].y, 9)) == (2, 10)
    every = {(policy, "full"): (4.0, 90.0) for policy in AXES["policy"]}
    assert [*named(drawn(rows(every)))] == ["lru, &lt;arc&gt; and 2 more"]


def test_a_point_says_what_it_is() -> None:
    assert drawn().data[1].customdata[1] == "&lt;arc&gt;, half: hit_rate 50.0 %, wait_s 2.00 ms"
    assert drawn(colour=None, where={"budget": "half"}).data[1].customdata[0] == (
        "lru: hit_rate 20.0 %, wait_s 1.00 ms"
    )


def test_colours_at_one_spot_are_rings() -> None:
    alike = {("lru", "half"): (1.0, 20.0), ("lru", "full"): (1.0, 20.0), ("slow", "full"): (1.0, 20.0)}
    full = drawn(rows(alike)).data[1]
    sizes = dict(zip(full.marker.color, full.marker.size, strict=True))
    assert len(sizes) == len(set(sizes.values())) == 2, "one size a colour"
    assert full.marker.size[0] > full.marker.size[-1], "the larger below"


@pytest.mark.parametrize(
    ("more", "front", "shape"),
    [
        ((), [(1, 20), (2, 10)], "hv"),  # little time, few hits
        (("hit_rate",), [(1, 20), (2, 50), (4, 90), (4, 90)], "hv"),
        (("wait_s",), [(6, 80), (3, 50), (2, 10)], "vh"),  # 3 ms and 50 against 2 ms and 50
        (("hit_rate", "wait_s"), [(6, 80), (4, 90), (4, 90)], "vh"),  # up to 4 ms the hits of 4
    ],
)
def test_what_is_better_is_said_of_each_metric(
    more: tuple[str, ...], front: list[tuple[float, float]], shape: str
) -> None:
    """Most hits are at (4, 90), fewest at (2, 10); the most time is at (6, 80), the least at (1, 20)."""
    made = drawn(more_is_better=more)
    assert spots(made.data[1]) == front
    assert made.data[1].line.shape == shape
    wanted = ["more" if name in more else "less" for name in ("wait_s", "hit_rate")]
    assert made.layout.xaxis.title.text == f"wait_s (ms); {wanted[0]} is better"
    assert any(note.text == f"hit_rate (%); {wanted[1]} is better" for note in made.layout.annotations)


def test_a_figure_says_in_words_what_is_on_the_front() -> None:
    assert described(spec(where={"work": "rag"})) == (
        "Mean of hit_rate at work rag; against mean of wait_s. Better: more hit_rate, less wait_s. On the "
        "Pareto front is what nothing else in its panel betters in one number without being worse in the "
        "other."
    )


def test_panels_have_fronts_of_their_own_and_the_same_scales() -> None:
    chat = rows({("lru", "half"): (5.0, 40.0), ("slow", "half"): (6.0, 30.0)}, "chat")
    made = drawn([*rows(), *chat], panels="work")
    assert spots(made.data[1]) == [(1, 20), (2, 50), (4, 90), (4, 90)]
    assert spots(made.data[3]) == [(5, 40)], "though rag has better"
    assert made.layout.xaxis.range == made.layout.xaxis2.range
    assert made.layout.yaxis.range == made.layout.yaxis2.range
    assert (made.layout.xaxis2.matches, made.layout.yaxis2.matches) == ("x", "y")


def test_only_what_goes_up_is_relative_to_the_baseline() -> None:
    """Against lru at half the budget, 20 %: <arc> has 50 %, which are 150 % more."""
    made = drawn(relative_to={"where": {"policy": "lru", "budget": "half"}})
    assert spots(made.data[1]) == [(1, 0), (2, 150), (4, 350), (4, 350)]


def test_a_corner_that_lacks_a_number_has_no_point() -> None:
    lacking = Row({"policy": "poor", "budget": "full", "work": "rag", "seed": "1"}, {"hit_rate": 0.99})
    assert drawn([*rows(), lacking]) == drawn()
    assert draw_figure(spec(), Results(AXES, [lacking])) is None
    other = Row({"policy": "lru", "budget": "full", "work": "rag", "seed": "1"}, {"wait_s": 1.0})
    assert draw_figure(spec(), Results(AXES, [lacking, other])) is None, "never both at one corner"


def test_what_goes_across_may_grow_by_factors() -> None:
    made = drawn(scale="log")
    assert made.layout.xaxis.type == "log"
    assert made.layout.xaxis.ticktext == ("1", "2", "5")
    low, high = made.layout.xaxis.range
    assert low < log10(1) < log10(6) < high
    assert named(made)["slow"].x == pytest.approx(log10(3)) or named(made)["slow"].x == pytest.approx(
        log10(6)
    )
    assert made.data[1].x[0] == pytest.approx(1), "a trace has the numbers themselves"


def test_a_scale_has_room_around_its_numbers() -> None:
    scale = Scale.of([10, 20], 116)
    assert (scale.low, scale.high) == pytest.approx((9.2, 20.8)), "8 % of what lies between"
    assert scale.pixel(10) == pytest.approx(8), "0.8 of 11.6, of 116 pixels"
    alike = Scale.of([5.0, 5.0], 100)
    assert alike.low < 5 < alike.high
    assert alike.pixel(5.0) == pytest.approx(50)
    assert Scale.of([0.0], 100).low < 0
    assert not Scale.of([0.0, 1.0], 100, log=True).log, "0 has no logarithm"
    wide = Scale.of([1, 1e4], 100, log=True).axis
    assert wide["ticktext"] == ["1", "10", "100", "1,000", "10,000"]
    assert "tickvals" not in Scale.of([3.0, 3.5], 100, log=True).axis, (
        "no round number or one: left to plotly"
    )


def test_points_without_room_for_a_name_are_counted() -> None:
    """A hundred names beside each other on one spot of a percent of the panel."""
    labels = tuple(f"strategy_number_{number}" for number in range(100))
    crowd = [
        Row(
            {"policy": label, "budget": "full"},
            {"wait_s": 1 + number * 1e-5, "hit_rate": 0.5 - number * 1e-5},
        )
        for number, label in enumerate(labels)
    ]
    far = Row({"policy": "lru", "budget": "full"}, {"wait_s": 2.0, "hit_rate": 0.1})
    axes = {"policy": (*labels, "lru"), "budget": ("full",)}
    made = draw_figure(spec(), Results(axes, [*crowd, far]))
    assert made is not None
    count = 101 - len(named(made))
    assert count > 0
    assert legend(made)[-1] == f"dominated, {count} not named"
