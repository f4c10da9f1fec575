"""One run of requests: builds the machine, lets requests arrive, checks the books."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from collections.abc import Sequence as Numbers
from fractions import Fraction
from functools import partial

from simpy import Environment, Event

from kvsim.errors import SimulationError
from kvsim.policies import make_eviction
from kvsim.policies.registry import EVICTION
from kvsim.scenario.geometry import scalars_of, tier_scheme
from kvsim.scenario.iteration import IterationCost
from kvsim.scenario.scenario import Scenario
from kvsim.sim.express import schedule
from kvsim.sim.kinds import Kinds
from kvsim.sim.running import Progress, lane_info, patient_collector, tier_info
from kvsim.sim.serving.admission import Admission
from kvsim.sim.serving.ahead import LookAhead
from kvsim.sim.serving.audit import Books, audit
from kvsim.sim.serving.cache import BlockCache
from kvsim.sim.serving.choice import cheaper, never
from kvsim.sim.serving.future import RequestFuture
from kvsim.sim.serving.growth import Growth
from kvsim.sim.serving.instance import Instance
from kvsim.sim.serving.leaving import Leaving
from kvsim.sim.serving.loops import Loops
from kvsim.sim.serving.machine import expanded, paths
from kvsim.sim.serving.moves import Move, Mover
from kvsim.sim.serving.records import ServingRecords
from kvsim.sim.serving.result import ServingResult
from kvsim.sim.serving.routing import Router
from kvsim.sim.serving.sequence import Sequence
from kvsim.sim.serving.store import Store
from kvsim.sim.serving.waiting import make_queue
from kvsim.sim.topology import Topology
from kvsim.units import PageCount
from kvsim.workloads.requests import Request, RequestWorkload

__all__ = ["ServingSimulation", "serve"]


def serve(scenario: Scenario, workload: RequestWorkload, progress: Progress | None = None) -> ServingResult:
    """Serve the requests of a workload to the last one and audit the run.

    `progress` is told the number of requests that have ended, after each. Raises SimulationError when a
    request cannot be served, TraceError when the trace is broken, AuditError when the books do not balance.
    """
    return ServingSimulation(scenario, workload).run(progress)


class ServingSimulation:
    """The live objects of one run."""

    def __init__(self, scenario: Scenario, workload: RequestWorkload, stride: int = sys.maxsize) -> None:
        """`stride`: iterations that are passed in one go, at most; what comes out does not depend on it."""
        self.scenario = scenario
        self.workload = workload
        self.env = Environment()
        self.records = ServingRecords(len(scenario.hierarchy.tiers), scenario.execution.records == "all")
        self.machine = scenario.model_copy(update={"hierarchy": expanded(scenario)})
        self.topology, self.stores = self._memories()
        self.mover = Mover(
            self.env,
            self.topology.ways.between,
            self.stores,
            self.records,
            scenario.execution.dma.coalesce,
        )
        self.cache = BlockCache(scenario.serving.reuse, self.mover, self._freed)
        cost = IterationCost(scenario)
        self.instances = [
            self._instance(number, [self.stores[k] for k in path], cost, stride)
            for number, path in enumerate(paths(scenario))
        ]
        self._numbers: dict[object, int] | None = {} if self._must_number() else None
        self.cache.future = self._future()
        self.router = Router(scenario.serving.instances, self.instances, workload.block_tokens)
        self.loops = Loops(self._arrive_after)
        self.arrived = 0
        self.ended = 0
        self.last_end = 0
        self._warm_up()
        self.tenants: dict[str, int] = {}
        self._progress: Progress | None = None

    def run(self, progress: Progress | None = None) -> ServingResult:
        """Let time pass until nothing happens any more, then audit."""
        self._progress = progress
        process = self.env.process(self._arrivals())
        with patient_collector():
            self.env.run()
        if not process.processed or self.ended < self.arrived:
            missing = self.arrived - self.ended
            raise SimulationError(
                f"{missing} of {self.arrived} requests wait for something that will never happen"
            )
        audit(Books(self.topology, self.stores, self.instances, self.mover, self.records, self.arrived))
        return self._result()

    # --- the machine

    def _memories(self) -> tuple[Topology, list[Store]]:
        scenario, machine = self.scenario, self.machine
        scalars = scalars_of(scenario, self.workload.block_bytes)
        count = len(machine.hierarchy.tiers)
        schemes = tuple(tier_scheme(machine, tier) for tier in range(count))
        sizes = [scheme.bytes(scalars) for scheme in schemes]
        capacities = [
            spec.capacity.pages * size if isinstance(spec.capacity, PageCount) else spec.capacity
            for spec, size in zip(machine.hierarchy.tiers, sizes, strict=True)
        ]
        topology = Topology(self.env, machine, capacities, Kinds((schemes,), None))
        if self.records.keep_events:
            for lane in topology.lanes:
                lane.log = self.records.hops.add
            for tier in topology.tiers:
                tier.log = self.records.space.add
        policy = scenario.policy.eviction
        shares = {
            name: spec.cache_share
            for name, spec in scenario.serving.tenants.items()
            if spec.cache_share is not None
        }
        stores = []
        for number, (tier, spec, size) in enumerate(
            zip(topology.tiers, machine.hierarchy.tiers, sizes, strict=True)
        ):
            tier.granted = self._granted
            own = {name: int(tier.capacity * share) // size * size for name, share in shares.items()}
            make = partial(make_eviction, policy.name, options=policy.options)
            reuse = scenario.serving.reuse
            spares = reuse.pin > 0 or reuse.lookahead > 0
            marks = None
            if spec.high_watermark is not None and spec.low_watermark is not None:
                marks = Fraction(repr(spec.high_watermark)), Fraction(repr(spec.low_watermark))
            stores.append(Store(number, tier, size, spec.inclusive, own, make, self._clock, spares, marks))
        return topology, stores

    def _instance(self, number: int, path: list[Store], cost: IterationCost, stride: int) -> Instance:
        spec = self.scenario.serving
        queue = make_queue(spec)
        instance = Instance(self.env, number, spec.batch, cost, queue, self.records, stride)
        routes = [self.topology.ways.between[store.number][path[0].number] for store in path]
        choose = {
            "always": None,
            "never": never,
            "cheaper": cheaper(
                instance.admitted,
                routes,
                path,
                cost,
                self.workload.block_tokens,
                self.scenario.execution.dma.coalesce,
            ),
        }[spec.reuse.load]
        groups = 1
        if spec.reuse.loading == "layerwise":
            layers = self.scenario.model.layers if self.scenario.model is not None else 1
            groups = spec.reuse.layer_groups or layers
        tokens = self.workload.block_tokens
        instance.admission = Admission(self.env, spec, instance, self.cache, path, choose, tokens, groups)
        instance.growth = Growth(spec.batch, instance, self.cache, path, tokens)
        instance.leaving = Leaving(self.env, spec.reuse, self.cache, path, tokens, instance.poke)
        instance.ended = self._ended
        if any(store.marks is not None for store in path):
            instance.drain = self.cache.drain
        instance.only_prompts = number < spec.instances.prefill
        if spec.reuse.lookahead:
            named = spec.reuse.lookahead_tier
            level = min(1, len(path) - 1) if named is None else self.scenario.hierarchy.tier_index(named)
            instance.look_ahead = LookAhead(self.cache, path, spec.reuse.lookahead, level)
        return instance

    def _must_number(self) -> bool:
        """Whether blocks must be numbered in order of appearance, without gaps."""
        dense = not EVICTION.get(self.scenario.policy.eviction.name).any_number
        return dense or self.scenario.serving.isolate_tenants

    def _future(self) -> RequestFuture | None:
        """What lies ahead, if the policy needs to know."""
        policies = [partition.policy for store in self.stores for partition in store.partitions.values()]
        curious = [policy for policy in policies if policy.needs_future]
        if not curious:
            return None
        future = RequestFuture(self._blocks_of(request)[0] for request in self._all_requests())
        for policy in curious:
            policy.future = future
        return future

    def _warm_up(self) -> None:
        """Put the prompts that were served before where they are."""
        warm = self.scenario.serving.reuse.warm
        if warm is None:
            return
        level = self.scenario.hierarchy.tier_index(warm.tier)
        stores = {path[level]: None for path in (instance.admission.path for instance in self.instances)}
        share = Fraction(repr(warm.share))
        for order, request in enumerate(self._all_requests()):
            if int((order + 1) * share) > int(order * share):
                for store in stores:
                    store.furnish(self._blocks_of(request)[0], store.partition_of(request.tenant))
        for store in stores:
            store.tier.furnish(sum(partition.used for partition in store.partitions.values()))

    def _all_requests(self) -> Iterator[Request]:
        """In order of the workload, each follow-up after the request before it."""
        for head in self.workload.requests():
            yield from _with_all_that_follow(head)

    def _arrive_after(self, wait: int, request: Request) -> None:
        schedule(self.env, wait, lambda _event: self._arrive(request))

    def _granted(self, tenant: object) -> None:
        if isinstance(tenant, Sequence):
            tenant.instance.admission.has_room(tenant)
        else:
            assert isinstance(tenant, Move)
            self.mover.unblock(tenant)

    def _clock(self) -> int:
        return self.arrived

    def _freed(self) -> None:
        for instance in self.instances:
            instance.freed()

    # --- requests

    def _arrivals(self) -> Generator[Event]:
        for request in self.workload.requests():
            wait = request.arrival_ticks - self.env.now
            if wait > 0:
                yield self.env.timeout(wait)
            self._arrive(request)

    def _arrive(self, request: Request) -> None:
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        blocks, output = self._blocks_of(request)
        sequence = Sequence(self.arrived, request, now, blocks, output)
        self.arrived += 1
        self.router.arrived(sequence)

    def _blocks_of(self, request: Request) -> tuple[Numbers[int], Numbers[int]]:
        """The blocks of the prompt, and those of the output, as they are numbered here."""
        if self.scenario.serving.reuse.match == "none":
            return (), ()
        if self._numbers is None:
            return request.blocks, request.output_blocks
        return self._numbered(request, request.blocks), self._numbered(request, request.output_blocks)

    def _numbered(self, request: Request, blocks: Numbers[int]) -> list[int]:
        numbers = self._numbers
        assert numbers is not None
        if self.scenario.serving.isolate_tenants:
            tenant = request.tenant
            return [numbers.setdefault((tenant, block), len(numbers)) for block in blocks]
        return [numbers.setdefault(block, len(numbers)) for block in blocks]

    def _ended(self, sequence: Sequence) -> None:
        """A sequence is done at its instance: the next one goes on, or the request has ended."""
        request, instance = sequence.request, sequence.instance
        if sequence.generated < request.output_tokens:
            instance.leaving.hand_over(sequence)
            self.router.computed(sequence)
            return
        instance.leaving.finish(sequence)
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        self.last_end = now
        self.ended += 1
        self._write_down(sequence, now)
        self.loops.ended(request)
        if self.ended % 1024 == 0:
            self.records.pack()
        if self._progress is not None:
            self._progress(self.ended)

    def _write_down(self, sequence: Sequence, now: int) -> None:
        request = sequence.request
        tenant = self.tenants.setdefault(sequence.tenant, len(self.tenants))
        self.records.requests.add(
            (
                sequence.number,
                sequence.arrival,
                sequence.admitted,
                sequence.first_token,
                now,
                tenant,
                -1 if request.session is None else request.session,
                sequence.instance.number,
                request.input_tokens,
                request.output_tokens,
                len(sequence.blocks),
                sequence.reused_tokens,
                sequence.loaded_tokens,
                sequence.computed,
                sequence.preemptions,
                *sequence.phases,
                *sequence.found,
            )
        )

    # --- the end

    def _result(self) -> ServingResult:
        return ServingResult(
            scenario=self.scenario,
            records=self.records,
            block_tokens=self.workload.block_tokens,
            lanes=tuple(lane_info(lane) for lane in self.topology.lanes),
            tiers=tuple(
                tier_info(
                    store.tier,
                    store.found,
                    store.evictions,
                    store.discards,
                    store.read_bytes,
                    store.written_bytes,
                )
                for store in self.stores
            ),
            tenants=tuple(self.tenants),
            requests=self.ended,
            makespan_ticks=self.last_end,
            busy_ticks=tuple(instance.busy for instance in self.instances),
            events=next(self.env._eid),
            skipped=dict(getattr(self.workload, "skipped", {})),
        )


def _with_all_that_follow(head: Request) -> Iterator[Request]:
    request: Request | None = head
    while request is not None:
        yield request
        for fork in request.forks:
            yield from _with_all_that_follow(fork)
        request = request.follow_up
