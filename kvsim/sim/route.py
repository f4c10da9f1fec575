"""Routes: the lanes between two tiers, and what crossing them alone would cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from kvsim.sim.lane import Hop, HopRow


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The hops from one tier to another.

    A transfer is cut into equal parts of at most `chunk` bytes; the first part enters the
    next lane as soon as it is across (cut-through). Without a chunk it moves whole
    (store and forward).
    """

    hops: tuple[Hop, ...]
    chunk: int | None = None

    last: int = field(init=False)
    """Index of the last hop."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "last", len(self.hops) - 1)

    def part(self, size: int) -> int:
        """Bytes of one part: `size` cut into the fewest equal parts not above the chunk, rounded up."""
        if self.chunk is None or size <= self.chunk:
            return size
        parts = -(-size // self.chunk)
        return -(-size // parts)

    def last_part(self, size: int) -> int:
        """Bytes of the last part: what equal parts, rounded up, leave for it."""
        if self.chunk is None or size <= self.chunk:
            return size
        return size - (-(-size // self.chunk) - 1) * self.part(size)

    def walk(self, number: int, size: int, at: int) -> tuple[list[HopRow], int]:
        """Cross alone, from tick `at`: the rows of the `hops` table and the tick of arrival."""
        rows: list[HopRow] = []
        part = self.part(size)
        head = tail = at
        for hop in self.hops:
            nominal = hop.setup + hop.ticks(size)
            end = head + nominal
            if rows and part < size:
                end = max(end, tail + hop.ticks(self.last_part(size)))
            rows.append((number, hop.lane.number, head, head, end, size, nominal))
            tail = end + hop.delay
            head = tail if part == size else head + hop.setup + hop.ticks(part) + hop.delay
        return rows, tail


NO_ROUTE = Route(())
"""The way of what moves nowhere."""
