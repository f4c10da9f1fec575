"""The pages that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import PrefetchPolicy, ResidencyView
from kvsim.policies.registry import register_prefetch

__all__ = ["NextPage"]


@register_prefetch
class NextPage(PrefetchPolicy):
    """Asks for the `degree` pages numbered after each page read, those after the last one read first.

    Right for scans and for dense attention, which reads a layer's pages in one run of numbers; pages
    just read are not asked for.

    Cost: O(pages read × degree), no state.

    Source: one-block lookahead, A. J. Smith, "Sequential program prefetching in memory hierarchies",
    IEEE Computer 11(12), 1978.
    """

    name = "next_page"
    lead = 1

    def __init__(self, view: ResidencyView, degree: Annotated[int, Field(ge=1)] = 1) -> None:
        super().__init__(view)
        self._degree = degree

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        read = set(pages)
        ahead = (page + k for page in reversed(pages) for k in range(1, self._degree + 1))
        return list(dict.fromkeys(page for page in ahead if page not in read))
