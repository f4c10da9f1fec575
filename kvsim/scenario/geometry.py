"""Sizes that follow from a scenario: bytes of a page in each tier, pages of a layer, room of a tier.

Pure functions on specs. The checks use them to refuse what cannot run, the engine to turn a capacity in
pages into bytes.
"""

from fractions import Fraction
from itertools import groupby
from math import ceil, lcm

from kvsim.scenario.catalog import FormatSpec, LlmSpec, SchemeSpec
from kvsim.scenario.requests import BLOCK_TOKENS, RequestSpec, RequestTrace
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tiny import tiny_shape
from kvsim.scenario.workload import (
    DenseDecode,
    LanguageModel,
    Layers,
    Mooncake,
    Replay,
    SparseDecode,
    SyntheticSpec,
    Zipf,
)
from kvsim.units import PageCount

__all__ = [
    "SYNTHETIC_HEAD_GROUPS",
    "SYNTHETIC_LAYERS",
    "SYNTHETIC_SPREAD",
    "Place",
    "block_tokens",
    "cached_steps",
    "capacity_bytes",
    "context_runs",
    "decoded_sequences",
    "full_pages",
    "initial_pages",
    "initial_parts",
    "layer_pages",
    "page_bytes",
    "page_places",
    "page_scalars",
    "prompt_steps",
    "read_pages",
    "scalars_of",
    "tier_formats",
    "tier_scheme",
]

Place = tuple[int, int]
"""Layer and head group of a page."""

SYNTHETIC_LAYERS = 16
"""Layers that the pages of a synthetic workload belong to in turn."""
SYNTHETIC_HEAD_GROUPS = 8
"""Head groups that they belong to in turn."""

SYNTHETIC_SPREAD = 64
"""A page of a synthetic workload has its base number of scalars, more or less up to this many."""


def tier_scheme(scenario: Scenario, tier: int) -> SchemeSpec:
    """The storage format of pages in a tier: its own, or the scenario's."""
    return scenario.hierarchy.tiers[tier].scheme or scenario.scheme


def page_places(scenario: Scenario) -> list[Place] | None:
    """The layers and head groups that the workload has pages of; None if its spec does not say.

    A page of a decode holds all KV heads of a layer: there is one head group, 0.
    """
    work = scenario.workload
    if isinstance(work, SyntheticSpec):
        period = lcm(SYNTHETIC_LAYERS, SYNTHETIC_HEAD_GROUPS)
        pages = range(min(work.pages, period))
        return [(page % SYNTHETIC_LAYERS, page % SYNTHETIC_HEAD_GROUPS) for page in pages]
    if isinstance(work, (DenseDecode, SparseDecode)) and scenario.model is not None:
        return [(layer, 0) for layer in range(scenario.model.layers)]
    if isinstance(work, Layers):
        return [(layer, 0) for layer in range(work.layers)]
    if isinstance(work, LanguageModel):
        tiny = _tiny(work)
        groups = range(work.head_groups)
        return None if tiny is None else [(layer, group) for layer in range(tiny.layers) for group in groups]
    return None


def tier_formats(scenario: Scenario, tier: int) -> list[FormatSpec]:
    """The formats that pages have in a tier; where the workload does not tell, all they might have."""
    scheme = tier_scheme(scenario, tier)
    if not scheme.mixed:
        return [scheme]
    places = page_places(scenario)
    return [*scheme.mixed, scheme] if places is None else [scheme.format_of(*place) for place in places]


def page_scalars(scenario: Scenario) -> int | None:
    """Scalars of the workload's largest page; None if the workload does not say, or a model is missing."""
    work = scenario.workload
    if isinstance(work, SyntheticSpec):
        return work.base_scalars + SYNTHETIC_SPREAD
    if isinstance(work, Zipf):
        return work.page_scalars
    if isinstance(work, Layers):
        return scalars_of(scenario, work.page_bytes)
    if isinstance(work, Replay):  # what its rows say is known when the trace has been read
        return None if work.page_bytes is None else scalars_of(scenario, work.page_bytes)
    if isinstance(work, (Mooncake, RequestSpec)) and work.block_bytes is not None:
        return scalars_of(scenario, work.block_bytes)
    if isinstance(work, LanguageModel):
        return _share_of_model(scenario, work)
    if scenario.model is None:
        return None
    token = scenario.model.kv_scalars_per_token_layer
    if isinstance(work, Mooncake):
        return work.block_tokens * token * scenario.model.layers
    if isinstance(work, RequestSpec):
        tokens = block_tokens(work)
        return None if tokens is None else tokens * token * scenario.model.layers
    if isinstance(work, (DenseDecode, SparseDecode)):
        return work.page_tokens * token
    return None


def block_tokens(work: RequestSpec) -> int | None:
    """Tokens of a block of a workload of requests; None if only its trace tells."""
    given: int | None = getattr(work, "block_tokens", None)
    if given is None and isinstance(work, RequestTrace):
        return BLOCK_TOKENS.get(work.format)
    return given


def _share_of_model(scenario: Scenario, work: LanguageModel) -> int | None:
    """Scalars of a page of a tiny language model that stands for the scenario's model, rounded up."""
    tiny = _tiny(work)
    if tiny is None:
        return None
    stands_for = scenario.model or tiny
    tokens = work.page_tokens * _rank_share(work, tiny.head_dim) * work.token_scale
    scalars = tokens * stands_for.kv_scalars_per_token_layer * stands_for.layers
    return ceil(scalars / (tiny.layers * work.head_groups))


def _rank_share(work: LanguageModel, channels: int) -> Fraction:
    """Of the scalars of a page and head, how many its factors of low rank are."""
    if work.low_rank is None:
        return Fraction(1)
    whole = work.page_tokens * channels
    return min(Fraction(1), Fraction(work.low_rank * (work.page_tokens + channels), whole))


def _tiny(work: LanguageModel) -> LlmSpec | None:
    """The shape of its model; None if there is no such model."""
    try:
        return tiny_shape(work.lm)
    except ValueError:
        return None


def prompt_steps(scenario: Scenario) -> int:
    """Steps at the start of a run that read a prompt and decode nothing."""
    work = scenario.workload
    if not isinstance(work, LanguageModel):
        return 0
    return -(-(work.context_tokens - work.decode_tokens) // work.chunk_tokens)


def decoded_sequences(scenario: Scenario) -> int | None:
    """Sequences that each get a token a step, prompts aside; None where steps are something else."""
    work = scenario.workload
    if isinstance(work, LanguageModel):
        return 1
    return work.batch if isinstance(work, (DenseDecode, SparseDecode)) else None


def scalars_of(scenario: Scenario, size: int) -> int:
    """The fewest scalars that take at least that many bytes in the scenario's scheme, its rules aside."""
    return ceil(size / scenario.scheme.exact_bytes(1))


def page_bytes(scenario: Scenario, tier: int) -> int | None:
    """Bytes of the workload's largest page in a tier; None as for `page_scalars`."""
    scalars = page_scalars(scenario)
    if scalars is None:
        return None
    return max(format.bytes(scalars) for format in tier_formats(scenario, tier))


def capacity_bytes(scenario: Scenario, tier: int) -> int | None:
    """Capacity of a tier in bytes; a number of pages counts as that many of the workload's largest page.

    None if the capacity is given in pages and the size of a page is not known.
    """
    capacity = scenario.hierarchy.tiers[tier].capacity
    if not isinstance(capacity, PageCount):
        return capacity
    page = page_bytes(scenario, tier)
    return None if page is None else capacity.pages * page


def full_pages(work: DenseDecode | SparseDecode, step: int) -> int:
    """Full pages of one sequence in one layer when a step starts; an unfinished page is not paged yet."""
    return (work.context_tokens + step) // work.page_tokens


def read_pages(work: DenseDecode | SparseDecode, step: int) -> int:
    """Full pages of one sequence that a layer reads in a step."""
    readable = full_pages(work, step)
    if isinstance(work, SparseDecode):
        parts = (work.sink_tokens, work.recent_tokens, work.top_k_tokens)
        readable = min(readable, sum(-(-tokens // work.page_tokens) for tokens in parts))
    return readable


def layer_pages(scenario: Scenario) -> int | None:
    """Most pages that one layer access needs together; None if that is up to a trace or to custom code.

    For decode that is in the last step, when the context is longest.
    """
    work = scenario.workload
    if isinstance(work, SyntheticSpec):
        return 1
    if isinstance(work, Zipf):
        return min(work.pages_per_step, work.pages)
    if isinstance(work, Layers):
        return work.reads
    if not isinstance(work, (DenseDecode, SparseDecode)):
        return None
    steps = min(work.steps, scenario.execution.max_steps or work.steps)
    return work.batch * read_pages(work, steps - 1)


def cached_steps(work: Layers, steps: int | None = None) -> int:
    """How many of the first steps (default: of all) find in the memories what they read only once."""
    return int((work.steps if steps is None else steps) * Fraction(repr(work.cached)))


def initial_parts(work: Layers) -> tuple[int, int]:
    """Pages of one layer that exist at the start, in the order they are placed: those idle, those read."""
    again = work.reads if work.again is None else work.again
    return work.idle, again + (work.reads - again) * cached_steps(work)


def initial_pages(scenario: Scenario) -> int:
    """Pages that exist when a decode starts, all layers and sequences; 0 where pages appear later."""
    work, model = scenario.workload, scenario.model
    if isinstance(work, Layers):
        return work.layers * sum(initial_parts(work))
    if model is None or not isinstance(work, (DenseDecode, SparseDecode)):
        return 0
    return model.layers * work.batch * full_pages(work, 0)


def context_runs(scenario: Scenario) -> list[tuple[int, tuple[int, ...]]]:
    """The pages that exist when a decode starts, in the order they are placed.

    Of each run of pages of one size: their number, and the bytes of one in each tier.
    """
    places, scalars = page_places(scenario), page_scalars(scenario)
    pages = initial_pages(scenario)
    if not pages or places is None or scalars is None:
        return []
    schemes = [tier_scheme(scenario, tier) for tier in range(len(scenario.hierarchy.tiers))]

    def sizes(place: Place) -> tuple[int, ...]:
        return tuple(scheme.format_of(*place).bytes(scalars) for scheme in schemes)

    work = scenario.workload
    parts = initial_parts(work) if isinstance(work, Layers) else (pages // len(places),)
    return [
        (each * len(list(alike)), size) for each in parts if each for size, alike in groupby(places, sizes)
    ]
