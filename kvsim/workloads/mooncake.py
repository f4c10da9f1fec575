"""Requests that share prefixes, from a trace in Mooncake's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.randomness import stream
from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import Mooncake as Spec
from kvsim.workloads.base import LayerAccess, Step
from kvsim.workloads.geometry import required_page_scalars
from kvsim.workloads.mooncake_trace import MooncakeRequest, read_mooncake
from kvsim.workloads.registry import register_workload
from kvsim.workloads.requests.arrivals import jittered

__all__ = ["TICKS_PER_MS", "Mooncake"]

TICKS_PER_MS = 10**9


@register_workload
class Mooncake:
    """One step a request: its prefix blocks are looked up one after another, what is absent is prefilled,
    then the output is decoded.

    A page is a block of all layers. Blocks are numbered in order of first appearance (memory grows with
    the distinct blocks, not with the requests). Prefill computes the tokens of the absent blocks on top of
    those of the present ones; the last, perhaps partial, block counts as absent if any does, which it
    nearly always is. A prompt found whole costs no prefill. Output tokens are decoded one by one and their
    pages not kept: the trace does not say whether a later prompt contains them.

    `arrivals: trace` starts a request at its timestamp, plus a uniform delay below `jitter`: within a group
    of equal timestamps the delays are sorted, so requests keep the order of the trace.
    """

    name: ClassVar[str] = "mooncake"
    absent: Literal["appear", "compute"] = "compute"
    initial_pages = 0

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self._spec = spec
        self._seed = scenario.seed
        self._compute = ComputeModel(scenario)
        self.page_scalars: int | NDArray[np.int64] = required_page_scalars(scenario)
        self.total_steps: int | None = None
        next(self._requests())  # a trace that cannot be read is refused before the run starts

    def steps(self) -> Iterator[Step]:
        """The requests in the order of the trace. Raises TraceError at the line that cannot be used."""
        numbers: dict[int, int] = {}
        for request, arrival in self._arrivals():
            pages = [numbers.setdefault(block, len(numbers)) for block in request.hash_ids]
            access = LayerAccess(
                np.array(pages, dtype=np.int64),
                self._decode_ticks(request),
                ordered=True,
                absent_ticks=self._prefill(request),
            )
            yield Step((access,), arrival)

    def _requests(self) -> Iterator[MooncakeRequest]:
        return islice(read_mooncake(self._spec.path, self._spec.block_tokens), self._spec.max_requests)

    def _arrivals(self) -> Iterator[tuple[MooncakeRequest, int | None]]:
        if self._spec.arrivals == "back_to_back":
            return ((request, None) for request in self._requests())
        if self._spec.jitter == 0:
            return ((request, _ticks(request)) for request in self._requests())
        rng = stream(self._seed, self.name, "jitter")
        return jittered(self._requests(), _ticks, self._spec.jitter, rng)

    def _decode_ticks(self, request: MooncakeRequest) -> int:
        if not self._spec.decode:
            return 0
        return self._compute.decode_ticks(request.input_length, request.output_length)

    def _prefill(self, request: MooncakeRequest) -> Callable[[int], int]:
        return partial(_prefill_ticks, self._compute, request, self._spec.block_tokens)


def _ticks(request: MooncakeRequest) -> int:
    return round(request.timestamp_ms * TICKS_PER_MS)


def _prefill_ticks(compute: ComputeModel, request: MooncakeRequest, block_tokens: int, absent: int) -> int:
    if absent == 0:
        return 0
    cached = (len(request.hash_ids) - absent) * block_tokens
    return compute.prefill_ticks(request.input_length - cached, cached)
