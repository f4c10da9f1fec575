"""Ranks and how alike two rankings are. Whole numbers as far as it goes, so ties and ±1 are exact."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import sqrt

__all__ = ["average_ranks", "rank_correlation"]


def average_ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, 1 for the least; equal values share the mean of their ranks."""
    return [twice / 2 for twice in _twice_ranks(values)]


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho: Pearson's correlation of the average ranks. None where one side is all alike.

    C. Spearman, "The Proof and Measurement of Association between Two Things" (1904).
    """
    centre = len(first) + 1  # twice the mean rank
    left = [rank - centre for rank in _twice_ranks(first)]
    right = [rank - centre for rank in _twice_ranks(second)]
    spread = sum(rank * rank for rank in left) * sum(rank * rank for rank in right)
    if not spread:
        return None
    return sum(one * other for one, other in zip(left, right, strict=True)) / sqrt(spread)


def _twice_ranks(values: Sequence[float]) -> list[int]:
    ordered = sorted(values)
    return [bisect_left(ordered, value) + 1 + bisect_right(ordered, value) for value in values]
