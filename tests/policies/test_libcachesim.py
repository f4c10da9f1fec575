"""Hits of one tier of equal pages against libCacheSim: the same number, so the same rule down to its ties.

libCacheSim reads its traces as oracleGeneral, which knows when each page is read again: Belady needs that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from policies.one_tier import misses

from kvsim.workloads.page_trace import PageRow, read_pages, write_pages

theirs: Any = pytest.importorskip("libcachesim", reason="libcachesim is not installed (extra `oracle`)")

PUBLISHED = Path(__file__).parents[3] / "shared" / "traces" / "mooncake_synthetic.jsonl"
CLASSES = {
    "lru": "LRU",
    "fifo": "FIFO",
    "lfu": "LFU",
    "s3fifo": "S3FIFO",
    "sieve": "Sieve",
    "arc": "ARC",
    "belady": "Belady",
}


@dataclass(frozen=True)
class Trace:
    """A sequence of reads, and the file from which libCacheSim reads the same."""

    reads: list[int]
    file: Path

    def our_hits(self, name: str, capacity: int) -> int:
        return len(self.reads) - misses(name, capacity, self.reads)

    def their_hits(self, name: str, capacity: int) -> int:
        kind = theirs.TraceType.ORACLE_GENERAL_TRACE
        reader = theirs.TraceReader(str(self.file), kind, theirs.ReaderInitParam(ignore_obj_size=True))
        missed, _ = getattr(theirs, CLASSES[name])(cache_size=capacity).process_trace(reader)
        hits: float = (1 - missed) * len(self.reads)
        assert abs(hits - round(hits)) < 1e-3
        return round(hits)


Traces = Callable[[str, Iterable[int]], Trace]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Traces:
    def write(name: str, reads: Iterable[int]) -> Trace:
        trace = Trace(list(reads), tmp_path_factory.mktemp("traces") / f"{name}.oracleGeneral")
        rows = (PageRow(at + 1, at, page) for at, page in enumerate(trace.reads))
        assert write_pages(trace.file, rows) == len(trace.reads)
        return trace

    return write


def zipf(reads: int, pages: int, seed: int) -> list[int]:
    """Reads with probability 1 / rank."""
    chances = np.cumsum(1 / np.arange(1, pages + 1))
    drawn = np.searchsorted(chances / chances[-1], np.random.default_rng(seed).random(reads))
    ranks: list[int] = np.minimum(drawn, pages - 1).tolist()
    return ranks


@pytest.fixture(scope="module")
def short_zipf(written: Traces) -> Trace:
    return written("short", zipf(50_000, 5_000, seed=7))


@pytest.fixture(scope="module")
def long_zipf(written: Traces) -> Trace:
    return written("long", zipf(1_000_000, 100_000, seed=7))


@pytest.fixture(scope="module")
def mooncake(written: Traces) -> Trace:
    if not PUBLISHED.exists():
        pytest.skip("the Mooncake trace lies beside the checkout only")
    return written("mooncake", [int(row.page) for row in read_pages(PUBLISHED)])


@pytest.mark.parametrize("capacity", [50, 250, 714])
@pytest.mark.parametrize("name", CLASSES)
def test_hits_on_a_short_zipf_trace(short_zipf: Trace, name: str, capacity: int) -> None:
    assert short_zipf.our_hits(name, capacity) == short_zipf.their_hits(name, capacity)


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [100, 1_000, 10_000])
@pytest.mark.parametrize("name", CLASSES)
def test_hits_on_a_long_zipf_trace(long_zipf: Trace, name: str, capacity: int) -> None:
    """Small sizes tell more: until sieve's hand turns at the young end, which takes it beyond this trace
    from about 10,000 pages on, it removes the oldest page read once, as lfu does."""
    assert long_zipf.our_hits(name, capacity) == long_zipf.their_hits(name, capacity)


SIZES = (1_000, 5_859, 10_000, 30_000, 50_000)
PUBLISHED_RATES = {
    "lru": (0.0825, 0.3094, 0.4235, 0.6242, 0.6396),
    "fifo": (0.0787, 0.3007, 0.3990, 0.5951, 0.6396),
    "lfu": (0.0401, 0.2429, 0.3578, 0.6260, 0.6396),
    "belady": (0.2766, 0.5499, 0.6180, 0.6396, 0.6396),
}
"""Hit rates at those sizes, to four digits."""


@pytest.mark.slow
@pytest.mark.parametrize("capacity", SIZES)
@pytest.mark.parametrize("name", CLASSES)
def test_hits_of_a_flat_block_cache_on_the_mooncake_trace(mooncake: Trace, name: str, capacity: int) -> None:
    hits = mooncake.our_hits(name, capacity)
    assert hits == mooncake.their_hits(name, capacity)
    if name in PUBLISHED_RATES:
        assert round(hits / len(mooncake.reads), 4) == PUBLISHED_RATES[name][SIZES.index(capacity)]
