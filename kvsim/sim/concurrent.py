"""Decode with transfers that are processes of their own: `demand`, `layered` and `async`."""

from __future__ import annotations

from collections import deque

from simpy import Environment

from kvsim.policies.base import PrefetchPolicy
from kvsim.sim.decision import DecisionCost
from kvsim.sim.decode import COPY_KERNEL, NO_TRANSFER, Decoder, Process, ReadLatency, Tally
from kvsim.sim.exposure import attribute
from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.kernel import CopyKernel, Taken
from kvsim.sim.lane import Lane
from kvsim.sim.movers import ConcurrentMover
from kvsim.sim.plan import Plan
from kvsim.sim.records import DEMAND, PREFETCH, Records
from kvsim.sim.stream import StreamingMover
from kvsim.workloads.base import LayerAccess, Step


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
                self.mover.hurry(move for move in plan.moves if not move.committed)
            yield from self._wait(plan, tally)

    def _judge(self, plan: Plan, tally: Tally) -> None:
        """What was fetched ahead of need is timely, or late and from now on urgent."""
        if self.queue is not None:
            self.queue.turn()
        arrived, late = plan.judge()
        self.hierarchy.speculation.judged(arrived, len(late))
        if late:
            tally.late += len(late)
            self.mover.hurry(late)

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
