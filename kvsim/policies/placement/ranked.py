"""Placement by rank: the pages that score highest have the fastest tier."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kvsim.policies.base import PlacementPolicy, PlacementView
from kvsim.policies.placement.room import first_room, fitting, positions

__all__ = ["Ranked"]


class Ranked(PlacementPolicy):
    """Fills one tier after the other with the pages that score highest, anew after each step.

    A page scores `hysteresis` more for the tiers it is in or above already, so that it moves only for one
    that is clearly better; of equals the one in the faster tier goes first, then the one with fewer pages of
    its layer before it: so a tier has as much of each layer. Pages that score less than the tier's entry in
    `thresholds` (none: any score will do) go further down, whether there is room or not; the last tier takes
    all that are left. The share `reserve` of tier 0 is for staging: by default what two layers take, at most
    half, and nothing where all other tiers are read in place or all pages fit tier 0. After a step not more
    than `moves` pages leave a tier downward, the lowest scores first, and as many come up into one, the
    highest first.

    Pages that exist at the start are all equal. Those that are not for tier 0 are staged when
    they are read, unless they are read in place. Subclasses say what a page scores.

    Cost: a sort of all pages after a step; state: a byte a page, and what the score needs.
    """

    watches = True

    def __init__(
        self,
        view: PlacementView,
        thresholds: Sequence[float] = (),
        hysteresis: float = 0.0,
        reserve: float | None = None,
        moves: int | None = None,
    ) -> None:
        super().__init__(view)
        between = view.tier_count - 1
        self._thresholds = [*thresholds[:between], *[-np.inf] * (between - len(thresholds))]
        self._hysteresis = hysteresis
        self._moves = moves
        self._rooms = [view.capacity_of(tier) for tier in range(view.tier_count)]
        self._rooms[0] = first_room(view, reserve)
        self._order = positions(view.page_layers())
        """What goes first among equals."""
        initial = np.arange(view.initial_pages)
        self._first = self._tiers(initial, np.zeros_like(initial), np.full(len(initial), np.inf))
        self._stays = (self._first == 0).tobytes()
        """Whether each page is for tier 0."""

    @abstractmethod
    def scores(self, pages: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the pages score after the step that has just ended: all that are anywhere, ascending."""

    def start(self, page: int) -> int:
        return int(self._first[page]) if page < len(self._first) else 0

    def keeps(self, page: int) -> bool:
        return page < len(self._stays) and bool(self._stays[page])

    def weighs(self) -> int:
        homes = self.view.homes()
        pages = np.flatnonzero(homes >= 0)
        return 0 if self._all_is_well(pages, homes[pages]) else len(pages)

    def _all_is_well(self, pages: NDArray[np.int64], homes: NDArray[np.int8]) -> bool:
        """Whether all pages are in tier 0 and may stay there: then there is nothing to decide."""
        if homes.any() or self._thresholds[0] > -np.inf:
            return False
        return int(self.view.sizes_of(pages, 0).sum()) <= self.view.capacity_of(0)

    def _room_for(self, pages: NDArray[np.int64]) -> int:
        """Bytes of tier 0 for them: all of it if they fit, for then nothing is staged."""
        capacity = self.view.capacity_of(0)
        return capacity if self.view.sizes_of(pages, 0).sum() <= capacity else self._rooms[0]

    def migrations(self) -> Iterator[tuple[int, int]]:
        everywhere = self.view.homes().astype(np.int64)
        pages = np.flatnonzero(everywhere >= 0)
        homes = everywhere[pages]
        scores = self.scores(pages)
        tiers = self._tiers(pages, homes, scores)
        stays = np.zeros(int(pages.max(initial=-1)) + 1, dtype=np.bool_)
        stays[pages[tiers == 0]] = True
        self._stays = stays.tobytes()
        down = self._first_of_each(tiers > homes, homes, scores)
        up = self._first_of_each(tiers < homes, tiers, -scores)
        down = down[np.argsort(-homes[down], kind="stable")]  # those that make room for the others
        yield from self._in_turn(pages, homes, tiers, down.tolist(), up.tolist())

    def _first_of_each(
        self, moving: NDArray[np.bool_], group: NDArray[np.int64], urgency: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Of those that move the most urgent of each group, as many as may."""
        at = np.flatnonzero(moving)
        at = at[np.argsort(urgency[at], kind="stable")]
        if self._moves is not None:
            at = at[positions(group[at]) < self._moves]
        return at

    def _in_turn(
        self,
        pages: NDArray[np.int64],
        homes: NDArray[np.int64],
        tiers: NDArray[np.int64],
        down: Sequence[int],
        up: Sequence[int],
    ) -> Iterator[tuple[int, int]]:
        """The moves in an order in which each finds the room it needs, as far as there is one."""
        view = self.view
        free = [view.capacity_of(tier) for tier in range(view.tier_count)]
        for tier in range(view.tier_count):
            free[tier] -= int(view.sizes_of(pages[homes == tier], tier).sum())
        waiting = deque(down), deque(up)
        while waiting[0] or waiting[1]:
            queue = self._next(waiting, pages, tiers, free)
            at = queue.popleft()
            page, source, target = int(pages[at]), int(homes[at]), int(tiers[at])
            free[source] += view.bytes_of(page, source)
            free[target] -= view.bytes_of(page, target)
            yield page, target

    def _next(
        self,
        waiting: tuple[deque[int], deque[int]],
        pages: NDArray[np.int64],
        tiers: NDArray[np.int64],
        free: Sequence[int],
    ) -> deque[int]:
        """Down or up, whichever has room; down, if neither has."""
        for queue in waiting:
            if queue:
                target = int(tiers[queue[0]])
                if self.view.bytes_of(int(pages[queue[0]]), target) <= free[target]:
                    return queue
        return waiting[0] or waiting[1]

    def _tiers(
        self, pages: NDArray[np.int64], homes: NDArray[np.int64], scores: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """The tier each page should be in."""
        tiers = np.full(len(pages), len(self._rooms) - 1)
        left = np.arange(len(pages))
        rooms = [self._room_for(pages), *self._rooms[1:]]
        for tier, threshold in enumerate(self._thresholds):
            values = scores[left] + self._hysteresis * (homes[left] <= tier)
            order = np.lexsort((left, self._place(pages[left]), homes[left], -values))
            order = order[values[order] >= threshold]
            order = order[: fitting(self.view, pages[left[order]], tier, rooms[tier])]
            tiers[left[order]] = tier
            left = np.delete(left, order)
        return tiers

    def _place(self, pages: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many pages of its layer each comes after; its number, where the workload does not tell."""
        told = pages < len(self._order)
        places = pages.copy()
        places[told] = self._order[pages[told]]
        return places
