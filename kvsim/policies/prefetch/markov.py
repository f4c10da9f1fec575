"""What usually follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import PrefetchPolicy, ResidencyView
from kvsim.policies.registry import register_prefetch

__all__ = ["Markov"]


@register_prefetch
class Markov(PrefetchPolicy):
    """Asks for the `degree` likeliest successors of the last page read, as far as `confidence` allows.

    A successor's share of all that were seen must be at least `confidence`. At most `ways` successors of a
    page are counted; a new one takes the place of the rarest and inherits its count plus one, so memory is
    bounded (the "space saving" rule). The pages of a layer count as a sequence, layer after layer.

    Cost: O(pages read × ways), `ways` numbers a page of state.

    Source: D. Joseph and D. Grunwald, "Prefetching using Markov predictors", ISCA 1997; the bounded
    counting is A. Metwally et al., "Efficient computation of frequent and top-k elements", ICDT 2005.
    """

    name = "markov"
    lead = 1

    def __init__(
        self,
        view: ResidencyView,
        degree: Annotated[int, Field(ge=1)] = 2,
        confidence: Annotated[float, Field(ge=0, le=1)] = 0.25,
        ways: Annotated[int, Field(ge=1)] = 8,
    ) -> None:
        super().__init__(view)
        self._degree = degree
        self._confidence = confidence
        self._ways = ways
        self._followers: dict[int, dict[int, int]] = {}
        self._last: int | None = None

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        for page in pages:
            if self._last is not None:
                self._count(self._followers.setdefault(self._last, {}), page)
            self._last = page
        if self._last is None:
            return ()
        followers = self._followers.get(self._last, {})
        least = self._confidence * sum(followers.values())
        likeliest = sorted(followers, key=followers.__getitem__, reverse=True)  # stable: first seen first
        return [page for page in likeliest[: self._degree] if followers[page] >= least]

    def _count(self, followers: dict[int, int], page: int) -> None:
        if page not in followers and len(followers) >= self._ways:
            rarest = min(followers, key=followers.__getitem__)
            followers[page] = followers.pop(rarest)
        followers[page] = followers.get(page, 0) + 1
