"""The decode process: steps, layer after layer. What an overlap mode makes of one is its subclass's part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from simpy import Environment

from kvsim.policies.base import PrefetchPolicy
from kvsim.sim.decision import DecisionCost
from kvsim.sim.fused import FusedDecoding
from kvsim.sim.guesses import GuessQueue
from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.migration import Migrations
from kvsim.sim.move import Mover
from kvsim.sim.plan import Plan
from kvsim.sim.records import Cause, Records
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


def limited(steps: Iterator[Step], most: int | None) -> Iterator[Step]:
    """At most so many steps."""
    return steps if most is None else islice(steps, most)
