"""Prefetchers that know what comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import PrefetchPolicy, ResidencyView
from kvsim.policies.registry import register_prefetch

__all__ = ["LookAhead", "Oracle"]


@register_prefetch
class LookAhead(PrefetchPolicy):
    """Asks for the pages of the next `reads` reads, in the order in which they are needed.

    What a scheduler can do that sees its queue: the jobs next in line are known, what lies behind the
    window is not. It asks whether or not the pages have room beside each other: too far a look evicts
    what is needed sooner.

    Cost: O(reads) a call, no state of its own. Needs the future: the workload is read twice.

    Source: scheduler-aware fetching as in B. Gao et al., "Cost-efficient large language model serving for
    multi-turn conversations with CachedAttention", USENIX ATC 2024.
    """

    name = "look_ahead"
    needs_future = True

    def __init__(self, view: ResidencyView, reads: Annotated[int, Field(ge=1)] = 64) -> None:
        super().__init__(view)
        self._reads = reads

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        return list(dict.fromkeys(self.future.coming(self._reads)))


@register_prefetch
class Oracle(PrefetchPolicy):
    """Asks for the next `degree` pages that will be read and are not in tier 0, at most `reads` reads ahead.

    Never wrong about what is read, and never busy with what is there already: what is left to lose is
    bandwidth, room and time. The measure for the other prefetchers.

    Cost: O(reads) a call, no state of its own. Needs the future: the workload is read twice.

    Source: the bound of P. Cao et al., "A study of integrated prefetching and caching strategies",
    SIGMETRICS 1995, without their rule of when not to prefetch ("do no harm").
    """

    name = "oracle"
    needs_future = True

    def __init__(
        self,
        view: ResidencyView,
        degree: Annotated[int, Field(ge=1)] = 16,
        reads: Annotated[int, Field(ge=1)] = 1024,
    ) -> None:
        super().__init__(view)
        self._degree = degree
        self._reads = reads

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        tier_of = self.view.tier_of
        wanted: dict[int, None] = {}
        for page in self.future.coming(self._reads):
            if page not in wanted and tier_of(page) != 0:
                wanted[page] = None
                if len(wanted) == self._degree:
                    break
        return list(wanted)
