"""How requests are served: batching, reuse of prefixes, tenants, several instances."""

from typing import Annotated, Literal

from pydantic import Field

from kvsim.scenario.base import Count, Flag, Index, Number, Share, Spec
from kvsim.units import Duration

__all__ = ["BatchSpec", "InstancesSpec", "ReuseSpec", "ServingSpec", "TenantSpec", "WarmSpec"]


class BatchSpec(Spec):
    """What runs together in one iteration of an instance."""

    max_tokens: Count = 8192
    """Tokens computed in one iteration: one for each sequence that decodes, the rest for prompts. Default
    8192."""
    max_sequences: Count = 256
    """Sequences that are admitted at once. Default 256."""
    chunked: Flag = True
    """Whether a prompt may be computed in pieces, beside others. False: a prompt is computed whole, if need
    be alone and beyond `max_tokens`. Default true."""
    first: Literal["decode", "prefill"] = "decode"
    """`decode`: sequences that decode are in every iteration, prompts get the tokens that are left.
    `prefill`: as long as there are prompts to compute, only they are. Default `decode`."""
    preemption: Literal["recompute", "swap"] = "recompute"
    """What becomes of the sequence admitted last when memory runs out: `recompute` gives up what it has that
    is not a cached block, and computes it again; `swap` moves that to the next tier and back. Default
    `recompute`."""
    growth_blocks: Count = 1
    """Blocks that a decoding sequence takes at a time. Default 1."""
    overhead: Duration = 0
    """Time added to every iteration: scheduling, launches, sampling. Default 0."""


class WarmSpec(Spec):
    """Prompts that were served before the run starts."""

    tier: str
    """Where their blocks are."""
    share: Share = 1.0
    """Share of the prompts of the workload, spread evenly, of which that is so; as far as there is room.
    Default 1."""


class ReuseSpec(Spec):
    """What is kept of prompts, and how it is found again."""

    match: Literal["prefix", "any", "none"] = "prefix"
    """`prefix`: the blocks of a prompt up to the first that is in no tier. `any`: every block that is in a
    tier; gaps are computed. `none`: nothing is reused. Default `prefix`."""
    lookup: Literal["together", "in_turn"] = "together"
    """`together`: all blocks of a prompt are looked up at once, and stay as long as it is served. `in_turn`:
    one after another in a flat cache, where each takes its place and may push out the next, and nobody holds
    on to any, as in studies of caches alone; for a hierarchy of one tier. Default `together`."""
    load: Literal["always", "never", "cheaper"] = "always"
    """Blocks found below the first tier are loaded, or computed again, or whatever takes less time, as the
    links and the GPU are at the moment. Default `always`."""
    loading: Literal["whole", "layerwise", "blocking"] = "whole"
    """`whole`: a request is computed once all its blocks are there, others meanwhile. `layerwise`: a layer
    is computed once its part of them is there, while the next layers' parts come. `blocking`: its first
    iteration begins with the load, and nothing is computed meanwhile. Default `whole`."""
    layer_groups: Count | None = None
    """Parts that are loaded one after another, with `layerwise`. Default: one for each layer of the
    model."""
    write: Literal["back", "through", "none"] = "back"
    """`back`: a block that leaves a tier is moved to the next one. `through`: blocks are copied to the next
    tier when they have been computed, and leave for free. `none`: blocks that leave the first tier are gone.
    Default `back`."""
    overhead: Duration = 0
    """Time that a request which loads waits besides: lookup, launches, synchronisation. Default 0."""
    warm: WarmSpec | None = None
    """Prompts that are in a tier when the run starts; the workload is then read twice. Default: none are."""
    pin: Duration = 0
    """Time that the blocks of a session are spared after its request has ended, as long as there are
    others. Default 0."""
    lookahead: Index = 0
    """Requests at the head of the queue whose blocks are spared, and brought up from further down to
    `lookahead_tier` while they wait. Default 0."""
    lookahead_tier: str | None = None
    """Where they are brought to. Default: the tier below the first."""


class TenantSpec(Spec):
    """One of those who share the machine."""

    weight: Number = 1.0
    """Its share of service relative to others, with `order: fair`. Default 1."""
    cache_share: Share | None = None
    """Share of each tier that is its own: it takes no more, nobody else takes from it. Default: it shares
    what is left with all others that have none."""
    max_sequences: Count | None = None
    """Its sequences that are admitted at once, on an instance. Default: no limit."""


class InstancesSpec(Spec):
    """Several GPUs, each with memories and links of its own."""

    count: Count = 1
    """Instances of the model. Default 1."""
    shared_from: str | None = None
    """The first tier that all instances share; those above it, and the links that touch them, are there once
    for each. Default: the tier below the first."""
    routing: Literal["round_robin", "least_loaded", "cache_aware"] = "round_robin"
    """`least_loaded`: where the fewest tokens are to be computed. `cache_aware`: where the fewest are once
    what is found there is left out. Default `round_robin`."""
    prefill: Index = 0
    """How many of them only compute prompts, and hand what they have to one of the others, which decode.
    Default 0: all do both."""


class ObjectivesSpec(Spec):
    """What a request must keep to count as served well; how it is served does not depend on it."""

    ttft: Duration | None = None
    """Longest time from its arrival to its first token. Default: any."""
    tpot: Duration | None = None
    """Longest mean time between its tokens after that. Default: any."""


class ServingSpec(Spec):
    """How requests are served."""

    order: Literal["arrival", "priority", "fair"] = "arrival"
    """Who is admitted next: `arrival`, who came first; `priority`, the highest, then who came first; `fair`:
    the tenant that has been given the fewest tokens for its weight. Default `arrival`."""
    batch: BatchSpec = BatchSpec()
    """What runs together."""
    reuse: ReuseSpec = ReuseSpec()
    """What is kept of prompts."""
    tenants: dict[Annotated[str, Field(min_length=1)], TenantSpec] = Field(default_factory=dict)
    """Tenants by name. Default: all are alike."""
    isolate_tenants: Flag = False
    """Whether a tenant's blocks are found by no other. Default false."""
    instances: InstancesSpec = InstancesSpec()
    """How many GPUs serve. Default 1."""
    objectives: ObjectivesSpec = ObjectivesSpec()
    """Latencies that goodput counts against. Default none."""
