"""Heavy hitters and the newest."""

from __future__ import annotations

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.attention import AttentionPolicy, Share
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.worth import Worth, keep_newest
from kvsim.policies.registry import register_eviction

__all__ = ["H2o"]


@register_eviction
class H2o(AttentionPolicy):
    """Keeps the newest pages of each layer and head group, and of the others those that have received the
    most attention so far.

    The share `recent` of the group's pages, rounded up, is kept for being the newest. Attention is summed
    from the page's birth to the end of the run, never aged, also while the page is elsewhere. The paper
    chooses tokens, this pages; where the workload knows no attention, each read counts as a mass of 1.

    Cost: an access O(its pages), vectorised; an arrival and a removal O(log n), a victim O(pages of the
    group), vectorised; state: three numbers a page.

    Source: Z. Zhang et al., "H2O: heavy-hitter oracle for efficient generative inference of large language
    models", NeurIPS 2023.
    """

    name = "h2o"

    def __init__(self, view: ResidencyView, recent: Share = 0.5, even: bool = True) -> None:
        super().__init__(view, even)
        self._recent = recent
        self._mass = self.table()

    def observed(self, pages: Pages, mass: Worth, groups: Pages) -> None:
        self._mass.values[pages] += mass

    def forget(self) -> None:
        self._mass.values[:] = 0

    def worth(self, pages: Pages, group: int) -> Worth:
        return keep_newest(self._mass.values[pages], self._recent)
