"""Decode without concurrency: `serial`, where everything takes turns, and `ideal`, where moves are free."""

from __future__ import annotations

from kvsim.sim.decode import Decoder, Process, Tally
from kvsim.sim.movers import FreeMover, SequentialMover
from kvsim.sim.records import DEMAND
from kvsim.workloads.base import Step


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
