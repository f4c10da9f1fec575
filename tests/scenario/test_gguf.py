"""Models read from GGUF files, which are written here with llama.cpp's own package."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvsim.errors import ScenarioError
from kvsim.scenario.model_file import read_model

gguf = pytest.importorskip("gguf", reason="the optional package gguf is not installed: kvsim[gguf]")

LLAMA: dict[str, Any] = {
    "block_count": 4,
    "embedding_length": 256,
    "attention.head_count": 8,
    "attention.head_count_kv": 2,
}
TENSORS = {"token_embd.weight": (1000, 256), "blk.0.attn_q.weight": (256, 256)}


def file(
    folder: Path,
    metadata: dict[str, Any],
    architecture: str = "llama",
    tensors: Mapping[str, tuple[int, ...]] = TENSORS,
    quantised: str = "",
) -> Path:
    """A GGUF file; a tensor called `quantised` is in Q4_0, the others are in fp16."""
    path = folder / "tiny.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata.items():
        name = key if key.startswith(("split", "general")) else f"{architecture}.{key}"
        if isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_uint32(name, value)
    writer.add_token_list(["a", "b"])
    for name, shape in tensors.items():
        values = np.zeros(shape, np.float16)
        if name == quantised:
            kind = gguf.GGMLQuantizationType.Q4_0
            writer.add_tensor(name, gguf.quants.quantize(values.astype(np.float32), kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_shape_is_in_the_metadata_and_parameters_are_those_of_the_tensors(tmp_path: Path) -> None:
    model = read_model(file(tmp_path, LLAMA)).spec
    assert (model.name, model.layers, model.hidden, model.heads) == ("tiny", 4, 256, 8)
    assert (model.kv_heads, model.head_dim, model.mla) == (2, 32, None)
    assert model.parameters == model.active == 1000 * 256 + 256 * 256


def test_weights_take_the_bytes_of_the_tensors(tmp_path: Path) -> None:
    """256,000 scalars of 4.5 bits in Q4_0 (18 bytes for 32) and 65,536 of 16."""
    read = read_model(file(tmp_path, LLAMA, quantised="token_embd.weight"))
    assert read.weight_bits * read.spec.parameters == Fraction("4.5") * 256_000 + 16 * 65_536
    assert read.weight_format == "mostly Q4_0"


def test_the_model_has_the_name_in_the_file_and_lengths_of_its_own(tmp_path: Path) -> None:
    own = {"general.name": "Mine 1B", "attention.key_length": 64, "attention.value_length": 64}
    model = read_model(file(tmp_path, {**LLAMA, **own})).spec
    assert (model.name, model.head_dim) == ("Mine 1B", 64)


def test_a_latent_takes_the_place_of_keys_and_values(tmp_path: Path) -> None:
    """DeepSeek as llama.cpp converts it: one KV head of the latent and the rotary key."""
    latent = {
        "attention.kv_lora_rank": 512,
        "rope.dimension_count": 64,
        "attention.head_count_kv": 1,
        "attention.key_length": 576,
        "attention.value_length": 512,
        "attention.key_length_mla": 192,
        "attention.value_length_mla": 128,
    }
    model = read_model(file(tmp_path, {**LLAMA, **latent}, "deepseek2")).spec
    assert (model.mla, model.head_dim, model.kv_scalars_per_token_layer) == (576, 128, 576)


def test_of_experts_those_chosen_are_used(tmp_path: Path) -> None:
    tensors = {"token_embd.weight": (1000, 256), "blk.0.ffn_up_exps.weight": (8, 64, 256)}
    model = read_model(
        file(tmp_path, {**LLAMA, "expert_count": 8, "expert_used_count": 2}, tensors=tensors)
    ).spec
    assert (model.parameters, model.active) == (256_000 + 8 * 64 * 256, 256_000 + 2 * 64 * 256)


@pytest.mark.parametrize(
    ("architecture", "pattern", "layers"),
    [
        ("gemma2", {}, "0, 2"),
        ("gemma3", {}, "0-3"),
        ("llama", {"attention.sliding_window_pattern": [True, True, False, True]}, "0-1, 3"),
        ("llama", {"attention.sliding_window_pattern": 4}, "0-2"),
        ("phi3", {}, None),
    ],
)
def test_layers_with_a_window(
    architecture: str, pattern: dict[str, Any], layers: str | None, tmp_path: Path
) -> None:
    metadata = {**LLAMA, "attention.sliding_window": 128, **pattern}
    model = read_model(file(tmp_path, metadata, architecture)).spec
    assert (None if model.sliding_layers is None else str(model.sliding_layers)) == layers


def test_numbers_by_layer_are_fine_if_they_are_alike(tmp_path: Path) -> None:
    alike = {**LLAMA, "attention.head_count_kv": [2, 2, 2, 2]}
    assert read_model(file(tmp_path, alike)).spec.kv_heads == 2


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({key: LLAMA[key] for key in LLAMA if key != "block_count"}, "`block_count` is missing"),
        ({"block_count": 4}, "`embedding_length`, `attention.head_count` are missing"),
        ({**LLAMA, "attention.head_count_kv": [2, 2, 1, 2]}, "`attention.head_count_kv` differs by layer"),
        ({**LLAMA, "split.count": 3}, "is one of 3 parts"),
        ({**LLAMA, "attention.head_count": 7}, "`attention.key_length` is missing, and 7 heads"),
    ],
)
def test_what_is_missing_is_said_in_one_line(metadata: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = file(tmp_path, metadata)
    with pytest.raises(ScenarioError) as caught:
        read_model(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [3, 20, 150, 400])
def test_a_part_of_a_file_is_no_model(length: int, tmp_path: Path) -> None:
    path = file(tmp_path, LLAMA)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ScenarioError, match=r"is not GGUF|is no complete GGUF|missing"):
        read_model(path)


def test_a_file_without_tensors_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="has no tensors"):
        read_model(file(tmp_path, LLAMA, tensors={}))


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, LLAMA)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ScenarioError, match=r"pip install 'kvsim\[gguf\]'"):
        read_model(path)
