"""Lanes whose rates depend on who else is there: priorities, fair sharing, copy engines, buses.

Bandwidth is fluid and all arithmetic is integer: work is counted in byte-ticks
(bytes x ticks per second), so a flow at `rate` bytes per second loses exactly
`rate` units of work a tick, and a milestone is reached at the first tick at or after
its exact time. Between two changes of the set of flows nothing needs an event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Literal

from simpy import Environment, Event

from kvsim.sim.express import Express, Holder, book, schedule
from kvsim.sim.lane import Hop, Label, Lane, Transfer
from kvsim.sim.records import TransferClass
from kvsim.units import TICKS_PER_SECOND

Arbitration = Literal["fifo", "priority", "fair"]


def share_out(total: int, wanted: Sequence[int]) -> list[int]:
    """Max-min fair integer shares of `total`, none above what is wanted.

    Whoever wants less than an equal share gets it all; the rest is split equally, rounded down.
    """
    shares = [0] * len(wanted)
    left = total
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for done, who in enumerate(order):
        shares[who] = min(wanted[who], left // (len(order) - done))
        left -= shares[who]
    return shares


class Flow:
    """One transfer's service on one lane."""

    __slots__ = (
        "boundary",
        "cls",
        "head",
        "hold",
        "hop",
        "index",
        "lane",
        "left",
        "order",
        "queued",
        "rate",
        "ready",
        "resumed",
        "served",
        "start",
        "transfer",
    )

    def __init__(self, transfer: Transfer, lane: SharedLane, now: int, order: int) -> None:
        hop: Hop = transfer.route.hops[transfer.index]
        size = transfer.size
        part = transfer.route.part(size)
        last = transfer.index == transfer.route.last
        self.transfer = transfer
        self.index = transfer.index
        """Its hop on the route; the transfer's head may be further on."""
        self.lane = lane
        self.hop = hop
        self.cls = transfer.cls
        self.queued = now
        self.order = order
        """Its place in the order of arrival, which it keeps whatever becomes of its class."""
        self.start: int | None = None
        self.resumed = 0
        self.served = 0
        self.ready = 0
        """Tick at which its set-up is over."""
        self.left = size * TICKS_PER_SECOND
        self.rate = 0
        self.head = None if last or part == size else (size - part) * TICKS_PER_SECOND
        """Work left when the first part is across and must be announced to the next lane."""
        last_part = transfer.route.last_part(size)
        self.hold = last_part * TICKS_PER_SECOND if transfer.index and part < size else 0
        """Work it may not start before its last part has arrived; 0 when it has."""
        self.boundary: int | None = None
        """Work left at the chunk boundary at which it must make way."""

    @property
    def held(self) -> bool:
        """Whether it waits for its last part to arrive."""
        return bool(self.hold) and self.left <= self.hold

    def milestone(self) -> int:
        """Work left at its next milestone."""
        marks = [0, self.hold]
        if self.head is not None:
            marks.append(self.head)
        if self.boundary is not None:
            marks.append(self.boundary)
        return max(marks)


class SharedLane(Lane):
    """A lane with queues by class and flows that share its bandwidth.

    `fifo` and `priority` serve as many transfers at once as there are channels; `priority`
    takes the most urgent class first and interrupts a less urgent one at its next chunk
    boundary; `fair` serves everybody at once (processor sharing).
    """

    events = 2

    def __init__(
        self,
        env: Environment,
        label: Label,
        channels: int,
        bandwidth: int,
        *,
        arbitration: Arbitration = "fifo",
        chunk: int | None = None,
        pool: Pool | None = None,
    ) -> None:
        super().__init__(env, label, channels, bandwidth)
        self.arbitration = arbitration
        self.chunk = chunk
        self.serving: list[Flow] = []
        self.pool = pool or Pool(env)
        self.pool.lanes.append(self)
        self._queues: tuple[deque[Flow], ...] = tuple(deque() for _ in TransferClass)
        self._flows: dict[Transfer, Flow] = {}
        self._entered = 0

    def enter(self, transfer: Transfer) -> None:
        if self.pool.express is not None:
            self.pool.express.dissolve()
        elif transfer.route.bookable and not transfer.index and book(transfer):
            return
        flow = self._flow(transfer)
        self.bytes_by_class[transfer.cls] += transfer.size
        self._queue_of(flow).append(flow)
        self._reconsider()

    def _flow(self, transfer: Transfer) -> Flow:
        self._entered += 1
        flow = self._flows[transfer] = Flow(transfer, self, self.pool.now, self._entered)
        return flow

    def backlog(self) -> int:
        if self.pool.express is not None:
            return self.pool.express.remaining(self)
        return sum(flow.left for flow in self._flows.values()) // self.bandwidth

    def idle_for(self, hop: Hop) -> Holder | None:
        pool = self.pool
        most = self.bandwidth if hop.together is None else hop.together
        if pool.bandwidth is not None and pool.bandwidth < most:
            most = pool.bandwidth
        return pool if hop.rate <= most and pool.idle and hop.kernel is None else None

    def take_up(self, transfer: Transfer, booked: Express) -> None:
        flow = self._flow(transfer)
        index = transfer.index
        at = self.pool.now - booked.begin
        flow.queued = flow.start = flow.resumed = booked.begin + booked.legs[index][0]
        flow.ready = flow.start + flow.hop.setup
        flow.left = booked.left(flow.hop, index, at, flow.left, flow.hold)
        if at >= booked.tail_at(index):
            flow.hold = 0
        if flow.head is not None and at >= booked.legs[index + 1][0] - flow.hop.delay:
            flow.head = None
        self.serving.append(flow)

    def go_on(self) -> None:
        self.pool.begin_anew()

    def expect_tail(self, transfer: Transfer, delay: int) -> None:
        schedule(self.env, delay, lambda _event: self.tail_arrived(transfer))

    def raise_class(self, transfer: Transfer, cls: int) -> None:
        if self.pool.express is not None:
            self.pool.express.dissolve()
        flow = self._flows.get(transfer)
        if flow is None or flow.cls <= cls:
            return
        if flow in self.serving or self.arbitration != "priority":
            flow.cls = cls
        else:
            self._queue_of(flow).remove(flow)
            flow.cls = cls
            self._line_up(flow)
        self._reconsider()

    def tail_arrived(self, transfer: Transfer) -> None:
        """The last part of `transfer` is here: nothing holds it any more."""
        flow = self._flows[transfer]
        self.pool.advance()
        flow.left = max(flow.left, flow.hold)
        flow.hold = 0
        self.pool.plan()

    def _reconsider(self) -> None:
        self.pool.advance()
        if self.admit():
            self.pool.plan()

    def _queue_of(self, flow: Flow) -> deque[Flow]:
        return self._queues[flow.cls if self.arbitration == "priority" else 0]

    def _line_up(self, flow: Flow) -> None:
        """Into the queue of its class, in order of arrival."""
        queue = self._queue_of(flow)
        queue.insert(sum(other.order < flow.order for other in queue), flow)

    def admit(self) -> bool:
        """Put waiting flows into service while there is a channel, or one can be had; whether rates or the
        next milestone may be others now."""
        begun = False
        while queue := next((q for q in self._queues if q), None):
            full = self.arbitration != "fair" and len(self.serving) >= self.channels
            if full and not self._makes_way(queue[0].cls):
                return begun or any(flow.boundary is not None for flow in self.serving)
            self._begin(queue.popleft())
            begun = True
        for flow in self.serving:
            flow.boundary = None
        return True

    def _begin(self, flow: Flow) -> None:
        now = self.pool.now
        if flow.start is None:
            flow.start = now
            flow.ready = now + flow.hop.setup
        flow.resumed = now
        self.serving.append(flow)
        if flow.hop.kernel is not None:
            flow.hop.kernel.serves(now)

    def _makes_way(self, cls: int) -> bool:
        """Whether a flow less urgent than `cls` leaves its channel now; the others do at their next boundary.

        Of several that can leave, the least urgent does, and of these the last to arrive.
        """
        if self.arbitration != "priority":
            return False
        for flow in sorted(self.serving, key=lambda f: (f.cls, f.order), reverse=True):
            if flow.cls <= cls:
                flow.boundary = None
                continue
            if flow.boundary is None:
                flow.boundary = self._next_boundary(flow)
            if flow.held or 0 < flow.left <= flow.boundary:  # with nothing left it goes anyway
                self._interrupt(flow)
                return True
        return False

    def _next_boundary(self, flow: Flow) -> int:
        size = flow.transfer.size
        parts = 1 if self.chunk is None else -(-size // self.chunk)
        part = -(-size // parts) * TICKS_PER_SECOND
        whole = size * TICKS_PER_SECOND
        crossed = max(1, -(-(whole - flow.left) // part))
        return max(0, whole - crossed * part)

    def _interrupt(self, flow: Flow) -> None:
        """Take a flow out of service; it keeps its place in its class."""
        self._leave(flow)
        flow.boundary = None
        self._line_up(flow)

    def finish(self, flow: Flow) -> None:
        """All bytes of the flow are across."""
        self._leave(flow)
        transfer, hop, now = flow.transfer, flow.hop, self.pool.now
        del self._flows[transfer]
        assert flow.start is not None
        nominal = hop.setup + hop.ticks(transfer.size)
        row = (transfer.number, self.number, flow.queued, flow.start, now, transfer.size, nominal)
        self.passed(transfer, row, flow.served)
        if flow.index == transfer.route.last:
            transfer.deliver(hop.delay)
        elif transfer.route.part(transfer.size) == transfer.size:
            transfer.enter_next(hop.delay)
        else:
            self._send_tail(flow)

    def _leave(self, flow: Flow) -> None:
        self.serving.remove(flow)
        flow.served += self.pool.now - flow.resumed
        flow.rate = 0
        if flow.hop.kernel is not None and not self.serving:
            flow.hop.kernel.rests(self.pool.now)

    def _send_tail(self, flow: Flow) -> None:
        transfer = flow.transfer
        lane = transfer.route.hops[flow.index + 1].lane
        assert isinstance(lane, SharedLane)  # the topology never mixes kinds on a chunked route
        at_next = lane.tail_arrived
        schedule(self.env, flow.hop.delay, lambda _event: at_next(transfer))

    def most(self, flows: Sequence[Flow]) -> int:
        """Bytes per second the lane has for them: of both directions, where they share it, the faster's."""
        return max((f.hop.together or self.bandwidth for f in flows), default=0)

    def rates(self, allowance: int, flows: Sequence[Flow]) -> None:
        """Share what the pool allows this lane among the flows that move."""
        for flow, rate in zip(flows, share_out(allowance, [f.hop.rate for f in flows]), strict=True):
            flow.rate = rate


class Pool:
    """Lanes that share bandwidth (the links of one bus, or one lane of its own), and their clock."""

    def __init__(self, env: Environment, bandwidth: int | None = None) -> None:
        self.env = env
        self.bandwidth = bandwidth
        self.lanes: list[SharedLane] = []
        self.express: Express | None = None
        self._last = 0
        self._timers: list[int] = []
        """Heap of the ticks at which an event will come by; milestones mostly move to later than that."""

    @property
    def now(self) -> int:
        """The clock, in ticks."""
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        return now

    @property
    def idle(self) -> bool:
        """Whether nothing is being served or booked."""
        return self.express is None and not any(lane.serving for lane in self.lanes)

    def begin_anew(self) -> None:
        """The flows there are have just been put where they are."""
        self._last = self.now
        self.plan()

    def _flows(self) -> Iterator[Flow]:
        for lane in self.lanes:
            yield from lane.serving

    def advance(self) -> None:
        """Bring every flow's work up to now."""
        now = self.now
        if now == self._last:
            return
        for flow in self._flows():
            if flow.rate:
                flow.left -= flow.rate * (now - max(self._last, min(flow.ready, now)))
                if flow.hold and flow.left < flow.hold:
                    flow.left = flow.hold
        self._last = now

    def plan(self) -> None:
        """Set the rates that hold from now on and wake at the next milestone."""
        flows = list(self._flows())
        if len(flows) == 1:
            self._wake(self._moment_alone(flows[0]))
            return
        self._set_rates()
        at: int | None = None
        for flow in flows:
            moment = self._moment(flow)
            if moment is not None and (at is None or moment < at):
                at = moment
        self._wake(at)

    def _moment_alone(self, flow: Flow) -> int | None:
        """The same for the only flow there is, which is the common case: nobody takes a share, even of the
        time of its set-up."""
        most = min(flow.hop.rate, flow.hop.together or flow.lane.bandwidth)
        if self.bandwidth is not None and self.bandwidth < most:
            most = self.bandwidth
        flow.rate = 0 if flow.held else most
        return self._moment(flow)

    def _set_rates(self) -> None:
        now = self.now
        moving = [[f for f in lane.serving if not f.held and f.ready <= now] for lane in self.lanes]
        for lane in self.lanes:
            for flow in lane.serving:
                flow.rate = 0
        wanted = [
            min(lane.most(flows), sum(f.hop.rate for f in flows))
            for lane, flows in zip(self.lanes, moving, strict=True)
        ]
        allowed = wanted if self.bandwidth is None else share_out(self.bandwidth, wanted)
        for lane, flows, allowance in zip(self.lanes, moving, allowed, strict=True):
            if flows:
                lane.rates(allowance, flows)

    def _moment(self, flow: Flow) -> int | None:
        """Tick of the flow's next milestone at its present rate."""
        now = self.now
        if not flow.rate:
            return flow.ready if flow.ready > now else None
        return max(now, flow.ready) - (-max(0, flow.left - flow.milestone()) // flow.rate)

    def _wake(self, at: int | None) -> None:
        """Come by at that tick at the latest; whoever comes by too early just plans again."""
        if at is not None and not (self._timers and self._timers[0] <= at):
            heappush(self._timers, at)
            schedule(self.env, at - self.now, self._on_timer)

    def _on_timer(self, _event: Event) -> None:
        heappop(self._timers)
        self.advance()
        for flow in list(self._flows()):
            self._pass_milestones(flow)
        for lane in self.lanes:
            lane.admit()
        self.plan()

    def _pass_milestones(self, flow: Flow) -> None:
        if flow.head is not None and flow.left <= flow.head:
            flow.head = None
            flow.transfer.enter_next(flow.hop.delay)
        if flow.left <= 0:
            flow.lane.finish(flow)
