"""Requests for KV memory, and the ways to take slots for them: by block, reserved, or doubling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from kvsim.analysis.intervals import Ticks

__all__ = ["Allocation", "Doubling", "Paged", "Request", "Reserved"]


@dataclass(frozen=True, slots=True)
class Request:
    """What one request needs, and when."""

    arrival: int
    """When it comes, in ticks."""
    end: int
    """When it gives its memory back, in ticks; after `arrival`."""
    prompt: int
    """Tokens that it has from the start, 1 or more."""
    output: int
    """Tokens that it gains, evenly between arrival and end."""

    def __post_init__(self) -> None:
        if self.end <= self.arrival or self.prompt < 1 or self.output < 0:
            raise ValueError(f"a request ends after it arrives and has at least a token of prompt: {self}")
        if self.end >= 2**63:
            raise ValueError(f"a request ends before the clock does, at 2^63 ticks: {self}")

    @property
    def tokens(self) -> int:
        """Tokens it has in the end."""
        return self.prompt + self.output

    def gained(self, number: int) -> int:
        """When it has its output token of that number, from 1."""
        return self.arrival + number * (self.end - self.arrival) // (self.output + 1)

    def births(self, stop: int) -> Ticks:
        """When it got its output tokens, those before `stop`."""
        numbers = np.arange(1, self.output + 1, dtype=np.int64)
        whole, rest = divmod(self.end - self.arrival, self.output + 1)  # their products stay below 2^63
        times: Ticks = self.arrival + numbers * whole + numbers * rest // (self.output + 1)
        return times[times < stop]


class Allocation(Protocol):
    """How a request's slots are taken."""

    @property
    def contiguous(self) -> bool:
        """Whether a request's slots must be neighbours, so that to grow it has to move."""
        ...

    @property
    def unit(self) -> int:
        """Slots that are taken together."""
        ...

    def room(self, request: Request, tokens: int) -> int:
        """Slots that the request has taken when it has so many tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Paged:
    """Blocks, taken one after another as tokens come; any free one will do."""

    block: int
    """Slots of a block."""
    contiguous = False

    @property
    def unit(self) -> int:
        """A block."""
        return self.block

    def room(self, request: Request, tokens: int) -> int:
        """Whole blocks for the tokens there are."""
        return -(-tokens // self.block) * self.block


@dataclass(frozen=True, slots=True)
class Reserved:
    """Neighbouring slots, once and for all when the request arrives: the first gap that is large enough."""

    rule: Literal["maximum", "power_of_two", "exact"] = "maximum"
    """`maximum`: that many slots for everybody. `power_of_two`: for the prompt, and the next power of two for
    the output. `exact`: what the request will use, as if that were known. Default: `maximum`."""
    maximum: int = 2048
    """Tokens of the longest request that the system takes. Default 2048."""
    contiguous = True
    unit = 1

    def room(self, request: Request, tokens: int) -> int:
        """The same however many tokens there are."""
        if request.tokens > self.maximum:
            raise ValueError(f"a request of {request.tokens} tokens is above the maximum of {self.maximum}")
        if self.rule == "exact":
            return request.tokens
        if self.rule == "maximum":
            return self.maximum
        return min(self.maximum, request.prompt + _power_of_two(request.output))


@dataclass(frozen=True, slots=True)
class Doubling:
    """Neighbouring slots, a power of two of them. A request that has filled them takes twice as many, in the
    first gap that is large enough, copies what it has, and only then gives the old ones back."""

    contiguous = True
    unit = 1

    def room(self, request: Request, tokens: int) -> int:
        """The power of two that holds the tokens there are."""
        return _power_of_two(tokens)


def _power_of_two(tokens: int) -> int:
    """The least power of two that is not below; 0 for none."""
    return 1 << (tokens - 1).bit_length() if tokens else 0
