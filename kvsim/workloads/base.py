"""What a workload hands to the engine: a stream of steps, each a few layers of page reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pages = NDArray[np.int64]
NO_PAGES: Pages = np.empty(0, dtype=np.int64)
NearTicks = Callable[[Fraction], int]
"""Compute ticks of a layer by how many of its pages are read elsewhere; not whole where it is in parts."""


def part_of(near_ticks: NearTicks | None, part: int, whole: int) -> NearTicks | None:
    """The same for a part of a layer, of so many of its pages: its share of the time, if as large a share
    of the whole layer's pages were elsewhere."""
    if near_ticks is None:
        return None
    share = Fraction(part, whole)
    return lambda pages: ceil(near_ticks(pages / share) * share)


# Not frozen, because a frozen one takes six times as long to make: nobody changes them all the same.
@dataclass(slots=True, eq=False)
class LayerAccess:
    """The pages that one layer of one step reads, and what it computes on them."""

    pages: Pages
    """Distinct page numbers, in reading order."""
    compute_ticks: int
    """Compute time of the layer once its pages are there, in picoseconds."""
    layer: int = 0
    """Index of the transformer layer (0 for workloads without layers)."""
    ordered: bool = False
    """False: the set is known at once, so all pages are protected before any is fetched.
    True: pages are looked up strictly one after another, as a block cache does, so a
    later page may be evicted by an earlier one."""
    created: Pages = field(default_factory=lambda: NO_PAGES)
    """Pages that come into being when the layer ends, written in tier 0."""
    mass: NDArray[np.float64] | None = None
    """Attention mass each of `pages` receives, where it is known; sums to at most 1."""
    absent_ticks: Callable[[int], int] | None = None
    """For workloads whose absent pages are computed: extra compute time, in picoseconds,
    for the given number of pages found nowhere."""
    foreseen: bool = True
    """Whether the pages are known before the layer's turn, so that they can be fetched while other layers
    compute. False: nothing that comes after is announced before them either."""
    stream_bytes: int = 0
    """Bytes of weights that its compute reads from the tier of `execution.weights`; only in a scenario that
    names one."""
    near_ticks: NearTicks | None = None
    """Compute time if some of `pages` are read in place elsewhere meanwhile, so that compute streams only the
    others from tier 0; None: no different. Only where `execution.in_place` says so."""


@dataclass(slots=True, eq=False)
class Step:
    """One decode iteration (or one request) of a batch."""

    layers: Sequence[LayerAccess]
    arrival_ticks: int | None = None
    """Not started before this time, in picoseconds; None: as soon as the last step ended."""


class Workload(Protocol):
    """A stream of steps over pages numbered from 0; built from its spec.

    It may also have `page_layers` and `page_head_groups`, arrays that tell the layer and the head group of
    every page by its number: see `places_of`.
    """

    name: ClassVar[str]

    @property
    def absent(self) -> Literal["appear", "compute"]:
        """A page found nowhere appears in the last tier for free (it was always there),
        or is computed by the step and born in tier 0."""
        ...

    @property
    def initial_pages(self) -> int:
        """Pages 0 … n-1 exist when the run starts and are placed by the placement policy."""
        ...

    @property
    def page_scalars(self) -> int | NDArray[np.int64]:
        """Scalars of a page: one number for all (the page universe may then grow), or one per page."""
        ...

    @property
    def total_steps(self) -> int | None:
        """Number of steps if known beforehand (for the progress bar)."""
        ...

    def steps(self) -> Iterator[Step]:
        """Yields the steps in order, from the first one each time it is called.

        It is called once, or twice where a policy must know the future. May raise TraceError
        while reading a trace.
        """
        ...


def places_of(workload: Workload, which: Literal["page_layers", "page_head_groups"]) -> Pages | None:
    """Layer or head group of each page, by its number; None if the workload does not tell.

    Rules of mixed precision need them, for every page that will ever exist.
    """
    places: Pages | None = getattr(workload, which, None)
    return places
