"""What is wrong with a scenario's choice of policies, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from kvsim.errors import RegistryError
from kvsim.policies.registry import EVICTION, PLACEMENT, PREFETCH
from kvsim.scenario.scenario import Scenario

__all__ = ["check_policies"]


def check_policies(scenario: Scenario) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Problems of `scenario.policy`: unknown names, and options that the policies do not take.

    A check for `kvsim.scenario.loader.load`: yields the path of the field and the message.
    """
    policy = scenario.policy
    for field, registry, chosen in (
        ("eviction", EVICTION, policy.eviction),
        ("prefetch", PREFETCH, policy.prefetch),
        ("placement", PLACEMENT, policy.placement),
    ):
        for path, message in registry.check(chosen.name, chosen.options):
            yield ("policy", field, *path), message
    if _lacks_direct_tier(scenario):
        name = policy.placement.name
        path = ("policy", "placement")
        yield path, f"placement policy {name!r} needs a tier below the first with `access: direct`"


def _lacks_direct_tier(scenario: Scenario) -> bool:
    try:
        placement = PLACEMENT.get(scenario.policy.placement.name)
    except RegistryError:
        return False  # which has been reported
    below = scenario.hierarchy.tiers[1:]
    return placement.needs_direct and all(tier.access != "direct" for tier in below)
