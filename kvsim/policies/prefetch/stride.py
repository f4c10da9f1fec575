"""Equal distances from read to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import PrefetchPolicy, ResidencyView
from kvsim.policies.registry import register_prefetch

__all__ = ["Stride"]


@register_prefetch
class Stride(PrefetchPolicy):
    """Once the same distance between page numbers came twice in a row, asks for 1 … `degree` of it ahead.

    The pages of a layer count as a sequence, layer after layer. A distance of 0 predicts nothing.

    Cost: O(pages read), three numbers of state.

    Source: J. Fu, J. Patel and B. Janssens, "Stride directed prefetching in scalar processors", MICRO
    1992, without the table by instruction.
    """

    name = "stride"
    lead = 1

    def __init__(self, view: ResidencyView, degree: Annotated[int, Field(ge=1)] = 2) -> None:
        super().__init__(view)
        self._degree = degree
        self._last: int | None = None
        self._delta = 0
        self._sure = False

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        for page in pages:
            if self._last is not None:
                delta = page - self._last
                self._sure = delta == self._delta
                self._delta = delta
            self._last = page
        if self._last is None or not self._sure or not self._delta:
            return ()
        ahead = (self._last + self._delta * k for k in range(1, self._degree + 1))
        return [page for page in ahead if page >= 0]
