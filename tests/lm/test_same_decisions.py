"""The model and the simulator evict alike: the same policy objects, told of the same page events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm import plain

from kvsim.lm.cache import KvCache, LayerRead
from kvsim.lm.decoder import Decoder
from kvsim.lm.pages import PageNumbers
from kvsim.lm.tables import Evicted, Eviction
from kvsim.lm.trace import ModelReads
from kvsim.lm.weights import random_weights
from kvsim.policies.base import EvictionPolicy, ResidencyView
from kvsim.policies.registry import EVICTION, make_eviction
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.result import RunResult

DECODER = Decoder(random_weights(plain.TINY, seed=11, scale=2.0))
TOKENS = np.random.default_rng(2).integers(0, plain.TINY.vocab_size, (2, 120))
POLICIES = [name for name in EVICTION.names() if not EVICTION.get(name).needs_future]


@dataclass
class Told:
    """Everything that a policy hears, in order; put between it and whoever runs it."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    result: RunResult | None = None

    def make(self, name: str, view: ResidencyView, options: Mapping[str, Any]) -> EvictionPolicy:
        policy = make_eviction(name, view, options)
        for event in ("accessed", "attended", "inserted", "removed", "evicted"):
            self._wrap(policy, event, getattr(policy, event))
        return policy

    def _wrap(self, policy: Any, name: str, method: Any) -> None:
        def told(what: Any, *rest: Any) -> None:
            if not isinstance(what, Sequence) or len(what):  # to hear of no pages is to hear nothing
                self.events.append((policy.view.step, name, what, *rest))
            method(what, *rest)

        setattr(policy, name, told)


@dataclass(frozen=True)
class Run:
    """A model under a budget: by default 35 tokens in chunks, 25 one by one, and ten at once."""

    policy: str
    page_tokens: int = 4
    budget: int = 18
    """Tokens of each layer and head group: four pages of four."""
    groups: int = 2
    owners: tuple[int, ...] = (0, 1, 2)
    chunks: Sequence[int] = (*[7] * 5, *[1] * 25, 10)
    announced: bool = True
    """Whether a chunk's length is known when the one before ends."""

    def model(self) -> tuple[KvCache, list[LayerRead], list[Told]]:
        reads: list[LayerRead] = []
        told = [Told() for _ in TOKENS]
        ears = iter(told)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kvsim.lm.tables.make_eviction", lambda *what: next(ears).make(*what))
            cache = KvCache(
                plain.TINY,
                len(TOKENS),
                page_tokens=self.page_tokens,
                head_groups=self.groups,
                eviction=Eviction(policy=self.policy, budget_tokens=self.budget),
                owners=self.owners,
                observe=reads.append,
            )
        for at, count in enumerate(self.chunks):
            known = self.announced and at + 1 < len(self.chunks)
            part = TOKENS[:, cache.length : cache.length + count]
            DECODER.feed(part, cache, coming=self.chunks[at + 1] if known else 1)
        return cache, reads, told

    def scenario(self, numbers: PageNumbers) -> Scenario:
        pages = self.budget // self.page_tokens * numbers.groups * len(numbers.layers)
        return Scenario.model_validate(
            {
                "name": "replay",
                "hierarchy": {"tiers": [{"name": "hbm", "capacity": f"{pages * numbers.page_bytes} B"}]},
                "scheme": {"name": "fp16", "bits": 16},
                "workload": {"kind": "custom", "workload_class": "kvsim.lm.trace:ModelReads"},
                "policy": {"eviction": self.policy, "lossy": True},
                "execution": {"compute_time": "0 s", "overlap": "demand"},
            }
        )

    def replay(
        self, reads: list[LayerRead], cache: KvCache, sequence: int, *, evicted: bool = False
    ) -> tuple[list[Evicted], Told]:
        """The evictions of the simulator, which reads what the sequence has read."""
        workload = ModelReads(reads, cache.pages, sequence, evicted=evicted, compute_ticks=1000)
        told = Told()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kvsim.sim.engine.make_eviction", told.make)
            told.result = simulate(self.scenario(cache.pages), workload)
        gone = [Evicted(event[0], event[2]) for event in told.events if event[1] == "evicted"]
        return gone, told


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("groups", "owners"), [(2, (0, 1, 2)), (1, (0, 1, 2)), (2, (0, 0, 2))])
def test_model_and_simulator_evict_the_same_pages_in_the_same_steps(
    policy: str, groups: int, owners: tuple[int, ...]
) -> None:
    run = Run(policy, groups=groups, owners=owners)
    cache, reads, told = run.model()
    # 18 pages of 4 hold 70 tokens and the one to come, 4 stay; the layers that have their own: 3 or 2.
    columns = groups * len(set(owners))
    for sequence, table in enumerate(cache.tables):
        gone, heard = run.replay(reads, cache, sequence)
        assert table.evictions == gone
        assert len(gone) == (18 - 4) * columns
        assert told[sequence].events == heard.events


@settings(max_examples=30)
@given(data=st.data())
def test_however_the_tokens_come(data: st.DataObject) -> None:
    page_tokens = data.draw(st.sampled_from([1, 3, 4]))
    budget = page_tokens * data.draw(st.integers(4, 12))
    most = min(12, budget - 2 * page_tokens)  # a chunk may begin and end within pages
    run = Run(
        data.draw(st.sampled_from(POLICIES)),
        page_tokens,
        budget,
        data.draw(st.sampled_from([1, 2])),
        chunks=data.draw(st.lists(st.integers(1, most), min_size=2, max_size=10)),
        announced=data.draw(st.booleans()),
    )
    cache, reads, told = run.model()
    for sequence, table in enumerate(cache.tables):
        gone, heard = run.replay(reads, cache, sequence)
        assert table.evictions == gone
        assert told[sequence].events == heard.events


@pytest.mark.parametrize("policy", ["lru", "lfu"])
def test_reads_of_pages_that_are_gone_are_lost_and_change_no_decision(policy: str) -> None:
    run = Run(policy)
    cache, reads, told = run.model()
    gone, heard = run.replay(reads, cache, 0, evicted=True)
    assert cache.tables[0].evictions == gone
    assert told[0].events == heard.events
    assert heard.result is not None
    found = sum(len(event[2]) for event in heard.events if event[1] == "accessed")
    assert heard.result.accesses == sum(len(read.pages) for read in reads)
    assert heard.result.lost == heard.result.accesses - found > 0


def test_sequences_are_read_alike_and_attended_differently() -> None:
    """A policy that knows nothing of attention decides alike for all."""
    cache, reads, _ = Run("lru").model()
    first, second = (table.evictions for table in cache.tables)
    assert first == second
    assert any(not np.array_equal(read.mass[0], read.mass[1]) for read in reads)
