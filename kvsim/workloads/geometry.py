"""How the KV cache of a decoding batch is cut into pages, and how the pages are numbered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.geometry import page_scalars
from kvsim.scenario.requests import RequestSpec
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import DenseDecode, SparseDecode
from kvsim.workloads.base import Pages

__all__ = ["DecodeGeometry", "request_block_bytes", "required_page_scalars"]


def required_page_scalars(scenario: Scenario) -> int:
    """Scalars of a page of the scenario's workload. ValueError if they need a model and it has none."""
    scalars = page_scalars(scenario)
    if scalars is None:
        raise ValueError(f"workload {scenario.workload.kind!r} needs a model")
    return scalars


def request_block_bytes(scenario: Scenario, block_tokens: int) -> int:
    """Bytes of a block of so many tokens in a workload of requests: those of its spec, or all layers of the
    model's KV. ValueError if they need a model and the scenario has none."""
    work = scenario.workload
    if isinstance(work, RequestSpec) and work.block_bytes is not None:
        return work.block_bytes
    if scenario.model is None:
        raise ValueError(f"workload {work.kind!r} needs a model")
    token = scenario.model.kv_scalars_per_token_layer * scenario.model.layers
    return scenario.scheme.bytes(block_tokens * token)


@dataclass(frozen=True, slots=True)
class DecodeGeometry:
    """A batch of sequences of equal length, each growing by one token a step.

    A page holds `page_tokens` consecutive tokens of one layer and one sequence, and never changes once it
    is full. The last, unfinished page of a sequence is a scratch of the running step: it is computed on
    but not paged. A page is born, at the end of its layer, in the step whose token fills it.

    **Numbering.** With L layers, B sequences and F full pages a sequence and layer at the start, the pages
    0 … L·B·F − 1 exist then; index i of sequence b in layer l is page (l·B + b)·F + i. The g-th generation
    of births (one page for every layer and sequence) follows at L·B·F + g·L·B; in it, layer l and
    sequence b have number l·B + b. So a layer's pages are one run of numbers at the start (neighbours,
    which one transfer can carry) plus one short run a generation, and ascending numbers are ascending ages.
    """

    layers: int
    batch: int
    page_tokens: int
    context_tokens: int
    """Tokens of each sequence in the cache when the first step starts."""

    @classmethod
    def of(cls, scenario: Scenario, spec: DenseDecode | SparseDecode) -> DecodeGeometry:
        """The geometry of a decode workload. Raises ValueError if the scenario has no model."""
        if scenario.model is None:
            raise ValueError(f"workload {spec.kind!r} needs a model")
        return cls(scenario.model.layers, spec.batch, spec.page_tokens, spec.context_tokens)

    @property
    def first_full(self) -> int:
        """Full pages of a sequence and layer at the start."""
        return self.context_tokens // self.page_tokens

    @property
    def initial_pages(self) -> int:
        """Pages that exist at the start, all layers and sequences."""
        return self.layers * self.batch * self.first_full

    def full_pages(self, step: int) -> int:
        """Full pages of a sequence and layer when the step starts: those that it can read."""
        return (self.context_tokens + step) // self.page_tokens

    def tail_tokens(self, step: int) -> int:
        """Tokens of a sequence outside full pages when the step starts."""
        return (self.context_tokens + step) % self.page_tokens

    def completes(self, step: int) -> bool:
        """Whether the token of this step fills a page."""
        return self.full_pages(step + 1) > self.full_pages(step)

    def initial(self, layer: int) -> Pages:
        """The pages of a layer that exist at the start, ascending."""
        count = self.batch * self.first_full
        return np.arange(layer * count, (layer + 1) * count, dtype=np.int64)

    def created(self, layer: int, step: int) -> Pages:
        """The pages that the layer creates in a step that completes them, one a sequence, ascending."""
        generation = self.full_pages(step) - self.first_full
        first = self.initial_pages + (generation * self.layers + layer) * self.batch
        return np.arange(first, first + self.batch, dtype=np.int64)

    def page_layers(self, steps: int) -> Pages:
        """Layer of each page there is after so many steps."""
        layers = np.arange(self.layers, dtype=np.int64)
        generations = self.full_pages(steps) - self.first_full
        born = np.tile(np.repeat(layers, self.batch), generations)
        return np.concatenate((np.repeat(layers, self.batch * self.first_full), born))

    def numbers(self, layer: int, sequence: int, indices: NDArray[np.int64]) -> Pages:
        """Page numbers of a sequence's pages in a layer, by their index in the sequence."""
        old = (layer * self.batch + sequence) * self.first_full + indices
        generation = indices - self.first_full
        new = self.initial_pages + (generation * self.layers + layer) * self.batch + sequence
        return np.where(generation < 0, old, new)
