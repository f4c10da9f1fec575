"""Routes: the lanes between two tiers, and what crossing them alone would cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from kvsim.sim.lane import MOST_KNOWN, Hop

Crossing = tuple[tuple[int, int, int, int], ...]
"""For each hop, in ticks from the start: when the head is at its lane and served, when the last byte leaves
the lane, the time it has held the lane, and when the tail is beyond it."""


@dataclass(slots=True, eq=False)
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
    bookable: bool = field(init=False)
    """Whether to book a transfer for the whole route, if it is alone there, saves events."""
    known: dict[int, Crossing] = field(default_factory=dict, init=False, repr=False)
    """Lonely crossings computed before, by size: page sizes are few."""

    def __post_init__(self) -> None:
        self.last = len(self.hops) - 1
        self.bookable = sum(hop.lane.events for hop in self.hops) > 2

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

    def alone(self, size: int) -> Crossing:
        """What crossing takes when nothing else is under way, hop by hop."""
        legs: list[tuple[int, int, int, int]] = []
        part = self.part(size)
        head = tail = 0
        for hop in self.hops:
            nominal = hop.setup + hop.ticks(size)
            end = head + nominal
            if legs and part < size:
                end = max(end, tail + hop.ticks(self.last_part(size)))
            tail = end + hop.delay
            legs.append((head, end, nominal, tail))
            head = tail if part == size else head + hop.setup + hop.ticks(part) + hop.delay
        if len(self.known) >= MOST_KNOWN:
            self.known.clear()
        crossing = self.known[size] = tuple(legs)
        return crossing


NO_ROUTE = Route(())
"""The way of what moves nowhere."""
