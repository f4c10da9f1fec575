"""Which lanes a transfer crosses, and how long each takes: routes and service times of the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

from oracle.description import Case, Link, Tier

LaneName = tuple[str, int, str]
"""("link", number, "up" | "down" | "both"), ("port", tier, "both") or ("codec", 0, "up" | "down")."""


def service(size: int, bandwidth: int) -> int:
    """T(S, B): picoseconds to serve `size` bytes, rounded up."""
    return -(-size * 10**12 // bandwidth)


@dataclass(frozen=True)
class Hop:
    """One lane of a route, with the speed a transfer has there and what follows it."""

    lane: LaneName
    rate: int
    setup: int = 0
    delay: int = 0


@dataclass(frozen=True)
class LaneFacts:
    """What a lane is like for all who cross it."""

    channels: int
    priority: bool = False
    chunk: int | None = None


def lane_facts(case: Case) -> dict[LaneName, LaneFacts]:
    """Every lane there is; codecs only where some transfer needs one."""
    lanes: dict[LaneName, LaneFacts] = {}
    for number, link in enumerate(case.links):
        for direction in ["both"] if link.half else ["up", "down"]:
            lanes["link", number, direction] = LaneFacts(link.channels, link.priority, link.chunk)
    for number, tier in enumerate(case.tiers):
        if tier.ports is not None:
            lanes["port", number, "both"] = LaneFacts(tier.ports)
    for source, target in permutations(range(len(case.tiers)), 2):
        for hop in hops(case, source, target):
            lanes.setdefault(hop.lane, LaneFacts(1))
    return lanes


def _paths(case: Case, here: int, target: int, seen: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every way from `here` to `target` that visits no tier twice, as link numbers."""
    if here == target:
        return [()]
    found = []
    for number, link in enumerate(case.links):
        if here in (link.near, link.far):
            there = link.far if here == link.near else link.near
            if there not in seen:
                rest = _paths(case, there, target, (*seen, there))
                found += [(number, *path) for path in rest]
    return found


def path(case: Case, source: int, target: int) -> tuple[int, ...]:
    """The links of the route: fewest, then least latency, then declared first."""
    return min(
        _paths(case, source, target, (source,)),
        key=lambda links: (len(links), sum(case.links[link].latency for link in links), links),
    )


def _rate(case: Case, link: Link, leaves: int, enters: int, *, written: bool) -> int:
    rates = [
        link.channel_bandwidth
        or (link.bandwidth if leaves == link.far else link.bandwidth_down or link.bandwidth),
        case.tiers[leaves].read_bandwidth,
        case.tiers[enters].write_bandwidth if written else None,
    ]
    return min(rate for rate in rates if rate is not None)


def hops(case: Case, source: int, target: int, *, direct: bool = False) -> list[Hop]:
    """The lanes from `source` to `target`, ports of both ends and codecs included.

    A direct read ends at the compute, not in tier 0: it meets neither that tier's ports nor its speed
    and latency of writing.
    """
    links = path(case, source, target)
    result = []
    here = source
    for position, number in enumerate(links):
        link = case.links[number]
        there = link.far if here == link.near else link.near
        written = not direct or position < len(links) - 1
        delay = link.latency
        if position == 0:
            delay += case.tiers[source].read_latency + case.tiers[source].codec_latency
        if position == len(links) - 1 and written:
            delay += case.tiers[target].write_latency
        direction = "both" if link.half else "up" if here == link.far else "down"
        rate = _rate(case, link, here, there, written=written)
        result.append(Hop(("link", number, direction), rate, link.setup, delay))
        here = there
    reads, writes = case.tiers[source].read_bandwidth, case.tiers[target].write_bandwidth
    if case.tiers[source].ports is not None and reads is not None:
        result.insert(0, Hop(("port", source, "both"), reads))
    if case.tiers[target].ports is not None and writes is not None and not direct:
        result.append(Hop(("port", target, "both"), writes))
    return _with_codec(case.tiers[source], case.tiers[target], result)


def _with_codec(source: Tier, target: Tier, links: list[Hop]) -> list[Hop]:
    """Compress before all else on the way to a narrower format, decompress after it from one.

    On the wire is the narrower form, of which the codec passes as many bytes as its throughput of the wider.
    """
    if target.bits < source.bits and target.compress is not None:
        return [Hop(("codec", 0, "down"), target.compress * target.bits // source.bits), *links]
    if source.bits < target.bits and source.decompress is not None:
        return [*links, Hop(("codec", 0, "up"), source.decompress * source.bits // target.bits)]
    return links


def parts(case: Case, source: int, target: int, size: int) -> tuple[int, int]:
    """Bytes of the part whose crossing of a hop lets the next hop begin, and of the last part.

    A route with chunks cuts a transfer into as few parts as the coarsest chunk allows, all as large as each
    other but for the last; a link without chunk passes transfers on whole.
    """
    chunks = [case.links[link].chunk for link in path(case, source, target)]
    if None in chunks:
        return size, size
    pieces = -(-size // max(chunk for chunk in chunks if chunk is not None))
    part = -(-size // pieces)
    return part, size - (pieces - 1) * part


def alone(route: list[Hop], size: int, part: int, last: int) -> int:
    """Time from the first byte's leaving to the last one's arrival when nobody else is on the way."""
    head = tail = 0
    for number, hop in enumerate(route):
        end = head + hop.setup + service(size, hop.rate)
        if number:
            end = max(end, tail + service(last, hop.rate))
        head += hop.setup + service(part, hop.rate) + hop.delay
        tail = end + hop.delay
    return tail
