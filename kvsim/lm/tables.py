"""The page table of a sequence: what is there, and the eviction policy that decides what goes.

A policy is told of what it would be told of by the simulator, in a scenario of one tier of the budget's
size with `policy.lossy`:

1.  The pages of the first chunk are inserted before the first step, in order of their numbers.
2.  In each step (a chunk) a layer's pages that are there, and hold tokens, are `accessed`, in order of their
    numbers, then `attended` with the attention they received.
3.  At the end of a layer the pages are born that its next tokens will need. Before each birth, while the
    budget has no room for it: `victim`, `removed`, `evicted`. Then it is `inserted`.

A chunk is one observation: the attention told is the mean of its queries. A policy that looks at the last few
queries of a prompt wants them in chunks of their own.

A page that the policy gives up is gone for good. Its tokens are seen no more, but those of an unfinished
page, which are still at hand for the running chunks, until the page would have been full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SimulationError
from kvsim.lm.pages import PageNumbers, Pages
from kvsim.policies import make_eviction
from kvsim.policies.registry import EVICTION

__all__ = ["Evicted", "Eviction", "PageTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """Which policy keeps a sequence's pages within which budget."""

    policy: str
    """Name of an eviction policy, or `module:Class`, as in a scenario."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the policy, as in a scenario."""
    budget_tokens: int
    """Tokens kept of each layer and head group, on average: the budget holds the full pages of so many."""
    after_prompt: bool = False
    """False: the budget holds from the start, so that a long prompt is cut while it is fed, chunk by chunk.
    True: the prompt is kept whole, and cut to the budget when the cache is told that it has ended."""

    @classmethod
    def of_share(cls, policy: str, share: float, tokens: int, **more: Any) -> Eviction:
        """A budget of that share of so many tokens, rounded down."""
        return cls(policy=policy, budget_tokens=int(share * tokens), **more)

    def pages(self, numbers: PageNumbers) -> int:
        """Pages that the budget holds. Raises SimulationError if it holds none of some layer."""
        each = self.budget_tokens // numbers.page_tokens
        if each < 1:
            message = f"a budget of {self.budget_tokens} tokens holds no page of {numbers.page_tokens}"
            raise SimulationError(message)
        return each * numbers.groups * len(numbers.layers)


class Evicted(NamedTuple):
    """A page that has left, and the step in which it did."""

    step: int
    page: int


class PageTable:
    """Pages of one sequence under a budget; the view of its eviction policy as well."""

    tier_count = 1

    def __init__(self, numbers: PageNumbers, eviction: Eviction) -> None:
        if EVICTION.get(eviction.policy).needs_future:
            message = f"eviction policy {eviction.policy!r} must know the future, which a model does not tell"
            raise SimulationError(message)
        self.step = 0
        self.evictions: list[Evicted] = []
        """In order."""
        self._numbers = numbers
        self._capacity = eviction.pages(numbers)
        self._enforced = not eviction.after_prompt
        self._held = 0
        self._there: NDArray[np.bool_] = np.zeros(64, dtype=np.bool_)
        self._pinned: Sequence[int] = ()
        self.policy = make_eviction(eviction.policy, self, eviction.options)

    # -- what the policy sees ----------------------------------------------------------

    def is_pinned(self, page: int) -> bool:
        """Whether a layer is reading the page."""
        return page in self._pinned

    def tier_of(self, page: int) -> int:
        """0 for a page that is there, -1 for others."""
        return 0 if page < len(self._there) and self._there[page] else -1

    def bytes_of(self, page: int, tier: int) -> int:
        """Bytes of a page: all are of one size."""
        return self._numbers.page_bytes

    def capacity_of(self, tier: int) -> int:
        """Bytes of the budget."""
        return self._capacity * self._numbers.page_bytes

    def group_of(self, page: int) -> int:
        """Number of the layer and head group that the page is of."""
        return self._numbers.group(page)

    # -- what happens ------------------------------------------------------------------

    def there(self, pages: Pages) -> NDArray[np.bool_]:
        """Of each of the pages, whether it is there."""
        if self._numbers.count > len(self._there):
            more = max(self._numbers.count, 2 * len(self._there)) - len(self._there)
            self._there = np.concatenate((self._there, np.zeros(more, dtype=np.bool_)))
        found: NDArray[np.bool_] = self._there[pages]
        return found

    def place(self, pages: Pages) -> None:
        """The pages of the first chunk, before the first step."""
        if self._enforced and len(pages) > self._capacity:
            message = (
                f"the first chunk has {len(pages)} pages, the budget {self._capacity}: feed shorter chunks"
            )
            raise SimulationError(message)
        self.bear(pages)

    def read(self, pages: Pages, mass: NDArray[np.float64]) -> None:
        """A layer reads those of the pages that are there."""
        there = self.there(pages)
        found: list[int] = pages[there].tolist()
        if found:
            self._pinned = found
            self.policy.accessed(found, 0)
            self.policy.attended(found, mass[there].tolist())
            self._pinned = ()

    def bear(self, pages: Pages) -> None:
        """A layer has ended: the pages for its next tokens come into being, one after another."""
        self.there(pages)
        for page in pages.tolist():
            if self._enforced:
                self._shrink(self._capacity - 1)
            self._held += 1
            self._there[page] = True
            self.policy.inserted(page, 0)

    def enforce(self) -> None:
        """From now on the budget holds."""
        self._enforced = True
        self._shrink(self._capacity)

    def _shrink(self, most: int) -> None:
        while self._held > most:
            page = self.policy.victim(0)
            if page is None:
                raise SimulationError(f"eviction policy {self.policy.name!r} names no page to make room")
            self._held -= 1
            self._there[page] = False
            self.policy.removed(page, 0)
            self.policy.evicted(page, 0)
            self.evictions.append(Evicted(self.step, page))
