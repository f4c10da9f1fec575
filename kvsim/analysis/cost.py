"""What tokens cost, from prices that the user gives; none is built in, they differ by contract and month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["HOURS_PER_MONTH", "Cost", "Prices", "token_cost", "tokens_per_second"]

HOURS_PER_MONTH = 730
"""A year of 8,760 hours has twelve such months; cloud providers count so."""

GPU = "gpu hours"
_TOKENS = 1_000_000
_GB = 10**9


@dataclass(frozen=True, slots=True)
class Prices:
    """What things cost, in any one currency."""

    gpu_hour: float = 0.0
    """Per hour of all compute that the scenario stands for, its own memory usually included."""
    gb_hour: Mapping[str, float] = field(default_factory=dict)
    """By tier: per GB (10^9 bytes) in use and hour. A tier that is not named costs nothing by itself."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What tokens cost, in the currency of the prices."""

    tokens_per_s: float
    per_hour: Mapping[str, float]
    """By part, `gpu hours` or the name of a tier: what an hour costs."""
    per_million_tokens: Mapping[str, float]
    """By part: what a million tokens cost."""
    total_per_million_tokens: float


def tokens_per_second(batch: int, mean_step_s: float) -> float:
    """Tokens per second, each step of `mean_step_s` seconds giving one token to each of `batch` sequences."""
    return batch / mean_step_s


def token_cost(prices: Prices, batch: int, mean_step_s: float, used_bytes: Mapping[str, int]) -> Cost:
    """The cost of a million tokens while decoding goes on like this.

    `used_bytes` are the bytes of each tier that are paid for, such as the most in use at a time
    (`peak_bytes` of a summary). ValueError for a price of a tier that is not among them.
    """
    unknown = [name for name in prices.gb_hour if name not in used_bytes]
    if unknown:
        raise ValueError(f"there is no tier {unknown[0]!r} (known: {', '.join(used_bytes)})")
    tokens_per_s = tokens_per_second(batch, mean_step_s)
    per_hour = {GPU: prices.gpu_hour} if prices.gpu_hour else {}
    per_hour |= {
        name: prices.gb_hour[name] * used / _GB for name, used in used_bytes.items() if name in prices.gb_hour
    }
    tokens_per_hour = tokens_per_s * 3600
    parts = {name: cost * _TOKENS / tokens_per_hour for name, cost in per_hour.items()}
    return Cost(tokens_per_s, per_hour, parts, sum(parts.values()))
