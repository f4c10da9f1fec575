"""A language model at work in a scenario: its cache under the scenario's policy, scheme and budget."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from kvsim.lm.aggregate import Hierarchy
from kvsim.lm.cache import KvCache, LayerRead, Selection
from kvsim.lm.decoder import Decoder
from kvsim.lm.lowrank import PagedRank
from kvsim.lm.pages import PageNumbers
from kvsim.lm.quantise import Format, FormatName, Quantiser
from kvsim.lm.samples import Samples, samples_of
from kvsim.lm.sharing import in_groups
from kvsim.lm.surgery import Merging, Rewriting, Surgery, older_than
from kvsim.lm.tables import Eviction
from kvsim.lm.weights import LmWeights, load
from kvsim.scenario.geometry import capacity_bytes, page_bytes
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import LanguageModel

__all__ = ["Played", "merging_of", "play", "play_in_full"]

Axis = Literal["token", "channel"]

_BLAS = ThreadpoolController().select(user_api="blas")
"""One thread: small products gain nothing by more, and the number of cores then changes no sum."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    samples: Samples
    logits: NDArray[np.float32]
    """[samples, decoded tokens, vocabulary]: what was said of each decoded token before it came."""
    numbers: PageNumbers
    reads: tuple[LayerRead, ...]
    """Every layer of every step, of the first sample alone."""
    mass_kept: NDArray[np.float64]
    """[samples]: share of the attention of decoded tokens that falls on what the cache still has, mean."""
    output_error: NDArray[np.float64]
    """[samples]: length of the error of attention's output over the output's, of the same tokens; mean."""


def play(scenario: Scenario) -> Played:
    """Feed the samples of a scenario of the kind `language_model` to its model.

    Raises SimulationError if that cannot be done with its budget.
    """
    work = scenario.workload
    assert isinstance(work, LanguageModel)
    policy = scenario.policy
    if not policy.lossy:
        return _play(work, scenario.seed, scenario.scheme.name, None)
    room, page = capacity_bytes(scenario, 0), page_bytes(scenario, 0)
    assert room is not None
    assert page is not None
    ruled = (policy.eviction.name, json.dumps(policy.eviction.options, sort_keys=True), room // page)
    return _play(work, scenario.seed, scenario.scheme.name, ruled)


def play_in_full(scenario: Scenario) -> Played:
    """The same with a cache that loses nothing."""
    work = scenario.workload
    assert isinstance(work, LanguageModel)
    exact = work.model_copy(update=_IN_FULL)
    return _play(exact, scenario.seed, "fp16", None)


_IN_FULL = {
    "select_pages": None,
    "exact_sinks": 0,
    "exact_recent": 0,
    "low_rank": None,
    "merge_tokens": None,
    "share_layers": None,
    "scales": "kivi",
    "scale_group": 32,
    "token_scale": 1,
}
"""What makes no difference to a cache that loses nothing, so that it is played once for all."""


@lru_cache(maxsize=4)
def _play(work: LanguageModel, seed: int, scheme: str, ruled: tuple[str, str, int] | None) -> Played:
    """Kept, because a run asks for it twice: for its time and for its answers."""
    weights, samples = _weights(work.lm), samples_of(work, seed)
    watch = _Watch(work.context_tokens - work.decode_tokens)
    eviction = None
    if ruled is not None:
        name, options, pages = ruled
        eviction = Eviction(policy=name, options=json.loads(options), budget_pages=pages)
    cache = KvCache(
        weights.shape,
        len(samples.tokens),
        page_tokens=work.page_tokens,
        head_groups=work.head_groups,
        eviction=eviction,
        selection=None if work.select_pages is None else Selection(pages=work.select_pages),
        surgery=tuple(_surgery(work, scheme)),
        owners=None if work.share_layers is None else _owners(weights, work.share_layers),
        observe=watch,
        compare=eviction is not None or work.select_pages is not None,
    )
    with _BLAS.limit(limits=1):
        logits = _fed(Decoder(weights), samples.tokens, cache, work)
    kept, error = watch.means(len(samples.tokens))
    return Played(samples, logits, cache.pages, tuple(watch.first), kept, error)


def _fed(
    decoder: Decoder, tokens: NDArray[np.int32], cache: KvCache, work: LanguageModel
) -> NDArray[np.float32]:
    """Prompt by chunks, the rest one by one; the logits of each decoded token."""
    prompt = work.context_tokens - work.decode_tokens
    told = decoder.run(tokens[:, :prompt], cache, chunk=work.chunk_tokens)[:, -1:]
    decoded = [told] + [
        decoder.feed(tokens[:, at : at + 1], cache, coming=int(at + 1 < work.context_tokens))
        for at in range(prompt, work.context_tokens)
    ]
    return np.concatenate(decoded[:-1], axis=1)


class _Watch:
    """Keeps the reads of the first sample, and what eviction or selection cost all of them while decoding."""

    def __init__(self, prompt_tokens: int) -> None:
        self.first: list[LayerRead] = []
        self._prompt = prompt_tokens
        self._kept: list[NDArray[np.float32]] = []
        self._error: list[NDArray[np.float32]] = []

    def __call__(self, read: LayerRead) -> None:
        self.first.append(read.of_first())
        if read.tokens > self._prompt and read.kept is not None and read.error is not None:
            self._kept.append(read.kept)
            self._error.append(read.error)

    def means(self, samples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Over layers and steps, of each sample; nothing is lost where nobody asked."""
        return _mean(self._kept, samples, 1.0), _mean(self._error, samples, 0.0)


def _mean(seen: Iterable[NDArray[np.float32]], samples: int, otherwise: float) -> NDArray[np.float64]:
    stacked = list(seen)
    if not stacked:
        return np.full(samples, otherwise)
    found: NDArray[np.float64] = np.stack(stacked).mean(axis=0, dtype=np.float64)
    return found


@lru_cache(maxsize=4)
def _weights(lm: str) -> LmWeights:
    return load(lm)


def _owners(weights: LmWeights, group: int) -> tuple[int, ...]:
    return in_groups(weights.shape.num_hidden_layers, group).owners


def _surgery(work: LanguageModel, scheme: str) -> Iterator[Surgery]:
    """How the cache is kept: joined, along fewer directions, in the scheme's format, whichever is asked for.

    fp16 costs the model nothing."""
    sinks, recent = work.exact_sinks, work.exact_recent
    if work.merge_tokens is not None:
        yield Merging(merging_of(work).counts)
    if work.low_rank is not None:
        rank = PagedRank(work.low_rank, work.page_tokens)
        yield Rewriting(rank.project, older_than(recent, sinks=sinks, step=work.page_tokens))
    if scheme == "fp16":
        return
    name = cast(FormatName, scheme)  # the scenario has been checked
    keys, values = (_format(name, axis, work.scale_group) for axis in _AXES[work.scales])
    quantiser = Quantiser(keys, values, sinks, recent)
    yield Rewriting(quantiser.quantise, quantiser.quantised)


def merging_of(work: LanguageModel) -> Hierarchy:
    """How tokens are joined in a scenario with `merge_tokens`."""
    assert work.merge_tokens is not None
    return Hierarchy(work.exact_recent, work.exact_recent, work.merge_tokens, work.exact_sinks)


_AXES: dict[str, tuple[Axis, Axis]] = {
    "kivi": ("channel", "token"),
    "swapped": ("token", "channel"),
    "token": ("token", "token"),
    "channel": ("channel", "channel"),
}


def _format(name: FormatName, axis: Axis, group: int) -> Format:
    return Format(name, axis, group) if name.startswith("int") else Format(name)
