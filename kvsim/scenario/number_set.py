"""Numbers of layers or head groups, as people write them: `3`, `0-1`, or a list such as `[0, 4-7]`."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

__all__ = ["NumberSet", "Numbers", "parse_numbers"]

_RANGE: Final = re.compile(r"\s*([0-9]{1,18})\s*-\s*([0-9]{1,18})\s*")
_RULE: Final = "write a whole number from 0, a range such as 0-1, or a list of those"


@dataclass(frozen=True, slots=True)
class NumberSet:
    """A set of whole numbers from 0, kept as ranges."""

    ranges: tuple[tuple[int, int], ...]
    """First and last number of each; ascending, and none touches the next."""

    @property
    def largest(self) -> int:
        """The largest number in it."""
        return self.ranges[-1][1]

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.ranges)

    def __str__(self) -> str:
        return ", ".join(str(_written(*each)) for each in self.ranges)


def parse_numbers(value: object) -> NumberSet:
    """The set that a number, a range or a list of those means. Raises ValueError."""
    if isinstance(value, NumberSet):
        return value
    items = value if isinstance(value, (list, tuple)) else [value]
    if not items:
        raise ValueError(f"must not be empty; {_RULE}")
    joined: list[tuple[int, int]] = []
    for first, last in sorted(_range(item) for item in items):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return NumberSet(tuple(joined))


def _range(item: object) -> tuple[int, int]:
    if type(item) is int and item >= 0:
        return item, item
    match = _RANGE.fullmatch(item) if isinstance(item, str) else None
    if match is None:
        raise ValueError(f"{item!r} is not such a number; {_RULE}")
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"{item!r} is a range that ends before it begins; write {last}-{first}")
    return first, last


def _written(first: int, last: int) -> int | str:
    return first if first == last else f"{first}-{last}"


def _plain(numbers: NumberSet) -> Any:
    """The shortest form that is read back as the same."""
    written = [_written(*each) for each in numbers.ranges]
    return written[0] if len(written) == 1 else written


_ITEM: Final = [
    {"type": "integer", "minimum": 0},
    {"type": "string", "pattern": r"^\s*[0-9]{1,18}\s*-\s*[0-9]{1,18}\s*$"},
]

Numbers = Annotated[
    NumberSet,
    BeforeValidator(parse_numbers),
    PlainSerializer(_plain),
    WithJsonSchema(
        {
            "anyOf": [*_ITEM, {"type": "array", "items": {"anyOf": _ITEM}, "minItems": 1}],
            "examples": [0, "0-1", [0, "4-7"]],
        }
    ),
]
"""Whole numbers from 0: one, a range `a-b`, or a list of those."""
