"""The eight synthetic workloads of kv-hierarchy-lab (MIT licence): which page each step reads.

The order of the draws is part of each rule: it makes the reads those of the original, seed by seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, count, cycle
from random import Random
from typing import ClassVar

from kvsim.scenario import workload as specs
from kvsim.workloads.registry import register_workload
from kvsim.workloads.synthetic import SyntheticWorkload

__all__ = [
    "AdversarialBurst",
    "AdversarialPrefetch",
    "ChatContinuation",
    "LongTailMix",
    "MixedLocality",
    "PeriodicReuse",
    "PrefetchFriendly",
    "RagBurst",
]


@register_workload
class ChatContinuation(SyntheticWorkload[specs.ChatContinuation]):
    """A chat over a working set of 12 pages, of which one is replaced every 17 steps.

    At steps 0, 17, 34, … any page takes a random slot of the working set; every step reads one of its last
    8 slots.
    """

    name: ClassVar[str] = "chat_continuation"
    WORKING_SET = 12
    RECENT = 8
    CHANGE_EVERY = 17

    def reads(self, draws: Random) -> Iterator[int]:
        """Before the read of a changing step come the draws of the new page and of its slot."""
        pages = self.spec.pages
        slots = list(range(min(self.WORKING_SET, pages)))
        for step in count():
            if step % self.CHANGE_EVERY == 0:
                page = draws.randrange(pages)
                slots[draws.randrange(len(slots))] = page
            yield draws.choice(slots[-self.RECENT :])


@register_workload
class RagBurst(SyntheticWorkload[specs.RagBurst]):
    """Rounds of 14 reads of the 16 hot pages, with repetition, and 6 distinct cold pages; one page a step.

    It stands for retrieval-augmented generation: a hot prompt, now and then a few cold documents.
    """

    name: ClassVar[str] = "rag_burst"
    HOT_PAGES = 16
    HOT_DRAWS = 14
    COLD_DRAWS = 6

    def count(self) -> int:
        """Whole rounds only."""
        round_length = self.HOT_DRAWS + self.COLD_DRAWS
        return self.spec.length // round_length * round_length

    def reads(self, draws: Random) -> Iterator[int]:
        """A round's hot draws come before its cold ones."""
        hot, cold = range(self.HOT_PAGES), range(self.HOT_PAGES, self.spec.pages)
        while True:
            yield from draws.choices(hot, k=self.HOT_DRAWS)
            yield from draws.sample(cold, k=self.COLD_DRAWS)


@register_workload
class PeriodicReuse(SyntheticWorkload[specs.PeriodicReuse]):
    """A loop over `period` pages, three apart; nothing is drawn."""

    name: ClassVar[str] = "periodic_reuse"
    STRIDE = 3

    def reads(self, draws: Random) -> Iterator[int]:
        """Page ((step mod period) × 3) mod pages."""
        return cycle(index * self.STRIDE % self.spec.pages for index in range(self.spec.period))


@register_workload
class LongTailMix(SyntheticWorkload[specs.LongTailMix]):
    """Seven reads in ten go to 10 popular pages, the others to a tail that falls as 1 / rank."""

    name: ClassVar[str] = "long_tail_mix"
    POPULAR = 10
    POPULAR_SHARE = 0.7

    def reads(self, draws: Random) -> Iterator[int]:
        """One draw decides between the popular pages and the tail, a second one chooses the page."""
        popular, tail = range(self.POPULAR), range(self.POPULAR, self.spec.pages)
        weights = list(accumulate(1 / (rank + 1) for rank in range(len(tail))))
        while True:
            if draws.random() < self.POPULAR_SHARE:
                yield draws.choice(popular)
            else:
                yield from draws.choices(tail, cum_weights=weights, k=1)


@register_workload
class PrefetchFriendly(SyntheticWorkload[specs.PrefetchFriendly]):
    """A cyclic scan over all pages in order: each page has one successor; nothing is drawn."""

    name: ClassVar[str] = "prefetch_friendly"

    def reads(self, draws: Random) -> Iterator[int]:
        """Page step mod pages."""
        return cycle(range(self.spec.pages))


@register_workload
class AdversarialPrefetch(SyntheticWorkload[specs.AdversarialPrefetch]):
    """Random pages of the lower half at even steps and of the upper half at odd ones: nothing to predict."""

    name: ClassVar[str] = "adversarial_prefetch"

    def reads(self, draws: Random) -> Iterator[int]:
        """One draw a step."""
        pages = self.spec.pages
        while True:
            yield draws.randrange(0, pages // 2)
            yield draws.randrange(pages // 2, pages)


@register_workload
class AdversarialBurst(SyntheticWorkload[specs.AdversarialBurst]):
    """Bursts from the early, middle and late third of the pages; half of the early one comes again between.

    Recency keeps what is gone for good, and loses the early pages just before they return.
    """

    name: ClassVar[str] = "adversarial_burst"

    def reads(self, draws: Random) -> Iterator[int]:
        """A round samples its early pages, then its middle ones, then its late ones."""
        pages, burst = self.spec.pages, self.spec.burst
        first, second = pages // 3, 2 * pages // 3
        early, middle, late = range(first), range(first, second), range(second, pages)
        while True:
            anchor = draws.sample(early, min(burst, len(early)))
            yield from anchor
            yield from draws.sample(middle, min(burst, len(middle)))
            yield from anchor[: max(1, burst // 2)]
            yield from draws.sample(late, min(burst, len(late)))


@register_workload
class MixedLocality(SyntheticWorkload[specs.MixedLocality]):
    """Phases of 60 steps in turn: 12 hot pages, 20 warm pages, and a scan over all with stride 5."""

    name: ClassVar[str] = "mixed_locality"
    PHASE = 60
    HOT = 12
    WARM_END = 32
    STRIDE = 5

    def reads(self, draws: Random) -> Iterator[int]:
        """One draw a step in the hot and in the warm phase, none in the scan."""
        pages = self.spec.pages
        hot, warm = range(self.HOT), range(self.HOT, min(self.WARM_END, pages))
        for step in count():
            phase = step // self.PHASE % 3
            yield step * self.STRIDE % pages if phase == 2 else draws.choice(warm if phase else hot)
