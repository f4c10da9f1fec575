"""Placements that follow what is read: by how often, by when next as far as one can guess, or truly."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kvsim.policies.base import PlacementView
from kvsim.policies.placement.ranked import Ranked
from kvsim.policies.registry import register_placement

__all__ = ["Adaptive", "Oracle", "Predictive"]

Weight = Annotated[float, Field(gt=0, le=1)]
"""What the latest observation counts."""
Part = Annotated[float, Field(ge=0, lt=1)]
"""A share that leaves something."""
Moves = Annotated[int, Field(ge=0)] | None
"""A number of pages; None: any."""


@register_placement
class Adaptive(Ranked):
    """Hot pages in tier 0, warm ones in tier 1, cold ones in tier 2 and so on, by how often and how lately
    they are read.

    The read rate of a page is the share of steps that read it, the latest counting most: each step multiplies
    it by 1 - `weight`, and adds `weight` if it has read the page. `by: mass`: it adds that much only if the
    page received its even share of the layer's attention or more, else in proportion to it, where the
    workload knows the attention mass. A new page starts at 1. The tiers are filled by rate, with `thresholds`
    (the least rates for tier 0, 1, …), `hysteresis`, `reserve` and `moves`: see `Ranked`.

    Cost and state: those of `Ranked`, and two numbers a page.
    """

    name = "adaptive"

    def __init__(
        self,
        view: PlacementView,
        weight: Weight = 0.5,
        by: Literal["reads", "mass"] = "reads",
        thresholds: list[float] | None = None,
        hysteresis: float = 0.1,
        reserve: Part | None = None,
        moves: Moves = 256,
    ) -> None:
        super().__init__(view, thresholds or (), hysteresis, reserve, moves)
        self._weight = weight
        self._by_mass = by == "mass"
        self._rate = np.ones(0)
        self._gain = np.zeros(0)
        """What the running step adds, in weights."""

    def accessed(self, pages: NDArray[np.int64]) -> None:
        self._grow(int(pages.max(initial=-1)) + 1)
        self._gain[pages] = 1

    def attended(self, pages: NDArray[np.int64], mass: NDArray[np.float64]) -> None:
        if self._by_mass:
            self._gain[pages] = np.minimum(1, mass * len(pages))

    def scores(self, pages: NDArray[np.int64]) -> NDArray[np.float64]:
        self._rate *= 1 - self._weight
        self._rate += self._weight * self._gain
        self._gain[:] = 0
        self._grow(int(pages.max(initial=-1)) + 1)
        rates: NDArray[np.float64] = self._rate[pages]
        return rates

    def _grow(self, pages: int) -> None:
        more = pages - len(self._rate)
        if more > 0:
            self._rate = np.concatenate((self._rate, np.ones(more)))
            self._gain = np.concatenate((self._gain, np.zeros(more)))


@register_placement
class Predictive(Ranked):
    """Moves pages up ahead of need: those that are due to be read next, by the intervals of their own reads.

    A page is due when its mean interval, of which the latest counts `weight`, has passed since its last read.
    One that is overdue is taken to be as far off as it has been unread: what has been idle for long
    stays idle for long. It scores one over the number of steps until then: 1 if due in the next one. A new
    page is due at once. The tiers are filled by score, with `thresholds`, `hysteresis`, `reserve` and
    `moves`: see `Ranked`.

    Cost and state: those of `Ranked`, and three numbers a page.

    Source: prediction by inter-reference gaps, V. Phalke and B. Gopinath, SIGMETRICS 1995; the moving
    average of one page's gaps is the simplest of its kind.
    """

    name = "predictive"

    def __init__(
        self,
        view: PlacementView,
        weight: Weight = 0.5,
        thresholds: list[float] | None = None,
        hysteresis: float = 0.1,
        reserve: Part | None = None,
        moves: Moves = 256,
    ) -> None:
        super().__init__(view, thresholds or (), hysteresis, reserve, moves)
        self._weight = weight
        self._last = np.zeros(0)
        """Step of the last read, or of the birth."""
        self._gap = np.zeros(0)
        """Mean interval; 0 of a page that has not been read yet."""
        self._read = np.zeros(0, dtype=np.bool_)

    def accessed(self, pages: NDArray[np.int64]) -> None:
        self._grow(int(pages.max(initial=-1)) + 1, self.view.step - 1)
        self._read[pages] = True

    def scores(self, pages: NDArray[np.int64]) -> NDArray[np.float64]:
        step = self.view.step
        read = self._read
        interval = step - self._last[read]
        gap = self._gap[read]
        self._gap[read] = np.where(gap, gap + self._weight * (interval - gap), interval)
        self._last[read] = step
        read[:] = False
        self._grow(int(pages.max(initial=-1)) + 1, step)
        idle = step - self._last[pages]
        ahead = np.maximum(self._gap[pages], 1) - idle
        scores: NDArray[np.float64] = 1 / np.where(ahead >= 1, ahead, np.maximum(idle, 1))
        return scores

    def _grow(self, pages: int, born: int) -> None:
        more = pages - len(self._last)
        if more > 0:
            self._last = np.concatenate((self._last, np.full(more, float(born))))
            self._gap = np.concatenate((self._gap, np.zeros(more)))
            self._read = np.concatenate((self._read, np.zeros(more, dtype=np.bool_)))


@register_placement
class Oracle(Ranked):
    """The pages whose next read is nearest have tier 0, those that come next tier 1, and so on.

    It knows the future: a bound on what any placement finds in tier 0 after each step, not on time, since it
    moves pages without asking what that costs: see `moves` and `reserve` in `Ranked`.

    Cost and state: those of `Ranked`, and one look-up a page after each step.

    Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
    Journal 5(2), 1966, for each tier in turn.
    """

    name = "oracle"
    needs_future = True

    def __init__(self, view: PlacementView, reserve: Part | None = None, moves: Moves = None) -> None:
        super().__init__(view, reserve=reserve, moves=moves)

    def scores(self, pages: NDArray[np.int64]) -> NDArray[np.float64]:
        next_read = self.future.next_read
        return -np.fromiter(map(next_read, pages.tolist()), np.float64, len(pages))
