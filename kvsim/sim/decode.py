"""The decode process: steps, layer after layer, in each overlap mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from simpy import Environment

from kvsim.policies.base import PrefetchPolicy
from kvsim.sim.decision import DecisionCost
from kvsim.sim.exposure import attribute
from kvsim.sim.fused import FusedDecoding
from kvsim.sim.guesses import GuessQueue
from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.kernel import CopyKernel, Taken
from kvsim.sim.lane import Lane
from kvsim.sim.migration import Migrations
from kvsim.sim.move import Mover
from kvsim.sim.movers import ConcurrentMover, FreeMover, SequentialMover
from kvsim.sim.plan import Plan
from kvsim.sim.records import DEMAND, PREFETCH, Cause, Records
from kvsim.sim.stream import StreamingMover
from kvsim.workloads.base import LayerAccess, Step

Process = Generator[Any, Any, None]
CAUSES = len(Cause)
COPY_KERNEL, DECISION = int(Cause.COPY_KERNEL), int(Cause.DECISION)
NO_TRANSFER = NO_LANE = -1
STEPS_A_PACK = 64
"""Steps between two looks at how much the records have grown."""


class Tally:
    """What one step has spent and found so far."""

    compute = 0
    accesses = 0
    hits = 0
    late = 0
    absent = 0
    lost = 0

    def __init__(self, number: int, arrival: int, start: int) -> None:
        self.number = number
        self.arrival = arrival
        self.start = start
        self.exposed = [0] * CAUSES
        """By cause."""

    def row(self, end: int) -> tuple[int, ...]:
        """The row of the `steps` table."""
        return (
            self.number,
            self.arrival,
            self.start,
            end,
            self.compute,
            *self.exposed,
            self.accesses,
            self.hits,
            self.late,
            self.absent,
            self.lost,
        )


class ReadLatency(NamedTuple):
    """Ticks from the request to the first byte when a page is read in tier 0, its codec time included."""

    ticks: int
    """Of any page."""
    by_page: list[int] | None = None
    """Of each page, where formats differ in it."""


M = TypeVar("M", bound=Mover)


class Decoder(ABC, Generic[M]):
    """Runs the steps of a workload as one SimPy process.

    Subclasses say how a layer's pages get there; the order of decisions is the same for all.
    """

    decoding: FusedDecoding | None = None
    """What attention spends on formats that it decodes as it reads; None: nothing."""
    decision: DecisionCost | None = None
    """What the placement policy's decisions take on the step; None: nothing."""
    beside = False
    """Whether pages read in place are read while the layer computes, not before."""

    def __init__(
        self,
        env: Environment,
        hierarchy: Hierarchy,
        mover: M,
        records: Records,
        read_latency: ReadLatency,
        guess: PrefetchPolicy | None = None,
    ) -> None:
        self.env = env
        self.hierarchy = hierarchy
        self.migrations = Migrations(hierarchy)
        self.mover = mover
        self.records = records
        self.read_latency = read_latency.ticks
        self.read_latencies = read_latency.by_page
        hierarchy.notes_hits = self.read_latencies is not None
        self.guess = guess
        """Brings pages that nobody has asked for; None: nobody does."""
        self.queue: GuessQueue | None = None
        """Where guesses wait that cannot be issued at once; None: they are dropped."""
        self.steps = 0
        self.idle = 0
        self.end = 0

    @property
    def now(self) -> int:
        """The clock, in ticks."""
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        return now

    def run(self, steps: Iterator[Step], progress: Callable[[int], None] | None) -> Process:
        """The process: one step after another until the workload ends."""
        mover = self.mover
        residency = self.hierarchy.residency
        for step in steps:
            start = self.end
            arrival = start if step.arrival_ticks is None else step.arrival_ticks
            if arrival > start:
                self.idle += arrival - start
                yield self.env.timeout(arrival - self.now)
                start = arrival
            tally = Tally(self.steps, arrival, start)
            mover.step = residency.step = self.steps
            process = self.step(step, tally)
            if process is not None:
                yield from process
                self.end = self.now
            self._close(tally)
            if progress is not None:
                progress(self.steps)
        if self.queue is not None:
            self.queue.close()
        if self.end > self.now:
            yield self.env.timeout(self.end - self.now)

    @abstractmethod
    def step(self, step: Step, tally: Tally) -> Process | None:
        """Announce, wait, compute, release: layer after layer.

        None: it is done, and the mover's clock has gone on by what it took.
        """

    def _open(self, access: LayerAccess, cls: int, tally: Tally) -> Plan:
        plan = self.hierarchy.announce(access, cls)
        tally.accesses += len(access.pages)
        tally.hits += plan.hits
        tally.absent += plan.absent
        tally.lost += plan.lost
        return plan

    def _guess(self, access: LayerAccess) -> None:
        if self.guess is not None:
            pages = self.guess.accessed(access.layer, access.pages.tolist())
            if self.queue is None:
                self.hierarchy.prefetch(pages)
            else:
                self.queue.offer(pages, self.guess.lead)

    def compute_ticks(self, plan: Plan) -> int:
        """Compute time of the layer, absent pages and fused decoding included."""
        access = plan.access
        ticks = access.compute_ticks
        if self.beside and plan.direct and access.near_ticks is not None:
            ticks = access.near_ticks(Fraction(len(plan.direct)))
        if access.absent_ticks is not None:
            ticks += access.absent_ticks(plan.absent)
        if self.decoding is not None:
            pages = access.pages
            if plan.lost:
                pages = pages[self.hierarchy.residency.are_present(pages)]
            ticks += self.decoding.ticks(pages)
        return ticks

    def computed(self, plan: Plan, tally: Tally, start: int) -> None:
        """Book a compute interval that ends now."""
        now = self.now
        tally.compute += now - start
        self.records.layers.add((tally.number, plan.access.layer, start, now))

    def decided(self, step: Step, tally: Tally, ticks: int, start: int) -> None:
        """Book time that the placement policy took after the step's last layer."""
        layer = step.layers[-1].layer if step.layers else 0
        tally.exposed[DECISION] += ticks
        row = (tally.number, layer, start, start + ticks, DECISION, NO_LANE, NO_TRANSFER)
        self.records.stalls.add(row)

    def _close(self, tally: Tally) -> None:
        self.steps += 1
        self.records.steps.add(tally.row(self.end))
        if not self.steps % STEPS_A_PACK:
            self.records.pack()


class ConcurrentDecoder(Decoder[ConcurrentMover]):
    """Misses are fetched concurrently.

    While a layer computes, the next `depth` layers of the step are announced ahead.
    """

    def __init__(
        self,
        env: Environment,
        hierarchy: Hierarchy,
        mover: ConcurrentMover,
        records: Records,
        read_latency: ReadLatency,
        *,
        lanes: list[Lane],
        kernels: list[CopyKernel],
        depth: int,
        guess: PrefetchPolicy | None = None,
    ) -> None:
        super().__init__(env, hierarchy, mover, records, read_latency, guess)
        self.lanes = lanes
        self.kernels = kernels
        self.weights = mover if isinstance(mover, StreamingMover) else None
        """What streams a layer's weights while it computes; None: nothing does."""
        self.depth = depth
        self.fetches_ahead = depth > 0 or guess is not None
        self.joins_migrations = hierarchy.placement.watches
        """Whether pages may be on their way to tier 0 that no layer has asked for."""

    def step(self, step: Step, tally: Tally) -> Process:
        ahead: deque[Plan] = deque()
        upcoming = iter(step.layers)
        waiting: LayerAccess | None = next(upcoming, None)
        while ahead or waiting is not None:
            if ahead:
                plan = ahead.popleft()
            else:
                assert waiting is not None
                plan = self._open_window(waiting, DEMAND, tally)
                waiting = next(upcoming, None)
            yield from self._gather(plan, tally)
            while waiting is not None and len(ahead) < self.depth and self._may_open(waiting, plan, ahead):
                ahead.append(self._open_window(waiting, PREFETCH, tally))
                waiting = next(upcoming, None)
            self._guess(plan.access)
            yield from self._compute(plan, tally)
        if self.decision is not None:
            yield from self._decide(self.decision, step, tally)
        self.migrations.after_step()

    def _decide(self, decision: DecisionCost, step: Step, tally: Tally) -> Process:
        """The placement policy weighs what it is about to want."""
        start = self.now
        if ticks := decision.ticks():
            yield self.env.timeout(ticks)
            self.decided(step, tally, ticks, start)

    def _open_window(self, access: LayerAccess, cls: int, tally: Tally) -> Plan:
        plan = self._open(access, cls, tally)
        if self.depth:
            plan.bytes = self.hierarchy.residency.bytes_in_first_tier(access.pages)
            self.hierarchy.pinned_bytes += plan.bytes
        return plan

    def _may_open(self, access: LayerAccess, plan: Plan, ahead: deque[Plan]) -> bool:
        return access.foreseen and self._fits(access, [plan, *ahead])

    def _fits(self, access: LayerAccess, before: list[Plan]) -> bool:
        """Whether a further layer fits in tier 0 beside those pinned and the pages they will create."""
        hierarchy = self.hierarchy
        in_first_tier = hierarchy.residency.bytes_in_first_tier
        created = max(in_first_tier(plan.access.created) for plan in before)
        return hierarchy.pinned_bytes + in_first_tier(access.pages) + created <= hierarchy.capacities[0]

    def _gather(self, plan: Plan, tally: Tally) -> Process:
        """Have the layer's pages in place."""
        if plan.direct and not self.beside:
            self.hierarchy.read_in_place(plan, plan)
        if self.fetches_ahead:
            self._judge(plan, tally)
        if plan.pending:
            if self.joins_migrations:
                self.mover.hurry((move for move in plan.moves if not move.committed), DEMAND)
            yield from self._wait(plan, tally)

    def _judge(self, plan: Plan, tally: Tally) -> None:
        """What was fetched ahead of need is timely, or late and from now on urgent."""
        if self.queue is not None:
            self.queue.turn()
        arrived, late = plan.judge()
        self.hierarchy.speculation.judged(arrived, len(late))
        if late:
            tally.late += len(late)
            self.mover.hurry(late, DEMAND)

    def _wait(self, plan: Plan, tally: Tally) -> Process:
        begin = self.now
        plan.wake = self.env.event()
        yield plan.wake
        end = self.now
        last = plan.last
        assert last is not None
        for start, stop, cause, lane in attribute(last, begin, end, self.lanes):
            tally.exposed[cause] += stop - start
            row = (tally.number, plan.access.layer, start, stop, cause, lane, (last.leader or last).number)
            self.records.stalls.add(row)

    def _compute(self, plan: Plan, tally: Tally) -> Process:
        start = self.now
        beside = self._begin_reads(plan)
        taken = Taken(self.kernels, start) if self.kernels else None
        ticks = self.compute_ticks(plan)
        if plan.hits:
            by_page = self.read_latencies
            ticks += self.read_latency if by_page is None else max(by_page[page] for page in plan.found)
        if ticks:
            yield self.env.timeout(ticks)
        self.computed(plan, tally, start)
        if taken is not None:
            yield from self._make_up(taken, plan, tally)
        if beside is not None and beside.pending:
            yield from self._wait(beside, tally)
        self.hierarchy.release(plan)
        births = self.hierarchy.create(plan)
        if births is not None:
            yield from self._wait(births, tally)

    def _begin_reads(self, plan: Plan) -> Plan | None:
        """Start what the layer reads while it computes: weights, and pages that stay where they are."""
        beside = None if self.weights is None else self.weights.stream(plan)
        if self.beside and plan.direct:
            beside = beside or Plan(plan.access, plan.epoch)
            self.hierarchy.read_in_place(plan, beside)
        return beside

    def _make_up(self, taken: Taken, plan: Plan, tally: Tally) -> Process:
        """Compute for what copies by kernels have taken, and for what they take meanwhile."""
        begin = self.now
        while (end := begin + taken.ticks(self.now)) > self.now:
            yield self.env.timeout(end - self.now)
        for lane, ticks in taken.by_lane(self.now):
            tally.exposed[COPY_KERNEL] += ticks
            row = (tally.number, plan.access.layer, begin, begin + ticks, COPY_KERNEL, lane, NO_TRANSFER)
            self.records.stalls.add(row)
            begin += ticks


class SequentialDecoder(Decoder[SequentialMover]):
    """Everything happens one after another on the step's own time."""

    def step(self, step: Step, tally: Tally) -> None:
        mover = self.mover
        hierarchy = self.hierarchy
        records = self.records
        mover.exposed = tally.exposed
        mover.now = tally.start
        for access in step.layers:
            mover.layer = access.layer
            plan = self._open(access, DEMAND, tally)
            if plan.direct:
                hierarchy.read_in_place(plan, plan)
            if plan.prefetched:
                hierarchy.speculation.judged(plan.prefetched, 0)
            start = mover.now
            by_page = self.read_latencies
            reads = plan.hits * self.read_latency if by_page is None else sum(by_page[p] for p in plan.found)
            mover.now = end = start + self.compute_ticks(plan) + reads
            tally.compute += end - start
            if records.keep_events:
                records.layers.add((tally.number, access.layer, start, end))
            hierarchy.release(plan)
            hierarchy.create(plan)
            if self.guess is not None:
                if self.queue is not None:
                    self.queue.turn()
                self._guess(access)
        if self.decision is not None and (ticks := self.decision.ticks()):
            self.decided(step, tally, ticks, mover.now)
            mover.now += ticks
        self.migrations.after_step()
        self.end = mover.now


class IdealDecoder(Decoder[FreeMover]):
    """Transfers cost nothing: the step is its compute."""

    def step(self, step: Step, tally: Tally) -> Process:
        for access in step.layers:
            plan = self._open(access, DEMAND, tally)
            start = self.now
            yield self.env.timeout(self.compute_ticks(plan))
            self.computed(plan, tally, start)
            self.hierarchy.release(plan)
            self.hierarchy.create(plan)
        self.migrations.after_step()


def limited(steps: Iterator[Step], most: int | None) -> Iterator[Step]:
    """At most so many steps."""
    return steps if most is None else islice(steps, most)
