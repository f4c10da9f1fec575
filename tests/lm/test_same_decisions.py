"""The model and the simulator evict alike: the same policy objects, told of the same page events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
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

DECODER = Decoder(random_weights(plain.TINY, seed=11, scale=2.0))
TOKENS = np.random.default_rng(2).integers(0, plain.TINY.vocab_size, (2, 70))
PROMPT = 36
PAGE_TOKENS = 4
BUDGET = 18
"""Tokens of each layer and head group: four pages of four."""
POLICIES = [name for name in EVICTION.names() if not EVICTION.get(name).needs_future]


@dataclass
class Told:
    """Everything that a policy hears, in order; put between it and whoever runs it."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

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


def run_model(
    policy: str, groups: int, owners: Sequence[int] | None
) -> tuple[KvCache, list[LayerRead], list[Told]]:
    reads: list[LayerRead] = []
    told = [Told() for _ in TOKENS]
    ears = iter(told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kvsim.lm.tables.make_eviction", lambda *what: next(ears).make(*what))
        cache = KvCache(
            plain.TINY,
            len(TOKENS),
            page_tokens=PAGE_TOKENS,
            head_groups=groups,
            eviction=Eviction(policy=policy, budget_tokens=BUDGET),
            owners=owners,
            observe=reads.append,
        )
    DECODER.run(TOKENS[:, :PROMPT], cache, chunk=7)
    DECODER.run(TOKENS[:, PROMPT:60], cache, chunk=1)
    DECODER.run(TOKENS[:, 60:], cache)  # ten at once, unannounced
    return cache, reads, told


def replay(policy: str, reads: list[LayerRead], cache: KvCache, sequence: int) -> tuple[list[Evicted], Told]:
    """The evictions of the simulator, which reads what the sequence has read."""
    workload = ModelReads(reads, cache.pages, sequence, compute_ticks=1000)
    told = Told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kvsim.sim.engine.make_eviction", told.make)
        simulate(scenario(policy, cache.pages), workload)
    gone = [Evicted(event[0], event[2]) for event in told.events if event[1] == "evicted"]
    return gone, told


def scenario(policy: str, numbers: PageNumbers) -> Scenario:
    pages = BUDGET // PAGE_TOKENS * numbers.groups * len(numbers.layers)
    return Scenario.model_validate(
        {
            "name": "replay",
            "hierarchy": {"tiers": [{"name": "hbm", "capacity": f"{pages * numbers.page_bytes} B"}]},
            "scheme": {"name": "fp16", "bits": 16},
            "workload": {"kind": "custom", "workload_class": "kvsim.lm.trace:ModelReads"},
            "policy": {"eviction": policy, "lossy": True},
            "execution": {"compute_time": "0 s", "overlap": "demand"},
        }
    )


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("groups", "owners"), [(2, None), (1, None), (2, (0, 0, 2))])
def test_model_and_simulator_evict_the_same_pages_in_the_same_steps(
    policy: str, groups: int, owners: Sequence[int] | None
) -> None:
    cache, reads, told = run_model(policy, groups, owners)
    # 18 pages of 4 hold 70 tokens and the one to come, 4 stay; the layers that have their own: 3 or 2.
    born = 18 * groups * len(cache.pages.layers)
    for sequence, table in enumerate(cache.tables):
        gone, heard = replay(policy, reads, cache, sequence)
        assert table.evictions == gone
        assert len(gone) == born - 4 * groups * len(cache.pages.layers)
        assert told[sequence].events == heard.events


def test_sequences_decide_for_themselves() -> None:
    """A policy that knows nothing of attention decides alike for all; their pages are read alike."""
    cache, reads, _ = run_model("lru", 2, None)
    first, second = (table.evictions for table in cache.tables)
    assert first == second
    assert any(not np.array_equal(read.mass[0], read.mass[1]) for read in reads)
