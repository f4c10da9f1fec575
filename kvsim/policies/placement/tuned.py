"""A placement that searches for its own settings while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kvsim.policies.base import PlacementView
from kvsim.policies.placement.adaptive import Moves, Part, Weight
from kvsim.policies.placement.ranked import Ranked
from kvsim.policies.placement.room import fitting
from kvsim.policies.registry import register_placement

__all__ = ["Tuned"]

Weights = Annotated[Sequence[Weight], Field(min_length=1)]
Thresholds = Annotated[Sequence[Annotated[float, Field(ge=0)]], Field(min_length=1)]


@register_placement
class Tuned(Ranked):
    """`adaptive` with two settings found by search: the weight of the latest step, and the threshold, by how
    much more often a page must be read to take another's place.

    Each combination of `weights` and `thresholds` is a candidate, and is tried beside the others on paper:
    what would it have in tier 0, how many reads would have found their page there, and how many pages would
    it have moved up for that? A candidate's gain is the one less the other, since a page moved up is a
    transfer as a miss is one, summed over the steps, each counting `forget` times the one after it. The pages
    are placed as the candidate with the largest gain says (of equals the first).

    What is simplified: candidates move all they want at once, and tier 0 is the only one looked at. For
    settings that hold for a whole run, searched by simulating it, see `kvsim tune`.

    Cost and state: those of `Ranked` for every candidate; a number a page and weight, a byte a page and
    candidate.

    Source: following whichever of several policies would have done best lately, as in R. Ari et al.,
    "ACME: adaptive caching using multiple experts", WDAS 2002.
    """

    name = "tuned"

    def __init__(
        self,
        view: PlacementView,
        weights: Weights = (0.1, 0.3, 0.8),
        thresholds: Thresholds = (0.05, 0.2, 0.5),
        forget: Annotated[float, Field(gt=0, le=1)] = 0.9,
        reserve: Part | None = None,
        moves: Moves = 256,
    ) -> None:
        super().__init__(view, (), 0.0, reserve, moves)
        self._candidates = tuple(product(range(len(weights)), thresholds))
        self._weights = np.array(weights)[:, np.newaxis]
        self._forget = forget
        self._gains = np.zeros(len(self._candidates))
        self._rates = np.ones((len(weights), 0))
        self._read = np.zeros(0, dtype=np.bool_)
        self._near = np.zeros((len(self._candidates), 0), dtype=np.bool_)
        """What each candidate would have in tier 0."""
        self._grow(len(self._first))
        self._near[:, :] = self._first == 0
        self._follow(0)

    @property
    def followed(self) -> tuple[float, float]:
        """Weight and threshold that hold now."""
        which, threshold = self._candidates[self._best]
        return float(self._weights[which, 0]), threshold

    def accessed(self, pages: NDArray[np.int64]) -> None:
        self._grow(int(pages.max(initial=-1)) + 1)
        self._read[pages] = True

    def weighs(self) -> int:
        return (1 + len(self._candidates)) * super().weighs()

    def scores(self, pages: NDArray[np.int64]) -> NDArray[np.float64]:
        self._grow(int(pages.max(initial=-1)) + 1)
        self._gains *= self._forget
        self._gains += self._near[:, self._read].sum(axis=1)
        self._rates += self._weights * (self._read - self._rates)
        self._read[:] = False
        for number in range(len(self._candidates)):
            self._gains[number] -= self._move_on_paper(number, pages)
        self._follow(int(self._gains.argmax()))
        scores: NDArray[np.float64] = self._rates[self._candidates[self._best][0], pages]
        return scores

    def _move_on_paper(self, number: int, pages: NDArray[np.int64]) -> int:
        """Set what the candidate would now have in tier 0; returns how many pages that moves up."""
        which, threshold = self._candidates[number]
        before = self._near[number, pages]
        values = self._rates[which, pages] + threshold * before
        order = np.lexsort((pages, self._place(pages), ~before, -values))
        order = order[: fitting(self.view, pages[order], 0, self._room_for(pages))]
        self._near[number] = False
        self._near[number, pages[order]] = True
        return int(np.count_nonzero(~before[order]))

    def _follow(self, number: int) -> None:
        """Place pages as that candidate says."""
        self._best = number
        _, self._hysteresis = self._candidates[number]

    def _grow(self, pages: int) -> None:
        """New pages have been read, and are born in tier 0."""
        more = pages - self._rates.shape[1]
        if more > 0:
            self._rates = np.pad(self._rates, ((0, 0), (0, more)), constant_values=1)
            self._read = np.pad(self._read, (0, more))
            self._near = np.pad(self._near, ((0, 0), (0, more)), constant_values=True)
