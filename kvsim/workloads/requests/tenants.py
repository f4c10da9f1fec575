"""Several tenants, each with a workload of its own."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from operator import attrgetter
from typing import Any, ClassVar

from kvsim.scenario.request_patterns import MultiTenant as Spec
from kvsim.scenario.scenario import Scenario
from kvsim.workloads.requests.agents import Agents
from kvsim.workloads.requests.arrivals import arriving, limited
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.documents import SharedDocuments
from kvsim.workloads.requests.pattern import Lane, SyntheticRequests
from kvsim.workloads.requests.registry import register_requests
from kvsim.workloads.requests.sessions import ChatSessions
from kvsim.workloads.requests.users import Users

__all__ = ["MultiTenant"]

PATTERNS: dict[str, type[SyntheticRequests[Any]]] = {
    pattern.name: pattern for pattern in (Agents, ChatSessions, SharedDocuments, Users)
}


@register_requests
class MultiTenant:
    """The requests of all tenants by arrival, each with its tenant's name.

    Of requests that arrive together, those of the tenant named first go first. The random numbers of a
    tenant go by its name: they stay the same whoever else is there.
    """

    name: ClassVar[str] = "multi_tenant"

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self._spec, self._seed = spec, scenario.seed
        number = len(spec.tenants)
        self._tenants = [
            PATTERNS[pattern.kind](scenario, pattern, Lane(tenant, index, number))
            for index, (tenant, pattern) in enumerate(spec.tenants.items())
        ]
        self.block_tokens = spec.block_tokens
        self.block_bytes = self._tenants[0].block_bytes

    @property
    def total_requests(self) -> int | None:
        """Number of requests, if that of each tenant is known beforehand."""
        totals = [tenant.total_requests for tenant in self._tenants]
        if None in totals:
            return None
        total = sum(each for each in totals if each is not None)
        return min(total, self._spec.max_requests or total)

    def requests(self) -> Iterator[Request]:
        """Those that are no follow-ups, in order of arrival."""
        streams = (tenant.requests() for tenant in self._tenants)
        merged = merge(*streams, key=attrgetter("arrival_ticks"))
        return arriving(limited(merged, self._spec.max_requests), self._spec.arrivals, self._seed, self.name)
