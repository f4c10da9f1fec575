"""The contract between the engine and the policies: who decides, without a clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray


class ResidencyView(Protocol):
    """What a policy may look at: read-only, one answer per page, no clock.

    Pages are dense integers. To a policy every page is in exactly one tier, the
    fastest that holds it; the copy an inclusive tier keeps below is not its concern.
    """

    @property
    def tier_count(self) -> int:
        """Number of tiers; tier 0 is nearest the compute."""
        ...

    @property
    def step(self) -> int:
        """Number of the running step, from 0: the only time a policy knows."""
        ...

    def is_pinned(self, page: int) -> bool:
        """Whether a running or announced layer holds the page, so that it must stay."""
        ...

    def tier_of(self, page: int) -> int:
        """The fastest tier that holds the page, or -1 when none does."""
        ...

    def bytes_of(self, page: int, tier: int) -> int:
        """Bytes the page takes in that tier's storage scheme."""
        ...

    def group_of(self, page: int) -> int:
        """Number of the layer and head group that the page is of: layer x head groups + head group.

        0 for all pages where the workload does not tell."""
        ...


class PlacementView(ResidencyView, Protocol):
    """What a placement policy may look at besides: the machine, and the pages that there will be."""

    def capacity_of(self, tier: int) -> int:
        """Bytes of pages that the tier holds."""
        ...

    def reads_in_place(self, tier: int) -> bool:
        """Whether compute reads the tier's pages where they are."""
        ...

    def bandwidth_of(self, tier: int) -> int | None:
        """Bytes per second at which compute reads what is in the tier, from all but tier 0 over the links.

        Of tier 0 what the roofline reaches of it; None where neither the tier nor a GPU tells."""
        ...

    @property
    def initial_pages(self) -> int:
        """Pages 0 … n-1 exist when the run starts."""
        ...

    def page_layers(self) -> NDArray[np.int64]:
        """Layer of each page that will ever exist, by its number, those that exist at the start first.

        Where the workload does not tell, of the pages it does tell of, which are of one layer."""
        ...

    def sizes_of(self, pages: NDArray[np.int64], tier: int) -> NDArray[np.int64]:
        """Bytes each of the pages takes in that tier's storage scheme."""
        ...

    def homes(self) -> NDArray[np.int8]:
        """Tier that each page belongs to, by its number; -1 for none. May be longer than there are pages.

        A page that is in tier 0 only to be read belongs to the tier that keeps its place."""
        ...


class Future(Protocol):
    """What lies ahead: for oracles, and only for policies that declare `needs_future`."""

    def next_read(self, page: int) -> int:
        """Position, in the sequence of all page reads of the run, of the next read of `page`.

        Reads of the layer being announced count as past. A page that is never read again has
        the position `never`.
        """
        ...

    @property
    def never(self) -> int:
        """A position after every read."""
        ...

    def coming(self, count: int) -> Sequence[int]:
        """The pages of the next `count` reads, in order, repetitions included."""
        ...


class EvictionPolicy(ABC):
    """Chooses which page leaves a full tier. One object serves every tier of a run.

    The engine reports what happened, in order, and asks for victims. Subclasses set
    `name` and are registered with `kvsim.policies.register_eviction`.
    """

    name: ClassVar[str]
    needs_future: ClassVar[bool] = False
    """Whether `future` must be set; the engine then reads the workload twice."""
    future: Future
    """Set by the engine before the run, if `needs_future`."""
    any_number: ClassVar[bool] = False
    """Whether pages may have any numbers, because there is no table over them all."""

    def __init__(self, view: ResidencyView) -> None:
        self.view = view

    @abstractmethod
    def accessed(self, pages: Sequence[int], tier: int) -> None:
        """`pages`, all in `tier` (-1: in none), are read, in this order.

        Called before the engine looks for room, so a policy sees the access first.
        """

    @abstractmethod
    def inserted(self, page: int, tier: int) -> None:
        """`page` now belongs to `tier` (arrived, born, demoted or placed there)."""

    def insert(self, pages: Sequence[int], tier: int) -> None:
        """`inserted`, page after page; a policy that can take in many at once may do so. Where it does, what
        is made of it by overriding `inserted` must override this, too."""
        for page in pages:
            self.inserted(page, tier)

    @abstractmethod
    def removed(self, page: int, tier: int) -> None:
        """`page` no longer belongs to `tier` (promoted, demoted or discarded)."""

    def evicted(self, page: int, tier: int) -> None:  # noqa: B027  # most policies need not know
        """`page` was removed from `tier` to make room; follows `removed`, which promotions cause too."""

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> None:  # noqa: B027  # likewise
        """Attention mass that the pages just read received, where the workload knows it."""

    @abstractmethod
    def victim(self, tier: int) -> int | None:
        """The page of `tier` to remove next, never a pinned one; None when all are pinned.

        Asking changes nothing: the engine follows with `removed` if it acts on the answer.
        """

    def evict(self, tier: int, count: int) -> list[int]:
        """The next `count` victims, one after another, each removed and evicted; fewer where all others are
        pinned. A policy that can find many at once may do so. Where it does, what is made of it by overriding
        `victim`, `removed` or `evicted` must override this, too."""
        gone: list[int] = []
        while len(gone) < count:
            page = self.victim(tier)
            if page is None:
                break
            self.removed(page, tier)
            self.evicted(page, tier)
            gone.append(page)
        return gone

    @abstractmethod
    def contents(self, tier: int) -> Iterable[int]:
        """The pages the policy believes to be in `tier`; the audit compares them with the truth."""


class PrefetchPolicy(ABC):
    """Guesses which pages will be read soon. Subclasses set `name` and are registered
    with `kvsim.policies.register_prefetch`."""

    name: ClassVar[str]
    needs_future: ClassVar[bool] = False
    """Whether `future` must be set; the engine then reads the workload twice."""
    future: Future
    """Set by the engine before the run, if `needs_future`."""
    lead: int | None = None
    """Layer accesses, from the one just told, until the first of the guesses is needed: 1, by the next. What
    has to wait that long is given up; it may be guessed again. None: there is no such deadline. A policy that
    looks ahead now more, now less, sets it anew in each call."""

    def __init__(self, view: ResidencyView) -> None:
        self.view = view

    @abstractmethod
    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        """`pages` of `layer` are being read; returns pages worth fetching now, best first.

        Pages already in tier 0 may be among them: the engine skips those.
        """


class PlacementPolicy(ABC):
    """Decides where pages start, which of those that are read stay near the compute, and which should
    move meanwhile. Subclasses set `name` and are registered with `kvsim.policies.register_placement`.
    """

    name: ClassVar[str]
    watches: ClassVar[bool] = False
    """Whether the policy has a say after the start: only then is it told what is read, and asked `keeps` and
    `migrations`."""
    needs_direct: ClassVar[bool] = False
    """Whether a tier below the first must be read in place."""
    needs_future: ClassVar[bool] = False
    """Whether `future` must be set; the engine then reads the workload twice."""
    future: Future
    """Set by the engine before the run, if `needs_future`."""

    def __init__(self, view: PlacementView) -> None:
        self.view = view

    def start(self, page: int) -> int:
        """The tier in which a page that exists at the start is wanted; if it is full, the next one down
        that has room is taken. Default: tier 0."""
        return 0

    def accessed(self, pages: NDArray[np.int64]) -> None:  # noqa: B027  # only those that watch need to know
        """`pages` are read, wherever they are. Called before the engine looks for room."""

    def attended(self, pages: NDArray[np.int64], mass: NDArray[np.float64]) -> None:  # noqa: B027  # likewise
        """Attention mass that the pages just read received, where the workload knows it."""

    def keeps(self, page: int) -> bool:
        """Whether a page that is brought to tier 0 to be read is to stay there. Default: yes.

        If not it is staged: its place in the tier it came from is kept, and what is in tier 0 is dropped
        after the layer."""
        return True

    def weighs(self) -> int:
        """Pages whose place the next `migrations` is about to weigh: what the decision costs goes by it.

        Default: 0, of policies that have decided once and for all."""
        return 0

    def migrations(self) -> Iterable[tuple[int, int]]:
        """After a step: pages and the tier each should be in, most urgent first.

        They move in the background. The engine skips pages that are pinned or there already, and those
        that find no room."""
        return ()
