"""Workloads of requests: where prompts come from and when they arrive."""

from typing import Annotated, Literal

from pydantic import Field

from kvsim.scenario.base import Count, Number, Spec
from kvsim.units import Bytes, Duration

__all__ = ["BLOCK_TOKENS", "ArrivalSpec", "RequestSpec", "RequestTrace"]

BLOCK_TOKENS = {
    "mooncake": 512,
    "bailian": 16,
    "azure": 16,
    "burstgpt": 16,
    "llmservingsim": 16,
    "csv": 16,
}
"""The formats of traces, and the tokens of one block in each unless something else is said."""


class ArrivalSpec(Spec):
    """When requests arrive, those of a closed loop after their first turn aside."""

    process: Literal["trace", "poisson", "gamma", "bursts", "together"] = "trace"
    """`trace`: at the times the workload says. `poisson`, `gamma`: after independent gaps, exponential or
    of a given variation. `bursts`: so many at once, after exponential gaps. `together`: all at the start.
    The order of the workload stays. Default `trace`."""
    rate: Number | None = None
    """Requests a second on average, for `poisson`, `gamma` and `bursts`, which need it."""
    variation: Annotated[float, Field(strict=True, gt=0, le=100, allow_inf_nan=False)] = 1.0
    """Standard deviation of `gamma` gaps over their mean: above 1 requests come in clumps. Default 1."""
    burst: Count = 10
    """Requests of one burst. Default 10."""
    speedup: Number = 1.0
    """Factor by which the times of the workload are shortened, for `trace`. Default 1."""
    jitter: Duration = 0
    """Longest random delay added to each of these times, uniformly; traces round them into buckets.
    Default 0."""


class RequestSpec(Spec):
    """What all workloads of requests share."""

    arrivals: ArrivalSpec = ArrivalSpec()
    """When requests arrive. Default: when the workload says."""
    block_bytes: Bytes | None = None
    """Bytes of one block in the scenario's scheme. Default: all layers of the model's KV of one block."""
    max_requests: Count | None = None
    """Number of requests taken, follow-ups included. Default: all."""


class RequestTrace(RequestSpec):
    """The requests of a recorded trace."""

    kind: Literal["requests"] = "requests"
    """Which workload this is."""
    path: str = ""
    """The trace file. In a scenario file relative to that file; in an override, to the current directory."""
    format: Literal["auto", "mooncake", "bailian", "azure", "burstgpt", "llmservingsim", "csv"] = "auto"
    """How the file is written; `auto` tells by its first line. Default `auto`."""
    block_tokens: Count | None = None
    """Tokens of one block. Default: that of the format, 512 for mooncake, else 16."""
    on_error: Literal["strict", "skip"] = "strict"
    """What becomes of a line that cannot be used: `strict` refuses the trace, `skip` leaves it out and counts
    it. Default `strict`."""
