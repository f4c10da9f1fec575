"""The samples of a scenario's task: tokens, and which of them are asked for."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SimulationError
from kvsim.lm.tasks import BOS, Sample, copying, needle
from kvsim.randomness import stream
from kvsim.scenario.shipped import data_folder
from kvsim.scenario.workload import LanguageModel

__all__ = ["Samples", "held_out_text", "samples_of"]

_COPIED = 8
"""Letters of a string to copy, where the decoded tokens have room for them."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one task, all of one length."""

    tokens: NDArray[np.int32]
    """[samples, tokens]."""
    spans: NDArray[np.int64]
    """[answers, 3]: sample, first token and token after the last of each answer; none of text."""
    chance: float
    """Probability that a guess among well-formed answers is right; of text, that of a byte."""


@cache
def held_out_text() -> bytes:
    """Text that the models have not been trained on. Raises SimulationError if it is not there."""
    path = data_folder("models") / "tiny-lm" / "heldout.txt.gz"
    try:
        return gzip.decompress(path.read_bytes())
    except OSError as error:
        raise SimulationError(f"the held-out text cannot be read: {error}") from None


def samples_of(work: LanguageModel, seed: int) -> Samples:
    """The samples that a scenario of that seed asks for; each has a stream of its own."""
    drawn = [_sample(work, seed, number) for number in range(work.samples)]
    spans = [
        (number, answer.start, answer.stop)
        for number, sample in enumerate(drawn)
        for answer in sample.answers
    ]
    chances = [answer.chance for sample in drawn for answer in sample.answers]
    return Samples(
        np.stack([sample.tokens for sample in drawn]),
        np.array(spans, dtype=np.int64).reshape(-1, 3),
        float(np.mean(chances)) if chances else 1 / 256,
    )


def _sample(work: LanguageModel, seed: int, number: int) -> Sample:
    rng = stream(seed, LanguageModel.model_fields["kind"].default, work.task, number)
    text, length = held_out_text(), work.context_tokens
    if work.task == "text":
        start = int(rng.integers(len(text) - length))
        body = np.frombuffer(text, dtype=np.uint8, count=length - 1, offset=start)
        return Sample(np.concatenate(([BOS], body)).astype(np.int32), (), ())
    depth = (number + 0.5) / work.samples if work.depth is None else work.depth
    if work.task == "copy":
        size = min(_COPIED, work.decode_tokens - 3)
        return copying(rng, text, length, size, max(2 * size, round((1 - depth) * length)))
    return needle(rng, text, length, depth, hops=2 if work.task == "multi_hop" else 1)
