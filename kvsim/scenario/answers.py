"""Checks of a scenario in which a tiny language model answers."""

from collections.abc import Iterator

from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tiny import TINY_FORMATS, tiny_shape
from kvsim.scenario.tree import Path
from kvsim.scenario.workload import LanguageModel

__all__ = ["answers"]

_QUESTION = {"recall": 8, "multi_hop": 12, "copy": 12, "text": 1}
"""Fewest tokens at the end of a sample that hold its question and answer."""
_BLOCKS = ("q8_0", "q4_0")
_IN_ORDER = ("demand", "serial", "ideal")
"""Overlap modes in which policies hear of layers in the order in which the model reads them."""


def answers(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """The model exists, its samples hold their questions, and its cache is one that it can really have."""
    work = scenario.workload
    if not isinstance(work, LanguageModel):
        return
    try:
        shape = tiny_shape(work.lm)
    except ValueError as error:
        yield ("workload", "lm"), str(error)
        return
    if shape.kv_heads % work.head_groups:
        yield (
            ("workload", "head_groups"),
            f"{shape.kv_heads} KV heads cannot be split into {work.head_groups}",
        )
    if work.decode_tokens >= work.context_tokens:
        yield ("workload", "decode_tokens"), f"must be less than `context_tokens`, {work.context_tokens}"
    if work.decode_tokens < _QUESTION[work.task]:
        least = _QUESTION[work.task]
        yield (
            ("workload", "decode_tokens"),
            f"must be {least} or more: the question of {work.task} is among them",
        )
    if work.depth is not None and work.task == "text":
        yield ("workload", "depth"), "text is asked for as it comes, nothing lies deeper"
    largest = work.merge_tokens
    if largest is not None and (largest & (largest - 1) or not work.exact_recent):
        message = "must be a power of two" if largest & (largest - 1) else "needs `exact_recent`, 1 or more"
        yield ("workload", "merge_tokens"), message
    yield from _formats(scenario, shape.head_dim)
    yield from _lossy(scenario, work)


def _formats(scenario: Scenario, head_dim: int) -> Iterator[tuple[Path, str]]:
    name = scenario.scheme.name
    if name not in TINY_FORMATS or scenario.scheme.mixed or scenario.scheme.keep != 1:
        yield ("scheme",), f"a language model keeps its cache in one of {', '.join(TINY_FORMATS)}, unmixed"
    elif name in _BLOCKS and head_dim % 32:
        yield ("scheme",), f"{name} needs heads of a multiple of 32 scalars, these have {head_dim}"
    for index, tier in enumerate(scenario.hierarchy.tiers):
        if tier.scheme is not None and tier.scheme.name != name:
            yield ("hierarchy", "tiers", index, "scheme"), "a language model keeps its cache in one format"


def _lossy(scenario: Scenario, work: LanguageModel) -> Iterator[tuple[Path, str]]:
    if not scenario.policy.lossy:
        return
    if scenario.execution.overlap not in _IN_ORDER:
        message = f"must be {' or '.join(_IN_ORDER)}: layers announced ahead are told in another order"
        yield ("execution", "overlap"), message
    if len(scenario.hierarchy.tiers) > 1:
        yield ("policy", "lossy"), "a language model loses pages from a single tier only"
    if work.select_pages is not None:
        yield ("workload", "select_pages"), "pages are selected or, with `policy.lossy`, evicted, not both"
