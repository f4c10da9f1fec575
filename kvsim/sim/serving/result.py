"""What a finished run of requests hands upstairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kvsim.scenario.scenario import Scenario
from kvsim.sim.result import LaneInfo, TierInfo
from kvsim.sim.serving.records import ServingRecords

__all__ = ["ServingResult"]


@dataclass(frozen=True, slots=True)
class ServingResult:
    """Everything `analysis` and `reporting` may know of a run. Times are ticks (picoseconds)."""

    scenario: Scenario
    records: ServingRecords
    block_tokens: int
    lanes: tuple[LaneInfo, ...]
    """Indexed by the `lane` column of the records; those of several instances are called `pcie/1 up`."""
    tiers: tuple[TierInfo, ...]
    """Indexed by the tier columns of the records; those of several instances are called `hbm/1`. `found`
    counts blocks, of prompts at their first admission."""
    tenants: tuple[str, ...]
    """Names, indexed by the `tenant` column."""
    requests: int
    makespan_ticks: int
    """When the last request ended."""
    busy_ticks: tuple[int, ...]
    """Time each instance spent in iterations."""
    events: int
    """SimPy events the run scheduled."""
    skipped: Mapping[str, int]
    """Lines of the trace that were left out, by reason."""
