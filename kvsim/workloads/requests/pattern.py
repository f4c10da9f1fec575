"""What made-up workloads of requests share: their block sizes, random streams, arrivals and length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar, cast

import numpy as np

from kvsim.randomness import stream
from kvsim.scenario.request_patterns import PatternSpec
from kvsim.scenario.scenario import Scenario
from kvsim.workloads.geometry import request_block_bytes
from kvsim.workloads.requests.arrivals import arriving, limited
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.blocks import BlockNumbers

__all__ = ["Lane", "SyntheticRequests"]

S = TypeVar("S", bound=PatternSpec)


class Lane:
    """Whose requests they are: one of so many tenants, who share no numbers of blocks and sessions."""

    def __init__(self, tenant: str = "", index: int = 0, lanes: int = 1) -> None:
        self.tenant, self.index, self.lanes = tenant, index, lanes

    def numbers(self) -> BlockNumbers:
        """Numbers of its blocks."""
        return BlockNumbers(self.index, self.lanes)

    def session(self, number: int) -> int:
        """The number of its session of that number."""
        return self.index + number * self.lanes


class SyntheticRequests(ABC, Generic[S]):
    """A made-up workload, alone or as one of several tenants'.

    Each call of `requests` gives the same again. The random streams go by the names of kind and tenant.
    """

    name: ClassVar[str]

    def __init__(self, scenario: Scenario, spec: S | None = None, lane: Lane | None = None) -> None:
        self.spec = cast(S, scenario.workload) if spec is None else spec
        self.lane = lane or Lane()
        self.seed = scenario.seed
        self.block_tokens = self.spec.block_tokens
        self.block_bytes = request_block_bytes(scenario, self.block_tokens)

    @property
    def total_requests(self) -> int | None:
        """Number of requests, if it is known beforehand."""
        planned = self.planned()
        return planned if planned is None else min(planned, self.spec.max_requests or planned)

    def requests(self) -> Iterator[Request]:
        """Those that are no follow-ups, in order of arrival."""
        asked = limited(self.asked(), self.spec.max_requests)
        return arriving(asked, self.spec.arrivals, self.seed, self.name, self.lane.tenant)

    def random(self, purpose: str) -> np.random.Generator:
        """The random stream for that."""
        return stream(self.seed, self.name, self.lane.tenant, purpose)

    @abstractmethod
    def planned(self) -> int | None:
        """Number of requests without regard to `max_requests`, if it is known beforehand."""

    @abstractmethod
    def asked(self) -> Iterator[Request]:
        """The requests, follow-ups hanging on, before they are told when to arrive."""
