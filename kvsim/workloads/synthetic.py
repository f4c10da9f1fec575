"""What the synthetic workloads of kv-hierarchy-lab share: page sizes, and one read a step."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import ClassVar, Generic, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.geometry import SYNTHETIC_HEAD_GROUPS as HEAD_GROUPS
from kvsim.scenario.geometry import SYNTHETIC_LAYERS as LAYERS
from kvsim.scenario.geometry import SYNTHETIC_SPREAD as SPREAD
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import SyntheticSpec
from kvsim.workloads.base import LayerAccess, Pages, Step

__all__ = ["HEAD_GROUPS", "LAYERS", "PAGE_TOKENS", "SyntheticWorkload"]

PAGE_TOKENS = 16

S = TypeVar("S", bound=SyntheticSpec)


class SyntheticWorkload(ABC, Generic[S]):
    """One read a step, of a page that `reads` draws.

    The pages exist nowhere at first: each appears in the last tier when it is first read. Page i belongs to
    layer i mod 16 (and head group i mod 8) and spans tokens 16 i … 16 i + 15; its scalars are the base plus
    or minus up to 64. Sizes and reads are drawn from two `random.Random` of the same seed each, so that they
    agree with kv-hierarchy-lab draw by draw.
    """

    name: ClassVar[str]
    absent: Literal["appear", "compute"] = "appear"
    initial_pages = 0

    def __init__(self, scenario: Scenario) -> None:
        self.spec = spec = cast(S, scenario.workload)
        self._seed = scenario.seed if spec.seed is None else spec.seed
        compute = ComputeModel(scenario)
        self._ticks = [compute.layer_ticks(1, PAGE_TOKENS)] * LAYERS
        if scenario.scheme.mixed:
            self._ticks = [compute.layer_ticks(1, PAGE_TOKENS, k, k % HEAD_GROUPS) for k in range(LAYERS)]
        sizes = random.Random(self._seed)
        self.page_scalars: int | NDArray[np.int64] = np.array(
            [spec.base_scalars + sizes.randint(-SPREAD, SPREAD) for _ in range(spec.pages)], dtype=np.int64
        )
        self.total_steps: int | None = self.count()

    @property
    def page_layers(self) -> Pages:
        """Layer of each page."""
        return np.arange(self.spec.pages, dtype=np.int64) % LAYERS

    @property
    def page_head_groups(self) -> Pages:
        """Head group of each page."""
        return np.arange(self.spec.pages, dtype=np.int64) % HEAD_GROUPS

    def count(self) -> int:
        """Number of reads."""
        return self.spec.length

    @abstractmethod
    def reads(self, draws: random.Random) -> Iterator[int]:
        """The pages in the order of their reads, at least `count()` of them; all draws come from `draws`."""

    def steps(self) -> Iterator[Step]:
        """One step a read; a page's access is one object, yielded again each time it is read."""
        numbers = np.arange(self.spec.pages, dtype=np.int64)
        accesses = [
            Step((LayerAccess(numbers[page : page + 1], self._ticks[page % LAYERS], layer=page % LAYERS),))
            for page in range(self.spec.pages)
        ]
        for page in islice(self.reads(random.Random(self._seed)), self.total_steps):
            yield accesses[page]
