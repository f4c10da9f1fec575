"""How the tiny models are trained: a run can be repeated, and stopped and gone on with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvsim.randomness import stream

torch: Any = pytest.importorskip("torch", reason="needs torch")
pytestmark = pytest.mark.torch

SCRIPTS = Path(__file__).parents[2] / "experiments" / "tiny_lm"
NAMES = ("train", "model", "data", "ngram")
LINES = [f"the {n}th line, of {n * n} words or fewer; it says nothing.\n" for n in range(400)]
TEXTS = ("".join(LINES).encode(), "".join(LINES[::-7]).encode() * 8)


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, Any]]:
    """The modules of the scripts, which import each other by their bare names."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(SCRIPTS))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {name: import_module(name) for name in NAMES}
    torch.set_num_threads(threads)
    sys.path.remove(str(SCRIPTS))
    sys.dont_write_bytecode = before
    for name in NAMES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def once(scripts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a short run left its model."""
    out = tmp_path_factory.mktemp("once")
    scripts["train"].train(recipe(scripts), TEXTS, out)
    return out


def recipe(scripts: dict[str, Any], **fields: Any) -> Any:
    return scripts["train"].Recipe("test", **({"tokens": 30_000, "warm_up": 3} | fields))


def weights(folder: Path) -> bytes:
    return (folder / "weights.npz").read_bytes()


def test_one_seed_gives_the_same_bytes_twice(scripts: dict[str, Any], once: Path, tmp_path: Path) -> None:
    scripts["train"].train(recipe(scripts), TEXTS, tmp_path)
    assert weights(tmp_path) == weights(once)


def test_steps_and_seeds_have_batches_of_their_own(scripts: dict[str, Any]) -> None:
    wanted = [(6, 0), (6, 1), (7, 0)]
    batches = [
        scripts["train"].batch_of(recipe(scripts, seed=seed), step, TEXTS[0])[0] for seed, step in wanted
    ]
    assert len({batch.numpy().tobytes() for batch in batches}) == 3


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
    scripts: dict[str, Any], once: Path, tmp_path: Path
) -> None:
    for until in (2, 5, None):
        scripts["train"].train(recipe(scripts), TEXTS, tmp_path, until)
    assert weights(tmp_path) == weights(once)


def test_the_model_is_what_its_files_say(scripts: dict[str, Any], once: Path) -> None:
    model, tokens = scripts["model"].load(once), torch.arange(200)[None]
    with np.load(once / "weights.npz") as arrays:
        assert all(arrays[name].dtype == np.float16 for name in arrays)
        assert set(arrays) == set(model.state_dict())
    with torch.no_grad():
        assert model(tokens).shape == (1, 200, 257)


def test_no_token_sees_those_after_it(scripts: dict[str, Any], once: Path) -> None:
    model, tokens = scripts["model"].load(once), torch.randint(0, 256, (1, 400))
    changed = tokens.clone()
    changed[0, 300:] = 65
    for length in (250, 300):  # attention is computed in one way up to 256 tokens and in another beyond
        with torch.no_grad():
            whole, alone = model(changed)[:, :length], model(tokens[:, :length])
        torch.testing.assert_close(whole, alone, rtol=1e-4, atol=1e-4)


def test_the_learning_rate_rises_and_falls_to_a_twentieth(scripts: dict[str, Any]) -> None:
    plan = recipe(scripts, tokens=1_000_000, warm_up=10)
    rates = [plan.rate_at(step) for step in range(plan.steps)]
    assert rates[0] == pytest.approx(plan.rate / 10)
    assert rates.index(max(rates)) == 9
    assert rates[-1] == pytest.approx(plan.rate / 20, rel=0.02)


def test_a_batch_weighs_answers_up_and_what_nothing_tells_not_at_all(scripts: dict[str, Any]) -> None:
    plan = recipe(scripts)
    _, targets, weighed = scripts["train"].batch_of(plan, 0, TEXTS[0])
    assert set(weighed.unique().tolist()) == {0.0, 1.0, plan.answer_weight}
    text = bytes(targets[weighed == plan.answer_weight].to(torch.uint8).numpy())
    assert not set(text) - set(b"=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class TestNGram:
    def test_probabilities_sum_to_one(self, scripts: dict[str, Any]) -> None:
        model = scripts["ngram"].NGram(TEXTS[0])
        data = [TEXTS[0][90:94] + bytes([last]) for last in range(256)]
        # what is missing is the token that begins a sequence, which no text holds
        total = sum(model.probabilities(text)[4] for text in data)
        assert total == pytest.approx(1, abs=1e-3)

    def test_by_hand(self, scripts: dict[str, Any]) -> None:
        """Bigrams of `abababac`: ab 3, ba 3, ac 1; before a stands b, before b and c stands a.

        Counts of counts (1, 0, 2, 0), a zero taken for one: Y = 1 / (1 + 2 x 1) = 1/3, so the discounts are
        1 - 2/3 = 1/3, 2 - 3/3 x 2/1 = 0 and 3 - 4/3 x 1/2 = 7/3. Unigrams count by what they follow: a, b and
        c once each, Y = 3 / (3 + 2) = 3/5, discount of one 1 - 6/5 x 1/3 = 3/5: each gets (1 - 3/5) / 3 and
        the 3 x 3/5 / 3 that are freed go to all 257 alike. P(b | a) = (3 - 7/3 + (1/3 + 7/3) P(b)) / 4.
        """
        single = (1 - 3 / 5) / 3 + 3 / 5 / 257
        expected = (3 - 7 / 3 + (1 / 3 + 7 / 3) * single) / 4
        model = scripts["ngram"].NGram(b"abababac", order=2)
        assert model.probabilities(b"ab") == pytest.approx([single, expected])

    def test_more_context_helps_where_it_matters(self, scripts: dict[str, Any]) -> None:
        text = stream(4).integers(97, 123, 30).astype(np.uint8).tobytes() * 50
        losses = [scripts["ngram"].NGram(text, order).nats_per_byte(text) for order in (1, 2, 3)]
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < 0.2  # thirty letters over and over: two of them tell the next


class TestData:
    def test_docstrings_in_the_order_of_the_source(self, scripts: dict[str, Any]) -> None:
        source = b'"""Module."""\nclass A:\n    """Class."""\n    def f(self):\n        """Inner."""\n'
        source += b'def g():\n    """Last."""\n'
        assert scripts["data"].docstrings(source) == ["Module.", "Class.", "Inner.", "Last."]
        assert scripts["data"].docstrings(b"def broken(") == []

    def test_the_held_out_text_is_written_the_same_each_time(
        self, scripts: dict[str, Any], tmp_path: Path
    ) -> None:
        for name in ("one", "two"):
            scripts["data"].write_held_out(tmp_path / name, TEXTS[1])
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
