"""The Pareto front by hand, and against its definition for any points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.study.pareto import pareto_front

Point = tuple[float, float]
FEW = st.integers(0, 6)  # few different numbers, so that there are ties
POINTS = st.lists(st.tuples(FEW, FEW) | st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), max_size=14)


def dominates(one: Point, other: Point) -> bool:
    """The definition: nowhere worse and somewhere better."""
    return one[0] <= other[0] and one[1] <= other[1] and one != other


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(3, 3)], [0]),
        ([(1, 5), (2, 3), (4, 4), (6, 1)], [0, 1, 3]),  # (2, 3) is better than (4, 4) in both
        ([(6, 1), (2, 3), (1, 5)], [2, 1, 0]),  # by growing first number, however they are given
        ([(1, 2), (1, 1), (2, 1)], [1]),  # alike in one number, better in the other
        ([(2, 2), (1, 1), (1, 1)], [1, 2]),  # equal points are both there
        ([(1, 1), (2, 2), (2, 2)], [0]),  # or both not
    ],
)
def test_the_front_by_hand(points: list[Point], front: list[int]) -> None:
    assert pareto_front(points) == front


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[Point]) -> None:
    undominated = {
        place for place, point in enumerate(points) if not any(dominates(other, point) for other in points)
    }
    front = pareto_front(points)
    assert len(front) == len(set(front))
    assert set(front) == undominated


@given(POINTS)
def test_along_the_front_one_number_grows_while_the_other_falls(points: list[Point]) -> None:
    front = [points[place] for place in pareto_front(points)]
    assert front == sorted(front)
    assert [up for _, up in front] == sorted((up for _, up in front), reverse=True)
    assert bool(front) == bool(points)
