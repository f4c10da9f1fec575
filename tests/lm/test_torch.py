"""The numpy decoder against torch, an independent implementation of the same architecture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kvsim.lm.decoder import Decoder
from kvsim.lm.weights import LmShape, LmWeights, load, random_weights
from kvsim.scenario.tiny import tiny_models

torch: Any = pytest.importorskip("torch", reason="needs torch")
pytestmark = pytest.mark.torch

SHAPE = LmShape(96, 3, 6, 2, 16, 160, rope_theta=50_000.0)
MODELS = ["random", *tiny_models()]


def model(name: str) -> LmWeights:
    return random_weights(SHAPE, seed=4, scale=1.0) if name == "random" else load(name)


def tokens_for(shape: LmShape) -> NDArray[np.int64]:
    tokens = np.random.default_rng(8).integers(0, 256, (2, 200))
    tokens[:, 0] = 256
    return tokens


def by_functions(weights: LmWeights, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits from torch.nn.functional, in float32."""
    f = torch.nn.functional
    shape = weights.shape
    tensors = {name: torch.from_numpy(array) for name, array in weights.tensors.items()}
    count = tokens.shape[1]
    rates = shape.rope_theta ** -(torch.arange(0, shape.head_dim, 2) / shape.head_dim)
    angles = torch.outer(torch.arange(count), rates)
    turn = torch.polar(torch.ones_like(angles), angles)

    def turned(heads: Any) -> Any:
        left, right = heads.chunk(2, dim=-1)
        point = torch.complex(left, right) * turn
        return torch.cat((point.real, point.imag), dim=-1)

    def normal(hidden: Any, name: str) -> Any:
        return f.rms_norm(hidden, (shape.hidden_size,), tensors[f"{name}.weight"], shape.rms_norm_eps)

    hidden = f.embedding(torch.from_numpy(tokens), tensors["model.embed_tokens.weight"])
    for layer in range(shape.num_hidden_layers):
        at = f"model.layers.{layer}"
        inner = normal(hidden, f"{at}.input_layernorm")
        query, key, value = (
            f.linear(inner, tensors[f"{at}.self_attn.{kind}_proj.weight"])
            .unflatten(-1, (-1, shape.head_dim))
            .transpose(1, 2)
            for kind in "qkv"
        )
        output = f.scaled_dot_product_attention(
            turned(query), turned(key), value, is_causal=True, enable_gqa=True
        )
        together = output.transpose(1, 2).flatten(2)
        hidden = hidden + f.linear(together, tensors[f"{at}.self_attn.o_proj.weight"])
        inner = normal(hidden, f"{at}.post_attention_layernorm")
        gate = f.silu(f.linear(inner, tensors[f"{at}.mlp.gate_proj.weight"]))
        up = f.linear(inner, tensors[f"{at}.mlp.up_proj.weight"])
        hidden = hidden + f.linear(gate * up, tensors[f"{at}.mlp.down_proj.weight"])
    logits = f.linear(normal(hidden, "model.norm"), tensors["model.embed_tokens.weight"])
    found: NDArray[np.float32] = logits.numpy()
    return found


@pytest.mark.parametrize("name", MODELS)
def test_numpy_equals_torch(name: str) -> None:
    weights = model(name)
    tokens = tokens_for(weights.shape)
    found = Decoder(weights).run(tokens, chunk=64)
    np.testing.assert_allclose(found, by_functions(weights, tokens), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_numpy_equals_transformers(name: str) -> None:
    """Hugging Face's LlamaForCausalLM, from the same config and tensors."""
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    weights = model(name)
    shape = weights.shape
    config = transformers.LlamaConfig(
        **{field: getattr(shape, field) for field in LmShape.__dataclass_fields__}, tie_word_embeddings=True
    )
    llama = transformers.LlamaForCausalLM(config).eval()
    tensors = {name: torch.from_numpy(tensor) for name, tensor in weights.tensors.items()}
    missing = llama.load_state_dict(tensors, strict=False)
    assert set(missing.missing_keys) <= {"lm_head.weight"}
    assert not missing.unexpected_keys
    llama.tie_weights()
    tokens = tokens_for(shape)
    with torch.no_grad():
        right = llama(torch.from_numpy(tokens)).logits.numpy()
    np.testing.assert_allclose(Decoder(weights).run(tokens), right, atol=1e-4, rtol=1e-4)
