"""The registries of the policies, and their construction by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kvsim.policies.base import (
    EvictionPolicy,
    PlacementPolicy,
    PlacementView,
    PrefetchPolicy,
    ResidencyView,
)
from kvsim.registry import Registry

__all__ = [
    "ENTRY_POINT_GROUP",
    "EVICTION",
    "PLACEMENT",
    "PREFETCH",
    "make_eviction",
    "make_placement",
    "make_prefetch",
    "names",
    "register_eviction",
    "register_placement",
    "register_prefetch",
]

ENTRY_POINT_GROUP = "kvsim.policies"
"""Entry points of this group name a policy class; its base class says of which kind it is."""

EVICTION: Registry[EvictionPolicy] = Registry(
    "eviction policy", ENTRY_POINT_GROUP, lambda cls: issubclass(cls, EvictionPolicy)
)
PREFETCH: Registry[PrefetchPolicy] = Registry(
    "prefetch policy", ENTRY_POINT_GROUP, lambda cls: issubclass(cls, PrefetchPolicy)
)
PLACEMENT: Registry[PlacementPolicy] = Registry(
    "placement policy", ENTRY_POINT_GROUP, lambda cls: issubclass(cls, PlacementPolicy)
)

register_eviction = EVICTION.register
"""Class decorator: the eviction policy becomes known under its `name`."""
register_prefetch = PREFETCH.register
"""Class decorator: the prefetch policy becomes known under its `name`."""
register_placement = PLACEMENT.register
"""Class decorator: the placement policy becomes known under its `name`."""


def make_eviction(name: str, view: ResidencyView, options: Mapping[str, Any] | None = None) -> EvictionPolicy:
    """The eviction policy of that name (or `module:Class`), looking at `view`.

    Raises RegistryError for an unknown name, BadOption for options it does not take.
    """
    return EVICTION.make(name, view, options)


def make_prefetch(name: str, view: ResidencyView, options: Mapping[str, Any] | None = None) -> PrefetchPolicy:
    """The prefetch policy of that name (or `module:Class`), looking at `view`.

    Raises RegistryError for an unknown name, BadOption for options it does not take.
    """
    return PREFETCH.make(name, view, options)


def make_placement(
    name: str, view: PlacementView, options: Mapping[str, Any] | None = None
) -> PlacementPolicy:
    """The placement policy of that name (or `module:Class`), looking at `view`.

    Raises RegistryError for an unknown name, BadOption for options it does not take.
    """
    return PLACEMENT.make(name, view, options)


def names() -> dict[str, tuple[str, ...]]:
    """The known policies: {"eviction": (…), "prefetch": (…), "placement": (…)}, each sorted."""
    return {
        "eviction": EVICTION.names(),
        "prefetch": PREFETCH.names(),
        "placement": PLACEMENT.names(),
    }
