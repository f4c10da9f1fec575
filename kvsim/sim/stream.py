"""Weights that a layer's compute reads over the links the KV pages take.

They are the loads of the compute itself: no page, so they are resident nowhere, and no work of the DMA
scheduler, so they need no slot of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from simpy import Environment, Event

from kvsim.sim.dma import DmaScheduler
from kvsim.sim.move import NO_TIER, Move
from kvsim.sim.movers import ConcurrentMover
from kvsim.sim.plan import Plan
from kvsim.sim.records import Records
from kvsim.sim.residency import Residency
from kvsim.sim.route import Route
from kvsim.sim.topology import Topology

NO_PAGE = -1


class StreamingMover(ConcurrentMover):
    """Moves pages concurrently, and streams weights from `tier` over `route` beside them."""

    def __init__(
        self,
        env: Environment,
        residency: Residency,
        topology: Topology,
        dma: DmaScheduler,
        records: Records,
        *,
        tier: int,
        route: Route,
    ) -> None:
        super().__init__(env, residency, topology, dma, records)
        self.streamed = 0
        """Bytes of weights so far."""
        self._tier = tier
        self._route = route
        self._on_streamed = cast(Callable[[Event], None], self._streamed)

    def streamed_over(self) -> dict[int, int]:
        """Bytes of weights over each lane, by its number."""
        return {hop.lane.number: self.streamed for hop in self._route.hops}

    def stream(self, plan: Plan) -> Plan:
        """Start to read what the layer's compute streams; the plan returned waits for it."""
        size = plan.access.stream_bytes
        rest = Plan(plan.access, plan.epoch)
        if size:
            move = self._new(size, self._route, NO_PAGE, self._tier, NO_TIER, 0, 0)
            move.granted = move.requested
            move.callbacks = [self._on_streamed]
            rest.wait_for(move)
            self.streamed += size
            self._route.hops[0].lane.enter(move)
        return rest

    def _streamed(self, move: Move) -> None:
        move.count_out()
        move.committed = True
        row = (move.number, move.cls, move.issued_cls, move.page, 0, move.size, move.source, move.target)
        times = (move.requested, move.granted, self.env.now)
        self._log((*row, move.step, *times))  # type: ignore[arg-type]  # the clock counts integer ticks
        for plan in move.waiters or ():
            plan.arrived(move)
        move.waiters = None
