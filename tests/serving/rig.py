"""Small machines that serve, and requests given one by one, for the tests of the serving engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, ClassVar

from kvsim import units
from kvsim.scenario.scenario import Scenario
from kvsim.sim.serving.engine import ServingSimulation
from kvsim.sim.serving.result import ServingResult
from kvsim.sim.serving.sequence import PHASES
from kvsim.workloads.requests import Request

US = 10**6
"""Ticks of a microsecond."""
TINY_MODEL = {
    "name": "tiny",
    "layers": 2,
    "hidden": 16,
    "heads": 2,
    "kv_heads": 1,
    "head_dim": 8,
    "parameters": 1000,
}
TINY_GPU = {
    "name": "tiny",
    "memory": "1 GiB",
    "bandwidth": "1 GB/s",
    "flops": "4 Gflop/s",
    "l2": "1 MiB",
    "host_link": "pcie5-x16",
    "power_w": 1.0,
}
"""Its roofline with the tiny model crosses within a few tokens, and an iteration takes microseconds."""


class Given:
    """A workload of the requests that a test gives."""

    name: ClassVar[str] = "given"
    total_requests: int | None = None

    def __init__(self, requests: Sequence[Request], block_tokens: int = 1, block_bytes: int = 1000) -> None:
        self.block_tokens = block_tokens
        self.block_bytes = block_bytes
        self._requests = requests

    def requests(self) -> Iterator[Request]:
        """Those that are no follow-ups."""
        return iter(self._requests)


def scenario(
    tiers: Sequence[dict[str, Any]],
    links: Sequence[dict[str, Any]] = (),
    *,
    serving: dict[str, Any] | None = None,
    execution: dict[str, Any] | None = None,
    eviction: Any = "lru",
    buses: Sequence[dict[str, Any]] = (),
    roofline: bool = False,
) -> Scenario:
    """A scenario whose iterations take a microsecond each, or what the tiny roofline says."""
    timed = {} if roofline else {"compute_time": "1 us"}
    machine = {"model": TINY_MODEL, "gpu": TINY_GPU} if roofline else {}
    return Scenario.model_validate(
        {
            "name": "serving",
            **machine,
            "hierarchy": {"tiers": list(tiers), "links": list(links), "buses": list(buses)},
            "workload": {"kind": "custom", "workload_class": "serving.rig:Given"},
            "policy": {"eviction": eviction},
            "execution": {**timed, **(execution or {})},
            "serving": serving or {},
        }
    )


def serve(machine: Scenario, workload: Given, stride: int = sys.maxsize) -> ServingResult:
    """Run it, audited."""
    return ServingSimulation(machine, workload, stride).run()


def rows(result: ServingResult, *columns: str) -> list[tuple[int, ...]]:
    """Those columns of the table of requests, in order of arrival."""
    table = result.records.requests
    found = zip(*(table.column(name).tolist() for name in ("request", *columns)), strict=True)
    return [row[1:] for row in sorted(found)]


def phases(result: ServingResult) -> list[dict[str, float]]:
    """What each request's time was spent on, in microseconds; what is nothing is left out."""
    return [
        {name: ticks / US for name, ticks in zip(PHASES, row, strict=True) if ticks}
        for row in rows(result, *PHASES)
    ]


size = cache(units.exact_bytes)
time = cache(units.exact_duration)
rate = cache(units.exact_bandwidth)


class Texts:
    """Numbers blocks by the text up to their end, so that prompts with a common beginning share blocks."""

    def __init__(self, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self._numbers: dict[tuple[Any, ...], int] = {}

    def blocks(self, text: Sequence[Any]) -> list[int]:
        """The blocks of a text, the last perhaps partial."""
        bounds = range(0, len(text), self.block_tokens)
        known = self._numbers
        return [
            known.setdefault(tuple(text[: min(start + self.block_tokens, len(text))]), len(known))
            for start in bounds
        ]

    def request(self, arrival: int, prompt: Sequence[Any], output: Sequence[Any], **fields: Any) -> Request:
        """A prompt that is answered with that output, both of which can be found again."""
        after = self.blocks([*prompt, *output])[len(prompt) // self.block_tokens :] if output else []
        return Request(arrival, len(prompt), len(output), self.blocks(prompt), after, **fields)
