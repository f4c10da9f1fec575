"""Retrieval-augmented generation in bursts: a hot prompt, now and then a few cold documents."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.geometry import RAG_BURST_SPREAD as SPREAD
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import RagBurst as Spec
from kvsim.workloads.base import LayerAccess, Step
from kvsim.workloads.registry import register_workload

__all__ = ["COLD_DRAWS", "HOT_DRAWS", "HOT_PAGES", "LAYERS", "PAGE_TOKENS", "RagBurst"]

HOT_PAGES = 16
HOT_DRAWS = 14
COLD_DRAWS = 6
LAYERS = 16
PAGE_TOKENS = 16


@register_workload
class RagBurst:
    """Rounds of 14 reads of the 16 hot pages, with repetition, and 6 distinct cold pages; one page a step.

    The pages exist nowhere at first: each appears in the last tier when it is first read. Page i belongs
    to layer i mod 16 and spans 16 tokens; its scalars are the base plus or minus up to 64. Sizes and reads
    are drawn from two `random.Random` of the same seed each, so that they agree with kv-hierarchy-lab
    draw by draw.

    Source: workload `rag_burst` of kv-hierarchy-lab (MIT licence).
    """

    name: ClassVar[str] = "rag_burst"
    absent: Literal["appear", "compute"] = "appear"
    initial_pages = 0

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self._pages = spec.pages
        self._seed = scenario.seed if spec.seed is None else spec.seed
        self._rounds = spec.length // (HOT_DRAWS + COLD_DRAWS)
        self._ticks = ComputeModel(scenario).layer_ticks(1, PAGE_TOKENS)
        sizes = random.Random(self._seed)
        self.page_scalars: int | NDArray[np.int64] = np.array(
            [spec.base_scalars + sizes.randint(-SPREAD, SPREAD) for _ in range(spec.pages)], dtype=np.int64
        )
        self.total_steps: int | None = self._rounds * (HOT_DRAWS + COLD_DRAWS)

    def steps(self) -> Iterator[Step]:
        """One step a read; a page's access is one object, yielded again each time it is read."""
        draws = random.Random(self._seed)
        hot, cold = range(HOT_PAGES), range(HOT_PAGES, self._pages)
        numbers = np.arange(self._pages, dtype=np.int64)
        reads = [
            Step((LayerAccess(numbers[page : page + 1], self._ticks, layer=page % LAYERS),))
            for page in range(self._pages)
        ]
        for _ in range(self._rounds):
            for page in draws.choices(hot, k=HOT_DRAWS) + draws.sample(cold, k=COLD_DRAWS):
                yield reads[page]
