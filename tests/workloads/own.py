"""Workloads of somebody else's, reached by `kind: custom`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.scenario import Scenario
from kvsim.workloads import LayerAccess, Step


class Countdown:
    """Reads pages n - 1 … 0, one a step."""

    name: ClassVar[str] = "countdown"
    absent: Literal["appear", "compute"] = "appear"
    page_scalars: int | NDArray[np.int64] = 8

    def __init__(self, scenario: Scenario, pages: int = 3) -> None:
        self.initial_pages = pages
        self.total_steps: int | None = pages

    def steps(self) -> Iterator[Step]:
        for page in reversed(range(self.initial_pages)):
            yield Step((LayerAccess(np.array([page], dtype=np.int64), 1),))


class Halfway:
    """Has steps, and nothing else of a workload."""

    name: ClassVar[str] = "halfway"

    def __init__(self, scenario: Scenario) -> None:
        self.absent = "appear"

    def steps(self) -> Iterator[Step]:
        return iter(())
