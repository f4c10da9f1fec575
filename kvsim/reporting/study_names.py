"""Names beside points, so that none covers another: each in the nearest free place, in pixels.

A name that does not fit beside its point stands farther off, joined to it by a line; one that finds no place
at all is left out. Who comes first has the choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, inf, pi, sin

__all__ = ["Box", "Named", "Spot", "Stand", "stands"]

_GAP = 3.0
"""Pixels between a point and a name beside it."""
_REACHES = (0.0, 14.0, 28.0, 42.0, 60.0, 80.0, 105.0)
"""Pixels that a name may stand off farther than that."""
_DIRECTIONS = tuple(turn * pi / 8 for turn in (0, 8, 4, -4, 2, -2, 6, -6, 1, -1, 7, -7, 3, -3, 5, -5))
"""Right, left, above, below and what lies between, the best to read first."""

Spot = tuple[float, float]
Line = tuple[Spot, Spot]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, from left to right and from low to high."""

    left: float
    low: float
    right: float
    high: float

    @staticmethod
    def around(spot: Spot, width: float, height: float) -> Box:
        """The box of that size with its middle there."""
        x, y = spot
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def meets(self, other: Box) -> bool:
        """Whether both have more in common than an edge."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.low < other.high
            and other.low < self.high
        )

    def holds(self, other: Box) -> bool:
        """Whether the other lies in it altogether."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.low <= other.low
            and other.high <= self.high
        )

    def crossed(self, start: Spot, end: Spot) -> bool:
        """Whether a straight line goes through it: what is left of it between both pairs of edges."""
        first, last = 0.0, 1.0
        sides = ((self.left, self.right), (self.low, self.high))
        for begin, finish, (least, most) in zip(start, end, sides, strict=True):
            way = finish - begin
            if way == 0:
                if not least < begin < most:
                    return False
                continue
            near, far = sorted(((least - begin) / way, (most - begin) / way))
            first, last = max(first, near), min(last, far)
        return first < last


@dataclass(frozen=True, slots=True)
class Named:
    """A point and the size of its name."""

    spot: Spot
    across: float
    """Pixels of the point."""
    width: float
    height: float

    @property
    def point(self) -> Box:
        """The box of the point itself."""
        return Box.around(self.spot, self.across, self.across)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a name stands."""

    box: Box
    reach: float
    """Pixels that it stands off farther than beside its point; then a line joins it to that."""

    @property
    def joined(self) -> bool:
        """Whether there is such a line."""
        return self.reach > 0

    @property
    def middle(self) -> Spot:
        """The middle of the name."""
        return (self.box.left + self.box.right) / 2, (self.box.low + self.box.high) / 2


def stands(names: Sequence[Named], space: Box, path: Sequence[Spot] = ()) -> list[Stand | None]:
    """A place within `space` for every name, None where there is none left.

    No name covers another or a point, and no line from a name to its point meets another name, another such
    line, or a point apart from its own. Each takes the nearest place, or one not much farther off where it
    stays clear of the line through `path`, and its own line of points that overlap its own.
    """
    drawn = _Drawn(space, [*pairwise(path)], [name.point for name in names])
    found = []
    for name in names:
        stand = drawn.nearest(name)
        found.append(stand)
        if stand is not None:
            drawn.take(name, stand)
    return found


@dataclass(slots=True)
class _Drawn:
    """What is there already."""

    space: Box
    path: list[Line]
    points: list[Box]
    names: list[Box] = field(default_factory=list)
    joints: list[Line] = field(default_factory=list)

    def nearest(self, name: Named) -> Stand | None:
        """The best place that is free."""
        best, least = None, inf
        for stand in _tried(name):
            if stand.reach >= least:
                break
            price = stand.reach + self._price(name, stand) if self._is_free(name, stand) else inf
            if price < least:
                best, least = stand, price
        return best

    def take(self, name: Named, stand: Stand) -> None:
        """Let a name stand there."""
        self.names.append(stand.box)
        if stand.joined:
            self.joints.append((name.spot, stand.middle))

    def _is_free(self, name: Named, stand: Stand) -> bool:
        box, joint = stand.box, (name.spot, stand.middle)
        if not self.space.holds(box) or any(box.meets(other) for other in (*self.names, *self.points)):
            return False
        if any(box.crossed(*other) for other in self.joints):
            return False
        if not stand.joined:
            return True
        apart = (point for point in self.points if not point.meets(name.point))
        return not (
            any(other.crossed(*joint) for other in (*self.names, *apart))
            or any(_cross(joint, other) for other in self.joints)
        )

    def _price(self, name: Named, stand: Stand) -> float:
        """Pixels that it would be worth to stand clear of lines and points."""
        price = _ON_PATH if any(stand.box.crossed(*line) for line in self.path) else 0.0
        if stand.joined:
            others = (point for point in self.points if point != name.point)
            price += _OVER_POINT * sum(point.crossed(name.spot, stand.middle) for point in others)
        return price


_ON_PATH, _OVER_POINT = 45.0, 12.0


def _cross(one: Line, other: Line) -> bool:
    """Whether two lines cross: the ends of each lie to both sides of the other."""
    return all(
        _side(first, other[0]) * _side(first, other[1]) < 0 for first, other in ((one, other), (other, one))
    )


def _side(line: Line, spot: Spot) -> float:
    """Above 0 to the left of a line, below it to the right."""
    (x, y), (end_x, end_y) = line
    return (end_x - x) * (spot[1] - y) - (end_y - y) * (spot[0] - x)


def _tried(name: Named) -> Iterator[Stand]:
    """The places of a name, the nearest first."""
    x, y = name.spot
    for reach in _REACHES:
        off = name.across / 2 + _GAP + reach
        for direction in _DIRECTIONS:
            across, up = cos(direction), sin(direction)
            # a name has the edge or corner towards its point that it stands beside
            spot = (
                x + across * off + _towards(across) * name.width / 2,
                y + up * off + _towards(up) * name.height / 2,
            )
            yield Stand(Box.around(spot, name.width, name.height), reach)


def _towards(share: float) -> float:
    return max(-1.0, min(1.0, 1.5 * share))
