"""The two commonest successors."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import PrefetchPolicy, ResidencyView
from kvsim.policies.registry import register_prefetch

__all__ = ["Predictive"]


@register_prefetch
class Predictive(PrefetchPolicy):
    """Asks for the `degree` commonest successors of the last page read, if seen `at_least` times.

    Ties go to the successor seen first. Against `markov` there is no confidence, so a page with many equal
    successors fetches two of them all the same; and every pair ever seen is counted. The pages of a layer
    count as a sequence, layer after layer.

    Cost: O(1) a page read and O(successors of the last page) a call; state: one number for every pair of
    pages ever read in succession.

    Source: kv-hierarchy-lab, the prefetching of its policy `predictive`.
    """

    name = "predictive"
    lead = 1

    def __init__(
        self,
        view: ResidencyView,
        degree: Annotated[int, Field(ge=1)] = 2,
        at_least: Annotated[int, Field(ge=1)] = 2,
    ) -> None:
        super().__init__(view)
        self._degree = degree
        self._at_least = at_least
        self._followers: dict[int, dict[int, int]] = {}
        self._last: int | None = None

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        for page in pages:
            if self._last is not None:
                followers = self._followers.setdefault(self._last, {})
                followers[page] = followers.get(page, 0) + 1
            self._last = page
        if self._last is None:
            return ()
        followers = self._followers.get(self._last, {})
        often = [page for page, count in followers.items() if count >= self._at_least]
        return nsmallest(self._degree, often, key=lambda page: -followers[page])  # stable
