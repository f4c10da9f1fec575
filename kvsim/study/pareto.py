"""The Pareto front: of points with two numbers each, those that nothing betters in one for free."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["pareto_front"]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points that no other dominates, by growing first number; less is better in both.

    A point dominates another that is nowhere less and somewhere greater. Equal points do not dominate each
    other: all of them are on the front, or none. Where more is better, negate the number.
    """
    front: list[int] = []
    for place in sorted(range(len(points)), key=points.__getitem__):
        # Nothing before it in this order has a greater first number, so the second decides.
        if not front or points[place][1] < points[front[-1]][1] or points[place] == points[front[-1]]:
            front.append(place)
    return front
