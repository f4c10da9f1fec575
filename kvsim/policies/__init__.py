"""WHO decides: eviction, prefetch and placement policies. Pure bookkeeping: no clock, no simulation.

A policy is a small class with a `name`, registered once::

    @register_eviction
    class Mine(EvictionPolicy):
        name = "mine"

        def __init__(self, view: ResidencyView, weight: float = 1.0) -> None: ...

The keyword parameters of `__init__` are its options in a scenario, checked by their annotations.
"""

from kvsim.policies import eviction, placement, prefetch
from kvsim.policies.base import (
    EvictionPolicy,
    PlacementPolicy,
    PlacementView,
    PrefetchPolicy,
    ResidencyView,
)
from kvsim.policies.check import check_policies
from kvsim.policies.registry import (
    make_eviction,
    make_placement,
    make_prefetch,
    names,
    register_eviction,
    register_placement,
    register_prefetch,
)

__all__ = [
    "EvictionPolicy",
    "PlacementPolicy",
    "PlacementView",
    "PrefetchPolicy",
    "ResidencyView",
    "check_policies",
    "eviction",
    "make_eviction",
    "make_placement",
    "make_prefetch",
    "names",
    "placement",
    "prefetch",
    "register_eviction",
    "register_placement",
    "register_prefetch",
]
