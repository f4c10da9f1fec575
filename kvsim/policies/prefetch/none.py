"""No prefetch."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.policies.base import PrefetchPolicy
from kvsim.policies.registry import register_prefetch

__all__ = ["NoPrefetch"]


@register_prefetch
class NoPrefetch(PrefetchPolicy):
    """Asks for nothing: the baseline every prefetcher has to beat. O(1), no state."""

    name = "none"

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        return ()
