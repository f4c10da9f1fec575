"""A Llama as slow and as plain as can be: one sequence, token by token, loops over everything."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kvsim.lm.weights import LmShape, LmWeights

Vector = NDArray[np.float64]

TINY = LmShape(
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=6,
    intermediate_size=40,
    vocab_size=19,
)
"""Two KV heads of two query heads each, in three layers."""

Seen = Callable[[int, int, int, int], bool]
"""Whether (layer, KV head) at position t sees the token at position s <= t."""


def everything(layer: int, head: int, position: int, token: int) -> bool:
    return True


def logits(
    weights: LmWeights, tokens: list[int], seen: Seen = everything, owners: tuple[int, ...] = (0, 1, 2)
) -> NDArray[np.float64]:
    """[tokens, vocabulary], in float64; a layer uses the keys and values of its owner."""
    shape = weights.shape
    keys: dict[tuple[int, int], list[Vector]] = {}
    values: dict[tuple[int, int], list[Vector]] = {}
    rows = []
    for position, token in enumerate(tokens):
        hidden = tensor(weights, "model.embed_tokens")[token]
        for layer in range(shape.num_hidden_layers):
            inner = normal(weights, hidden, f"model.layers.{layer}.input_layernorm")
            projected = {
                kind: split(tensor(weights, f"model.layers.{layer}.self_attn.{kind}_proj") @ inner, shape)
                for kind in "qkv"
            }
            for head in range(shape.num_key_value_heads if owners[layer] == layer else 0):
                keys.setdefault((layer, head), []).append(turned(projected["k"][head], position, shape))
                values.setdefault((layer, head), []).append(projected["v"][head])
            outputs = []
            owner = owners[layer]
            for query_head in range(shape.num_attention_heads):
                head = query_head * shape.num_key_value_heads // shape.num_attention_heads
                there = [s for s in range(position + 1) if seen(layer, head, position, s)]
                query = turned(projected["q"][query_head], position, shape)
                scores = np.array([query @ keys[owner, head][s] for s in there]) / shape.head_dim**0.5
                shares = np.exp(scores - scores.max())
                shares /= shares.sum()
                outputs.append(sum(p * values[owner, head][s] for p, s in zip(shares, there, strict=True)))
            hidden = hidden + tensor(weights, f"model.layers.{layer}.self_attn.o_proj") @ np.concatenate(
                outputs
            )
            inner = normal(weights, hidden, f"model.layers.{layer}.post_attention_layernorm")
            gate = tensor(weights, f"model.layers.{layer}.mlp.gate_proj") @ inner
            up = tensor(weights, f"model.layers.{layer}.mlp.up_proj") @ inner
            down = tensor(weights, f"model.layers.{layer}.mlp.down_proj")
            hidden = hidden + down @ (gate / (1 + np.exp(-gate)) * up)
        rows.append(tensor(weights, "model.embed_tokens") @ normal(weights, hidden, "model.norm"))
    return np.array(rows)


def tensor(weights: LmWeights, name: str) -> NDArray[np.float64]:
    return weights.tensors[f"{name}.weight"].astype(np.float64)


def normal(weights: LmWeights, vector: Vector, name: str) -> Vector:
    root: float = np.sqrt(np.mean(vector**2) + weights.shape.rms_norm_eps)
    return vector / root * tensor(weights, name)


def split(vector: Vector, shape: LmShape) -> list[Vector]:
    return [vector[at : at + shape.head_dim] for at in range(0, len(vector), shape.head_dim)]


def turned(vector: Vector, position: int, shape: LmShape) -> Vector:
    """Scalars i and i + D/2 are a point of the plane, turned by position · theta^(-2i/D)."""
    found = vector.copy()
    half = shape.head_dim // 2
    for i in range(half):
        angle = position * shape.rope_theta ** (-2 * i / shape.head_dim)
        x, y = vector[i], vector[i + half]
        found[i] = x * np.cos(angle) - y * np.sin(angle)
        found[i + half] = y * np.cos(angle) + x * np.sin(angle)
    return found
