"""What recorded KV-cache events say of each memory: what it took in, held, gave up and took in again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from kvsim.workloads.requests.kv_events import KvEvent

__all__ = ["MediumEvents", "sum_up"]


@dataclass(slots=True)
class MediumEvents:
    """One kind of memory, those of all ranks together."""

    stored: int = 0
    """Blocks stored."""
    removed: int = 0
    """Blocks removed."""
    cleared: int = 0
    """Blocks that left because all were cleared."""
    stored_again: int = 0
    """Blocks stored that had been there before and left."""
    stored_twice: int = 0
    """Blocks stored while they were there."""
    removed_absent: int = 0
    """Blocks removed that were not there, stored perhaps before the recording began."""
    most_resident: int = 0
    """Most blocks there at once."""
    resident: int = 0
    """Blocks there at the end."""
    lifetimes_s: list[float] = field(default_factory=list)
    """From stored to gone, of each block that left, in seconds."""

    def lifetime_s(self, percent: float) -> float | None:
        """A percentile of the lifetimes; None if no block has left."""
        if not self.lifetimes_s:
            return None
        return float(np.percentile(self.lifetimes_s, percent, method="inverted_cdf"))


def sum_up(events: Iterable[KvEvent]) -> dict[str, MediumEvents]:
    """The memories by name, in order of first appearance; memory grows with the blocks that came and left."""
    found: dict[str, MediumEvents] = {}
    since: dict[tuple[int, str], dict[int, float]] = {}
    gone: dict[tuple[int, str], set[int]] = {}
    for event in events:
        if event.kind == "cleared":
            for (rank, medium), blocks in since.items():
                if rank == event.rank:
                    books = found[medium]
                    books.cleared += len(blocks)
                    books.resident -= len(blocks)
                    books.lifetimes_s += [event.time_s - start for start in blocks.values()]
                    gone[rank, medium].update(blocks)
                    blocks.clear()
            continue
        books = found.setdefault(event.medium, MediumEvents())
        place = event.rank, event.medium
        there = since.setdefault(place, {})
        left = gone.setdefault(place, set())
        if event.kind == "stored":
            _store(books, event, there, left)
        else:
            _remove(books, event, there, left)
    return found


def _store(books: MediumEvents, event: KvEvent, there: dict[int, float], left: set[int]) -> None:
    for block in event.blocks:
        books.stored += 1
        if block in there:
            books.stored_twice += 1
            continue
        books.stored_again += block in left
        there[block] = event.time_s
        books.resident += 1
    books.most_resident = max(books.most_resident, books.resident)


def _remove(books: MediumEvents, event: KvEvent, there: dict[int, float], left: set[int]) -> None:
    for block in event.blocks:
        books.removed += 1
        start = there.pop(block, None)
        if start is None:
            books.removed_absent += 1
            continue
        books.resident -= 1
        books.lifetimes_s.append(event.time_s - start)
        left.add(block)
