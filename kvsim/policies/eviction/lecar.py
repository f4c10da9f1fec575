"""Two experts, lru and lfu, and regret for their mistakes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from math import exp
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.eviction.heap import KeyHeap
from kvsim.policies.eviction.keyed import Key
from kvsim.policies.registry import register_eviction
from kvsim.randomness import stream

__all__ = ["Lecar"]

LRU, LFU, BOTH = 0, 1, 2


class _Experts:
    """One tier: recency, frequency, what each expert evicted, how far each is trusted."""

    __slots__ = ("chosen", "draw", "frequency", "histories", "pages", "recency", "trust")

    def __init__(self) -> None:
        self.recency: OrderedDict[int, None] = OrderedDict()
        self.frequency: KeyHeap[Key] = KeyHeap()
        self.histories: tuple[OrderedDict[int, tuple[int, int]], ...] = (OrderedDict(), OrderedDict())
        """Page -> when it was evicted, and its uses."""
        self.trust = 0.5
        """The weight of lru; that of lfu is the rest."""
        self.pages = 0
        self.draw: float | None = None
        """Decides the coming eviction."""
        self.chosen: tuple[int, int] = (-1, BOTH)
        """The page named last, and by whom."""


@register_eviction
class Lecar(EvictionPolicy):
    """Lets lru or lfu name the victim, by a random draw with weights, and shifts the weights with regret.

    What an expert evicted is remembered (as many pages as the tier holds, for each). When such a page is
    read, the other expert's weight is multiplied by exp(`rate` × `discount`^(age / pages)), where age
    counts the reads since the eviction, and the weights are scaled to sum to one and kept between .01 and
    .99. A page that both name is not remembered. A remembered page takes up its count of uses
    again; any other starts at one.

    Cost: a read O(1), an arrival and a victim O(log n) amortised, and that for each pinned page before it;
    state: an entry in both experts a page, and one a page remembered. The draw is one random number an
    eviction, from the stream "lecar" of the option `seed`, so equal runs are equal.

    Source: G. Vietri et al., "Driving cache replacement with ML-based LeCaR", HotStorage 2018.
    """

    name = "lecar"

    def __init__(
        self,
        view: ResidencyView,
        rate: Annotated[float, Field(ge=0)] = 0.45,
        discount: Annotated[float, Field(gt=0, le=1)] = 0.005,
        seed: int = 0,
    ) -> None:
        super().__init__(view)
        self._rate = rate
        self._discount = discount
        self._random = stream(seed, "lecar")
        self._tiers = [_Experts() for _ in range(view.tier_count)]
        self._uses: dict[int, int] = {}
        self._clock = 0
        self._events = 0

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        here = self._tiers[tier] if tier >= 0 else None
        for page in pages:
            self._clock += 1
            if here is not None:
                here.recency.move_to_end(page)
                self._uses[page] += 1
                self._rank(page, here)
            if tier != 0:
                self._regret(page, self._tiers[0])

    def _rank(self, page: int, here: _Experts) -> None:
        self._events += 1
        here.frequency.put(page, (self._uses[page], self._events))

    def _regret(self, page: int, here: _Experts) -> None:
        """The page is read: was it a mistake to evict it?"""
        for expert, history in enumerate(here.histories):
            if page not in history:
                continue
            then, uses = history.pop(page)
            self._uses.setdefault(page, uses + 1)
            regret = self._discount ** ((self._clock - then) / max(here.pages, 1))
            lru, lfu = here.trust, 1.0 - here.trust
            if expert == LRU:
                lfu *= exp(self._rate * regret)
            else:
                lru *= exp(self._rate * regret)
            here.trust = min(max(lru / (lru + lfu), 0.01), 0.99)

    def inserted(self, page: int, tier: int) -> None:
        here = self._tiers[tier]
        if tier:
            self._regret(page, here)
        self._uses.setdefault(page, 1)
        here.recency[page] = None
        self._rank(page, here)

    def removed(self, page: int, tier: int) -> None:
        here = self._tiers[tier]
        del here.recency[page]
        here.frequency.drop(page)

    def evicted(self, page: int, tier: int) -> None:
        here = self._tiers[tier]
        here.draw = None
        uses = self._uses.pop(page)
        named, expert = here.chosen
        if named != page or expert == BOTH:
            return
        history = here.histories[expert]
        history[page] = (self._clock, uses)
        while len(history) > here.pages:
            history.popitem(last=False)

    def victim(self, tier: int) -> int | None:
        here = self._tiers[tier]
        pinned = self.view.is_pinned
        oldest = next((page for page in here.recency if not pinned(page)), None)
        rarest = here.frequency.first(pinned)
        if oldest is None or rarest is None:
            return None
        here.pages = len(here.recency)
        if oldest == rarest:
            here.chosen = (oldest, BOTH)
            return oldest
        if here.draw is None:
            here.draw = float(self._random.random())
        here.chosen = (oldest, LRU) if here.draw < here.trust else (rarest, LFU)
        return here.chosen[0]

    def contents(self, tier: int) -> Iterable[int]:
        return self._tiers[tier].recency.keys()
