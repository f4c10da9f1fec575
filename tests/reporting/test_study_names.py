"""Names beside points: near, and clear of one another."""

from __future__ import annotations

from itertools import combinations
from math import hypot

from hypothesis import given, settings
from hypothesis import strategies as st

from kvsim.reporting.study_names import Box, Named, Stand, stands

SPACE = Box(0, 0, 900, 430)
CROWD = st.lists(
    st.tuples(st.floats(100, 800) | st.floats(400, 440), st.floats(50, 400), st.sampled_from([20, 60, 100])),
    max_size=24,
)
"""Some of them in a column 40 pixels wide."""


def named(*points: tuple[float, float, float]) -> list[Named]:
    return [Named((x, y), 10, width, 14) for x, y, width in points]


def common(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    across = min(one.right, other.right) - max(one.left, other.left)
    up = min(one.high, other.high) - max(one.low, other.low)
    return max(across, 0) * max(up, 0)


def distance(name: Named, stand: Stand) -> float:
    """From the middle of the point to the nearest of the name."""
    (x, y), box = name.spot, stand.box
    return hypot(max(box.left - x, x - box.right, 0), max(box.low - y, y - box.high, 0))


def test_a_name_alone_stands_at_the_right_of_its_point() -> None:
    """Half of the point, a gap of 3, then 60 pixels of text, in the middle of whose height the point is."""
    (stand,) = stands(named((100, 200, 60)), SPACE)
    assert stand == Stand(Box(108, 193, 168, 207), 0)


def test_at_the_edge_it_stands_on_the_other_side() -> None:
    (stand,) = stands(named((850, 200, 60)), SPACE)
    assert stand is not None
    assert stand.box.right == 850 - 8


def test_it_stays_clear_of_the_line_that_joins_points() -> None:
    """A line to the right: the left is free."""
    (stand,) = stands(named((300, 200, 60)), SPACE, path=[(300, 200), (600, 200)])
    assert stand is not None
    assert stand.box.right == 300 - 8


def test_without_room_there_is_no_name() -> None:
    assert stands(named((20, 10, 60)), Box(0, 0, 50, 20)) == [None]


def test_the_first_have_the_choice() -> None:
    first, second = stands(named((300, 200, 60), (300, 200, 60)), SPACE)
    assert first is not None
    assert second is not None
    assert (first.box.left, second.box.right) == (308, 292)


def test_a_box_is_crossed_by_what_goes_through_it_alone() -> None:
    box = Box(10, 10, 20, 20)
    assert box.crossed((0, 15), (30, 15))
    assert box.crossed((0, 0), (30, 30))
    assert box.crossed((15, 15), (100, 15)), "that begins in it"
    assert not box.crossed((0, 15), (9, 15)), "that ends before"
    assert not box.crossed((0, 25), (30, 25))
    assert not box.crossed((0, 15), (15, 30)), "that passes a corner: at 10 across it is 25 up"
    assert not box.crossed((10, 0), (10, 30)), "that touches an edge"


@given(CROWD)
@settings(deadline=None)
def test_no_name_covers_another_or_a_point_or_leaves_the_space(
    crowd: list[tuple[float, float, float]],
) -> None:
    names = named(*crowd)
    found = [(name, stand) for name, stand in zip(names, stands(names, SPACE), strict=True) if stand]
    assert all(common(one.box, other.box) == 0 for (_, one), (_, other) in combinations(found, 2))
    points = [Box.around(name.spot, 10, 10) for name in names]
    assert all(common(stand.box, point) == 0 for _, stand in found for point in points)
    assert all(common(stand.box, SPACE) >= 0.999 * name.width * 14 for name, stand in found)


@given(CROWD)
@settings(deadline=None)
def test_a_name_away_from_its_point_is_joined_to_it(crowd: list[tuple[float, float, float]]) -> None:
    """Beside it a corner is at most 8 pixels off; what is farther has a line, that meets no other name."""
    names = named(*crowd)
    found = [(name, stand) for name, stand in zip(names, stands(names, SPACE), strict=True) if stand]
    assert all(stand.joined == (distance(name, stand) > 8.001) for name, stand in found)
    assert all(
        not other.box.crossed(name.spot, stand.middle)
        for name, stand in found
        if stand.joined
        for _, other in found
        if other is not stand
    )


@given(st.permutations(range(20)))
@settings(deadline=None)
def test_twenty_points_that_do_not_crowd_all_have_names(order: list[int]) -> None:
    """A row of room for each: 20 times 20 pixels down."""
    names = named(*((300.0 + 20 * across, 15.0 + 20 * down, 100) for down, across in enumerate(order)))
    assert None not in stands(names, SPACE)
