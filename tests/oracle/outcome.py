"""What a run of the oracle says."""

from __future__ import annotations

from dataclasses import dataclass, field

from oracle.decisions import Cls
from oracle.roads import LaneName


@dataclass(frozen=True)
class Arrival:
    """A finished transfer."""

    page: int
    """The first, of several that travelled together."""
    pages: int
    source: int
    target: int
    """Tier it arrived in, -1 for a page read in place."""
    size: int
    cls: Cls
    issued: Cls
    requested: int
    granted: int
    arrived: int


@dataclass
class Outcome:
    """All that a run says."""

    end: int = 0
    steps: list[tuple[int, int, int]] = field(default_factory=list)
    """Start, end and compute time of every step."""
    computes: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Step, layer, start and end of every compute interval."""
    stalls: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Step, layer, start and end of every wait; waits of one layer that meet are one."""
    arrivals: list[Arrival] = field(default_factory=list)
    lane_bytes: dict[LaneName, int] = field(default_factory=dict)
    residency: list[int] = field(default_factory=list)
    """Tier of every page, -1 for none."""
    found: list[int] = field(default_factory=list)
    """Page reads that found their page in each tier."""
    absent: int = 0
    evictions: list[int] = field(default_factory=list)
    discards: list[int] = field(default_factory=list)
    races: int = 0
    """Times that the order of two things in one tick mattered though neither was in the other's wake, so
    that it is nobody's promise: two transfers reach a lane, or one reaches a lane with priorities while
    another leaves it or is at a chunk boundary."""
