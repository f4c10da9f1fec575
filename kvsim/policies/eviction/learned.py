"""A light predictor of reuse that learns while the cache runs."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.attention import AttentionPolicy, Share, even_shares
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.logistic import Column, Logistic
from kvsim.policies.eviction.worth import Worth, keep_newest
from kvsim.policies.registry import register_eviction

__all__ = ["Learned"]

FADE = 0.9
"""What is left of the attention a page received, from one step to the next."""
PRIOR = (0.0, -1.0, 0.0, 0.0, 0.0)
"""Weights of the features before anything is learned: what was important longest ago leaves, as in lru."""


@register_eviction
class Learned(AttentionPolicy):
    """Removes the page that a logistic regression finds least likely to be important again soon.

    Important is a read with at least the mean attention of the pages of the layer and head group read with
    it. Features of a page: a constant, log2(1 + steps since it was important, or came), in which share of
    the steps since it came it was important, log2(1 + attention in even shares, a fading average), log2(1 +
    steps since it came). Every `horizon` steps all pages are looked at again: which have been important
    meanwhile is what the features of the look before are trained on, all layers alike, by AdaGrad at
    `rate`. The share `recent` of a group's pages, rounded up, is kept for being the newest.

    It is the smallest thing that deserves the name, not one of the published predictors: one linear model,
    no content, no training beforehand; it starts as lru, and needs a few horizons to be better. A page that
    is in no tier any more teaches nothing, so where eviction is for good it learns from what it kept only,
    and never that it was wrong to evict.

    Cost: an access O(its pages), an arrival and a removal O(log n), a victim O(pages of the group), and
    O(pages) every `horizon` steps, all vectorised; state: eight numbers a page, and five for the look
    before.

    Source: after D. Jiménez and E. Teran, "Multiperspective reuse prediction", MICRO 2017 (linear models
    trained online), and Z. Song et al., "Learning relaxed Belady for content distribution network caching",
    NSDI 2020 (samples labelled by what comes within a window); features and model are kvsim's own.
    """

    name = "learned"

    def __init__(
        self,
        view: ResidencyView,
        horizon: Annotated[int, Field(ge=1)] = 16,
        rate: Annotated[float, Field(gt=0)] = 0.5,
        recent: Share = 0.1,
        even: bool = True,
    ) -> None:
        super().__init__(view, even)
        self.model = Logistic(PRIOR, rate)
        self._horizon = horizon
        self._recent = recent
        self._tier = self.table(-1, np.int8)
        self._born = self.table(-1, np.int64)
        self._last = self.table(-1, np.int64)
        """Step in which the page was important last; -1: it never was."""
        self._times = self.table(0, np.int64)
        self._mass = self.table()
        self._faded = self.table(0, np.int64)
        """Step for which `_mass` holds."""
        self._look: tuple[int, Pages, list[Column]] | None = None
        """When all pages were looked at last, and their features."""
        self._step = -1
        """Step for which the worth of pages was last asked."""

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        self._tier.values[page] = tier
        if self._born.values[page] < 0:
            self._born.values[page] = self.view.step

    def removed(self, page: int, tier: int) -> None:
        super().removed(page, tier)
        self._tier.values[page] = -1

    def victim(self, tier: int) -> int | None:
        if self._step != self.view.step:  # all have aged
            self._step = self.view.step
            self.stale()
        return super().victim(tier)

    def observed(self, pages: Pages, mass: Worth, groups: Pages) -> None:
        step = self.view.step
        if self._look is None or step - self._look[0] >= self._horizon:
            self._learn(step)
        shares = even_shares(mass, groups)
        self._mass.values[pages] = self._faded_mass(pages) + (1.0 - FADE) * shares
        self._faded.values[pages] = step
        new = pages[self._born.values[pages] < 0]
        self._born.values[new] = step
        important = pages[shares >= 1]
        self._last.values[important] = step
        self._times.values[important] += 1

    def forget(self) -> None:
        self._look = None
        self._last.values[:] = -1
        self._times.values[:] = 0
        self._mass.values[:] = 0

    def features(self, pages: Pages) -> list[Column]:
        """The features of each of the pages now, one column each."""
        born = self._born.values[pages]
        age = self.view.step - born
        return [
            np.ones(len(pages)),
            np.log2(1.0 + self.view.step - np.maximum(self._last.values[pages], born)),
            self._times.values[pages] / (1.0 + age),
            np.log2(1.0 + self._faded_mass(pages)),
            np.log2(1.0 + age),
        ]

    def worth(self, pages: Pages, group: int) -> Worth:
        odds = np.round(self.model.log_odds(self.features(pages)), 9)
        return keep_newest(odds, self._recent)

    def _faded_mass(self, pages: Pages) -> Worth:
        faded: Worth = self._mass.values[pages] * FADE ** (self.view.step - self._faded.values[pages])
        return faded

    def _learn(self, step: int) -> None:
        """See what came of the pages of the last look, and look at all pages anew."""
        if self._look is not None:
            then, pages, features = self._look
            here = self._tier.values[pages] >= 0
            important = self._last.values[pages[here]] >= then
            self.model.learn([column[here] for column in features], important.astype(np.float64))
            self.stale()
        pages = np.flatnonzero(self._tier.values >= 0)
        self._look = (step, pages, self.features(pages))
