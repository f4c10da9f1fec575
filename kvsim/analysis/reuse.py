"""How a trace reads its pages again: how soon, how deep in the LRU stack, and how well that can be foretold.

Distances are exact and come from one pass (`mrc.reuse_distances`, O(N log N)). The position of a read in the
LRU stack is 1 for the page read last; its reuse distance is the number of *other* pages read since, one
less (R. L. Mattson et al., IBM Systems Journal 9(2), 1970). A read of a page never seen before has neither.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.foresight import RANKS, WINDOW, Score, foresight
from kvsim.analysis.mrc import FIRST, reuse_distances
from kvsim.workloads.page_trace import PageId, PageRow

__all__ = [
    "ClassReuse",
    "Kind",
    "PageReads",
    "Position",
    "Reuse",
    "Spread",
    "analyse",
    "page_reads",
    "reuse_gaps",
    "stack_distances",
]

Ints = NDArray[np.int64]
Kind = Literal["layer", "head_group", "popularity"]
"""What puts pages into classes."""
DECILES = 10


@dataclass(frozen=True, slots=True, eq=False)
class PageReads:
    """The reads of a trace in their order: arrays of equal length."""

    pages: Ints
    """Numbered from 0 in order of first appearance."""
    steps: Ints
    layers: Ints | None
    """None: the trace does not tell of every read."""
    head_groups: Ints | None
    """Index into `group_names`; None: the trace does not tell of every read."""
    group_names: tuple[PageId, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of whole numbers; percentiles are observed values (nearest rank)."""

    mean: float
    p50: int
    p90: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True)
class ClassReuse:
    """The reads of one class of pages. None: no page of the class is read twice."""

    name: str
    pages: int
    """Distinct pages read."""
    reads: int
    first_reads: int
    """Of pages never read before, by any class."""
    distance: Spread | None
    """Other distinct pages, of all classes, since the last read of the page."""
    gap_reads: Spread | None
    """Reads from the last one of the page to this one: 1 if there is none between."""
    gap_steps: Spread | None
    """Steps from the last read of the page to this one: 0 within a step."""


@dataclass(frozen=True, slots=True)
class Position:
    """Positions `low` to `high` of the LRU stack, both included."""

    low: int
    high: int
    share: float
    """Share of all reads that find their page at one of these positions."""
    each: float
    """Probability that the next read is of the page at a given one of them: the share by their number."""
    hit_rate: float
    """Share of all reads that find their page here or above: what an LRU cache of `high` pages hits."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """What `analyse` finds, JSON-ready through `to_dict`."""

    steps: int
    by: Kind
    total: ClassReuse
    classes: tuple[ClassReuse, ...]
    positions: tuple[Position, ...]
    """Powers of two, 1 first, down to the deepest position hit."""
    predictors: tuple[Score, ...]
    """How well each ranks the page that is read next."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings, in field order."""
        return asdict(self) | {"ranks": list(RANKS)}


def page_reads(rows: Iterable[PageRow]) -> PageReads:
    """The reads of a trace; takes memory for each read (32 bytes) and each distinct page.

    May raise TraceError while the trace is read.
    """
    numbers: dict[PageId, int] = {}
    groups: dict[PageId, int] = {}
    pages, steps, layers, head_groups = array("q"), array("q"), array("q"), array("q")
    for row in rows:
        pages.append(numbers.setdefault(row.page, len(numbers)))
        steps.append(row.step)
        layers.append(-1 if row.layer is None else row.layer)
        head_groups.append(-1 if row.head_group is None else groups.setdefault(row.head_group, len(groups)))
    return PageReads(
        np.array(pages), np.array(steps), _told(np.array(layers)), _told(np.array(head_groups)), tuple(groups)
    )


def _told(values: Ints) -> Ints | None:
    return values if values.size and values.min() >= 0 else None


def stack_distances(pages: Ints) -> Ints:
    """For each read the number of other distinct pages since the last read of its page; FIRST for a first."""
    return _distances(reuse_distances(pages))


def _distances(positions: Ints) -> Ints:
    return np.where(positions == FIRST, FIRST, positions - 1)


def reuse_gaps(pages: Ints, times: Ints) -> Ints:
    """For each read how much later it is than the last read of its page; FIRST for a first.

    `times` tell when each read is: its step, or its number for gaps in reads.
    """
    order = np.argsort(pages, kind="stable")
    again = pages[order[1:]] == pages[order[:-1]]
    gaps = np.full(len(pages), FIRST, dtype=np.int64)
    gaps[order[1:][again]] = (times[order[1:]] - times[order[:-1]])[again]
    return gaps


def analyse(reads: PageReads, by: Kind | Literal["auto"] = "auto", window: int = WINDOW) -> Reuse:
    """All figures of a trace; O(N log N), and bounded work a read for each predictor.

    Classes are by layer if the trace tells of two or more, else by head group likewise, else by popularity:
    tenths of the pages, the most read first. `window` is that of `foresight`. Raises ValueError for classes
    that the trace does not tell.
    """
    kind, names, labels = _classes(reads, by)
    positions = reuse_distances(reads.pages)
    measures = (
        _distances(positions),
        reuse_gaps(reads.pages, np.arange(len(reads.pages))),
        reuse_gaps(reads.pages, reads.steps),
    )
    every = np.ones(len(reads.pages), dtype=np.bool_)
    return Reuse(
        steps=len(np.unique(reads.steps)),
        by=kind,
        total=_class("all", reads.pages, every, measures),
        classes=tuple(_class(name, reads.pages, labels == label, measures) for label, name in names),
        positions=_positions(positions),
        predictors=foresight(reads.pages, positions, window),
    )


# --- classes --------------------------------------------------------------------------------------------


def _classes(reads: PageReads, by: Kind | Literal["auto"]) -> tuple[Kind, list[tuple[int, str]], Ints]:
    """The kind of class, the label and name of each, and the label of each read."""
    told: dict[Kind, Ints | None] = {"layer": reads.layers, "head_group": reads.head_groups}
    kind: Kind
    if by == "auto":
        kind = next((each for each, labels in told.items() if _varies(labels)), "popularity")
    else:
        kind = by
    if kind == "popularity":
        labels = _deciles(reads.pages)
        return kind, [(label, _decile_name(label)) for label in np.unique(labels).tolist()], labels
    found = told[kind]
    if found is None:
        raise ValueError(f"the trace does not tell the {kind.replace('_', ' ')} of every read")
    present: list[int] = np.unique(found).tolist()
    if kind == "layer":
        return kind, [(label, str(label)) for label in present], found
    names = reads.group_names
    present.sort(key=lambda label: _in_order(names[label]))
    return kind, [(label, str(names[label])) for label in present], found


def _in_order(name: PageId) -> tuple[bool, int, str]:
    """Numbers by size, then text."""
    return (False, name, "") if isinstance(name, int) else (True, 0, name)


def _varies(labels: Ints | None) -> bool:
    return labels is not None and bool((labels != labels[0]).any())


def _deciles(pages: Ints) -> Ints:
    """The tenth, from 0, that each read's page is in when pages are ranked by reads, earlier ones first."""
    counts = np.bincount(pages)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    deciles: Ints = (rank * DECILES // max(len(counts), 1))[pages]
    return deciles


def _decile_name(decile: int) -> str:
    return f"top {100 // DECILES}%" if decile == 0 else f"to {(decile + 1) * 100 // DECILES}%"


def _class(name: str, pages: Ints, mine: NDArray[np.bool_], measures: tuple[Ints, Ints, Ints]) -> ClassReuse:
    distance, gap_reads, gap_steps = (values[mine] for values in measures)
    return ClassReuse(
        name=name,
        pages=len(np.unique(pages[mine])),
        reads=len(distance),
        first_reads=int((distance == FIRST).sum()),
        distance=_spread(distance),
        gap_reads=_spread(gap_reads),
        gap_steps=_spread(gap_steps),
    )


def _spread(values: Ints) -> Spread | None:
    again = values[values != FIRST]
    if not again.size:
        return None
    again.sort()
    p50, p90, p99 = (int(again[-(-percent * again.size // 100) - 1]) for percent in (50, 90, 99))
    return Spread(float(again.mean()), p50, p90, p99, int(again[-1]))


# --- stack positions ------------------------------------------------------------------------------------


def _positions(positions: Ints) -> tuple[Position, ...]:
    """Bins 1, 2, 3–4, 5–8, … of the positions hit."""
    again = positions[positions != FIRST]
    if not again.size:
        return ()
    count = len(positions)
    hits = np.bincount(again)
    until = np.cumsum(hits)
    found = []
    low = high = 1
    while low < len(hits):
        through = int(until[min(high, len(hits) - 1)])
        share = (through - int(until[low - 1])) / count
        found.append(Position(low, high, share, share / (high - low + 1), through / count))
        low, high = high + 1, 2 * high
    return tuple(found)
