"""Placements that only say where pages start."""

from __future__ import annotations

from kvsim.policies.base import PlacementPolicy
from kvsim.policies.registry import register_placement

__all__ = ["Fill", "Last"]


@register_placement
class Fill(PlacementPolicy):
    """The fastest tier first, in order of the pages' numbers, then the next one."""

    name = "fill"


@register_placement
class Last(PlacementPolicy):
    """All in the last tier."""

    name = "last"

    def start(self, page: int) -> int:
        return self.view.tier_count - 1
