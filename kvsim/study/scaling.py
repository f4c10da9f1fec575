"""Overrides that multiply: half or twice of what a scenario has, whatever that is on its machine.

`{times: AXIS}` in the place of a value multiplies what is there, catalog entries and all other overrides
included, by the number that labels the run's value of that axis. What a scenario leaves unset stays unset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from kvsim.scenario.scenario import Scenario

__all__ = ["NoQuantity", "factor_of", "multiplied", "scaling_axis"]

_TIMES = "times"
_QUANTITY = re.compile(r"([0-9.]+) (\S+)")


class NoQuantity(Exception):
    """There is nothing at a path that could be multiplied; the reason is the argument."""


def scaling_axis(value: Any) -> str | None:
    """The axis that a value to set is multiplied by; None if the value is one of its own."""
    if isinstance(value, Mapping) and list(value) == [_TIMES]:
        return str(value[_TIMES])
    return None


def factor_of(label: str) -> Decimal | None:
    """The factor that a label is; None if it is no number above 0."""
    try:
        number = Decimal(label)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None


def multiplied(scenario: Scenario, path: str, factor: Decimal) -> str | None:
    """The text of a quantity of a scenario, `factor` times what it is; None if it is unset.

    A capacity in pages is rounded to whole ones. Raises NoQuantity.
    """
    found: Any = scenario.model_dump(mode="json")
    for part in path.split("."):
        if isinstance(found, list):
            found = {element.get("name"): element for element in found}
        if not isinstance(found, Mapping) or part not in found:
            raise NoQuantity(f"there is no {path} to multiply")
        found = found[part]
    if found is None:
        return None
    match = _QUANTITY.fullmatch(str(found))
    if match is not None:
        size, unit = Decimal(match[1]) * factor, match[2]
        return f"{round(size) if unit == 'pages' else format(size, 'f')} {unit}"
    if isinstance(found, float):
        return f"{Decimal(repr(found)) * factor:f}"
    raise NoQuantity(f"{path} is {found!r}, which is no quantity to multiply")
