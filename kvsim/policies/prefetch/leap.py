"""The majority of the last distances."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import PrefetchPolicy, ResidencyView
from kvsim.policies.registry import register_prefetch

__all__ = ["Leap"]


@register_prefetch
class Leap(PrefetchPolicy):
    """Looks for a distance that more than half of the last w reads share; asks for 1 … `degree` of it ahead.

    w starts at `window` and doubles up to `history` until there is one, so a stride survives single strays
    that stop `stride`, and a change of stride is seen soon. Here the degree is fixed; the paper adapts it to
    the hits. The pages of a layer count as a sequence, layer after layer.

    Cost: O(pages read + history), `history` numbers of state.

    Source: H. Al Maruf and M. Chowdhury, "Effectively prefetching remote memory with Leap", USENIX ATC 2020;
    the majority is found by R. Boyer and J. Moore's vote (1981).
    """

    name = "leap"
    lead = 1

    def __init__(
        self,
        view: ResidencyView,
        degree: Annotated[int, Field(ge=1)] = 4,
        window: Annotated[int, Field(ge=1)] = 4,
        history: Annotated[int, Field(ge=1)] = 32,
    ) -> None:
        super().__init__(view)
        self._degree = degree
        self._window = window
        self._last: int | None = None
        self._deltas: deque[int] = deque(maxlen=history)
        """The latest first."""

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        for page in pages:
            if self._last is not None:
                self._deltas.appendleft(page - self._last)
            self._last = page
        delta = self._trend()
        if self._last is None or not delta:
            return ()
        ahead = (self._last + delta * k for k in range(1, self._degree + 1))
        return [page for page in ahead if page >= 0]

    def _trend(self) -> int | None:
        """The majority of the shortest window that has one."""
        width = self._window
        while len(self._deltas) >= width:
            delta = majority(list(islice(self._deltas, width)))
            if delta is not None:
                return delta
            width *= 2
        return None


def majority(values: Sequence[int]) -> int | None:
    """The value that makes up more than half of the values, or None."""
    candidate = 0
    votes = 0
    for value in values:
        if not votes:
            candidate = value
        votes += 1 if value == candidate else -1
    return candidate if 2 * values.count(candidate) > len(values) else None
