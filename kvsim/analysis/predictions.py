"""What the closed forms say of a step before it is run, for a simulation to be held against.

The forms of `analysis.bounds`, fed with what the scenario alone gives: how long a layer computes, how long
its pages take over each link of their way, and what must leave for them. They are for steps of layers that
are alike, whose pages all come from the last tier; nothing else is under way, and tier 0 is read for free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from kvsim.analysis import bounds
from kvsim.analysis.bounds import Time
from kvsim.scenario.geometry import capacity_bytes, tier_scheme
from kvsim.scenario.hierarchy import HierarchySpec, LinkSpec
from kvsim.scenario.scenario import Scenario
from kvsim.units import TICKS_PER_SECOND
from kvsim.workloads import Step, make_workload

__all__ = ["FORMS", "Outline", "outline", "predicted_s"]


@dataclass(frozen=True, slots=True)
class Outline:
    """A step in figures that the closed forms take; times in ticks."""

    layers: int
    compute: int
    """Of one layer."""
    loads: tuple[int, ...]
    """How long each link of the way is held for a layer's pages, the farthest first."""
    latency: int
    """Of the way."""
    parts: int
    """Equal parts of a layer's pages that go over the way one after another: pages, or chunks of them."""
    stores: int
    """How long the nearest link is held for what must leave tier 0 for a layer."""
    store_latency: int
    one_lane: bool
    """Whether both directions of the nearest link are one lane."""
    depth: int
    """Layers fetched ahead; 0 in `serial` and `demand`."""

    @property
    def whole(self) -> int:
        """Ticks from request to arrival of a layer's pages that cross each link before the next."""
        return sum(self.loads) + self.latency

    @property
    def piped(self) -> Time:
        """The same where parts of them are on several links at once."""
        slowest = max(self.loads)
        return Fraction(sum(self.loads) - slowest, self.parts) + slowest + self.latency

    @property
    def lanes(self) -> list[int]:
        """How long each lane is held for a layer."""
        near = self.loads[-1]
        both = [near + self.stores] if self.one_lane else [near, self.stores]
        return [*self.loads[:-1], *both]

    @property
    def additive(self) -> Time:
        """All one after another."""
        stores = self.stores and self.stores + self.store_latency
        return self.layers * bounds.additive_law(self.whole, stores, self.compute)

    @property
    def max(self) -> Time:
        """The busiest lane, or compute."""
        return self.layers * bounds.max_law(self.compute, *self.lanes)

    @property
    def double_buffered(self) -> Time:
        """One layer ahead, over links that are crossed one after another; what leaves costs nothing."""
        return bounds.double_buffered(self.layers, self.whole, self.compute)

    @property
    def chunked(self) -> Time:
        """One layer ahead, in parts; what leaves costs nothing."""
        return bounds.double_buffered(self.layers, self.piped, self.compute)

    @property
    def flexgen(self) -> Time:
        """The nearest link first, then everything else at once."""
        far = sum(self.loads[:-1])
        near = self.whole - far
        return self.layers * bounds.flexgen_generation(near, self.stores, far, 0, self.compute)

    @property
    def looked_ahead(self) -> Time:
        """So many layers ahead as the scenario says, in parts; what leaves costs nothing."""
        slowest = max(self.loads)
        return bounds.looked_ahead(self.layers, self.depth, self.compute, self.piped - slowest, slowest)


FORMS = ("additive", "max", "double_buffered", "chunked", "flexgen", "looked_ahead")
"""Names of the forms, as properties of an outline."""


def predicted_s(scenario: Scenario) -> Mapping[str, float | None]:
    """Seconds of a step by each of the FORMS; None where a scenario has no outline."""
    found = outline(scenario)
    if found is None:
        return dict.fromkeys(FORMS)
    return {form: float(getattr(found, form) / Fraction(TICKS_PER_SECOND)) for form in FORMS}


def outline(scenario: Scenario) -> Outline | None:
    """A scenario's first step in outline.

    None where the forms do not apply: layers that are not alike, pages that are not in the last tier from
    the start, formats that differ, or a single tier. Ports and codecs are not counted.
    """
    way = _way(scenario.hierarchy)
    schemes = [tier_scheme(scenario, tier) for tier in range(len(scenario.hierarchy.tiers))]
    if not way or schemes[0].mixed or any(scheme != schemes[0] for scheme in schemes):
        return None
    workload = make_workload(scenario)
    step = next(iter(workload.steps()), None)
    scalars = workload.page_scalars
    if step is None or not isinstance(scalars, int) or not _alike(step, workload.initial_pages):
        return None
    size = schemes[0].bytes(scalars)
    count, compute = len(step.layers[0].pages), step.layers[0].compute_ticks
    room = capacity_bytes(scenario, 0)
    full = room is not None and room < size * workload.initial_pages
    leaves = full and not scenario.hierarchy.tiers[1].inclusive
    near, tiers = way[-1], scenario.hierarchy.tiers
    limits = (tiers[-1].read_bandwidth, tiers[0].write_bandwidth)
    loads = [
        count * _service(size, link.bandwidth, link.setup, limits[0] if link is way[0] else None,
                         limits[1] if link is near else None)
        for link in way
    ]  # fmt: skip
    down = _service(size, near.bandwidth_down or near.bandwidth, near.setup, tiers[0].read_bandwidth)
    return Outline(
        layers=len(step.layers),
        compute=compute,
        loads=tuple(loads),
        latency=sum(link.latency for link in way) + tiers[-1].read_latency + tiers[0].write_latency,
        parts=count * _chunks(way, size),
        stores=count * down if leaves else 0,
        store_latency=near.latency + tiers[0].read_latency + tiers[1].write_latency,
        one_lane=near.duplex == "half",
        depth=scenario.execution.depth if scenario.execution.overlap in ("layered", "async") else 0,
    )


def _alike(step: Step, there: int) -> bool:
    """Whether the layers compute equally long and read equally many pages, all there from the start."""
    layers = {(len(access.pages), access.compute_ticks) for access in step.layers}
    return len(layers) == 1 and all(
        len(access.pages) > 0 and int(access.pages.max()) < there for access in step.layers
    )


def _way(hierarchy: HierarchySpec) -> list[LinkSpec]:
    """The links from the last tier to the first, fewest of them; empty for a single tier."""
    first, last = hierarchy.tiers[0].name, hierarchy.tiers[-1].name
    ways: deque[tuple[str, list[LinkSpec]]] = deque([(last, [])])
    seen = {last}
    while ways:
        here, way = ways.popleft()
        if here == first:
            return way
        for link in hierarchy.links:
            there = next((end for end in link.between if end != here), here)
            if here in link.between and there not in seen:
                seen.add(there)
                ways.append((there, [*way, link]))
    return []


def _service(size: int, bandwidth: int, setup: int, *limits: int | None) -> int:
    """Ticks that a page holds a link, rounded up as the engine does."""
    rate = min(bandwidth, *(limit for limit in limits if limit is not None), bandwidth)
    return ceil(bounds.service(size, rate, setup))


def _chunks(way: list[LinkSpec], size: int) -> int:
    """Parts of one page: of the coarsest chunk of the way; 1 where a link moves whole transfers."""
    chunks = [link.chunk for link in way if link.chunk is not None]
    return -(-size // max(chunks)) if len(chunks) == len(way) else 1
