"""One run: builds the machine and the processes, lets time pass, checks the books."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from simpy import Environment

from kvsim.errors import SimulationError
from kvsim.policies import (
    EvictionPolicy,
    PlacementPolicy,
    PrefetchPolicy,
    make_eviction,
    make_placement,
    make_prefetch,
)
from kvsim.scenario.geometry import page_bytes
from kvsim.scenario.scenario import Scenario
from kvsim.sim.attended import AttendedBytes
from kvsim.sim.audit import Books, audit
from kvsim.sim.concurrent import ConcurrentDecoder
from kvsim.sim.decision import decision_cost
from kvsim.sim.decode import Decoder, ReadLatency, limited
from kvsim.sim.dma import ClassLimits, DmaScheduler
from kvsim.sim.fidelity import fidelity_of
from kvsim.sim.fused import fused_decoding
from kvsim.sim.future import Foresight
from kvsim.sim.groups import groups_of
from kvsim.sim.guesses import GuessQueue
from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.kinds import page_kinds
from kvsim.sim.move import Mover
from kvsim.sim.movers import ConcurrentMover, FreeMover, SequentialMover
from kvsim.sim.prefetcher import Speculation
from kvsim.sim.records import CAUSE_COLUMNS, STEP_COLUMNS, Records, TransferClass
from kvsim.sim.residency import Residency
from kvsim.sim.result import FormatReads, RunResult
from kvsim.sim.running import Progress, lane_info, patient_collector, tier_info
from kvsim.sim.stream import StreamingMover
from kvsim.sim.synchronous import IdealDecoder, SequentialDecoder
from kvsim.sim.topology import Topology
from kvsim.sim.view import MachineView
from kvsim.units import PageCount
from kvsim.workloads import make_workload
from kvsim.workloads.base import Workload
from kvsim.workloads.tiles import tiled


def simulate(
    scenario: Scenario, workload: Workload | None = None, progress: Progress | None = None
) -> RunResult:
    """Run a scenario to its end and audit it.

    `workload` replaces the one the scenario describes; `progress` is told the number of
    finished steps after each. Raises SimulationError when the scenario cannot go on,
    TraceError when its trace is broken, AuditError when the books do not balance.
    """
    return Simulation(scenario, workload or make_workload(scenario)).run(progress)


class Simulation:
    """The live objects of one run."""

    def __init__(self, scenario: Scenario, workload: Workload) -> None:
        self.scenario = scenario
        self.workload = workload
        self.env = Environment()
        execution = scenario.execution
        self.records = Records(execution.records == "all")
        self.kinds = page_kinds(scenario, workload)
        sizes = self.kinds.sizes(workload.page_scalars)
        self.residency = Residency(len(scenario.hierarchy.tiers), sizes, workload.initial_pages)
        capacities = _capacities(scenario, sizes)
        self.residency.capacities = capacities
        self.residency.tell_groups = partial(groups_of, workload)
        self.topology = Topology(self.env, scenario, capacities, self.kinds)
        self._connect_records()
        policy = scenario.policy
        eviction = make_eviction(policy.eviction.name, self.residency, policy.eviction.options)
        self.guess = self._guess()
        view = MachineView(scenario, workload, self.residency, self.topology)
        placement = make_placement(policy.placement.name, view, policy.placement.options)
        foresight = self._foresight(eviction, placement)
        self.hierarchy = Hierarchy(
            scenario.hierarchy.tiers,
            capacities,
            self.residency,
            eviction,
            placement,
            self._mover(),
            Speculation(execution.dma.prefetch_limit, execution.dma.pressure, log=self._log_of_prefetches()),
            workload.absent,
            foresight,
            fidelity_of(self.kinds),
            lossy=policy.lossy,
        )
        _place(self.hierarchy, workload.initial_pages, scenario)
        for tier, used in zip(self.topology.tiers, self.hierarchy.used, strict=True):
            tier.furnish(used)
        if self.residency.uniform is None and scenario.hierarchy.tiers[0].read_energy is not None:
            self.hierarchy.attended = AttendedBytes(self.residency)
        self.decoder = self._decoder()
        self.decoder.decoding = fused_decoding(self.kinds, workload.page_scalars)
        self.decoder.beside = execution.in_place == "during"
        if execution.overlap != "ideal":
            self.decoder.decision = decision_cost(policy, placement)
        if execution.dma.prefetch_queue and self.decoder.guess is not None:
            self._have_guesses_wait(execution.dma.prefetch_queue)

    def run(self, progress: Progress | None) -> RunResult:
        """Let time pass until nothing happens any more, then audit."""
        execution = self.scenario.execution
        steps = tiled(limited(self.workload.steps(), execution.max_steps), execution.tile)
        process = self.env.process(self.decoder.run(steps, progress))
        with patient_collector():
            self.env.run()
        if not process.processed:
            raise SimulationError(f"step {self.decoder.steps} waits for something that will never happen")
        audit(Books(self.topology, self.hierarchy, self.decoder, self.records))
        return self._result()

    def _connect_records(self) -> None:
        if not self.records.keep_events:
            return
        for lane in self.topology.lanes:
            lane.log = self.records.hops.add
        for tier in self.topology.tiers:
            tier.log = self.records.space.add

    def _log_of_prefetches(self) -> Callable[[tuple[int, int]], None] | None:
        return self.records.prefetches.add if self.records.keep_events else None

    def _mover(self) -> Mover:
        overlap = self.scenario.execution.overlap
        if overlap == "ideal":
            return FreeMover(self.topology.tiers)
        if overlap == "serial":
            return SequentialMover(self.topology, self.records)
        dma = self.scenario.execution.dma
        limits = (getattr(dma.classes, cls.name.lower()) for cls in TransferClass)
        scheduler = DmaScheduler(
            dma.max_in_flight,
            dma.coalesce,
            [ClassLimits(limit.in_flight, limit.bandwidth) for limit in limits],
            counts=dma.pressure is not None,
        )
        parts = (self.env, self.residency, self.topology, scheduler, self.records)
        weights, route = self.scenario.execution.weights, self.topology.weights
        if weights is None or route is None:
            return ConcurrentMover(*parts)
        return StreamingMover(*parts, tier=self.scenario.hierarchy.tier_index(weights), route=route)

    def _decoder(self) -> Decoder[Any]:
        execution = self.scenario.execution
        delay = self.scenario.hierarchy.tiers[0].read_latency
        latencies = [delay + formats[0].latency for formats in self.kinds.formats]
        read_latency = ReadLatency(*self.kinds.by_page(latencies))
        mover = self.hierarchy.mover
        if isinstance(mover, SequentialMover):
            return SequentialDecoder(self.env, self.hierarchy, mover, self.records, read_latency, self.guess)
        if isinstance(mover, FreeMover):
            return IdealDecoder(self.env, self.hierarchy, mover, self.records, read_latency)
        assert isinstance(mover, ConcurrentMover)
        return ConcurrentDecoder(
            self.env,
            self.hierarchy,
            mover,
            self.records,
            read_latency,
            lanes=self.topology.lanes,
            kernels=self.topology.kernels,
            depth=execution.depth if execution.overlap in ("layered", "async") else 0,
            guess=self.guess if execution.overlap == "async" else None,
        )

    def _have_guesses_wait(self, capacity: int) -> None:
        queue = GuessQueue(capacity, self.hierarchy)
        self.decoder.queue = queue
        if isinstance(self.hierarchy.mover, ConcurrentMover):
            self.hierarchy.mover.after_prefetches(queue.retry)

    def _guess(self) -> PrefetchPolicy | None:
        prefetch = self.scenario.policy.prefetch
        if prefetch.name == "none":
            return None
        return make_prefetch(prefetch.name, self.residency, prefetch.options)

    def _foresight(self, *policies: EvictionPolicy | PlacementPolicy) -> Foresight | None:
        """What lies ahead, if a policy needs to know."""
        curious = [p for p in (*policies, self.guess) if p is not None and p.needs_future]
        if not curious:
            return None
        foresight = Foresight(self.workload, self.scenario.execution.max_steps)
        for policy in curious:
            policy.future = foresight
        return foresight

    def _result(self) -> RunResult:
        decoder, hierarchy = self.decoder, self.hierarchy
        total = dict(zip(STEP_COLUMNS, self.records.steps.array().sum(axis=0).tolist(), strict=True))
        weights = hierarchy.mover.streamed_over() if isinstance(hierarchy.mover, StreamingMover) else {}
        return RunResult(
            scenario=self.scenario,
            records=self.records,
            lanes=tuple(lane_info(lane, weights.get(lane.number, 0)) for lane in self.topology.lanes),
            tiers=tuple(
                tier_info(
                    tier,
                    hierarchy.found[k],
                    hierarchy.evictions[k],
                    hierarchy.discards[k],
                    hierarchy.read_bytes[k],
                    hierarchy.written_bytes[k],
                )
                for k, tier in enumerate(self.topology.tiers)
            ),
            prefetch=hierarchy.speculation.info(),
            migrated=tuple((*way, pages) for way, pages in sorted(decoder.migrations.counts.items())),
            accesses=total["accesses"],
            absent=hierarchy.absent,
            steps=decoder.steps,
            makespan_ticks=decoder.end,
            compute_ticks=total["compute"],
            idle_ticks=decoder.idle,
            exposed_ticks=tuple(total[name] for name in CAUSE_COLUMNS),
            events=next(self.env._eid),
            residency=self.residency.snapshot(),
            mass=hierarchy.mass.total,
            mass_found=hierarchy.mass.found,
            lost=hierarchy.lost,
            formats=self._formats(total["accesses"]),
            weights_bytes=max(weights.values(), default=0),
            attended_bytes=self._attended_bytes(total["accesses"]),
        )

    def _attended_bytes(self, accesses: int) -> int | None:
        if self.residency.uniform is not None:
            return self.hierarchy.reads_in_tier_0(accesses) * self.residency.uniform[0]
        return None if self.hierarchy.attended is None else self.hierarchy.attended.total

    def _formats(self, accesses: int) -> tuple[FormatReads, ...]:
        if self.hierarchy.fidelity is not None:
            return self.hierarchy.fidelity.reads()
        format = self.kinds.formats[0][0]  # all are equally faithful
        return (FormatReads(format.name, format.kept, accesses - self.hierarchy.lost),)


def _capacities(scenario: Scenario, sizes: list[int] | list[list[int]]) -> list[int]:
    """Bytes of each tier; a capacity in pages counts the workload's largest page."""
    capacities: list[int] = []
    for tier, spec in enumerate(scenario.hierarchy.tiers):
        size = sizes[tier]
        if isinstance(spec.capacity, PageCount):
            largest = page_bytes(scenario, tier) or (size if isinstance(size, int) else max(size))
            capacities.append(spec.capacity.pages * largest)
        else:
            capacities.append(spec.capacity)
    return capacities


def _place(hierarchy: Hierarchy, pages: int, scenario: Scenario) -> None:
    """Put the pages that exist at the start where the placement policy wants them, or further down."""
    specs = scenario.hierarchy.tiers
    last = len(specs) - 1
    reached = list(range(len(specs)))
    """By the tier that is wanted: the one that had room the last time."""

    def fits(page: int, k: int) -> bool:
        size = hierarchy.residency.bytes_of(page, k)
        return hierarchy.used[k] + size <= hierarchy.capacities[k]

    for page in range(pages):
        wanted = hierarchy.placement.start(page)
        tier = reached[wanted]
        while not fits(page, tier):
            if tier == last:
                raise SimulationError(
                    f"the {pages} pages of the workload do not fit: page {page} has no room"
                )
            tier += 1
        reached[wanted] = tier
        hierarchy.place(page, tier)
        if specs[tier].inclusive:
            continue  # it is an owner copy itself
        keeper = next((k for k in range(tier + 1, last + 1) if specs[k].inclusive and fits(page, k)), None)
        if keeper is not None:
            hierarchy.keep_copy(page, keeper)
