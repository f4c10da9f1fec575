"""What is asked for: the kinds of workload and their parameters.

A workload's *shape* (bytes of a page, pages of a layer) is a pure function of its spec and of the model,
so that a scenario that cannot run is refused before anything starts; see `kvsim.scenario.geometry`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from kvsim.scenario.base import Count, Flag, Index, Spec
from kvsim.units import Bytes, Duration

__all__ = [
    "Custom",
    "DenseDecode",
    "Mooncake",
    "RagBurst",
    "SparseDecode",
    "WorkloadSpec",
]


class RagBurst(Spec):
    """Bursts of retrieval over a hot set, as kv-hierarchy-lab's `rag_burst`: one page a step."""

    kind: Literal["rag_burst"] = "rag_burst"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=22)] = 96
    """Number of pages: 16 hot ones, and the others, of which 6 are sampled each round. Default 96."""
    length: Annotated[int, Field(strict=True, ge=20)] = 320
    """Number of steps; whole rounds of 20 are made. Default 320."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2304
    """Scalars of a page before the random -64 … 64 is added. Default 2304."""
    seed: Index | None = None
    """Seed of its random numbers. Default: the scenario's seed."""


class _Decode(Spec):
    """What the two decode workloads share."""

    context_tokens: Count
    """Tokens of each sequence that are in the cache when the run starts."""
    steps: Count
    """Tokens generated for each sequence."""
    batch: Count = 1
    """Sequences decoded together. Default 1."""
    page_tokens: Count = 16
    """Tokens of one page of one layer. Default 16."""


class DenseDecode(_Decode):
    """Decode with full attention: every step reads every page, layer by layer."""

    kind: Literal["dense_decode"] = "dense_decode"
    """Which workload this is."""


class SparseDecode(_Decode):
    """Decode with sparse attention: sinks, the recent window, and the pages that score highest."""

    kind: Literal["sparse_decode"] = "sparse_decode"
    """Which workload this is."""
    sink_tokens: Index = 64
    """First tokens that are always read; rounded up to pages. Default 64."""
    recent_tokens: Index = 512
    """Last tokens that are always read; rounded up to pages. Default 512."""
    top_k_tokens: Index = 1024
    """Tokens in between that are chosen by attention; rounded up to pages. Default 1024."""
    drift: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 0.1
    """Share of the chosen pages replaced by others at each step, 0 to 1. Default 0.1."""


class Mooncake(Spec):
    """Requests of a trace in Mooncake's format: prefix blocks looked up one by one, absent ones computed."""

    kind: Literal["mooncake"] = "mooncake"
    """Which workload this is."""
    path: str = ""
    """The trace file. In a scenario file relative to that file; in an override, to the current directory."""
    block_tokens: Count = 512
    """Tokens of one block. Default 512."""
    block_bytes: Bytes | None = None
    """Bytes of one block in the scenario's scheme. Default: all layers of the model's KV of one block."""
    arrivals: Literal["trace", "back_to_back"] = "trace"
    """`trace`: requests arrive at their timestamps. `back_to_back`: each starts when the last has ended.
    Default `trace`."""
    jitter: Duration = 0
    """Longest random delay added to each timestamp, uniformly; traces round them into buckets. Default 0."""
    max_requests: Count | None = None
    """Number of requests taken from the trace. Default: all."""
    decode: Flag = True
    """Whether the output tokens are decoded too, or only the prompts prefilled. Default true."""


class Custom(Spec):
    """A workload of your own."""

    kind: Literal["custom"] = "custom"
    """Which workload this is."""
    workload_class: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
    """The class, as `module:Class`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What it is built with. Default: nothing."""


WorkloadSpec = Annotated[
    RagBurst | DenseDecode | SparseDecode | Mooncake | Custom,
    Field(discriminator="kind"),
]
"""Any kind of workload; the key `kind` says which."""
