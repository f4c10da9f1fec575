"""An axis of numbers whose ends are chosen here, so that pixels can be reckoned before plotly draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

__all__ = ["Scale"]

_ROOM = 0.08
"""Between the outermost numbers and the ends, as a share of what lies between those numbers."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The ends of an axis, of a logarithmic one their logarithms, and the pixels in between."""

    low: float
    high: float
    pixels: float
    log: bool

    @staticmethod
    def of(numbers: Sequence[float], pixels: float, *, log: bool = False) -> Scale:
        """A scale with room around the numbers; linear where one of them has no logarithm."""
        log = log and min(numbers) > 0
        low, high = (log10(one) if log else one for one in (min(numbers), max(numbers)))
        room = _ROOM * (high - low or abs(low) or 1.0)
        return Scale(low - room, high + room, pixels, log)

    def place(self, number: float) -> float:
        """Where plotly has a text at a number: at its logarithm on a logarithmic axis."""
        return log10(number) if self.log else number

    def pixel(self, number: float) -> float:
        """Pixels from the lower end."""
        return (self.place(number) - self.low) / (self.high - self.low) * self.pixels

    @property
    def axis(self) -> dict[str, Any]:
        """What the layout says of the axis."""
        axis: dict[str, Any] = {
            "type": "log" if self.log else "linear",
            "range": [self.low, self.high],
            "nticks": 9,
        }
        ticks = self._round_numbers() if self.log else []
        if len(ticks) > 1:  # plotly's own name most ticks by their first digit alone
            axis |= {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}
        return axis

    def _round_numbers(self) -> list[float]:
        """1, 2 and 5 in every decade, of many decades 1 alone."""
        firsts = (1, 2, 5) if self.high - self.low < 3 else (1,)
        decades = range(floor(self.low), ceil(self.high))
        ticks = [float(f"{first}e{decade}") for decade in decades for first in firsts]
        return [tick for tick in ticks if self.low <= log10(tick) <= self.high]
