"""What moves where, decided page by page and without a clock: the naive bookkeeping of the oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from oracle.description import Case, Layer


class Cls(IntEnum):
    """Why bytes move; a smaller number goes first."""

    DEMAND = 0
    WRITE_BACK = 1
    PREFETCH = 2
    BACKGROUND = 3


@dataclass(frozen=True)
class Move:
    """The page leaves `source` for `target`; `keep` says that a copy stays behind and keeps its room."""

    page: int
    source: int
    target: int
    cls: Cls
    keep: bool = False


@dataclass(frozen=True)
class Birth:
    """The page comes into being in `tier`."""

    page: int
    tier: int


@dataclass(frozen=True)
class Drop:
    """The page's copy in `tier` is forgotten."""

    page: int
    tier: int


Decision = Move | Birth | Drop


@dataclass
class Announced:
    """What the announcement of a layer found."""

    hits: int = 0
    absent: int = 0
    direct: tuple[int, ...] = ()
    """Pages to be read in place."""


class NoRoom(Exception):
    """A page that must go somewhere cannot: everything there is protected."""


class Bookkeeper:
    """Logical residency, with one least-recently-used list a tier. Tells `emit` of every decision."""

    def __init__(self, case: Case, emit: Callable[[Decision], None]) -> None:
        self.case = case
        self.emit = emit
        self.last = len(case.tiers) - 1
        self.nearest = [-1] * len(case.scalars)
        self.held: list[int | None] = [None] * len(case.scalars)
        self.home: list[int | None] = [None] * len(case.scalars)
        """Where a page that is staged in tier 0 keeps its place."""
        self.pins = [0] * len(case.scalars)
        self.used = [0] * len(case.tiers)
        self.recency: list[list[int]] = [[] for _ in case.tiers]
        """Pages of each tier, least recently read or inserted first."""
        self.found = [0] * len(case.tiers)
        self.absent = 0
        self.evictions = [0] * len(case.tiers)
        self.discards = [0] * len(case.tiers)
        self._place()

    def _place(self) -> None:
        """Initial pages in order: all to the last tier, or to one tier after the other as each is full.

        A page that starts above an inclusive tier with room to spare has its copy there, as if it had been
        promoted from it.
        """
        tier = 0 if self.case.fill else self.last
        for page in range(self.case.initial):
            while not self._fits(page, tier):
                tier += 1
                if tier > self.last:
                    raise NoRoom(f"page {page} has no room at the start")
            self._insert(page, tier)
            if self.case.tiers[tier].inclusive:
                continue  # it is an owner copy itself
            copy = self._keeper(page, tier)
            if copy is not None:
                self.held[page] = copy
                self.used[copy] += self.case.size(page, copy)

    def _fits(self, page: int, tier: int) -> bool:
        return self.used[tier] + self.case.size(page, tier) <= self.case.tiers[tier].capacity

    def _keeper(self, page: int, tier: int) -> int | None:
        """The first inclusive tier below that has room for a copy."""
        below = range(tier + 1, self.last + 1)
        return next((k for k in below if self.case.tiers[k].inclusive and self._fits(page, k)), None)

    def _insert(self, page: int, tier: int) -> None:
        """The page is now in the tier; takes its room unless a copy of it already has it."""
        if self.home[page] == tier:
            self.home[page] = None
        elif self.held[page] == tier:
            self.held[page] = None
        else:
            self.used[tier] += self.case.size(page, tier)
        self.nearest[page] = tier
        self.recency[tier].append(page)

    def _remove(self, page: int, hold: bool = False, stage: bool = False) -> None:
        """The page leaves its tier; with `hold` a copy stays behind, with `stage` it keeps its place."""
        tier = self.nearest[page]
        self.recency[tier].remove(page)
        self.nearest[page] = -1
        if stage:
            self.home[page] = tier
        elif hold:
            self.held[page] = tier
        else:
            self.used[tier] -= self.case.size(page, tier)

    def _victim(self, tier: int) -> int | None:
        for page in self.recency[tier]:
            if not self.pins[page]:
                return page
        return None

    def make_room(self, tier: int, size: int, cls: Cls = Cls.WRITE_BACK) -> bool:
        """Evict until `size` bytes are free; False if that cannot be had."""
        if size > self.case.tiers[tier].capacity:
            return False
        while self.case.tiers[tier].capacity - self.used[tier] < size:
            page = self._victim(tier)
            if page is None:
                return False
            self.evict(page, cls)
        return True

    def evict(self, page: int, cls: Cls = Cls.WRITE_BACK) -> None:
        """The page leaves its tier for the copy below it, else the next tier with room, else for ever.

        Whatever must leave that tier in turn does so in the same class.
        """
        tier = self.nearest[page]
        self.evictions[tier] += 1
        if self._return(page):
            return
        for target in range(tier + 1, self.last + 1):
            if self.make_room(target, self.case.size(page, target), cls):
                self._remove(page)
                self._insert(page, target)
                self.emit(Move(page, tier, target, cls))
                return
        self._remove(page)
        self.discards[tier] += 1
        self.emit(Drop(page, tier))

    def _return(self, page: int) -> bool:
        """The page goes to where a copy of it is, if there is one."""
        tier = self.nearest[page]
        copy = self.held[page] if self.home[page] is None else self.home[page]
        if copy is None:
            return False
        self._remove(page)
        self._insert(page, copy)
        self.emit(Drop(page, tier))
        return True

    def wish(self, page: int, target: int) -> None:
        """Somebody wants the page in that tier: it moves in the background if it exists and there is room."""
        source = self.nearest[page]
        if source < 0 or source == target:
            return
        if target > source and self._return(page):
            return
        if not self.make_room(target, self.case.size(page, target), Cls.BACKGROUND):
            return
        if self.nearest[page] != source:
            return  # it had to make room itself
        tiers = self.case.tiers
        up = target < source
        enters = up and target > 0 and tiers[target].inclusive
        copy = self.held[page]
        if enters and copy is not None:
            self.held[page] = None
            self.used[copy] -= self.case.size(page, copy)
            self.emit(Drop(page, copy))
        keep = up and tiers[source].inclusive and not enters
        self._remove(page, hold=keep)
        self._insert(page, target)
        self.emit(Move(page, source, target, Cls.BACKGROUND, keep))

    def _need_room(self, tier: int, page: int) -> None:
        if not self.make_room(tier, self.case.size(page, tier)):
            raise NoRoom(f"no room for page {page} in tier {tier}")

    def birth(self, page: int, tier: int) -> None:
        """The page comes into being in the tier."""
        self._need_room(tier, page)
        self._insert(page, tier)
        self.emit(Birth(page, tier))

    def promote(self, page: int, cls: Cls) -> None:
        """Fetch the page to tier 0."""
        source = self.nearest[page]
        stage, keep = self.case.tiers[source].stage, self.case.tiers[source].inclusive
        self._need_room(0, page)
        self._remove(page, hold=keep, stage=stage)
        self._insert(page, 0)
        self.emit(Move(page, source, 0, cls, keep or stage))

    def _touch(self, page: int) -> None:
        tier = self.nearest[page]
        if tier >= 0:
            self.recency[tier].remove(page)
            self.recency[tier].append(page)
            self.found[tier] += 1
        else:
            self.absent += 1

    def _read(self, page: int, cls: Cls, seen: Announced) -> None:
        """See to it that a page that was looked up can be read."""
        tier = self.nearest[page]
        if tier == 0:
            seen.hits += 1
            return
        if tier < 0:
            seen.absent += 1
            tier = self.last if self.case.absent == "appear" else 0
            self.birth(page, tier)
        if tier > 0 and self.case.tiers[tier].direct:
            seen.direct += (page,)
        elif tier > 0:
            self.promote(page, cls)

    def announce(self, layer: Layer, cls: Cls) -> Announced:
        """Protect the layer's pages, look them up and fetch what is missing."""
        seen = Announced()
        if layer.ordered:
            for page in layer.pages:
                self.pins[page] += 1
                self._touch(page)
                self._read(page, cls, seen)
        else:
            for page in layer.pages:
                self.pins[page] += 1
            hits = [page for page in layer.pages if self.nearest[page] == 0]
            others = [page for page in layer.pages if self.nearest[page] != 0]
            # the policy learns of the whole set first: nearest tier first, absent pages last
            for page in sorted(layer.pages, key=lambda page: self.nearest[page] % (self.last + 2)):
                self._touch(page)
            for page in hits + others:
                self._read(page, cls, seen)
        self.watermarks()
        return seen

    def unpin(self, layer: Layer) -> None:
        """The layer's pages may leave again; those that were staged do, unless another layer needs them."""
        for page in layer.pages:
            self.pins[page] -= 1
        for page in layer.pages:
            if self.home[page] is not None and not self.pins[page]:
                self._return(page)

    def watermarks(self) -> None:
        """Empty tiers that are too full, in the background."""
        for number, tier in enumerate(self.case.tiers):
            if tier.high is None or tier.low is None or self.used[number] <= tier.high * tier.capacity:
                continue
            while self.used[number] > tier.low * tier.capacity:
                page = self._victim(number)
                if page is None:
                    break
                self.evict(page, Cls.BACKGROUND)

    def may_announce(self, layer: Layer, before: tuple[Layer, ...]) -> bool:
        """Whether a layer may be fetched ahead, `before` being the running one and those already announced.

        A page that two of them read counts twice, and the pages that any of them creates need room too.
        """
        pinned = sum(self.case.size(page, 0) * count for page, count in enumerate(self.pins))
        wanted = sum(self.case.size(page, 0) for page in layer.pages)
        created = max(sum(self.case.size(page, 0) for page in earlier.created) for earlier in before)
        return pinned + wanted + created <= self.case.tiers[0].capacity
