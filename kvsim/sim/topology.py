"""Builds the machine: tiers, links, codecs, and the route between every two tiers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from simpy import Environment

from kvsim.scenario.catalog import FP16
from kvsim.scenario.hierarchy import HierarchySpec, LinkSpec, TierSpec
from kvsim.scenario.routes import connected, links_between, other_end
from kvsim.scenario.scenario import Scenario
from kvsim.sim.kernel import CopyKernel
from kvsim.sim.kinds import Formats, Kinds
from kvsim.sim.lane import FifoLane, Hop, Label, Lane
from kvsim.sim.link import Link, shares_bandwidth
from kvsim.sim.move import NO_TIER
from kvsim.sim.route import NO_ROUTE, Route
from kvsim.sim.shared import Pool, SharedLane
from kvsim.sim.tier import Tier

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Leg:
    """One lane of a path, before it is built: which, which way, and what limits it there."""

    kind: Literal["link", "port", "codec"]
    name: str
    direction: Direction
    limit: int | None
    delay: int
    compute_share: float = 0


@dataclass(frozen=True, slots=True)
class Path:
    """The legs between two tiers and the size of the parts a transfer is cut into."""

    legs: tuple[Leg, ...]
    chunk: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """The routes of pages of one kind."""

    between: list[list[Route]]
    """By source and target tier."""
    reads: dict[int, Route]
    """Of bytes read in place, by tier."""


class Topology:
    """The tiers and lanes of one run, and the routes over them."""

    def __init__(self, env: Environment, scenario: Scenario, capacities: list[int], kinds: Kinds) -> None:
        self.env = env
        self.scenario = scenario
        hierarchy = scenario.hierarchy
        self.tiers = [
            Tier(env, k, spec.name, size)
            for k, (spec, size) in enumerate(zip(hierarchy.tiers, capacities, strict=True))
        ]
        blueprint = _blueprint(hierarchy, kinds.formats, scenario.execution.weights)
        builder = _Builder(env, hierarchy, blueprint.shared)
        routes = [builder.route(path) for path in blueprint.paths]
        ways = {plan: plan.ways(routes) for plan in dict.fromkeys(blueprint.plans)}
        self.ways, self.ways_by_page = kinds.by_page([ways[plan] for plan in blueprint.plans])
        """The routes that pages take; those of each page by itself, if not all take the same."""
        self.weights = None if blueprint.weights is None else builder.route(blueprint.weights)
        """How weights are streamed to the compute, if they are."""
        self.kernels = list(builder.kernels.values())
        self.lanes = builder.lanes
        for number, lane in enumerate(self.lanes):
            lane.number = number

    def read_route(self, page: int, tier: int) -> Route:
        """The route of a page read in place, from a tier to the compute."""
        ways = self.ways if self.ways_by_page is None else self.ways_by_page[page]
        return ways.reads[tier]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The ways of pages of one kind, before they are built: positions among the paths of the blueprint."""

    between: tuple[tuple[int | None, ...], ...]
    """By source and target tier; None from a tier to itself, and to one that no link leads to: of another
    instance."""
    reads: tuple[int | None, ...]
    """How bytes are read in place, from tier 1 on; None likewise."""

    def ways(self, routes: list[Route]) -> Ways:
        """The same with the routes along the paths."""
        between = [[NO_ROUTE if at is None else routes[at] for at in row] for row in self.between]
        reads = {tier: routes[at] for tier, at in enumerate(self.reads, start=1) if at is not None}
        return Ways(between, reads)


@dataclass(frozen=True, slots=True)
class _Blueprint:
    """The machine before it is built."""

    paths: tuple[Path, ...]
    """What routes are built along; kinds of pages that take the same path share it."""
    plans: tuple[_Plan, ...]
    """By kind of pages."""
    weights: Path | None
    """From the tier that weights are streamed from to the compute; no codec is on it."""
    shared: frozenset[tuple[str, str]]
    """(kind, name) of what must be built as shared lanes."""


@lru_cache(maxsize=64)
def _blueprint(hierarchy: HierarchySpec, kinds: tuple[Formats, ...], weights: str | None) -> _Blueprint:
    """Kept, because the runs of a study share few machines and finding paths costs as much as a short run."""
    known: dict[tuple[int, int, Path], int] = {}
    plans = tuple(_plan(_Planner(hierarchy, formats), known) for formats in kinds)
    paths = tuple(path for _, _, path in known)
    if weights is None:
        return _Blueprint(paths, plans, None, _shared_lanes(hierarchy, paths))
    planner = _Planner(hierarchy, (FP16,) * len(hierarchy.tiers))
    stream = planner.path(hierarchy.tier_index(weights), 0, in_place=True)
    return _Blueprint(paths, plans, stream, _shared_lanes(hierarchy, (*paths, stream)))


def _plan(planner: _Planner, known: dict[tuple[int, int, Path], int]) -> _Plan:
    """The plan of one kind; paths (from a tier, to one or to the compute) not `known` yet are added."""
    tiers = range(len(planner.formats))

    def number(source: int, target: int, *, in_place: bool = False) -> int | None:
        if source == target or not connected(planner.hierarchy, source, target):
            return None
        path = planner.path(source, target, in_place=in_place)
        return known.setdefault((source, NO_TIER if in_place else target, path), len(known))

    between = tuple(tuple(number(source, target) for target in tiers) for source in tiers)
    reads = tuple(number(tier, 0, in_place=True) for tier in tiers[1:])
    return _Plan(between, reads)


class _Planner:
    """Makes paths of links: what is passed on the way, and what limits it there."""

    def __init__(self, hierarchy: HierarchySpec, formats: Formats) -> None:
        self.hierarchy = hierarchy
        self.formats = formats
        self.numbers = {tier.name: k for k, tier in enumerate(self.hierarchy.tiers)}

    def path(self, source: int, target: int, *, in_place: bool = False) -> Path:
        """The legs from `source` to `target`; `in_place`: nothing is written at the target."""
        links = links_between(self.hierarchy, source, target)
        tiers = self.hierarchy.tiers
        legs: list[Leg] = []
        here = source
        for position, link in enumerate(links):
            there = other_end(self.hierarchy, link, here)
            final = position == len(links) - 1
            written = not (final and in_place)
            limits = [tiers[here].read_bandwidth, tiers[there].write_bandwidth if written else None]
            delay = tiers[source].read_latency + self.formats[source].latency if position == 0 else 0
            delay += tiers[target].write_latency if final and written else 0
            direction: Direction = "up" if self.numbers[link.between[1]] == here else "down"
            limit = min((limit for limit in limits if limit is not None), default=None)
            legs.append(Leg("link", link.name, direction, limit, delay, link.compute_share))
            here = there
        slowest = min(_rate(link, leg) for link, leg in zip(links, legs, strict=True))
        legs = self._ports(tiers[source], tiers[target], legs, slowest, in_place)
        legs = self._codec(source, target, legs)
        chunks = [link.chunk for link in links]
        whole = any(chunk is None for chunk in chunks)
        return Path(tuple(legs), None if whole else max(chunk for chunk in chunks if chunk is not None))

    def _ports(
        self, source: TierSpec, target: TierSpec, legs: list[Leg], slowest: int, in_place: bool
    ) -> list[Leg]:
        if source.ports is not None:
            legs = [Leg("port", source.name, "up", source.read_bandwidth or slowest, 0), *legs]
        if target.ports is not None and not in_place:
            legs = [*legs, Leg("port", target.name, "down", target.write_bandwidth or slowest, 0)]
        return legs

    def _codec(self, source: int, target: int, legs: list[Leg]) -> list[Leg]:
        """Compress before the links on the way to a narrower format, decompress after them."""
        before, after = self.formats[source], self.formats[target]
        if after.density < before.density and after.compress is not None:
            wire = int(after.compress * after.density / before.density)
            return [Leg("codec", "codec", "down", max(1, wire), 0, after.compute_share), *legs]
        if after.density > before.density and before.decompress is not None:
            wire = int(before.decompress * before.density / after.density)
            return [*legs, Leg("codec", "codec", "up", max(1, wire), 0, before.compute_share)]
        return legs


def _rate(link: LinkSpec, leg: Leg) -> int:
    bandwidth = (link.bandwidth_down if leg.direction == "down" else None) or link.bandwidth
    return min(bandwidth, leg.limit or bandwidth)


def _shared_lanes(hierarchy: HierarchySpec, paths: tuple[Path, ...]) -> frozenset[tuple[str, str]]:
    """What must be built as shared lanes.

    A chunked transfer that meets one lane of varying rate anywhere on its route needs such
    lanes on all of it, since the moment its tail arrives is not known beforehand.
    """
    shared = {("link", link.name) for link in hierarchy.links if shares_bandwidth(link)}
    chunked = [path for path in paths if path.chunk is not None and len(path.legs) > 1]
    routes = [{(leg.kind, leg.name) for leg in path.legs} for path in chunked]
    while grown := [lanes for lanes in routes if lanes & shared and not lanes <= shared]:
        shared |= set().union(*grown)
    return frozenset(shared)


class _Builder:
    """Turns paths into routes over lanes, each lane built once."""

    def __init__(
        self, env: Environment, hierarchy: HierarchySpec, shared: frozenset[tuple[str, str]]
    ) -> None:
        self.env = env
        self.hierarchy = hierarchy
        self.shared = shared
        self.lanes: list[Lane] = []
        self.tiers = {tier.name: tier for tier in self.hierarchy.tiers}
        pools = {bus.name: Pool(env, bus.bandwidth) for bus in self.hierarchy.buses}
        self.links: dict[str, Link] = {}
        for spec in self.hierarchy.links:
            pool = pools[spec.bus] if spec.bus is not None else None
            link = Link(env, spec, pool, shared=("link", spec.name) in shared)
            self.links[spec.name] = link
            self.lanes += [link.up] if link.up is link.down else [link.up, link.down]
        self.others: dict[tuple[str, str, str], Lane] = {}
        self.kernels: dict[tuple[Lane, float], CopyKernel] = {}
        """By lane and share: formats that a codec converts may take different ones, one after another."""

    def route(self, path: Path) -> Route:
        """The route along a path."""
        return Route(tuple(self._hop(leg) for leg in path.legs), path.chunk)

    def _hop(self, leg: Leg) -> Hop:
        if leg.kind == "link":
            hop = self.links[leg.name].hop(leg.direction, leg.limit, leg.delay)
        else:
            assert leg.limit is not None
            lane = self._port(leg) if leg.kind == "port" else self._codec(leg)
            hop = Hop(lane, leg.limit, 0, leg.delay)
        if leg.compute_share:
            key = hop.lane, leg.compute_share
            hop.kernel = self.kernels.setdefault(key, CopyKernel(*key))
        return hop

    def _port(self, leg: Leg) -> Lane:
        tier = self.tiers[leg.name]
        assert tier.ports is not None
        key = ("port", leg.name, "both")
        if key not in self.others:
            self.others[key] = self._lane(f"{tier.name} ports", leg, "both", tier.ports)
        return self.others[key]

    def _codec(self, leg: Leg) -> Lane:
        key = ("codec", leg.name, leg.direction)
        if key not in self.others:
            name = "decompress" if leg.direction == "up" else "compress"
            self.others[key] = self._lane(name, leg, leg.direction, self.hierarchy.codec_engines)
        return self.others[key]

    def _lane(self, name: str, leg: Leg, direction: str, channels: int) -> Lane:
        label = Label(name, leg.name, direction, leg.kind)
        varies = (leg.kind, leg.name) in self.shared
        lane = (SharedLane if varies else FifoLane)(self.env, label, channels, UNBOUNDED)
        self.lanes.append(lane)
        return lane


UNBOUNDED = 1 << 80
"""Bandwidth of a lane whose users' own rates are the only bound."""
