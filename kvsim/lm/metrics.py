"""What a lossy cache costs: in likelihood, in answers, and against the full cache.

Functions of arrays alone; sequences are rows. Intervals are those of `kvsim.lm.estimates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kvsim.lm.estimates import Estimate, mean, ratio, share

__all__ = [
    "Agreement",
    "agreement",
    "divergence",
    "log_softmax",
    "mass_kept",
    "output_error",
    "perplexity",
    "spans_correct",
]

Numbers = NDArray[np.float64]


def log_softmax(logits: ArrayLike) -> Numbers:
    """Logarithms (natural) of the probabilities over the last axis, in float64."""
    scores = np.asarray(logits, dtype=np.float64)
    scores = scores - scores.max(axis=-1, keepdims=True)
    result: Numbers = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return result


def perplexity(
    log_probs: ArrayLike, draws: np.random.Generator, counted: ArrayLike | None = None
) -> Estimate:
    """exp(- mean log-probability) of the tokens that came, [sequences, tokens], or of those `counted`.

    Two caches on the same tokens compare best by the perplexity of the difference of their log-probabilities:
    it is the ratio of their perplexities, and its interval leaves out what all caches find hard alike.
    """
    found = np.asarray(log_probs, dtype=np.float64)
    used = np.ones(found.shape, dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
    surprise = ratio(-np.where(used, found, 0).sum(axis=1), used.sum(axis=1), draws)
    return Estimate(exp(surprise.value), exp(surprise.low), exp(surprise.high), surprise.count)


def spans_correct(predicted: ArrayLike, expected: ArrayLike, spans: ArrayLike) -> NDArray[np.bool_]:
    """Whether every token of each span is the expected one: exact match.

    Tokens are [sequences, tokens]; `predicted` has at each place what the model says will stand there. A span
    is (sequence, first token, token after the last), none of them empty: [spans, 3].
    """
    where = np.asarray(spans, dtype=np.int64).reshape(-1, 3)
    if np.any(where[:, 1] >= where[:, 2]):
        raise ValueError("a span has at least one token")
    wrong = np.asarray(predicted) != np.asarray(expected)
    before = np.pad(np.cumsum(wrong, axis=1), ((0, 0), (1, 0)))
    row, start, stop = where.T
    correct: NDArray[np.bool_] = before[row, stop] == before[row, start]
    return correct


def divergence(full: ArrayLike, lossy: ArrayLike) -> Numbers:
    """KL(full || lossy) in nats of each prediction: logits [..., vocabulary] -> [...]; 0 if they agree."""
    log_p, log_q = log_softmax(full), log_softmax(lossy)
    with np.errstate(invalid="ignore"):  # -inf - -inf, where neither gives any probability
        terms = np.exp(log_p) * (log_p - log_q)
    found: Numbers = np.where(np.isneginf(log_p), 0, terms).sum(axis=-1)
    return np.maximum(found, 0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much the predictions with a lossy cache are those with the full one."""

    divergence: Estimate
    """Mean KL(full || lossy), in nats a prediction."""
    top1: Estimate
    """Share of predictions whose likeliest token is the same."""


def agreement(full: ArrayLike, lossy: ArrayLike, draws: np.random.Generator) -> Agreement:
    """From logits [sequences, tokens, vocabulary], in as much memory again as a few copies of them."""
    one, other = np.asarray(full), np.asarray(lossy)
    same = one.argmax(axis=-1) == other.argmax(axis=-1)
    rows = np.arange(len(same))[:, None]
    return Agreement(mean(divergence(one, other), draws), share(same, rows))


def mass_kept(attention: ArrayLike, kept: ArrayLike) -> Numbers:
    """Share of the full cache's attention [..., tokens] that falls on tokens that are kept: [...]."""
    weights = np.asarray(attention, dtype=np.float64)
    found: Numbers = np.where(kept, weights, 0).sum(axis=-1) / weights.sum(axis=-1)
    return found


def output_error(full: ArrayLike, lossy: ArrayLike) -> Numbers:
    """Length of the error over the length of the full cache's output, of vectors [..., channels]: [...].

    0 where both are 0; infinite where only the full one is.
    """
    exact = np.asarray(full, dtype=np.float64)
    error = np.linalg.norm(np.asarray(lossy, dtype=np.float64) - exact, axis=-1)
    length = np.linalg.norm(exact, axis=-1)
    found: Numbers = np.divide(error, length, out=np.where(error == 0, 0.0, np.inf), where=length > 0)
    return found
