"""How well simple predictors rank the page that is read next, before they see it.

Each keeps an order of pages from the most to the least expected. At every read it is asked for the rank of
the page read, then told. Ranks below the first `DEPTH` count as not predicted, which bounds the work: only
that many pages are kept in order. First reads count too, although nobody can rank a page never seen.

The score is the mean of 1 / rank (mean reciprocal rank; E. M. Voorhees, "The TREC-8 Question Answering Track
Report", 1999) and the shares of the reads among the first few: what a prefetch of so many pages would hit,
or a cache that held just them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEPTH", "RANKS", "WINDOW", "Predictor", "Score", "foresight"]

Ints = NDArray[np.int64]

DEPTH = 64
"""Ranks that count."""
RANKS = (1, 8, 64)
"""The numbers of pages for which `Score.hit_rates` are given."""
WINDOW = 64
"""Pages in the window that `RegretRank` watches, if nothing else is said."""
_TIME_BITS = 40


@dataclass(frozen=True, slots=True)
class Score:
    """How one predictor did over a trace."""

    name: str
    reciprocal_rank: float
    """Mean of 1 / rank over all reads, 0 where the page was not among the first `DEPTH`."""
    hit_rates: tuple[float, ...]
    """Shares of all reads whose page was among the first 1, 8, 64 (`RANKS`)."""


class Best:
    """The largest `DEPTH` of keys that never fall, one key a page and no two alike.

    Who is not among them gets there by its own key alone, as the keys of others never fall; so the rest need
    not be kept.
    """

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: list[int] = []

    def rank(self, key: int | None) -> int:
        """The rank of a key, 1 for the largest; 0 if it is not among them, or there is none."""
        keys = self._keys
        if key is None or key < keys[0]:
            return 0
        return len(keys) - bisect_left(keys, key)

    def grow(self, old: int | None, new: int) -> None:
        """A page's key is now `new`; it was `old`, or the page had none."""
        keys = self._keys
        if old is not None and old >= keys[0]:
            del keys[bisect_left(keys, old)]
        elif len(keys) == DEPTH:
            if new < keys[0]:
                return
            del keys[0]
        insort(keys, new)


class Predictor(ABC):
    """Ranks pages, online."""

    name: ClassVar[str]

    @abstractmethod
    def read(self, page: int, time: int) -> int:
        """The rank that the page had, 0 if none of the first `DEPTH`; then learn that it is read.

        `time` counts the reads from 0.
        """


class FrequencyRank(Predictor):
    """The page read most often is expected first; of equals the one read later. The order of LFU."""

    name = "frequency"

    def __init__(self) -> None:
        self._best = Best()
        self._keys: dict[int, int] = {}

    def read(self, page: int, time: int) -> int:
        old = self._keys.get(page)
        rank = self._best.rank(old)
        count = 1 if old is None else (old >> _TIME_BITS) + 1
        self._keys[page] = new = (count << _TIME_BITS) | time
        self._best.grow(old, new)
        return rank


class RegretRank(Predictor):
    """The page most often missed soon after it was let go is expected first; of equals the one read later.

    A window keeps the `window` pages W read last. A page that is read again g reads after it left, g at
    most W, gains a regret of W - g + 1; pages without regret are not ranked. As in kv-hierarchy-lab's
    regret_aware policy, but regret never fades.
    """

    name = "regret"

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window
        self._best = Best()
        self._keys: dict[int, int] = {}
        self._inside: OrderedDict[int, None] = OrderedDict()
        self._left: dict[int, int] = {}

    def read(self, page: int, time: int) -> int:
        old = self._keys.get(page)
        rank = self._best.rank(old)
        regret = 0 if old is None else old >> _TIME_BITS
        if page not in self._inside:
            left = self._left.pop(page, None)
            regret += 0 if left is None else max(0, self.window - (time - left) + 1)
        self._enter(page, time)
        if regret:
            self._keys[page] = new = (regret << _TIME_BITS) | time
            self._best.grow(old, new)
        return rank

    def _enter(self, page: int, time: int) -> None:
        inside = self._inside
        if page in inside:
            inside.move_to_end(page)
            return
        inside[page] = None
        if len(inside) > self.window:
            self._left[inside.popitem(last=False)[0]] = time


class MarkovRank(Predictor):
    """The commonest successor of the page read last is expected first; of equals the one seen later.

    A first-order chain, learned from every read: D. Joseph and D. Grunwald, "Prefetching using Markov
    Predictors", ISCA 1997, without a bound on the table. Takes memory for each distinct pair.
    """

    name = "markov"

    def __init__(self) -> None:
        self._best: dict[int, Best] = {}
        self._keys: dict[tuple[int, int], int] = {}
        self._last = -1

    def read(self, page: int, time: int) -> int:
        last, self._last = self._last, page
        if last < 0:
            return 0
        best = self._best.get(last)
        if best is None:
            best = self._best[last] = Best()
        pair = (last, page)
        old = self._keys.get(pair)
        rank = best.rank(old)
        count = 1 if old is None else (old >> _TIME_BITS) + 1
        self._keys[pair] = new = (count << _TIME_BITS) | time
        best.grow(old, new)
        return rank


def foresight(pages: Ints, positions: Ints, window: int = WINDOW) -> tuple[Score, ...]:
    """The scores of recency, frequency, regret and a Markov chain.

    `positions` are those of the reads in the LRU stack (`mrc.reuse_distances`), which are the ranks by
    recency: the page read last is expected first. `window` is that of `RegretRank`, in pages.
    """
    found = [_score("recency", np.where(positions > DEPTH, 0, np.maximum(positions, 0)))]
    reads = pages.tolist()
    predictors: tuple[Predictor, ...] = (FrequencyRank(), RegretRank(window), MarkovRank())
    for predictor in predictors:
        ranks = np.fromiter(map(predictor.read, reads, range(len(reads))), dtype=np.int64, count=len(reads))
        found.append(_score(predictor.name, ranks))
    return tuple(found)


def _score(name: str, ranks: Ints) -> Score:
    """From ranks, 0 where there is none."""
    count = max(len(ranks), 1)
    often = np.bincount(ranks, minlength=DEPTH + 1)[1:].astype(np.float64)
    rates = tuple(float(often[:most].sum()) / count for most in RANKS)
    return Score(name, float((often / np.arange(1, DEPTH + 1)).sum()) / count, rates)
