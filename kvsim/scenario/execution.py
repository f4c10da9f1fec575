"""How it runs: overlap, compute time, the DMA scheduler, what is recorded."""

from typing import Annotated, Literal

from pydantic import Field

from kvsim.scenario.base import Count, Share, Spec
from kvsim.units import Duration

__all__ = ["DmaSpec", "ExecutionSpec"]


class DmaSpec(Spec):
    """Limits of the scheduler that submits transfers to the links."""

    max_in_flight: Count | None = None
    """Transfers of one route that are on its links at once; the others wait, most urgent first.
    Default: no limit."""
    coalesce: Count = 1
    """Neighbouring pages that travel as one transfer, at most. Default 1."""
    prefetch_limit: Annotated[int, Field(strict=True, ge=0)] = 64
    """Speculative prefetches outstanding at once; more are dropped. Default 64."""


class ExecutionSpec(Spec):
    """How transfers and compute share time."""

    overlap: Literal["serial", "demand", "layered", "async", "ideal"] = "async"
    """`serial`: every transfer on the step's own time, one after another. `demand`: misses together,
    write-backs aside. `layered`: the next layers' pages are fetched while a layer computes. `async`: also
    prefetch across steps. `ideal`: transfers cost the step nothing. Default `async`."""
    depth: Count = 1
    """Layers, or tiles of them, fetched ahead, in `layered` and `async`. Default 1."""
    tile: Count | None = None
    """Pages of a layer that are brought to tier 0 and attended together, before the next ones are: for a
    first tier smaller than a layer, such as on-chip memory. Default: a layer is one tile."""
    compute_time: Duration | None = None
    """Compute time of one layer access. Default: the roofline of the model on the GPU."""
    weights: str | None = None
    """Tier that each layer's weights are streamed from while it computes, with `dense_decode` and
    `sparse_decode`: their bytes then share its links with the KV pages. Tier 0 cannot be named; in `serial`
    and `ideal` nothing competes, and nothing changes. Default: the roofline counts them at the GPU's
    bandwidth, and they compete with nobody."""
    flops_efficiency: Share = 0.6
    """Share of the GPU's peak compute rate that is reached. Default 0.6."""
    bandwidth_efficiency: Share = 0.8
    """Share of the GPU's memory bandwidth that is reached. Default 0.8."""
    dma: DmaSpec = DmaSpec()
    """The DMA scheduler."""
    records: Literal["all", "summary"] = "all"
    """`all`: every transfer is recorded. `summary`: counters only, for long runs. Default `all`."""
    max_steps: Count | None = None
    """Steps after which the run ends. Default: the whole workload."""
