"""The workload of a recorded trace of requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from kvsim.scenario.requests import RequestTrace
from kvsim.scenario.scenario import Scenario
from kvsim.workloads.geometry import request_block_bytes
from kvsim.workloads.requests.arrivals import arriving, limited
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.formats import TraceReader
from kvsim.workloads.requests.registry import register_requests

__all__ = ["Requests"]


@register_requests
class Requests:
    """The requests of a trace, at its times or others."""

    name: ClassVar[str] = "requests"

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, RequestTrace)
        self._spec = spec
        self._seed = scenario.seed
        self._trace = TraceReader(spec.path, spec.format, spec.block_tokens, spec.on_error)
        self.block_tokens: int = self._trace.block_tokens
        self.block_bytes: int = request_block_bytes(scenario, self.block_tokens)
        self.total_requests: int | None = None
        next(self._trace.requests())  # a trace that cannot be read is refused before the run starts

    @property
    def skipped(self) -> Counter[str]:
        """Lines left out so far by the last reading, by reason."""
        return self._trace.left_out

    def requests(self) -> Iterator[Request]:
        """Yields them in order of arrival. Raises TraceError at the line that cannot be used."""
        requests = limited(self._trace.requests(), self._spec.max_requests)
        return arriving(requests, self._spec.arrivals, self._seed, self.name)
