"""Three queues: small, main, ghost."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated

from pydantic import Field

from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.registry import register_eviction

__all__ = ["S3Fifo"]

Queue = OrderedDict[int, None]


class _Queues:
    """One tier's queues, oldest page first, and the reads of each page since it joined its queue."""

    __slots__ = ("ghost", "ghost_pages", "main", "reads", "small", "small_pages", "started")

    def __init__(self) -> None:
        self.small: Queue = OrderedDict()
        self.main: Queue = OrderedDict()
        self.ghost: Queue = OrderedDict()
        self.reads: dict[int, int] = {}
        self.small_pages = 0
        self.ghost_pages = 0
        self.started = False


@register_eviction
class S3Fifo(EvictionPolicy):
    """Removes what was read at most once while it passed through a small queue; keeps the rest in a main one.

    New pages join the small queue (`small` of the tier's pages). At its end a page read at least
    `promote_at` times joins the main queue; any other is evicted and remembered in the ghost queue (as many
    as the main queue's share), and if it comes back while remembered it joins the main queue at once.
    At the end of the main queue a page that was read goes round again with one read less. Reads are capped
    at 3. Whether the small or the main queue gives a page is decided when one must go: the main one does
    while it is over its share or the small one has nothing to give. Shares are counted in pages, of those
    that the tier holds when it has to evict.

    Cost: a read one dictionary update, an arrival O(1), a victim O(1) amortised and one look at each pinned
    page before it; state: one entry a page, and one a ghost.

    Source: J. Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023.
    """

    name = "s3fifo"

    def __init__(
        self,
        view: ResidencyView,
        small: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        promote_at: Annotated[int, Field(ge=0)] = 2,
    ) -> None:
        super().__init__(view)
        self._share = small
        self._promote_at = promote_at
        self._queues = [_Queues() for _ in range(view.tier_count)]
        self._from_small = False

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        if tier < 0:
            return
        reads = self._queues[tier].reads
        for page in pages:
            if reads[page] < 3:
                reads[page] += 1

    def inserted(self, page: int, tier: int) -> None:
        queues = self._queues[tier]
        ghost = queues.ghost
        if page in ghost:
            del ghost[page]
            queues.main[page] = None
        else:
            queues.small[page] = None
        queues.reads[page] = 0
        # The ghost queue is cut here and not at the eviction that made room for this very page, so
        # that the eviction cannot push out the memory of the page it was for.
        while len(ghost) > queues.ghost_pages:
            ghost.popitem(last=False)

    def removed(self, page: int, tier: int) -> None:
        queues = self._queues[tier]
        del queues.reads[page]
        self._from_small = page in queues.small
        del (queues.small if self._from_small else queues.main)[page]

    def evicted(self, page: int, tier: int) -> None:
        if self._from_small:
            self._queues[tier].ghost[page] = None

    def victim(self, tier: int) -> int | None:
        queues = self._queues[tier]
        pages = len(queues.reads)
        queues.small_pages = int(pages * self._share)
        queues.ghost_pages = int(pages * (1 - self._share))
        if not queues.started:
            # The tier fills for the first time: what came after the small queue was full is main.
            queues.started = True
            for late in list(queues.small)[max(queues.small_pages, 1) :]:
                del queues.small[late]
                queues.main[late] = None
        page: int | None = None
        if len(queues.main) <= pages - queues.small_pages:
            page = self._leave_small(queues)
        if page is None:
            page = self._leave_main(queues)
        if page is None:  # main is over its share, but pinned
            page = self._leave_small(queues)
        return page

    def _leave_small(self, queues: _Queues) -> int | None:
        pinned = self.view.is_pinned
        reads = queues.reads
        held: list[int] = []
        found = None
        for page in queues.small:
            if pinned(page):
                continue
            if reads[page] < self._promote_at:
                found = page
                break
            held.append(page)
        for page in held:
            del queues.small[page]
            queues.main[page] = None
            reads[page] = 0
        return found

    def _leave_main(self, queues: _Queues) -> int | None:
        pinned = self.view.is_pinned
        main, reads = queues.main, queues.reads
        aside: list[int] = []
        found: int | None = None
        while main and found is None:
            page = next(iter(main))
            if pinned(page):
                aside.append(page)
                del main[page]
            elif reads[page]:
                reads[page] -= 1
                main.move_to_end(page)
            else:
                found = page
        for page in reversed(aside):
            main[page] = None
            main.move_to_end(page, last=False)
        return found

    def contents(self, tier: int) -> Iterable[int]:
        queues = self._queues[tier]
        return chain(queues.small, queues.main)
