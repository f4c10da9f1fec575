"""Layers that read and create pages by numbers: what a machine does with a load that is easy to reckon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.geometry import cached_steps, initial_pages, initial_parts
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import Layers as Spec
from kvsim.workloads.base import NO_PAGES, LayerAccess, Pages, Step
from kvsim.workloads.geometry import required_page_scalars
from kvsim.workloads.registry import register_workload

__all__ = ["Layers"]


@register_workload
class Layers:
    """Each step goes through its layers; a layer reads so many pages and creates so many.

    Of the pages a layer reads, `again` are the same in every step. The others are read once: in the cached
    steps they are in the memories from the start, in the remaining ones they are found nowhere and are
    computed, in tier 0. Of s steps with a share h of cached ones, the first k hold floor(k h) of them.

    A step computes as a prompt of the model does, of `new_tokens` and the tokens of the pages found nowhere,
    after those of the pages found; its layers share that time equally.

    **Numbering.** The pages there at the start come first: all idle ones, layer by layer; then, layer by
    layer, those read again followed by those of the cached steps in their order. Pages born later follow,
    step by step and layer by layer, first those computed, then those created.
    """

    name: ClassVar[str] = "layers"
    absent: Literal["appear", "compute"] = "compute"

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self._spec = spec
        self._again = spec.reads if spec.again is None else spec.again
        self._parts = initial_parts(spec)
        self._given = scenario.execution.compute_time
        self._compute = ComputeModel(scenario)
        self.initial_pages = initial_pages(scenario)
        self.page_scalars: int | NDArray[np.int64] = required_page_scalars(scenario)
        self.total_steps: int | None = spec.steps

    @property
    def page_layers(self) -> Pages:
        """Layer of each page, those of pages to be born too."""
        numbers = np.arange(self._spec.layers, dtype=np.int64)
        parts = [np.repeat(numbers, each) for each in self._parts]
        parts += [np.repeat(numbers, self._born(step)) for step in range(self._spec.steps)]
        return np.concatenate(parts)

    @property
    def page_head_groups(self) -> Pages:
        """Head group of each page: a page holds all heads of a layer."""
        return np.zeros_like(self.page_layers)

    def steps(self) -> Iterator[Step]:
        """The steps, in constant memory."""
        spec = self._spec
        ticks = {found: self._ticks(found) for found in (False, True)}
        next_page = self.initial_pages
        for step in range(spec.steps):
            found = self._cached(step)
            born = self._born(step)
            before = cached_steps(spec, step)
            layers = [
                LayerAccess(
                    self._reads(layer, before if found else None, next_page + layer * born),
                    ticks[found][layer],
                    layer,
                    created=_run(next_page + (layer + 1) * born - spec.creates, spec.creates),
                )
                for layer in range(spec.layers)
            ]
            next_page += spec.layers * born
            yield Step(layers, None if spec.interval is None else step * spec.interval)

    def _cached(self, step: int) -> bool:
        return cached_steps(self._spec, step + 1) > cached_steps(self._spec, step)

    def _born(self, step: int) -> int:
        """Pages of one layer that come into being in a step."""
        computed = 0 if self._cached(step) else self._spec.reads - self._again
        return computed + self._spec.creates

    def _reads(self, layer: int, before: int | None, first_born: int) -> Pages:
        """The pages that a layer reads, given the cached steps before (None: in a step that is not cached)
        and the first of the pages born in it."""
        idle, read = self._parts
        start = self._spec.layers * idle + layer * read
        once = self._spec.reads - self._again
        first = first_born if before is None else start + self._again + before * once
        return np.concatenate((_run(start, self._again), _run(first, once)))

    def _ticks(self, cached: bool) -> list[int]:
        """Compute time of each layer of a step; together exactly that of the step."""
        spec = self._spec
        if self._given is not None:
            return [self._given] * spec.layers
        found = spec.reads if cached else self._again
        new = spec.new_tokens + (spec.reads - found) * spec.page_tokens
        whole = self._compute.prefill_ticks(new, found * spec.page_tokens)
        return [
            whole * (layer + 1) // spec.layers - whole * layer // spec.layers for layer in range(spec.layers)
        ]


def _run(first: int, count: int) -> Pages:
    return np.arange(first, first + count, dtype=np.int64) if count else NO_PAGES
