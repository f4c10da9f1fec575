"""What a model reads, as a page trace."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from lm import plain

from kvsim.analysis.metrics import summarise
from kvsim.lm.cache import KvCache, LayerRead
from kvsim.lm.decoder import Decoder
from kvsim.lm.tables import Eviction
from kvsim.lm.trace import page_rows
from kvsim.lm.weights import random_weights
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.workloads.page_trace import PageRow, read_pages, write_pages

DECODER = Decoder(random_weights(plain.TINY, seed=3, scale=1.0))
TOKENS = np.random.default_rng(5).integers(0, plain.TINY.vocab_size, (2, 29))


def rows(sequence: int = 0, eviction: Eviction | None = None) -> list[PageRow]:
    """21 tokens in chunks of 5, then one by one: steps 0 to 4, and 5 to 12."""
    reads: list[LayerRead] = []
    cache = KvCache(plain.TINY, 2, page_tokens=4, observe=reads.append, eviction=eviction)
    DECODER.run(TOKENS[:, :21], cache, chunk=5)
    DECODER.run(TOKENS[:, 21:], cache, chunk=1)
    return list(page_rows(reads, cache.pages, sequence))


@pytest.mark.parametrize("policy", [None, "fifo", "lfu"])
def test_the_mass_of_a_step_and_layer_adds_up_to_one(tmp_path: Path, policy: str | None) -> None:
    eviction = None if policy is None else Eviction(policy=policy, budget_tokens=12)
    path = tmp_path / "model.jsonl.gz"
    write_pages(path, rows(eviction=eviction))
    written = list(read_pages(path))
    steps = [list(each) for _, each in groupby(written, lambda row: (row.step, row.layer))]
    assert len(steps) == 13 * 3
    assert all(abs(sum(row.mass or 0 for row in step) - 1) < 1e-6 for step in steps)


def test_rows_tell_where_pages_are_and_what_they_hold() -> None:
    last = [row for row in rows() if row.step == 12 and row.layer == 2]
    assert len(last) == 16  # 29 tokens: seven pages of 4 and one of 1, of each of two heads
    assert [row.tokens for row in last if row.head_group == 1] == [4] * 7 + [1]
    # 4 tokens x keys and values x 6 scalars x 2 bytes
    assert {row.bytes for row in last} == {96}
    assert len({row.page for row in last}) == 16


def test_sequences_differ_in_mass_alone() -> None:
    first, second = rows(0), rows(1)
    assert [(row.step, row.page) for row in first] == [(row.step, row.page) for row in second]
    assert [row.mass for row in first] != [row.mass for row in second]


def test_the_simulator_replays_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "model.csv"
    count = write_pages(path, rows())
    scenario = Scenario.model_validate(
        {
            "name": "replay",
            "hierarchy": {
                "tiers": [{"name": "hbm", "capacity": "2 kB"}, {"name": "dram", "capacity": "1 MB"}],
                "links": [{"name": "pcie", "between": ("hbm", "dram"), "bandwidth": "1 GB/s"}],
            },
            "workload": {"kind": "replay", "path": str(path)},
            "execution": {"compute_time": "1 us"},
        }
    )
    summary = summarise(simulate(scenario))
    assert summary.accesses == count
    assert summary.steps == 13
