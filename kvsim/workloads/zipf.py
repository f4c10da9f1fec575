"""Independent reads with a power law of popularity, the usual test of caches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.randomness import stream
from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import Zipf as Spec
from kvsim.workloads.base import LayerAccess, Pages, Step
from kvsim.workloads.registry import register_workload
from kvsim.workloads.synthetic import PAGE_TOKENS

__all__ = ["Zipf"]

CHUNK = 1 << 16


@register_workload
class Zipf:
    """Each step reads `pages_per_step` distinct pages, drawn with weights 1 / (i + 1) ** alpha for page i.

    The pages of a step are drawn one after another without replacement. They appear in the last tier when
    they are first read. Reads of different steps are independent of each other.
    """

    name: ClassVar[str] = "zipf"
    absent: Literal["appear", "compute"] = "appear"
    initial_pages = 0

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self._seed = scenario.seed if spec.seed is None else spec.seed
        self._together = min(spec.pages_per_step, spec.pages)
        self._ticks = ComputeModel(scenario).layer_ticks(1, PAGE_TOKENS * self._together)
        self._log_weights: NDArray[np.float64] = -spec.alpha * np.log(np.arange(1, spec.pages + 1))
        cumulated = np.cumsum(np.exp(self._log_weights))
        self._shares: NDArray[np.float64] = cumulated / cumulated[-1]
        self._length = spec.length
        self.page_scalars: int | NDArray[np.int64] = np.full(spec.pages, spec.page_scalars, dtype=np.int64)
        self.total_steps: int | None = spec.length

    def steps(self) -> Iterator[Step]:
        """The steps, in constant memory."""
        rng = stream(self._seed, self.name)
        if self._together > 1:
            for _ in range(self._length):
                yield Step((LayerAccess(self._distinct(rng), self._ticks),))
            return
        for begin in range(0, self._length, CHUNK):
            pages = self._drawn(rng, min(CHUNK, self._length - begin))
            for index in range(len(pages)):
                yield Step((LayerAccess(pages[index : index + 1], self._ticks),))

    def _drawn(self, rng: np.random.Generator, count: int) -> Pages:
        """Pages with replacement."""
        return np.searchsorted(self._shares, rng.random(count), side="right").astype(np.int64)

    def _distinct(self, rng: np.random.Generator) -> Pages:
        """Pages without replacement: repeated draws are skipped, and if that takes too long, the rest are
        drawn at one go as the largest of log weight plus Gumbel noise, which gives the same distribution."""
        tries = self._drawn(rng, 2 * self._together)
        chosen = tries[np.sort(np.unique(tries, return_index=True)[1])][: self._together]
        missing = self._together - len(chosen)
        if missing:
            keys = self._log_weights + rng.gumbel(size=len(self._log_weights))
            keys[chosen] = -np.inf
            chosen = np.concatenate([chosen, np.argsort(-keys, kind="stable")[:missing]])
        return chosen
