"""Lanes and the transfers that cross them.

A lane is one direction of a link (both, when half duplex), the ports of a tier, or a
codec: something with channels that serves transfers one after another. Every lane is a
SimPy resource of its own: entering it books the service and, for the common case, costs
one scheduled event a hop (a `simpy.Resource` costs three).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapreplace
from typing import TYPE_CHECKING

from simpy import Environment, Event
from simpy.events import NORMAL

from kvsim.sim.express import Express, Holder, book, schedule
from kvsim.sim.records import TransferClass
from kvsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from kvsim.sim.kernel import CopyKernel
    from kvsim.sim.route import Route

HopRow = tuple[int, int, int, int, int, int, int]
"""A row of the `hops` table: transfer, lane, queued, start, end, bytes, nominal."""


MOST_KNOWN = 4096
"""Service times a hop remembers at most."""


@dataclass(slots=True, eq=False)
class Hop:
    """One lane on a route, with what this route makes of it."""

    lane: Lane
    rate: int
    """Bytes per second on this hop: link, read and write bandwidth, whichever is least."""
    setup: int
    """Ticks the channel is held before the first byte."""
    delay: int
    """Ticks from leaving the lane to the far end; occupies nothing."""
    together: int | None = None
    """Bytes per second of all transfers of this direction together; None: the lane's."""
    kernel: CopyKernel | None = None
    """What moves the bytes here, if that takes from compute. It is told of every service, so nothing that
    crosses such a hop is booked."""

    known: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    """Service times computed before, by size: page sizes are few."""

    def nominal(self, size: int) -> int:
        """Ticks a transfer of `size` bytes holds a channel when nothing else shares its bandwidth."""
        ticks = self.known[size] = self.setup + self.ticks(size)
        if len(self.known) > MOST_KNOWN:
            self.known.clear()
        return ticks

    def ticks(self, size: int) -> int:
        """Ticks to push `size` bytes across, set-up aside, rounded up."""
        return -(-size * TICKS_PER_SECOND // self.rate)


class Transfer(Event):
    """Bytes under way over a route; triggers when the last byte has arrived."""

    index = 0
    """Hop it is on, or queued for."""
    tail: int | None = None
    """When the last chunk reaches the current lane; None: with the first, or not known yet."""
    trail: tuple[HopRow, ...] = ()
    """Its rows of the `hops` table so far."""

    def __init__(self, env: Environment, number: int, size: int, cls: int, route: Route) -> None:
        self.env = env
        self.callbacks = []
        self._ok = True
        self.number = number
        self.size = size
        """Bytes on the wire."""
        self.cls = cls
        """TransferClass; may be raised while under way."""
        self.route = route

    @property
    def queued(self) -> int:
        """Tick at which it reached its first lane."""
        return self.trail[0][2]

    @property
    def start(self) -> int:
        """Tick at which its first lane began to serve it."""
        return self.trail[0][3]

    @property
    def end(self) -> int:
        """Tick at which its last byte left its last lane."""
        return self.trail[-1][4]

    def deliver(self, delay: int) -> None:
        """Trigger `delay` ticks from now; everything is across but the latencies."""
        self._value = None
        self.env.schedule(self, NORMAL, delay)

    def enter_next(self, delay: int) -> None:
        """The first chunk reaches the next lane `delay` ticks from now."""
        schedule(self.env, delay, self._arrive)

    def _arrive(self, _event: Event) -> None:
        self.index += 1
        self.route.hops[self.index].lane.enter(self)

    def count_out(self) -> None:
        """Tell every lane crossed that the bytes came out; called once, on arrival."""
        for hop in self.route.hops:
            hop.lane.bytes_out += self.size


@dataclass(frozen=True, slots=True)
class Label:
    """What a lane is called and what it is part of."""

    name: str
    """For people: `pcie up`, `nvme ports`."""
    part_of: str
    """Name of its link or tier."""
    direction: str
    """`up` (toward the compute), `down`, or `both`."""
    kind: str = "link"
    """`link`, `port` or `codec`."""


class Lane:
    """What all lanes have: a label, totals, and a place to log each service."""

    events = 1
    """What a transfer that meets nobody costs here, unless it is booked."""

    def __init__(self, env: Environment, label: Label, channels: int = 1, bandwidth: int = 0) -> None:
        self.env = env
        self.label = label
        self.channels = channels
        self.bandwidth = bandwidth
        """Bytes per second, all channels together."""
        self.number = 0
        """Index in the run's lane list; set when the topology is built."""
        self.log: Callable[[HopRow], None] | None = None
        """Takes the rows of the `hops` table."""
        self.transfers = 0
        self.bytes_by_class = [0] * len(TransferClass)
        self.bytes_out = 0
        self.busy = 0
        self.queueing = 0

    @property
    def bytes_in(self) -> int:
        """Bytes that have entered."""
        return sum(self.bytes_by_class)

    def enter(self, transfer: Transfer) -> None:
        """The first chunk of `transfer` is here now."""
        raise TypeError(f"{type(self).__name__} serves nothing")

    def raise_class(self, transfer: Transfer, cls: int) -> None:
        """`transfer` is wanted more urgently; matters only where arbitration looks at classes."""

    def idle_for(self, hop: Hop) -> Holder | None:
        """What to note a booking at, if a transfer would be alone here, at the hop's rate."""
        return None

    def take_up(self, transfer: Transfer, booked: Express) -> None:
        """Go on serving the transfer, which was booked and is being served now."""
        raise TypeError(f"{type(self).__name__} takes no bookings")

    def go_on(self) -> None:
        """All that was booked together has been taken up."""

    def expect_tail(self, transfer: Transfer, delay: int) -> None:
        """The last part of a transfer that was booked will be here `delay` ticks from now."""

    def backlog(self) -> int:
        """Ticks until a transfer that came now would be served, if nobody else came."""
        return 0

    def passed(self, transfer: Transfer, row: HopRow, served: int) -> None:
        """Book one finished (or firmly scheduled) service in the totals and the log."""
        self.transfers += 1
        self.busy += served
        self.queueing += row[3] - row[2]
        transfer.trail += (row,)
        if self.log is not None:
            self.log(row)


class FifoLane(Lane):
    """First come, first served, each channel at a fixed rate.

    Nothing that comes later can change a service once it is booked, so a busy-until time
    per channel is all the state, and a transfer costs one event.
    """

    def __init__(self, env: Environment, label: Label, channels: int = 1, bandwidth: int = 0) -> None:
        super().__init__(env, label, channels, bandwidth)
        self.express: Express | None = None
        self._free = [0] * channels

    def enter(self, transfer: Transfer) -> None:
        if self.express is not None:
            self.express.dissolve()
        env = self.env
        now: int = env.now  # type: ignore[assignment]  # the clock counts integer ticks
        route = transfer.route
        index = transfer.index
        if route.bookable and not index and book(transfer):
            return
        hop = route.hops[index]
        size = transfer.size
        start = self._free[0]
        if start < now:
            start = now
        else:
            self.queueing += start - now
        nominal = hop.known.get(size) or hop.nominal(size)
        end = start + nominal
        if index and transfer.tail is not None:
            end = max(end, transfer.tail + hop.ticks(route.last_part(size)))
        if self.channels == 1:
            self._free[0] = end
        else:
            heapreplace(self._free, end)
        if hop.kernel is not None:
            hop.kernel.serves(start, end)
        self.bytes_by_class[transfer.cls] += size
        self.transfers += 1
        self.busy += end - start
        row = (transfer.number, self.number, now, start, end, size, nominal)
        if self.log is not None:
            self.log(row)
        if index == route.last:
            transfer.trail = (*transfer.trail, row) if index else (row,)
            transfer._value = None
            env.schedule(transfer, NORMAL, end + hop.delay - now)
        else:
            transfer.trail += (row,)
            self._pass_on(transfer, hop, start, end)

    def raise_class(self, transfer: Transfer, cls: int) -> None:
        if self.express is not None:
            self.express.dissolve()

    def backlog(self) -> int:
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        if self.express is not None:
            return self.express.remaining(self)
        return max(0, self._free[0] - now)

    def idle_for(self, hop: Hop) -> Holder | None:
        free = self.express is None and self._free[0] <= self.env.now and hop.kernel is None
        return self if free else None

    def take_up(self, transfer: Transfer, booked: Express) -> None:
        index = transfer.index
        route = transfer.route
        hop = route.hops[index]
        head, end, nominal, tail = (booked.begin + leg for leg in booked.legs[index])
        nominal -= booked.begin
        heapreplace(self._free, end)
        self.passed(
            transfer, (transfer.number, self.number, head, head, end, transfer.size, nominal), end - head
        )
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        if index == route.last:
            transfer.deliver(end + hop.delay - now)
            return
        transfer.tail = None if route.part(transfer.size) == transfer.size else tail
        arrival = booked.begin + booked.legs[index + 1][0]
        if now < arrival - hop.delay:
            transfer.enter_next(arrival - now)

    def expect_tail(self, transfer: Transfer, delay: int) -> None:
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        transfer.tail = now + delay

    def _pass_on(self, transfer: Transfer, hop: Hop, start: int, end: int) -> None:
        """The first part enters the next lane when it is across; the tail follows."""
        size = transfer.size
        part = transfer.route.part(size)
        whole = part == size
        transfer.tail = None if whole else end + hop.delay
        head = end if whole else start + hop.setup + hop.ticks(part)
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        transfer.enter_next(head + hop.delay - now)
