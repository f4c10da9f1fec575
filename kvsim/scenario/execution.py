"""How it runs: overlap, compute time, the DMA scheduler, what is recorded."""

from typing import Literal

from kvsim.scenario.base import Count, Index, Share, Spec
from kvsim.units import Bandwidth, Duration

__all__ = ["ClassLimitsSpec", "DmaClassesSpec", "DmaSpec", "ExecutionSpec"]


class ClassLimitsSpec(Spec):
    """Limits of one class of transfers, for each pair of tiers and direction by itself.

    A transfer belongs to the class it is launched with: what becomes urgent while it waits is out of its
    class at once, what becomes urgent on its way still counts.
    """

    in_flight: Count | None = None
    """Transfers of the class that are on the links at once; more of them wait, and hold up no other class.
    Default: no limit."""
    bandwidth: Bandwidth | None = None
    """Pace: after one transfer of the class the next is launched no sooner than the bytes of the first take
    at this bandwidth. Default: no pacing."""


class DmaClassesSpec(Spec):
    """Limits by class of transfer."""

    demand: ClassLimitsSpec = ClassLimitsSpec()
    """What a step waits for."""
    write_back: ClassLimitsSpec = ClassLimitsSpec()
    """What makes room for something else."""
    prefetch: ClassLimitsSpec = ClassLimitsSpec()
    """What is fetched ahead of need, for layers that are known and on speculation."""
    background: ClassLimitsSpec = ClassLimitsSpec()
    """What brings a tier from its high to its low watermark."""


class DmaSpec(Spec):
    """Limits of the scheduler that submits transfers to the links."""

    max_in_flight: Count | None = None
    """Transfers of one route that are on its links at once; the others wait, most urgent first.
    Default: no limit."""
    coalesce: Count = 1
    """Neighbouring pages that travel as one transfer, at most. Default 1."""
    classes: DmaClassesSpec = DmaClassesSpec()
    """Limits of single classes of transfers, inside `max_in_flight`. Default: none."""
    prefetch_limit: Index = 64
    """Speculative prefetches outstanding at once; more wait in the queue, else are dropped. Default 64."""
    prefetch_queue: Index = 0
    """Guesses that may wait for a slot, for room or for less pressure, the earliest deadline first. They are
    tried again when a prefetch arrives and with every new guesses, and cancelled once the page is read, is in
    the first tier or is gone, or their deadline (the prefetch policy's) has passed; of too many, those with
    the latest deadline are dropped. Default 0: whatever cannot be issued is dropped."""
    pressure: Count | None = None
    """Demand fetches and write-backs that wait or are on the links between a guess's tier and the first one,
    either way, from which on the guess is not issued. Default: guesses are issued under any pressure."""


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
    in_place: Literal["before", "during"] = "before"
    """When a layer reads the pages that it finds in `direct` tiers. `before`: it computes once they are
    there, and its roofline counts them as if they were in tier 0. `during`: attention streams both at once;
    the reads start with the layer's compute, the layer ends when both are over, and the roofline (of
    `dense_decode` and `sparse_decode`) counts only what is in tier 0. In `serial` they are read before in
    either case. Default `before`."""
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
