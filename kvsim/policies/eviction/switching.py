"""The one of three policies that would have lost the least attention lately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.eviction.attention import AttentionPolicy, even_shares
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.h2o import H2o
from kvsim.policies.eviction.streaming import Streaming
from kvsim.policies.eviction.worth import Worth
from kvsim.policies.registry import register_eviction

__all__ = ["Switching"]


class _Recency(AttentionPolicy):
    """Of a group the page leaves that received its even share of the attention, or came to the tier, longest
    ago."""

    def __init__(self, view: ResidencyView, even: bool) -> None:
        super().__init__(view, even)
        self._last = self.table(-1, np.int64)

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        self._last.values[page] = self.view.step

    def observed(self, pages: Pages, mass: Worth, groups: Pages) -> None:
        self._last.values[pages[even_shares(mass, groups) >= 1]] = self.view.step

    def forget(self) -> None:
        """Only reads of the first step are known, if any: they do no harm."""

    def worth(self, pages: Pages, group: int) -> Worth:
        last: Worth = self._last.values[pages].astype(np.float64)
        return last


class _Shadow:
    """One policy in a tier that is too small; also the policy's view of it.

    The pages that it must give up are still in the real tier, so what they go on to receive is known.
    """

    tier_count = 1

    def __init__(self, view: ResidencyView) -> None:
        self._view = view
        self.kept: set[int] = set()
        self.bytes_of = view.bytes_of
        self.group_of = view.group_of

    @property
    def step(self) -> int:
        return self._view.step

    def is_pinned(self, page: int) -> bool:
        return False

    def tier_of(self, page: int) -> int:
        return 0 if page in self.kept else -1


class _Expert:
    """A policy twice: as if it alone decided for the real tiers, and in a shadow of the first."""

    def __init__(self, kind: type[Streaming | H2o | _Recency], view: ResidencyView, even: bool) -> None:
        self.policy: EvictionPolicy = kind(view, even=even)
        self._small = _Shadow(view)
        self._shadow: EvictionPolicy = kind(self._small, even=even)
        self.lost: set[int] = set()
        """Pages of the running access that the shadow had given up."""
        self.ghosts: dict[int, None] = {}
        """Pages that the real tier lost while the shadow kept them, the latest last, a shadow full."""
        self.regret = 0.0

    def accessed(self, pages: Sequence[int], tier: int) -> int:
        """How many of the pages the shadow had given up."""
        kept, ghosts = self._small.kept, self.ghosts
        lost = [page for page in pages if page not in kept and page not in ghosts]
        self.policy.accessed(pages, tier)
        self._shadow.accessed(pages, tier)
        self.lost.update(lost)
        return len(lost)

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> float:
        """How much of the mass went to pages that the shadow had given up when they were read."""
        self.policy.attended(pages, mass)
        self._shadow.attended(pages, mass)
        return sum(m for page, m in zip(pages, mass, strict=True) if page in self.lost)

    def inserted(self, page: int, tier: int, room: int) -> None:
        """`room`: pages that the shadow may hold."""
        self.policy.inserted(page, tier)
        if tier == 0:
            self.ghosts.pop(page, None)
            self._shadow.inserted(page, 0)
            self._small.kept.add(page)
            while len(self._small.kept) > room:
                gone = self._shadow.victim(0)
                assert gone is not None  # nothing is pinned in a shadow
                self._leave(gone)
                self._shadow.evicted(gone, 0)

    def removed(self, page: int, tier: int, room: int) -> None:
        """`room`: pages that the shadow might hold until now."""
        self.policy.removed(page, tier)
        if tier == 0 and page in self._small.kept:
            self._leave(page)
            self.ghosts[page] = None
            while len(self.ghosts) > room:
                del self.ghosts[next(iter(self.ghosts))]

    def _leave(self, page: int) -> None:
        self._small.kept.remove(page)
        self._shadow.removed(page, 0)


@register_eviction
class Switching(EvictionPolicy):
    """Follows `streaming`, `h2o` or a recency policy: the one that would have lost the least attention
    lately.

    Each of them also runs in a shadow of tier 0 that holds only the `shadow` share of its pages. What a
    shadow gave up is still in the real tier, mostly, so the attention that it goes on to receive is known:
    that is the policy's regret. What left the real tier while a shadow kept it, and is read again, is regret
    of the others only. Regret fades by 1 / `memory` a step. The leader changes when another's is smaller
    by the share `margin`; the first leader is `streaming`. All tiers follow the leader. The recency policy
    is lru by layer and head group, where only a read with at least the mean attention of those of its group
    counts. Where the workload knows no attention, each read counts as a mass of 1.

    Who is better at half the room need not be better at all of it; and pages that are gone for good cause no
    regret to anyone.

    Cost: that of six policies, and a look at each page read, three times; state: that of six policies, and
    the names of the pages in the shadows.

    Source: the regret of several experts is that of G. Vietri et al., "Driving cache replacement with
    ML-based LeCaR", HotStorage 2018; to let each run beside the cache in a smaller copy, that of C.
    Waldspurger et al., "Cache modeling and optimization using miniature simulations", USENIX ATC 2017.
    """

    name = "switching"

    def __init__(
        self,
        view: ResidencyView,
        memory: Annotated[int, Field(ge=1)] = 64,
        shadow: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        margin: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        even: bool = True,
    ) -> None:
        super().__init__(view)
        self._fade = 1.0 - 1.0 / memory
        self._share = shadow
        self._margin = margin
        self.experts = {
            "streaming": _Expert(Streaming, view, even),
            "h2o": _Expert(H2o, view, even),
            "recency": _Expert(_Recency, view, even),
        }
        self.leader = "streaming"
        """Who is followed now."""
        self._told = False
        self._held = 0
        """Pages in tier 0."""
        self._step = 0

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        self._pass_time()
        for expert in self.experts.values():
            lost = expert.accessed(pages, tier)
            if not self._told:
                expert.regret += lost
                expert.lost.clear()

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> None:
        if not self._told:
            self._told = True
            for expert in self.experts.values():
                expert.regret = 0.0
        for expert in self.experts.values():
            expert.regret += expert.attended(pages, mass)
            expert.lost.clear()

    def inserted(self, page: int, tier: int) -> None:
        self._held += tier == 0
        for expert in self.experts.values():
            expert.inserted(page, tier, self._room())

    def removed(self, page: int, tier: int) -> None:
        room = self._room()
        self._held -= tier == 0
        for expert in self.experts.values():
            expert.removed(page, tier, room)

    def evicted(self, page: int, tier: int) -> None:
        for expert in self.experts.values():
            expert.policy.evicted(page, tier)

    def victim(self, tier: int) -> int | None:
        return self.experts[self.leader].policy.victim(tier)

    def contents(self, tier: int) -> Iterable[int]:
        return self.experts[self.leader].policy.contents(tier)

    def _room(self) -> int:
        return max(1, int(self._held * self._share))

    def _pass_time(self) -> None:
        """In a new step: choose who leads, then let regret fade."""
        steps = self.view.step - self._step
        if not steps:
            return
        self._step = self.view.step
        best = min(self.experts, key=lambda name: self.experts[name].regret)
        if self.experts[best].regret < (1.0 - self._margin) * self.experts[self.leader].regret:
            self.leader = best
        for expert in self.experts.values():
            expert.regret *= self._fade**steps
