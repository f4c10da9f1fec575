"""Requests written out by a test, reached by `kind: custom`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from kvsim.scenario.scenario import Scenario
from kvsim.workloads.requests import Request

TICKS_PER_US = 10**6


class Scripted:
    """Requests as rows: arrival in microseconds, tokens of the prompt, output tokens, blocks, tenant."""

    name: ClassVar[str] = "scripted"

    def __init__(
        self,
        scenario: Scenario,
        rows: list[list[Any]],
        block_tokens: int = 4,
        block_bytes: int = 1000,
    ) -> None:
        self.block_tokens, self.block_bytes = block_tokens, block_bytes
        self.total_requests: int | None = len(rows)
        self._rows = rows
        self.skipped = {"negative tokens": 2} if scenario.seed == 99 else {}

    def requests(self) -> Iterator[Request]:
        for arrival, prompt, output, blocks, tenant in self._rows:
            yield Request(arrival * TICKS_PER_US, prompt, output, blocks, tenant=tenant)
