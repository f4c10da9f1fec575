"""Frequency, then position in the context."""

from __future__ import annotations

from kvsim.policies.eviction.keyed import Key
from kvsim.policies.eviction.lfu import Frequencies
from kvsim.policies.registry import register_eviction

__all__ = ["LengthAware"]


@register_eviction
class LengthAware(Frequencies):
    """Removes the page used least often since it came in; among equals the latest in the context.

    A prefix cache can use a page only if all pages before it are there too, so the end of a prefix is worth
    least. A page's number stands for its position: within a sequence and layer the numbers of kvsim's
    workloads ascend with the position.

    Cost: a read O(1), an arrival O(log n), a victim O(log n) amortised, and that for each pinned page
    before it; state: a key, a count and at most two heap entries a page.

    Source: R. Qin et al., "Mooncake", FAST 2025, policy LengthAwareCache ("similar to LFU but
    prioritizing evicting cache blocks occurring later in requests").
    """

    name = "length_aware"

    def key(self, page: int, tier: int) -> Key:
        return (self.uses[page], -page)
