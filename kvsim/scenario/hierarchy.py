"""The memories and what connects them."""

from typing import Annotated, Literal

from pydantic import Field

from kvsim.scenario.base import Count, Flag, Name, Part, Share, Spec
from kvsim.scenario.catalog import SchemeSpec
from kvsim.units import Bandwidth, Bytes, Capacity, Duration, EnergyPerBit

__all__ = ["BusSpec", "HierarchySpec", "LinkSpec", "TierSpec"]


class TierSpec(Spec):
    """A memory: how much it holds and how fast it is read and written."""

    name: Name
    """Name of the tier, unique in its hierarchy."""
    capacity: Capacity
    """Room for pages: a size such as `80 GiB`, or a number of pages such as `10000 pages`."""
    read_latency: Duration = 0
    """Time from a read request to the first byte. Default 0."""
    write_latency: Duration = 0
    """Time from the last byte to the end of a write. Default 0."""
    read_bandwidth: Bandwidth | None = None
    """Bandwidth of one transfer out of this tier. Default: the links decide."""
    write_bandwidth: Bandwidth | None = None
    """Bandwidth of one transfer into this tier. Default: the links decide."""
    ports: Count | None = None
    """Number of transfers the tier serves at once, all its links together. Default: no limit."""
    access: Literal["promote", "direct", "stage"] = "promote"
    """`promote`: a page is moved to tier 0 and read there. `direct`: a step reads it in place, over the
    links, and it stays. `stage`: a page is copied to tier 0 for the layer that reads it, keeps its place
    here, and is dropped from tier 0 afterwards. Default `promote`."""
    inclusive: Flag = False
    """true: a page that is promoted from here leaves a copy, so it returns for free. Default false."""
    scheme: SchemeSpec | None = None
    """Storage format of pages in this tier. Default: the scenario's scheme."""
    high_watermark: Share | None = None
    """Share of the capacity above which pages are demoted in the background. Default: never."""
    low_watermark: Share | None = None
    """Share of the capacity at which the background demotion stops. Given with `high_watermark`."""
    read_energy: EnergyPerBit | None = None
    """Energy to read one bit of it, such as `6 pJ/bit`; its `source` says what the figure covers.
    Default: unknown."""
    write_energy: EnergyPerBit | None = None
    """Energy to write one bit of it. Default: unknown."""
    source: str = ""
    """Where the figures come from."""


class LinkSpec(Spec):
    """A bandwidth-limited, queued connection between two tiers."""

    name: Name
    """Name of the link, unique in its hierarchy."""
    between: tuple[str, str]
    """The two tiers it connects, the one nearer the compute first."""
    bandwidth: Bandwidth
    """Bandwidth toward the compute, and away from it unless `bandwidth_down` is given."""
    bandwidth_down: Bandwidth | None = None
    """Bandwidth away from the compute. Default: `bandwidth`."""
    latency: Duration = 0
    """Time from a byte's leaving to its arriving; it occupies nothing. Default 0."""
    setup: Duration = 0
    """Time a channel is held for each transfer before its first byte. Default 0."""
    duplex: Literal["full", "half"] = "full"
    """`full`: one lane in each direction. `half`: both directions share one lane. Default `full`."""
    channels: Count = 1
    """Transfers served at once in each lane, such as copy engines. Default 1."""
    channel_bandwidth: Bandwidth | None = None
    """Bandwidth of one channel. Default: the bandwidth of the link."""
    bus: str | None = None
    """Name of the bus whose bandwidth this link shares. Default: none."""
    chunk: Bytes | None = None
    """Piece in which transfers are passed on to the next link of a route, and at whose end a more urgent
    transfer overtakes. Default: a transfer is passed on, and served, whole."""
    arbitration: Literal["fifo", "priority", "fair"] = "fifo"
    """`fifo`: in order of arrival. `priority`: demand before write-back before prefetch before background.
    `fair`: all at once, with equal shares. Default `fifo`."""
    compute_share: Part = 0
    """Share of the GPU's compute that this link's transfers take, each direction for itself, while at least
    one of them is in service: a copy by a kernel runs on the multiprocessors, one by a copy engine takes
    nothing. Default 0."""
    technology: str | None = None
    """What the link physically is, such as `pcie5-x16`. Only used to warn about a bandwidth that it cannot
    have. Default: judged by the link's name."""
    energy: EnergyPerBit | None = None
    """Energy to move one bit over it, in either direction. Default: unknown."""
    source: str = ""
    """Where the figures come from."""


class BusSpec(Spec):
    """A bandwidth that several links share."""

    name: Name
    """Name of the bus, unique in its hierarchy."""
    bandwidth: Bandwidth
    """Aggregate bandwidth of both directions of all links of the bus."""


class HierarchySpec(Spec):
    """The tiers, nearest the compute first, and the links between them."""

    tiers: Annotated[tuple[TierSpec, ...], Field(min_length=1)]
    """The memories; the first is nearest the compute, the last farthest."""
    links: tuple[LinkSpec, ...] = ()
    """The connections; every tier must be reachable from tier 0. Default: none, for a single tier."""
    buses: tuple[BusSpec, ...] = ()
    """The buses that links share. Default: none."""
    codec_engines: Count = 1
    """Pages compressed at once, and pages decompressed at once, each at the throughput of its format.
    Default 1."""
    source: str = ""
    """Where the figures come from."""

    def tier_index(self, name: str) -> int:
        """Position of the tier of that name; KeyError if there is none."""
        for index, tier in enumerate(self.tiers):
            if tier.name == name:
                return index
        raise KeyError(name)
