"""The models that come with kvsim can do what they are there for, with a full cache and no torch."""

from __future__ import annotations

import gzip
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from kvsim.lm.decoder import Decoder
from kvsim.lm.metrics import log_softmax, spans_correct
from kvsim.lm.tasks import BOS, recall
from kvsim.lm.weights import load
from kvsim.randomness import stream
from kvsim.scenario.tiny import tiny_models

ROOT = Path(__file__).parents[2]
HELD_OUT = gzip.decompress((ROOT / "models/tiny-lm/heldout.txt.gz").read_bytes())
EVERY_MODEL = pytest.mark.parametrize("name", tiny_models())


@EVERY_MODEL
def test_it_has_one_to_four_million_parameters(name: str) -> None:
    assert 0.9e6 < load(name).shape.parameters < 4e6


def test_there_is_a_small_one() -> None:
    assert "small" in tiny_models()


@EVERY_MODEL
def test_its_weights_are_small_enough_to_ship(name: str) -> None:
    assert (tiny_models()[name] / "weights.npz").stat().st_size < 8_000_000


@EVERY_MODEL
def test_it_recalls_a_fact_that_lies_512_tokens_back(name: str) -> None:
    """Of the facts in text it has not seen, those asked about so late; a guess is right once in 676."""
    samples = [recall(stream(seed, "shipped"), HELD_OUT, 1024, 20, 20) for seed in range(6)]
    tokens = np.stack([sample.tokens for sample in samples])
    decoder = Decoder(load(name))
    told = np.concatenate([decoder.run(row[None])[:, :-1].argmax(-1) for row in tokens])
    expected = np.concatenate([np.zeros((len(told), 1), int), told], axis=1)
    spans = [
        (row, answer.start, answer.stop)
        for row, sample in enumerate(samples)
        for answer in sample.answers
        if answer.distance >= 512
    ]
    assert len(spans) >= 20
    assert spans_correct(expected, tokens, spans).mean() >= 0.95


@pytest.mark.slow  # it reads all of the standard library
def test_its_perplexity_is_below_that_of_a_5_gram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "experiments" / "tiny_lm")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    corpus, ngram = (import_module(name) for name in ("data", "ngram"))
    text = HELD_OUT[: 16 * 1023]
    chances = ngram.NGram(corpus.corpus()[0], 5).probabilities(HELD_OUT)[: len(text)]
    for name in tiny_models():
        decoder = Decoder(load(name))
        rows = np.frombuffer(text, np.uint8).reshape(16, 1023).astype(np.int64)
        tokens = np.concatenate([np.full((16, 1), BOS), rows], axis=1)
        logs = log_softmax(np.concatenate([decoder.run(row[None]) for row in tokens]))[:, :-1]
        found = np.take_along_axis(logs, rows[..., None], axis=-1)
        assert -found.mean() < -np.log(chances).mean()
    for module in ("data", "ngram"):
        del sys.modules[module]
