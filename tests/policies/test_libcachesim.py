"""Hit counts of one tier of equal pages against libCacheSim, read by read the same decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from policies.one_tier import KnownReads, misses

theirs = pytest.importorskip("libcachesim", reason="libcachesim is not installed (extra `oracle`)")

READS = 100_000
PAGES = 10_000
CLASSES = {
    "lru": "LRU",
    "fifo": "FIFO",
    "lfu": "LFU",
    "s3fifo": "S3FIFO",
    "sieve": "Sieve",
    "arc": "ARC",
    "belady": "Belady",
}
NEVER = 2**62
"""What libCacheSim is told of a page that is never read again."""


def zipf(reads: int, pages: int, seed: int) -> list[int]:
    """Reads with probability 1 / rank."""
    chances = np.cumsum(1 / np.arange(1, pages + 1))
    drawn = np.searchsorted(chances / chances[-1], np.random.default_rng(seed).random(reads))
    ranks: list[int] = np.minimum(drawn, pages - 1).tolist()
    return ranks


def their_misses(name: str, capacity: int, reads: list[int]) -> int:
    cache: Any = getattr(theirs, CLASSES[name])(cache_size=capacity)
    future = KnownReads(reads)
    request: Any = theirs.Request()
    request.obj_size = 1
    missed = 0
    for at, page in enumerate(reads):
        future.advance()
        after = future.next_read(page)
        request.obj_id = page + 1
        request.clock_time = at
        request.next_access_vtime = NEVER if after == future.never else after
        missed += not cache.get(request)
    return missed


@pytest.mark.parametrize("share", [100, 20, 7])
@pytest.mark.parametrize("name", CLASSES)
def test_misses_on_a_zipf_trace_are_those_of_libcachesim(name: str, share: int) -> None:
    reads = zipf(READS, PAGES, seed=7)
    capacity = PAGES // share
    assert misses(name, capacity, reads) == their_misses(name, capacity, reads)
