"""Which links lead from one tier to another."""

from heapq import heappop, heappush

from kvsim.errors import SimulationError
from kvsim.scenario.hierarchy import HierarchySpec, LinkSpec

__all__ = ["connected", "links_between", "other_end"]


def links_between(hierarchy: HierarchySpec, source: int, target: int) -> list[LinkSpec]:
    """The links from tier to tier in order: fewest links, then least latency, then order of declaration.

    Raises SimulationError if none lead there.
    """
    links = hierarchy.links
    heap: list[tuple[int, int, tuple[int, ...], int]] = [(0, 0, (), source)]
    seen: set[int] = set()
    while heap:
        count, latency, taken, here = heappop(heap)
        if here == target:
            return [links[i] for i in taken]
        if here in seen:
            continue
        seen.add(here)
        for i, link in enumerate(links):
            if hierarchy.tiers[here].name in link.between:
                there = other_end(hierarchy, link, here)
                heappush(heap, (count + 1, latency + link.latency, (*taken, i), there))
    names = [hierarchy.tiers[k].name for k in (source, target)]
    raise SimulationError(f"no route from tier {names[0]} to tier {names[1]}")


def connected(hierarchy: HierarchySpec, source: int, target: int) -> bool:
    """Whether there is a way from one tier to the other."""
    found = {source}
    while target not in found:
        beyond = {
            other_end(hierarchy, link, here)
            for here in found
            for link in hierarchy.links
            if hierarchy.tiers[here].name in link.between
        }
        if beyond <= found:
            return False
        found |= beyond
    return True


def other_end(hierarchy: HierarchySpec, link: LinkSpec, here: int) -> int:
    """The tier at the far end of a link."""
    near, far = (hierarchy.tier_index(name) for name in link.between)
    return far if here == near else near
