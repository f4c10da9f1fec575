"""What is wrong with a scenario's choice of policies, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

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
