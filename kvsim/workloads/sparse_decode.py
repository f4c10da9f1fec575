"""Decode with sparse attention: every step reads sinks, a recent window and a drifting top-k."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.randomness import stream
from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import SparseDecode as Spec
from kvsim.workloads.base import NO_PAGES, LayerAccess, Pages, Step, part_of
from kvsim.workloads.geometry import DecodeGeometry, required_page_scalars
from kvsim.workloads.registry import register_workload

__all__ = ["SparseDecode"]


@register_workload
class SparseDecode:
    """One step a token: of each sequence, a layer reads its first pages (sinks), its latest pages (recent
    window), and k pages in between, chosen anew for every layer and sequence.

    Sink, window and top-k sizes are tokens, rounded up to pages; the window counts full pages. Where the
    three cover the context, all of it is read. The first k are drawn uniformly; in each later step a share
    `drift` of them, on average exactly, gives way to as many others, drawn uniformly. Pages that leave the
    window can be chosen, and a chosen page never leaves the middle. Draws come from one stream a layer, so
    layers are independent. Of the newly chosen pages the share `foreseen`, lower numbers first, is known
    before the layer's turn; the others make a second access of the layer, which nobody can announce ahead
    and which takes their share of its compute time. The compute time counts the tokens of the pages read and
    the unfinished page, but no scoring of the pages left out. Pages and their numbers: `DecodeGeometry`; a
    layer's pages are distinct and ascending, and the array object is the same while they do not change.

    Source: sinks and window, G. Xiao et al., "Efficient streaming language models with attention sinks",
    ICLR 2024; query-dependent top-k pages, J. Tang et al., "Quest", ICML 2024. The drift is a model of the
    latter's changing choice, not a measurement. Foreseeing it: W. Lee et al., "InfiniGen", OSDI 2024.
    """

    name: ClassVar[str] = "sparse_decode"
    absent: Literal["appear", "compute"] = "compute"

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self.geometry = DecodeGeometry.of(scenario, spec)
        self._compute = ComputeModel(scenario)
        self._spec = spec
        self._seed = scenario.seed
        self.initial_pages = self.geometry.initial_pages
        self.page_scalars: int | NDArray[np.int64] = required_page_scalars(scenario)
        self.total_steps: int | None = spec.steps

    @property
    def page_layers(self) -> Pages:
        """Layer of each page, those of pages to be born too."""
        return self.geometry.page_layers(self._spec.steps)

    @property
    def page_head_groups(self) -> Pages:
        """Head group of each page: a page holds all heads of a layer."""
        return np.zeros_like(self.page_layers)

    def steps(self) -> Iterator[Step]:
        """The steps; a page born in one belongs to the window from the next one on."""
        shape = self.geometry
        layers = [_Layer(shape, self._spec, layer, self._seed) for layer in range(shape.layers)]
        for step in range(self._spec.steps):
            for layer in layers:
                layer.advance(step)
            tokens = layers[0].pages_per_sequence * shape.page_tokens + shape.tail_tokens(step)
            ticks = self._compute.step_ticks(shape.batch, tokens)
            completes = shape.completes(step)
            weights = self._compute.streamed_bytes
            accesses: list[LayerAccess] = []
            for number, layer in enumerate(layers):
                created = shape.created(number, step) if completes else NO_PAGES
                access = LayerAccess(
                    layer.pages,
                    ticks[number],
                    number,
                    created=created,
                    stream_bytes=weights,
                    near_ticks=self._compute.near_ticks(shape.batch, tokens, shape.page_tokens, number),
                )
                accesses += _parted(access, layer.surprising) if len(layer.surprising) else [access]
            yield Step(accesses)


class _Layer:
    """What one layer reads in the current step."""

    def __init__(self, shape: DecodeGeometry, spec: Spec, layer: int, seed: int) -> None:
        self._shape = shape
        self._layer = layer
        self._sinks, self._recent, self._top = (
            -(-tokens // shape.page_tokens)
            for tokens in (spec.sink_tokens, spec.recent_tokens, spec.top_k_tokens)
        )
        self._drift = Fraction(str(spec.drift))
        self._foreseen = Fraction(str(spec.foreseen))
        self._rng = stream(seed, SparseDecode.name, "layer", layer)
        self._chosen: list[NDArray[np.int64]] = [NO_PAGES] * shape.batch
        self._full = -1
        self.pages: Pages = NO_PAGES
        self.surprising: Pages = NO_PAGES
        """Those of them that nobody has foreseen in this step."""

    @property
    def pages_per_sequence(self) -> int:
        """Pages of each sequence that this step reads."""
        return len(self.pages) // self._shape.batch

    def advance(self, step: int) -> None:
        """Choose the pages of the step, and number them if they are not those of the step before."""
        full = self._shape.full_pages(step)
        low = min(self._sinks, full)
        high = max(low, full - self._recent)
        size = min(self._top, high - low)
        share = self._drift * size
        leaving = floor(step * share) - floor((step - 1) * share) if step else 0
        chosen = [_renewed(old, low, high, size, leaving, self._rng) for old in self._chosen]
        same = full == self._full and all(a is b for a, b in zip(chosen, self._chosen, strict=True))
        if self._foreseen < 1:
            self.surprising = self._unforeseen(chosen)
        self._chosen, self._full = chosen, full
        if not same:
            self.pages = self._numbered(low, high, full)

    def _unforeseen(self, chosen: list[NDArray[np.int64]]) -> Pages:
        """The pages that are chosen now and were not before, but for the share that is foreseen."""
        new = [
            self._shape.numbers(self._layer, sequence, np.setdiff1d(now, before))
            for sequence, (now, before) in enumerate(zip(chosen, self._chosen, strict=True))
        ]
        pages = np.sort(np.concatenate(new))
        return pages[floor(self._foreseen * len(pages)) :]

    def _numbered(self, low: int, high: int, full: int) -> Pages:
        fixed = np.concatenate((np.arange(low), np.arange(high, full)))
        numbers = [
            self._shape.numbers(self._layer, sequence, np.concatenate((fixed, chosen)))
            for sequence, chosen in enumerate(self._chosen)
        ]
        pages = np.sort(np.concatenate(numbers))
        pages.flags.writeable = False
        return pages


def _parted(access: LayerAccess, surprising: Pages) -> Iterator[LayerAccess]:
    """A layer's access in two: what is known before its turn, if anything, and what is not."""
    known = np.setdiff1d(access.pages, surprising, assume_unique=True)
    ticks, weights = (
        whole * len(known) // len(access.pages) for whole in (access.compute_ticks, access.stream_bytes)
    )
    near = [part_of(access.near_ticks, len(part), len(access.pages)) for part in (known, surprising)]
    if len(known):
        yield LayerAccess(known, ticks, access.layer, stream_bytes=weights, near_ticks=near[0])
    yield LayerAccess(
        surprising,
        access.compute_ticks - ticks,
        access.layer,
        created=access.created,
        foreseen=False,
        stream_bytes=access.stream_bytes - weights,
        near_ticks=near[1],
    )


def _renewed(
    old: NDArray[np.int64], low: int, high: int, size: int, leaving: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`size` distinct indices in [low, high): the old ones less `leaving` of them, plus new ones.

    No more leave than others can take their place. Returns `old` itself if nothing changes.
    """
    leaving = min(leaving, len(old), high - low - size)
    entering = size - len(old) + leaving
    if entering == 0:
        return old
    free = np.ones(high - low, dtype=np.bool_)
    free[old - low] = False
    new = rng.choice(np.flatnonzero(free) + low, entering, replace=False)
    return np.concatenate((rng.permutation(old)[leaving:], new))
