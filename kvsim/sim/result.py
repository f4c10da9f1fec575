"""What a finished run hands upstairs: records, counters and the names behind their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.scenario import Scenario
from kvsim.sim.records import Records


@dataclass(frozen=True, slots=True)
class LaneInfo:
    """One direction of a link (or both, when half duplex), or a tier's ports or codec, with its totals."""

    name: str
    """For people: `pcie up`, `pcie down`, `nvme ports`."""
    link: str
    """Name of the link or tier it belongs to."""
    direction: str
    """`up` (toward the compute), `down`, or `both`."""
    kind: str
    """`link`, `port` or `codec`."""
    channels: int
    bandwidth: int
    """Bytes per second of the whole lane; 0 when only its users' rates bound it."""
    transfers: int
    bytes_in: int
    bytes_out: int
    busy_ticks: int
    """Channel-ticks in which a transfer was being served."""
    queue_ticks: int
    """Sum over transfers of the time from reaching the lane to being served."""
    bytes_by_class: tuple[int, int, int, int]
    """Indexed by TransferClass."""
    weights_bytes: int = 0
    """Of those of class demand, what compute streamed for itself."""


@dataclass(frozen=True, slots=True)
class TierInfo:
    """One tier with its totals. Identity: initial + arrived - departed = resident."""

    name: str
    capacity_bytes: int
    initial_bytes: int
    arrived_bytes: int
    departed_bytes: int
    resident_bytes: int
    peak_bytes: int
    """Most bytes ever used or reserved."""
    found: int
    """Page reads that found their page here (fastest copy)."""
    evictions: int
    """Removals to make room: demotions, free drops and discards."""
    discards: int
    """Of these, pages lost from all tiers."""
    read_bytes: int = 0
    """Bytes of pages that moves and reads in place took from here, in this tier's format."""
    written_bytes: int = 0
    """Bytes of pages that moves put here; pages that come into being here are not counted."""


@dataclass(frozen=True, slots=True)
class PrefetchInfo:
    """Fate of the prefetched pages: issued = timely + late + wasted."""

    issued: int = 0
    timely: int = 0
    late: int = 0
    wasted: int = 0
    dropped: int = 0
    """Candidates not issued for want of a slot or room, or under pressure, that had no place in the queue."""
    polluted: int = 0
    """Misses on pages that making room for a speculative prefetch had pushed out of tier 0."""
    cancelled: int = 0
    """Candidates that waited in the queue until there was no point in them any more, or the run ended."""


@dataclass(frozen=True, slots=True)
class FormatReads:
    """Page reads that found what compression had left of their page: of a format, and of its tokens."""

    name: str
    """The least faithful format that the page has been in."""
    kept: Fraction
    """Share of its tokens that are left."""
    reads: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything `analysis` and `reporting` may know of a run. Times are ticks (picoseconds)."""

    scenario: Scenario
    records: Records
    lanes: tuple[LaneInfo, ...]
    """Indexed by the `lane` column of the records."""
    tiers: tuple[TierInfo, ...]
    """Indexed by the tier columns of the records."""
    prefetch: PrefetchInfo
    migrated: tuple[tuple[int, int, int], ...]
    """Pages that the placement policy had moved: source tier, target tier, how many."""
    accesses: int
    absent: int
    """Page reads whose page was in no tier."""
    steps: int
    makespan_ticks: int
    compute_ticks: int
    idle_ticks: int
    """Time between steps, waiting for the next arrival."""
    exposed_ticks: tuple[int, ...]
    """Indexed by Cause."""
    events: int
    """SimPy events the run scheduled."""
    residency: NDArray[np.int8]
    """Tier of every page at the end, -1 for none."""
    lost: int
    """Page reads that were skipped, because their page had been discarded for good."""
    formats: tuple[FormatReads, ...]
    """The other reads; a single entry where all formats are equally faithful."""
    mass: float = 0.0
    """Attention mass of all page reads, as far as the workload knows it."""
    mass_found: float = 0.0
    """Of it, that of pages found in tier 0 when their layer was announced."""
    weights_bytes: int = 0
    """Bytes of weights that layers streamed while they computed."""
    attended_bytes: int | None = None
    """Bytes of pages that compute read in tier 0. None: sizes differ, and tier 0 has no `read_energy`."""
