"""What is asked for: the kinds of workload and their parameters.

A workload's *shape* (bytes of a page, pages of a layer) is a pure function of its spec and of the model,
so that a scenario that cannot run is refused before anything starts; see `kvsim.scenario.geometry`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from kvsim.scenario.base import Count, Flag, Index, Name, Spec
from kvsim.scenario.request_patterns import Agents, ChatSessions, MultiTenant, SharedDocuments, Users
from kvsim.scenario.requests import RequestTrace
from kvsim.units import Bytes, Duration

__all__ = [
    "AdversarialBurst",
    "AdversarialPrefetch",
    "ChatContinuation",
    "Custom",
    "DenseDecode",
    "LanguageModel",
    "Layers",
    "LongTailMix",
    "MixedLocality",
    "Mooncake",
    "PeriodicReuse",
    "PrefetchFriendly",
    "RagBurst",
    "Replay",
    "SparseDecode",
    "SyntheticSpec",
    "WorkloadSpec",
    "Zipf",
]


class SyntheticSpec(Spec):
    """What kv-hierarchy-lab's synthetic workloads share: one page a step, pages of about equal size."""

    kind: str
    """Which workload this is."""
    pages: Count
    """Number of pages."""
    length: Count
    """Number of steps."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)]
    """Scalars of a page before the random -64 … 64 is added."""
    seed: Index | None = None
    """Seed of its random numbers. Default: the scenario's seed."""


class ChatContinuation(SyntheticSpec):
    """Turns of a chat over a small working set that slowly changes: one page a step."""

    kind: Literal["chat_continuation"] = "chat_continuation"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=1)] = 64
    """Number of pages; the first 12 are the working set at the start. Default 64."""
    length: Annotated[int, Field(strict=True, ge=1)] = 256
    """Number of steps. Default 256."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2048
    """Scalars of a page before the random -64 … 64 is added. Default 2048."""


class RagBurst(SyntheticSpec):
    """Bursts of retrieval over a hot set, as kv-hierarchy-lab's `rag_burst`: one page a step."""

    kind: Literal["rag_burst"] = "rag_burst"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=22)] = 96
    """Number of pages: 16 hot ones, and the others, of which 6 are sampled each round. Default 96."""
    length: Annotated[int, Field(strict=True, ge=20)] = 320
    """Number of steps; whole rounds of 20 are made. Default 320."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2304
    """Scalars of a page before the random -64 … 64 is added. Default 2304."""


class PeriodicReuse(SyntheticSpec):
    """A loop over a few pages, three apart: one page a step."""

    kind: Literal["periodic_reuse"] = "periodic_reuse"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=1)] = 80
    """Number of pages. Default 80."""
    length: Annotated[int, Field(strict=True, ge=1)] = 320
    """Number of steps. Default 320."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2048
    """Scalars of a page before the random -64 … 64 is added. Default 2048."""
    period: Count = 9
    """Steps after which the same pages come again. Default 9."""


class LongTailMix(SyntheticSpec):
    """Ten popular pages and a long tail: one page a step."""

    kind: Literal["long_tail_mix"] = "long_tail_mix"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=11)] = 128
    """Number of pages: 10 popular ones, and the tail. Default 128."""
    length: Annotated[int, Field(strict=True, ge=1)] = 400
    """Number of steps. Default 400."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2048
    """Scalars of a page before the random -64 … 64 is added. Default 2048."""


class PrefetchFriendly(SyntheticSpec):
    """A cyclic scan, page after page: one page a step."""

    kind: Literal["prefetch_friendly"] = "prefetch_friendly"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=1)] = 48
    """Number of pages. Default 48."""
    length: Annotated[int, Field(strict=True, ge=1)] = 240
    """Number of steps. Default 240."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2048
    """Scalars of a page before the random -64 … 64 is added. Default 2048."""


class AdversarialPrefetch(SyntheticSpec):
    """Random pages from the lower and the upper half in turn: one page a step."""

    kind: Literal["adversarial_prefetch"] = "adversarial_prefetch"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=2)] = 64
    """Number of pages. Default 64."""
    length: Annotated[int, Field(strict=True, ge=1)] = 256
    """Number of steps. Default 256."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2048
    """Scalars of a page before the random -64 … 64 is added. Default 2048."""


class AdversarialBurst(SyntheticSpec):
    """Bursts from three regions, of which only the first is partly read again: one page a step."""

    kind: Literal["adversarial_burst"] = "adversarial_burst"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=3)] = 96
    """Number of pages; a third each is early, middle and late. Default 96."""
    length: Annotated[int, Field(strict=True, ge=1)] = 320
    """Number of steps. Default 320."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2112
    """Scalars of a page before the random -64 … 64 is added. Default 2112."""
    burst: Count = 12
    """Pages of a burst, at most a third of all pages. Default 12."""


class MixedLocality(SyntheticSpec):
    """Phases of 60 steps: a hot set, a warm set, a scan with stride 5; one page a step."""

    kind: Literal["mixed_locality"] = "mixed_locality"
    """Which workload this is."""
    pages: Annotated[int, Field(strict=True, ge=13)] = 112
    """Number of pages: 12 hot, 20 warm, and others. Default 112."""
    length: Annotated[int, Field(strict=True, ge=1)] = 360
    """Number of steps. Default 360."""
    base_scalars: Annotated[int, Field(strict=True, ge=65)] = 2176
    """Scalars of a page before the random -64 … 64 is added. Default 2176."""


class Zipf(Spec):
    """Independent reads of pages whose popularity falls as a power of their rank."""

    kind: Literal["zipf"] = "zipf"
    """Which workload this is."""
    pages: Count = 1000
    """Number of pages; page i has the weight 1 / (i + 1) ** alpha. Default 1000."""
    length: Count = 1000
    """Number of steps. Default 1000."""
    alpha: Annotated[float, Field(strict=True, ge=0, le=16, allow_inf_nan=False)] = 1.0
    """Exponent of the popularity; 0 makes all pages equally popular. Default 1."""
    pages_per_step: Count = 1
    """Distinct pages that a step reads together; at most `pages`. Default 1."""
    page_scalars: Count = 2048
    """Scalars of a page. Default 2048."""
    seed: Index | None = None
    """Seed of its random numbers. Default: the scenario's seed."""


class Layers(Spec):
    """Layers that read and create so many pages of one size: a benchmark of a machine, a step in outline."""

    kind: Literal["layers"] = "layers"
    """Which workload this is."""
    layers: Count = 1
    """Layers of a step, one after another. Default 1."""
    steps: Count = 1
    """Number of steps. Default 1."""
    page_bytes: Bytes
    """Bytes of every page in the scenario's scheme, its rules aside."""
    reads: Index = 1
    """Pages that a layer reads in each step, all known at once. Default 1."""
    again: Index | None = None
    """How many of them are the same in every step; the others are read once and never again.
    Default: all of them."""
    cached: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 1.0
    """Share of the steps, spread evenly, that find their other pages in the memories; in the remaining steps
    these pages are found nowhere, and computed. Default 1."""
    creates: Index = 0
    """Pages that each layer creates when it ends, in each step. Default 0."""
    idle: Index = 0
    """Pages of each layer that nobody reads, placed before all others: with `placement: fill` they are what
    the first tier is full of. Default 0."""
    new_tokens: Index = 0
    """Tokens of a prompt that each step computes with the model, besides those of pages found nowhere; with
    `execution.compute_time` each layer takes that instead. Default 0."""
    page_tokens: Index = 0
    """Tokens of a page: a page found is so much more context to attend to, one found nowhere so much more to
    compute. Default 0: pages cost no compute."""
    interval: Duration | None = None
    """Time from the arrival of one step to that of the next. Default: each starts when the last has ended."""


class Replay(Spec):
    """The page reads of a trace: rows of step, page and perhaps layer, head group, size, attention mass."""

    kind: Literal["replay"] = "replay"
    """Which workload this is."""
    path: str = ""
    """The trace file. In a scenario file relative to that file; in an override, to the current directory."""
    format: Literal["auto", "csv", "jsonl", "oracle_general", "mooncake"] = "auto"
    """How the file is written; `auto` tells by its name. Default `auto`."""
    page_scope: Literal["trace", "layer"] = "trace"
    """`trace`: a page id means the same page everywhere. `layer`: ids count within a layer and head group.
    Default `trace`."""
    page_bytes: Bytes | None = None
    """Bytes of every page in the scenario's scheme, its rules aside. Default: the largest size its rows
    give, in bytes or else, with a model, in tokens; a trace without sizes then has pages of 16 tokens."""


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
    foreseen: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 1.0
    """Share of the newly chosen pages that are known before their layer's turn, as from a predictor of the
    next layer's query; the others are fetched only when the layer reads them. Default 1."""


class LanguageModel(Spec):
    """A real, tiny language model that answers questions: what its cache loses, its answers lack.

    The samples are fed to it under the scenario's eviction policy and scheme. The pages of the first sample
    are what the simulator reads: first the prompt, chunk by chunk, then what is decoded, token by token.
    Time and bytes are those of the scenario's `model`, whose layers the tiny one's share evenly; without
    one, its own.
    """

    kind: Literal["language_model"] = "language_model"
    """Which workload this is."""
    lm: Name = "small"
    """The language model: the name of one that comes with kvsim, or a folder of `config.json` and
    `weights.npz`. Default `small`."""
    task: Literal["recall", "multi_hop", "copy", "text"] = "recall"
    """`recall`: facts planted in text, the last tokens ask for one. `multi_hop`: for what two links lead to.
    `copy`: for a string of random letters again. `text`: held-out text, every decoded token is asked for.
    Default `recall`."""
    context_tokens: Count = 512
    """Tokens of a sample, all told. Default 512."""
    decode_tokens: Count = 16
    """Tokens at the end of a sample that are decoded one by one, and on which the score is taken; those of
    other tasks than `text` hold the question. Default 16."""
    depth: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None = None
    """Where in the sample lies what is asked for: 0 at its beginning, 1 at its end. Default: evenly spread,
    somewhere else in each sample."""
    samples: Count = 32
    """Samples, each with a cache and a policy of its own; all count for the score. Default 32."""
    chunk_tokens: Count = 32
    """Tokens of the prompt that are fed at a time, as one step. Default 32."""
    page_tokens: Count = 16
    """Tokens of one page. Default 16."""
    head_groups: Count = 1
    """Head groups of a layer, each with pages of its own; it divides the tiny model's KV heads. Default 1."""
    select_pages: Count | None = None
    """Pages that each query head reads of a layer: those that look best to it (Quest). Default: all."""
    exact_sinks: Index = 0
    """First tokens that the scheme leaves in fp16. Default 0."""
    exact_recent: Index = 0
    """Newest tokens that it leaves in fp16, at least. Default 0."""
    scales: Literal["kivi", "token", "channel", "swapped"] = "kivi"
    """What int8, int4 and int2 scale together, in groups of `scale_group`: `kivi` tokens of a key channel and
    channels of a value token, `token` channels of a token in both, `channel` tokens of a channel in both,
    `swapped` the reverse of kivi. Default `kivi`."""
    scale_group: Count = 32
    """Scalars that share a scale. Default 32."""
    low_rank: Count | None = None
    """Directions that keys, and values, of a full page and head are kept along. Default: all of them."""
    merge_tokens: Annotated[int, Field(strict=True, ge=2)] | None = None
    """Tokens, a power of two, that old ones are joined to, the older the more; the `exact_recent` newest and
    `exact_sinks` first ones stay single. Default: none are joined."""
    share_layers: Annotated[int, Field(strict=True, ge=2)] | None = None
    """Neighbouring layers that use the keys and values of the first of them. Default: each has its own."""
    token_scale: Count = 1
    """Tokens of the scenario's `model` that a token of the tiny one stands for. Default 1."""


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
    ChatContinuation
    | RagBurst
    | PeriodicReuse
    | LongTailMix
    | PrefetchFriendly
    | AdversarialPrefetch
    | AdversarialBurst
    | MixedLocality
    | Zipf
    | Layers
    | DenseDecode
    | SparseDecode
    | LanguageModel
    | Mooncake
    | RequestTrace
    | ChatSessions
    | SharedDocuments
    | Agents
    | Users
    | MultiTenant
    | Replay
    | Custom,
    Field(discriminator="kind"),
]
"""Any kind of workload; the key `kind` says which."""
