"""What a run writes down: growing tables of integers, one row per fact.

Times are in ticks (picoseconds). A row's values are appended to one flat list, the cheapest
thing CPython can do, and packed into numpy blocks so that a long run stays small.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

BLOCK_VALUES = 1 << 18


class TransferClass(IntEnum):
    """Why bytes move; a smaller number goes first where arbitration looks at it."""

    DEMAND = 0
    WRITE_BACK = 1
    PREFETCH = 2
    BACKGROUND = 3


DEMAND, WRITE_BACK, PREFETCH, BACKGROUND = map(int, TransferClass)
"""The classes as plain numbers, for where every access passes."""


class Cause(IntEnum):
    """What an exposed interval of a step was spent on."""

    DEMAND_QUEUEING = 0
    DEMAND_SERVICE = 1
    ROOM = 2
    CODEC = 3
    LATE_PREFETCH = 4
    COPY_KERNEL = 5
    DECISION = 6


CAUSE_COLUMNS = tuple(cause.name.lower() for cause in Cause)
STEP_COLUMNS = (
    "step",  # running number
    "arrival",  # when it could have started (equals start unless it waited for the step before)
    "start",
    "end",
    "compute",  # compute time, reads of tier 0 included
    *CAUSE_COLUMNS,  # time exposed, by cause
    "accesses",  # pages read
    "hits",  # of these, found in tier 0 (or on their way into it)
    "late",  # of these hits, those on a prefetch still in flight
    "absent",  # found in no tier
    "lost",  # skipped: discarded for good before
)
LAYER_COLUMNS = ("step", "layer", "start", "end")  # one compute interval each
STALL_COLUMNS = ("step", "layer", "start", "end", "cause", "lane", "transfer")
"""Lane -1: no link involved. Transfer -1: no transfer ended the wait."""
TRANSFER_COLUMNS = (
    "transfer",
    "cls",  # TransferClass it ended with
    "issued_cls",  # TransferClass it was issued with
    "page",  # first page; -1: weights
    "pages",  # neighbouring pages moved together; 0: weights
    "bytes",  # on the wire
    "source",  # tier
    "target",  # tier
    "step",  # step that caused it
    "requested",  # decided
    "granted",  # room held at the target and the page settled at the source
    "arrived",  # committed
)
HOP_COLUMNS = (
    "transfer",
    "lane",
    "queued",  # first bytes at the lane
    "start",  # lane begins to serve it
    "end",  # last byte across (before latencies)
    "bytes",
    "nominal",  # set-up and service time had it been alone
)
SPACE_COLUMNS = ("time", "tier", "delta")  # bytes of room taken (+) or given back (-)
PREFETCH_COLUMNS = ("page", "wasted")
"""One row per page fetched ahead whose fate is sealed: 1 when it left unread. The rows of one page are in the
order of its prefetches; a prefetch without a row had not been read when the run ended."""


class Table:
    """Rows of int64, one value per column."""

    def __init__(self, columns: tuple[str, ...], keep: bool = True) -> None:
        self.columns = columns
        self.keep = keep
        self._blocks: list[NDArray[np.int64]] = []
        self._values: list[int] = []
        self.add: Callable[[tuple[int, ...]], None] = self._values.extend
        """Append one row; the list's own method, because it is the hot path."""

    def pack(self) -> None:
        """Move values into a numpy block once there are many; called between steps, never per row."""
        if not self.keep:
            self._values.clear()
        elif len(self._values) >= BLOCK_VALUES:
            self._flush()

    def _flush(self) -> None:
        values = np.fromiter(self._values, np.int64, len(self._values))
        self._blocks.append(values.reshape(-1, len(self.columns)))
        self._values.clear()

    def last(self) -> list[int]:
        """The row added last; there must be one."""
        return self._values[-len(self.columns) :] or self._blocks[-1][-1].tolist()

    def array(self) -> NDArray[np.int64]:
        """All rows, shape (rows, columns); none if the table is not kept."""
        if not self.keep:
            self._values.clear()
        elif self._values:
            self._flush()
        if not self._blocks:
            return np.empty((0, len(self.columns)), dtype=np.int64)
        if len(self._blocks) > 1:
            self._blocks = [_joined(self._blocks)]
        return self._blocks[0]

    def column(self, name: str) -> NDArray[np.int64]:
        """One column, shape (rows,)."""
        return self.array()[:, self.columns.index(name)]


def _joined(blocks: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All blocks as one; each is given up once it is copied, so that a long run is never there twice."""
    whole = np.empty((sum(map(len, blocks)), blocks[0].shape[1]), dtype=np.int64)
    end = len(whole)
    while blocks:
        block = blocks.pop()
        whole[end - len(block) : end] = block
        end -= len(block)
    return whole


class Records:
    """The tables of one run. With `keep_events` off only `steps` is kept."""

    def __init__(self, keep_events: bool = True) -> None:
        self.keep_events = keep_events
        self.steps = Table(STEP_COLUMNS)
        self.layers = Table(LAYER_COLUMNS, keep_events)
        self.stalls = Table(STALL_COLUMNS, keep_events)
        self.transfers = Table(TRANSFER_COLUMNS, keep_events)
        self.hops = Table(HOP_COLUMNS, keep_events)
        self.space = Table(SPACE_COLUMNS, keep_events)
        self.prefetches = Table(PREFETCH_COLUMNS, keep_events)

    def pack(self) -> None:
        """Give every table the occasion to pack or drop its rows."""
        events = (self.layers, self.stalls, self.transfers, self.hops, self.space, self.prefetches)
        for table in (self.steps, *events):
            table.pack()
