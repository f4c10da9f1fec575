"""A link between two tiers: one lane a direction, or one for both."""

from __future__ import annotations

from functools import cached_property
from itertools import count

from simpy import Environment, Event

from kvsim.scenario.hierarchy import LinkSpec
from kvsim.sim.lane import FifoLane, Hop, Label, Lane, Transfer
from kvsim.sim.records import TransferClass
from kvsim.sim.route import Route
from kvsim.sim.shared import Pool, SharedLane


def shares_bandwidth(spec: LinkSpec) -> bool:
    """Whether the rate of a transfer on this link can change while it is served."""
    oversubscribed = spec.channels * (spec.channel_bandwidth or spec.bandwidth) > spec.bandwidth
    return spec.arbitration != "fifo" or spec.bus is not None or (spec.channels > 1 and oversubscribed)


class Link:
    """A bandwidth-limited, queued connection; a SimPy resource any process can use.

        def move(env, link):
            transfer = yield link.transfer(4096)

    `up` leads toward the compute. A half-duplex link has one lane for both directions.
    """

    def __init__(
        self, env: Environment, spec: LinkSpec, pool: Pool | None = None, *, shared: bool = False
    ) -> None:
        self.env = env
        self.spec = spec
        self._shared = shared or shares_bandwidth(spec)
        if spec.duplex == "half":
            most = max(spec.bandwidth, self.bandwidth("down"))
            self.up = self.down = self._lane("both", most, pool)
        else:
            self.up = self._lane("up", spec.bandwidth, pool)
            self.down = self._lane("down", self.bandwidth("down"), pool)
        self._numbers = count()

    def bandwidth(self, direction: str) -> int:
        """Bytes per second in that direction."""
        down = self.spec.bandwidth_down
        return down if direction == "down" and down is not None else self.spec.bandwidth

    def _lane(self, direction: str, bandwidth: int, pool: Pool | None) -> Lane:
        spec = self.spec
        name = spec.name if direction == "both" else f"{spec.name} {direction}"
        label = Label(name, spec.name, direction)
        if not self._shared:
            return FifoLane(self.env, label, spec.channels, bandwidth)
        return SharedLane(
            self.env,
            label,
            spec.channels,
            bandwidth,
            arbitration=spec.arbitration,
            chunk=spec.chunk,
            pool=pool,
        )

    @cached_property
    def _routes(self) -> dict[str, Route]:
        return {d: Route((self.hop(d),), self.spec.chunk) for d in ("up", "down")}

    def lane(self, direction: str) -> Lane:
        """The lane that serves that direction."""
        return self.up if direction == "up" else self.down

    def hop(self, direction: str, limit: int | None = None, delay: int = 0) -> Hop:
        """This link as a hop: at most `limit` bytes per second, `delay` ticks beyond its own latency."""
        together = rate = self.bandwidth(direction)
        if self.spec.channel_bandwidth is not None:
            rate = min(rate, self.spec.channel_bandwidth)
        if limit is not None:
            rate = min(rate, limit)
        return Hop(self.lane(direction), rate, self.spec.setup, self.spec.latency + delay, together)

    def transfer(
        self, size: int, direction: str = "up", cls: TransferClass = TransferClass.DEMAND
    ) -> LinkTransfer:
        """Move `size` bytes; the event triggers when the last byte has arrived.

        Its value is the `Transfer`, with the ticks `queued`, `start` and `end` of its service.
        Raises ValueError for a size below one byte or an unknown direction.
        """
        if size < 1 or direction not in self._routes:
            raise ValueError(f"cannot move {size} bytes {direction!r}: at least 1 byte, 'up' or 'down'")
        transfer = LinkTransfer(self.env, next(self._numbers), size, cls, self._routes[direction])
        transfer.callbacks = [transfer.landed]
        self.lane(direction).enter(transfer)
        return transfer


class LinkTransfer(Transfer):
    """A transfer over one link, as a process sees it: its value is itself."""

    def landed(self, _event: Event) -> None:
        """Runs before whoever waits for the transfer."""
        self._value = self
        self.count_out()
