"""What a scenario's decisions cost in answers."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kvsim.lm import estimates, metrics
from kvsim.lm.estimates import Estimate
from kvsim.lm.play import Played, play, play_in_full
from kvsim.randomness import stream
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import LanguageModel

__all__ = ["ANSWER_FIGURES", "ANSWER_SHARES", "Answers", "answers_of", "full_answers_of"]


@dataclass(frozen=True, slots=True)
class Answers:
    """Figures of the decoded tokens of all samples, each with its 95 % interval."""

    correct: Estimate
    """Share of the answers that greedy decoding would give exactly; of text, of the tokens."""
    perplexity: Estimate
    """Of the tokens decoded; of the answers' tokens, where there are answers."""
    perplexity_ratio: Estimate
    """Over that of a cache that loses nothing; sample by sample, so that its interval is a narrow one."""
    divergence: Estimate
    """KL(full cache || this one), in nats a token."""
    same_top: Estimate
    """Share of the decoded tokens of which the likeliest is that of a cache that loses nothing."""
    mass_kept: Estimate
    """Share of the attention over everything that falls on what the cache still has or reads."""
    output_error: Estimate
    """Length of the error of attention's output over the output's; of eviction or selection."""
    chance: float
    """Share of right answers by guessing among well-formed ones."""

    def to_dict(self) -> dict[str, float]:
        """Each figure, and where it is an estimate `NAME_low` and `NAME_high`."""
        found: dict[str, float] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Estimate):
                found |= {
                    field.name: value.value,
                    f"{field.name}_low": value.low,
                    f"{field.name}_high": value.high,
                }
            else:
                found[field.name] = value
        return found


ANSWER_FIGURES = tuple(
    name
    for field in fields(Answers)
    for name in (
        (field.name,) if field.name == "chance" else (field.name, f"{field.name}_low", f"{field.name}_high")
    )
)
"""The names of `Answers.to_dict`."""


ANSWER_SHARES = ("correct", "same_top", "mass_kept", "output_error", "chance")
"""Those that are shares."""


def answers_of(scenario: Scenario) -> Answers:
    """Play a scenario of the kind `language_model` and compare it with a cache that loses nothing."""
    return _compared(scenario, play(scenario), play_in_full(scenario))


def full_answers_of(scenario: Scenario) -> Answers:
    """The same of the cache that loses nothing."""
    full = play_in_full(scenario)
    return _compared(scenario, full, full)


def _compared(scenario: Scenario, played: Played, full: Played) -> Answers:
    work = scenario.workload
    assert isinstance(work, LanguageModel)
    first = work.context_tokens - work.decode_tokens
    came = played.samples.tokens[:, first:]
    counted = _asked(played, first)
    told, best = _told(played.logits, came), _told(full.logits, came)

    def draws(name: str) -> np.random.Generator:
        return stream(scenario.seed, "answers", name)

    agreement = metrics.agreement(full.logits, played.logits, draws("agreement"))
    return Answers(
        correct=_correct(played, came, first),
        perplexity=metrics.perplexity(told, draws("perplexity"), counted),
        perplexity_ratio=metrics.perplexity(told - best, draws("perplexity"), counted),
        divergence=agreement.divergence,
        same_top=agreement.top1,
        mass_kept=estimates.mean(played.mass_kept, draws("mass")),
        output_error=estimates.mean(played.output_error, draws("error")),
        chance=played.samples.chance,
    )


def _told(logits: NDArray[np.float32], came: NDArray[np.int32]) -> NDArray[np.float64]:
    """Log-probability of each token that came: [samples, decoded tokens]."""
    chances = metrics.log_softmax(logits)
    found: NDArray[np.float64] = np.take_along_axis(chances, came[..., None], axis=2)[..., 0]
    return found


def _asked(played: Played, first: int) -> NDArray[np.bool_]:
    """Which of the decoded tokens are of an answer; all, where there are none."""
    spans = played.samples.spans
    if not len(spans):
        return np.ones(played.logits.shape[:2], dtype=np.bool_)
    asked = np.zeros(played.logits.shape[:2], dtype=np.bool_)
    for sample, start, stop in spans.tolist():
        asked[sample, start - first : stop - first] = True
    return asked


def _correct(played: Played, came: NDArray[np.int32], first: int) -> Estimate:
    said = played.logits.argmax(axis=2)
    spans = played.samples.spans
    if not len(spans):
        return estimates.share(said == came, np.arange(len(came))[:, None])
    shift = np.array([0, first, first])
    return estimates.share(metrics.spans_correct(said, came, spans - shift))
