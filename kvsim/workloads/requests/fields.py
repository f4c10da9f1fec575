"""The fields of a line: JSON objects and csv cells, each value checked; what is wrong raises BadLine.

Numbers with a point stay decimal until they are ticks, so that a written time is read to the tick.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from kvsim.workloads.requests.lines import LATEST_TICKS, BadLine, Lines

__all__ = [
    "Clock",
    "Record",
    "cells",
    "count",
    "decimal_text",
    "json_object",
    "kind",
    "number",
    "required",
    "ticks",
    "whole",
]

Record = Mapping[str, Any]
"""The fields of a line by name."""
MOST = 2**31 - 1
_SHORT = {"milliseconds": "ms", "seconds": "s", "nanoseconds": "ns"}
_TEXT_SHOWN = 40


def _constant(text: str) -> NoReturn:
    raise BadLine("", f"is not JSON: {text} is no number", "is not JSON")


_JSON = json.JSONDecoder(parse_constant=_constant, parse_float=Decimal)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadLine("", f"is not UTF-8: {error.reason}", "is not UTF-8", error.start + 1) from None


def json_object(raw: bytes) -> dict[str, Any]:
    """The object that a line is."""
    try:
        record = _JSON.decode(_text(raw))
    except json.JSONDecodeError as error:
        raise BadLine("", f"is not JSON: {error.msg}", "is not JSON", error.colno) from None
    except (RecursionError, ValueError, InvalidOperation) as error:  # too deep, or too long a number
        raise BadLine("", f"is not usable JSON: {error}", "is not JSON") from None
    if not isinstance(record, dict):
        raise BadLine("", f"must be a JSON object, not {kind(record)}", "is not a JSON object")
    return record


def cells(raw: bytes) -> list[str]:
    """The cells of a line of csv, without the spaces around them; none of them holds a line break."""
    text = _text(raw)
    if '"' not in text:
        return [cell.strip() for cell in text.split(",")]
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True))]
    except csv.Error as error:
        raise BadLine("", f"is not csv: {error}", "is not csv") from None


def number(cell: str) -> int | Decimal | str:
    """The number that a cell is; its text if it is none."""
    digits = cell.removeprefix("-")
    if digits.isdecimal() and digits.isascii() and len(digits) < 40:
        return int(cell)
    try:
        found = Decimal(cell)
    except InvalidOperation:
        return cell
    return found if found.is_finite() and "_" not in cell else cell


def decimal_text(ticks: int, places: int) -> str:
    """A time in units of 10 ** places ticks, exactly."""
    whole_part, part = divmod(ticks, 10**places)
    return f"{whole_part}.{part:0{places}}".rstrip("0") if part else str(whole_part)


def kind(value: object) -> str:
    """What a value is, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        shown = value if len(value) <= _TEXT_SHOWN else f"{value[:_TEXT_SHOWN]}…"
        return f"text {shown!r}"
    for cls, name in ((dict, "an object"), (list, "a list")):
        if isinstance(value, cls):
            return name
    return f"the number {value}"


def required(record: Record, field: str) -> Any:
    """The value of a field that must be there."""
    if field not in record:
        raise BadLine(field, "is missing", "is missing")
    return record[field]


def whole(value: Any, field: str, least: int, most: int = 2**63 - 1, of: str = "") -> int:
    """A whole number within bounds, of a unit."""
    if type(value) is not int:
        what = f"a whole number of {of}" if of else "a whole number"
        raise BadLine(field, f"must be {what}, not {kind(value)}", "wrong type")
    if not least <= value <= most:
        unit = f" {of}" if of else ""
        raise BadLine(field, f"must be {least} to {most}{unit}, not {value}", "out of range")
    return value


def count(record: Record, field: str, least: int) -> int:
    """Tokens, from a field that must be there."""
    return whole(required(record, field), field, least, MOST, "tokens")


def ticks(value: Any, field: str, ticks_per_unit: int, units: str) -> int:
    """A time, rounded to the nearest tick."""
    if type(value) is int:
        found = value * ticks_per_unit
    elif type(value) is Decimal:
        # the exponent is looked at first: 1e999999999 takes for ever to become a whole number
        found = round(value * ticks_per_unit) if value.adjusted() < 20 else LATEST_TICKS + 1
    else:
        raise BadLine(field, f"must be a number of {units}, not {kind(value)}", "wrong type")
    if value < 0 or found > LATEST_TICKS:
        most = LATEST_TICKS // ticks_per_unit
        text = f"must be 0 to {most} {_SHORT[units]} after the start of the trace, not {value}"
        raise BadLine(field, text, "out of range")
    return found


class Clock:
    """The latest arrival so far, before which none may come."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._ticks = 0
        self._shown: object = 0
        self._line = 0

    def advance(self, ticks: int, shown: object, field: str) -> None:
        """Refuse a time before the latest one; otherwise it is the latest. Called when all else is right."""
        if ticks < self._ticks:
            text = f"{shown} comes after {self._shown} of line {self._line}"
            raise BadLine(field, text, "goes back in time")
        self._ticks, self._shown, self._line = ticks, shown, self._lines.number
