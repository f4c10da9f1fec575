"""The pages that the next layer read last time."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.policies.base import PrefetchPolicy, ResidencyView
from kvsim.policies.registry import register_prefetch

__all__ = ["NextLayer"]


@register_prefetch
class NextLayer(PrefetchPolicy):
    """After layer l is read, asks for the pages that layer l+1 read the last time it ran.

    After the last layer come the pages of layer 0, for the next step. Which layer is the last is known
    once the labels have started over; until then the highest layer asks for nothing, and neither does
    a layer whose successor has not run yet. It is right exactly as far as a layer's pages repeat from
    step to step: fully for dense attention, by one minus the drift for sparse attention.

    Cost: one copy of the list of pages a read, O(pages of the layer); state: one list per layer.

    Source: loading layer l+1 while layer l computes is Y. Sheng et al., "FlexGen", ICML 2023; taking
    the pages of the last step in place of all pages is temporal locality, no published predictor.
    """

    name = "next_layer"
    lead = 1

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self._last_read: dict[int, tuple[int, ...]] = {}
        self._previous = -1
        self._highest = -1
        self._started_over = False

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        self._started_over = self._started_over or layer <= self._previous
        self._previous = layer
        self._highest = max(self._highest, layer)
        self._last_read[layer] = tuple(pages)
        following = layer + 1
        if following > self._highest:
            if not self._started_over:
                return ()
            following = 0
        if following == layer:  # a workload of one layer: the pages have just been read
            return ()
        return self._last_read.get(following, ())
