"""Decode with dense attention: every step reads the whole KV cache, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import DenseDecode as Spec
from kvsim.workloads.base import NO_PAGES, LayerAccess, Pages, Step
from kvsim.workloads.geometry import DecodeGeometry, required_page_scalars
from kvsim.workloads.registry import register_workload

__all__ = ["DenseDecode"]


@register_workload
class DenseDecode:
    """One step a token: layer l reads all full pages of all sequences, then the next layer does.

    Pages and their numbers: `DecodeGeometry`. A layer yields the same array object, ascending and
    read-only, until its next page is born, so whatever is derived from it may be kept meanwhile. The
    compute time of a step is that of its context at the start, unfinished page included.
    """

    name: ClassVar[str] = "dense_decode"
    absent: Literal["appear", "compute"] = "compute"

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self.geometry = DecodeGeometry.of(scenario, spec)
        self._compute = ComputeModel(scenario)
        self._steps = spec.steps
        self.initial_pages = self.geometry.initial_pages
        self.page_scalars: int | NDArray[np.int64] = required_page_scalars(scenario)
        self.total_steps: int | None = spec.steps

    @property
    def page_layers(self) -> Pages:
        """Layer of each page, those of pages to be born too."""
        return self.geometry.page_layers(self._steps)

    @property
    def page_head_groups(self) -> Pages:
        """Head group of each page: a page holds all heads of a layer."""
        return np.zeros_like(self.page_layers)

    def steps(self) -> Iterator[Step]:
        """The steps; a page born in one is read from the next one on."""
        shape = self.geometry
        weights = self._compute.streamed_bytes
        columns = [_Column(shape, layer, self._steps) for layer in range(shape.layers)]
        for step in range(self._steps):
            tokens = shape.context_tokens + step
            ticks = self._compute.step_ticks(shape.batch, tokens)
            completes = shape.completes(step)
            created = [shape.created(n, step) if completes else NO_PAGES for n in range(shape.layers)]
            yield Step(
                [
                    LayerAccess(
                        column.pages,
                        ticks[layer],
                        layer,
                        created=created[layer],
                        stream_bytes=weights,
                        near_ticks=self._compute.near_ticks(shape.batch, tokens, shape.page_tokens, layer),
                    )
                    for layer, column in enumerate(columns)
                ]
            )
            if not completes:
                continue
            for column, born in zip(columns, created, strict=True):
                column.append(born)


class _Column:
    """The growing pages of one layer: views of one array with room for all of its pages to come."""

    def __init__(self, shape: DecodeGeometry, layer: int, steps: int) -> None:
        self._room = np.empty(shape.batch * shape.full_pages(steps), dtype=np.int64)
        self.pages: Pages = NO_PAGES
        self.append(shape.initial(layer))

    def append(self, pages: Pages) -> None:
        """Show more pages in a new view; the old views stay as they are."""
        start, end = len(self.pages), len(self.pages) + len(pages)
        self._room[start:end] = pages
        self.pages = self._room[:end]
        self.pages.flags.writeable = False
