"""The memories and links of several instances: those above the first shared tier are there once for each."""

from __future__ import annotations

from kvsim.scenario.hierarchy import HierarchySpec, LinkSpec
from kvsim.scenario.scenario import Scenario

__all__ = ["expanded", "paths", "shared_level"]


def shared_level(scenario: Scenario) -> int:
    """Position of the first tier that all instances share; the number of tiers if there is none below the
    first."""
    named = scenario.serving.instances.shared_from
    return 1 if named is None else scenario.hierarchy.tier_index(named)


def paths(scenario: Scenario) -> list[list[int]]:
    """For each instance its tiers, nearest first, by their positions in the expanded hierarchy."""
    count, level = scenario.serving.instances.count, shared_level(scenario)
    tiers = len(scenario.hierarchy.tiers)
    below = [level * count + k for k in range(tiers - level)]
    return [[k * count + instance for k in range(level)] + below for instance in range(count)]


def expanded(scenario: Scenario) -> HierarchySpec:
    """The hierarchy with all instances in it; a tier or link of instance 1 is called `hbm/1`.

    With one instance it is the scenario's own.
    """
    count, level = scenario.serving.instances.count, shared_level(scenario)
    hierarchy = scenario.hierarchy
    if count == 1:
        return hierarchy
    own = {tier.name for tier in hierarchy.tiers[:level]}
    each = range(count)
    tiers = [
        tier.model_copy(update={"name": f"{tier.name}/{i}"}) for tier in hierarchy.tiers[:level] for i in each
    ]
    links: list[LinkSpec] = []
    for link in hierarchy.links:
        if own.isdisjoint(link.between):
            links.append(link)
            continue
        for i in each:
            ends = tuple(f"{name}/{i}" if name in own else name for name in link.between)
            links.append(link.model_copy(update={"name": f"{link.name}/{i}", "between": ends}))
    update = {"tiers": (*tiers, *hierarchy.tiers[level:]), "links": tuple(links)}
    return hierarchy.model_copy(update=update)
