"""The cost of a lossy cache: each measure against arithmetic by hand."""

from __future__ import annotations

from math import exp, inf, log

import numpy as np
import pytest

from kvsim.lm.metrics import (
    agreement,
    divergence,
    log_softmax,
    mass_kept,
    output_error,
    perplexity,
    spans_correct,
)
from kvsim.randomness import stream


def test_probabilities_come_from_logits_of_any_size() -> None:
    odds = np.array([[1.0, 3.0, 4.0], [2.0, 2.0, 4.0]])
    for shift in (0, 1000, -1000):
        np.testing.assert_allclose(np.exp(log_softmax(np.log(odds) + shift)), odds / 8, atol=1e-12)


def test_perplexity_is_the_inverse_of_the_geometric_mean() -> None:
    # probabilities 1/2, 1/8 and 1/4: their geometric mean is 1/4
    chances = np.log([[1 / 2, 1 / 8], [1 / 4, 1 / 4]])
    assert perplexity(chances, stream(0, "p")).value == pytest.approx(4)
    assert perplexity(chances, stream(0, "p"), [[True, False], [False, False]]).value == pytest.approx(2)
    uniform = np.full((5, 7), log(1 / 257))
    found = perplexity(uniform, stream(0, "p"))
    assert (found.value, found.low, found.high, found.count) == pytest.approx((257, 257, 257, 5))


def test_the_perplexity_of_a_difference_is_the_ratio_and_far_better_known() -> None:
    draws = np.random.default_rng(0)
    full = -draws.exponential(size=(60, 50)) * draws.exponential(size=(60, 1))  # some texts are hard
    lossy = full - 0.01
    both = [perplexity(each, stream(0, "p")) for each in (full, lossy)]
    ratio = perplexity(lossy - full, stream(0, "p"))
    assert ratio.value == pytest.approx(both[1].value / both[0].value)
    assert (ratio.low, ratio.high) == pytest.approx((exp(0.01), exp(0.01)))
    assert both[1].low < both[0].high  # by themselves they do not tell


def test_an_answer_is_correct_if_all_of_it_is() -> None:
    expected = [[1, 2, 3, 4], [5, 6, 7, 8]]
    predicted = [[1, 2, 0, 4], [0, 6, 7, 8]]
    spans = [(0, 0, 2), (0, 1, 3), (0, 3, 4), (1, 1, 4), (1, 0, 4), (0, 2, 3)]
    assert spans_correct(predicted, expected, spans).tolist() == [True, False, True, True, False, False]
    assert spans_correct(predicted, expected, []).tolist() == []
    with pytest.raises(ValueError, match="at least one token"):
        spans_correct(predicted, expected, [(0, 2, 2)])


def test_divergence_by_hand() -> None:
    # p = (1/2, 1/2), q = (1/4, 3/4): 1/2 log 2 + 1/2 log 2/3
    found = divergence(np.log([[1, 1]]), np.log([[1, 3]]))
    assert found.tolist() == pytest.approx([log(2) / 2 + log(2 / 3) / 2])
    assert divergence([[0, 5, -inf]], [[0, 5, -inf]]).tolist() == [0]
    assert divergence([[0.0, 0.0]], [[0.0, -inf]]).tolist() == [inf]  # it excludes what may come


def test_divergence_is_never_negative_and_0_only_for_equals() -> None:
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(100, 257)) * 5
    assert np.all(divergence(logits, logits + 1e-9 * draws.normal(size=logits.shape)) >= 0)
    assert np.all(divergence(logits, logits - 7) < 1e-12)
    assert np.all(divergence(logits, draws.normal(size=logits.shape)) > 0.1)


def test_agreement_counts_predictions() -> None:
    full = np.log([[[1.0, 1.1], [1.0, 3.0]], [[3.0, 1.0], [1.0, 3.0]]])
    lossy = np.log([[[1.1, 1.0], [1.0, 3.0]], [[3.0, 1.0], [1.0, 3.0]]])
    found = agreement(full, lossy, stream(0, "agreement"))
    assert (found.top1.value, found.top1.count) == (0.75, 4)
    # p = (1, 1.1) / 2.1 and q the reverse; the other three predictions agree in full
    by_hand = (1 * log(1 / 1.1) + 1.1 * log(1.1)) / 2.1
    assert found.divergence.value == pytest.approx(by_hand / 4)
    assert found.divergence.count == 2  # sequences


def test_attention_mass_that_is_kept() -> None:
    attention = [[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]
    assert mass_kept(attention, [[True, False, True], [True, True, False]]).tolist() == [0.75, 0.25]
    assert mass_kept(attention, [False, False, True]).tolist() == [0.25, 0.75]


def test_output_error_is_relative() -> None:
    full = [[3.0, 4.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]
    lossy = [[3.0, 4.0], [0.0, 4.0], [0.0, 0.0], [1.0, 0.0]]
    assert output_error(full, lossy).tolist() == [0, 0.6, 0, inf]
    assert float(output_error([3.0, 4.0], [6.0, 8.0])) == 1
