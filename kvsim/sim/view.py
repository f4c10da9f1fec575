"""What a placement policy sees: residency, the machine, and the pages that there will be."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.scenario import Scenario
from kvsim.sim.residency import Residency
from kvsim.sim.topology import Topology
from kvsim.workloads.base import Pages, Workload, places_of


class MachineView:
    """The `PlacementView` of a run."""

    def __init__(
        self, scenario: Scenario, workload: Workload, residency: Residency, topology: Topology
    ) -> None:
        self.tier_count = residency.tier_count
        self.initial_pages = workload.initial_pages
        self.is_pinned = residency.is_pinned
        self.tier_of = residency.tier_of
        self.bytes_of = residency.bytes_of
        self.group_of = residency.group_of
        self.capacity_of = residency.capacity_of
        self._scenario = scenario
        self._workload = workload
        self._residency = residency
        self._topology = topology

    @property
    def step(self) -> int:
        """Number of the running step, from 0."""
        return self._residency.step

    def reads_in_place(self, tier: int) -> bool:
        """Whether compute reads the tier's pages where they are."""
        return tier > 0 and self._scenario.hierarchy.tiers[tier].access == "direct"

    def bandwidth_of(self, tier: int) -> int | None:
        """Bytes per second at which compute reads what is in the tier; None where tier 0's is not told."""
        if tier:
            route = self._topology.ways.reads[tier]
            return min(min(hop.rate, hop.together or hop.lane.bandwidth) for hop in route.hops)
        gpu = self._scenario.gpu
        rate = self._scenario.hierarchy.tiers[0].read_bandwidth or (gpu.bandwidth if gpu else None)
        return (
            None
            if rate is None
            else int(rate * Fraction(repr(self._scenario.execution.bandwidth_efficiency)))
        )

    def page_layers(self) -> Pages:
        """Layer of each page that will ever exist, as far as the workload tells."""
        return self._layers

    def sizes_of(self, pages: Pages, tier: int) -> NDArray[np.int64]:
        """Bytes each of the pages takes in the tier."""
        uniform = self._residency.uniform
        if uniform is not None:
            return np.full(len(pages), uniform[tier], dtype=np.int64)
        sizes: NDArray[np.int64] = self._tables[tier][pages]
        return sizes

    def homes(self) -> NDArray[np.int8]:
        """Tier that each page belongs to, -1 for none: not tier 0, if it is there only to be read."""
        homes = self._residency.snapshot()
        staged = self._residency.staged
        if staged:
            homes[list(staged)] = list(staged.values())
        return homes

    @cached_property
    def _layers(self) -> Pages:
        told = places_of(self._workload, "page_layers")
        if told is not None:
            return np.asarray(told, dtype=np.int64)
        scalars = self._workload.page_scalars
        pages = self.initial_pages if isinstance(scalars, int) else len(scalars)
        return np.zeros(pages, dtype=np.int64)

    @cached_property
    def _tables(self) -> list[NDArray[np.int64]]:
        return [np.array(table, dtype=np.int64) for table in self._residency.table]
