"""Models from files: found by name, read exactly, refused with the place of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm import plain

from kvsim.errors import ScenarioError
from kvsim.lm.weights import LmShape, load, random_weights
from kvsim.scenario.tiny import tiny_models


def written(folder: Path, changes: Mapping[str, Any] = {}, tensors: Mapping[str, Any] = {}) -> Path:
    """A model in the two files that one consists of, with some keys or tensors changed (None: left out)."""
    weights = random_weights(plain.TINY, seed=1)
    config = {"model_type": "llama", "tie_word_embeddings": True, **asdict(plain.TINY), **changes}
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    arrays = {name: array.astype(np.float16) for name, array in weights.tensors.items()} | dict(tensors)
    arrays = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(folder / "weights.npz", **arrays)
    return folder


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = load(written(tmp_path))
    assert found.shape == plain.TINY
    right = random_weights(plain.TINY, seed=1)
    assert found.tensors.keys() == right.tensors.keys()
    for name, tensor in found.tensors.items():
        assert tensor.dtype == np.float32
        assert np.array_equal(tensor, right.tensors[name])  # they are rounded to float16 already


def test_parameters_are_counted() -> None:
    # 19 x 24 embeddings, and in each of 3 layers: 24 x (24 + 2 x 12 + 24) for attention, 3 x 24 x 40 for the
    # MLP, 2 x 24 for the norms; and 24 for the last norm.
    assert plain.TINY.parameters == 456 + 3 * (1728 + 2880 + 48) + 24
    assert plain.TINY.parameters == sum(t.size for t in random_weights(plain.TINY).tensors.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, 'config.json: model_type: must be "llama", not "gpt2"'),
        ({"tie_word_embeddings": False}, "tie_word_embeddings: must be true, not false"),
        ({"rope_scaling": {"factor": 2}}, "rope_scaling: must be null"),
        ({"hidden_size": None}, "hidden_size: is missing"),
        ({"head_dim": 6.5}, "head_dim: must be a whole number above 0, not 6.5"),
        ({"num_key_value_heads": True}, "num_key_value_heads: must be a whole number above 0, not True"),
        ({"rms_norm_eps": 0}, "rms_norm_eps: must be a number above 0, not 0"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: 4 heads cannot share so many"),
        ({"head_dim": 7}, "head_dim: must be even"),
        ({"num_hidden_layers": 4}, "weights.npz: model.layers.3.input_layernorm.weight: is missing"),
        ({"vocab_size": 18}, "model.embed_tokens.weight: must have the shape [18, 24], not [19, 24]"),
    ],
)
def test_what_is_no_such_model_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(written(tmp_path, changes))
    assert message in str(caught.value)


def test_broken_weights_are_refused(tmp_path: Path) -> None:
    name = "model.norm.weight"
    with pytest.raises(ScenarioError, match=f"{name}: is missing"):
        load(written(tmp_path, tensors={name: None}))
    with pytest.raises(ScenarioError, match=f"{name}: has scalars that are no finite numbers"):
        load(written(tmp_path, tensors={name: np.full(24, np.nan)}))
    (tmp_path / "weights.npz").write_bytes(b"no zip file")
    with pytest.raises(ScenarioError, match="is no readable npz file"):
        load(tmp_path)
    (tmp_path / "weights.npz").unlink()
    with pytest.raises(ScenarioError, match=r"weights\.npz: no such file"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"config\.json: is not JSON"):
        load(tmp_path)


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    known = ", ".join(tiny_models()) or "none"
    with pytest.raises(ScenarioError) as caught:
        load("huge")
    assert f"is neither a folder nor a model that comes with kvsim (these are: {known})" in str(caught.value)


@pytest.mark.parametrize("name", tiny_models())
def test_every_model_that_comes_with_kvsim_can_be_read(name: str) -> None:
    found = load(name)
    assert found.name == name
    assert found.shape.vocab_size == 257


def test_random_weights_are_those_of_their_seed() -> None:
    shape = LmShape(8, 1, 2, 1, 4, 12)
    first, again, other = (random_weights(shape, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first.tensors[name], again.tensors[name]) for name in first.tensors)
    assert not np.array_equal(first.layer(0, "mlp.up_proj"), other.layer(0, "mlp.up_proj"))
