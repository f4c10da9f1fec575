"""Only the newest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.grouped import Pages
from kvsim.policies.eviction.worth import Worth, WorthPolicy
from kvsim.policies.registry import register_eviction

__all__ = ["Window"]


@register_eviction
class Window(WorthPolicy):
    """Keeps the newest pages of each layer and head group: the oldest leaves, whatever was read.

    Sliding-window attention by pages: the window is what the tier holds. It loses the first tokens of the
    sequence, on which many models lean: see `streaming`.

    Cost: a read nothing at all, an arrival and a removal O(log n), a victim O(pages of the group),
    vectorised; state: one number a page.

    Source: I. Beltagy, M. Peters and A. Cohan, "Longformer: the long-document transformer", 2020
    (arXiv:2004.05150).
    """

    name = "window"

    def __init__(self, view: ResidencyView, even: bool = True) -> None:
        super().__init__(view, even)

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        pass

    def worth(self, pages: Pages, group: int) -> Worth:
        return pages.astype(np.float64)
