"""The decoder in torch: what Hugging Face's LlamaForCausalLM computes, its names for the weights included."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHORT = 256
"""Tokens of context up to which attention is computed written out."""


@dataclass(frozen=True)
class Shape:
    """The architecture, under Hugging Face's names."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    head_dim: int = 32
    vocab_size: int = 257
    rope_theta: float = 100_000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 2048

    def config(self) -> dict[str, Any]:
        """The `config.json` of a Llama of this shape."""
        fixed = {
            "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
            "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True, "torch_dtype": "float16",
            "bos_token_id": 256, "eos_token_id": None,
        }  # fmt: skip
        return fixed | asdict(self)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.groups, self.size = (
            shape.num_attention_heads,
            shape.num_key_value_heads,
            shape.head_dim,
        )
        self.q_proj = nn.Linear(shape.hidden_size, self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, self.groups * self.size, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, self.groups * self.size, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q = _rotated(self.q_proj(x).view(batch, length, self.heads, self.size), cos, sin).transpose(1, 2)
        k = _rotated(self.k_proj(x).view(batch, length, self.groups, self.size), cos, sin).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.groups, self.size).transpose(1, 2)
        k, v = (t.repeat_interleave(self.heads // self.groups, 1) for t in (k, v))
        y = (_attended if length <= SHORT else _attended_in_blocks)(q, k, v)
        mixed: Tensor = self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))
        return mixed


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention written out: on a CPU the faster way for short contexts."""
    batch, heads, length, size = q.shape
    q, k, v = (t.reshape(batch * heads, length, size) for t in (q, k, v))
    future = torch.full((length, length), -1e4, dtype=q.dtype).triu(1)
    scores = torch.baddbmm(future, q, k.transpose(1, 2), alpha=size**-0.5)
    return torch.bmm(scores.softmax(-1).to(v.dtype), v).view(batch, heads, length, size)


def _attended_in_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.float().chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(x.dtype)


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    """Attention and a feed-forward network, each behind a norm and beside a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        y: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return y


class Decoder(nn.Module):
    """Tokens to logits; the embedding is the output layer too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.model.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_hidden_layers))
        self.model.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                inner = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, 0, parameter.shape[1] ** -0.5 * (0.1 if inner else 1.0))

    def forward(self, tokens: Tensor) -> Tensor:
        half = torch.arange(0, self.shape.head_dim, 2).float() / self.shape.head_dim
        angle = torch.outer(torch.arange(tokens.shape[1]).float(), self.shape.rope_theta**-half)
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        logits: Tensor = F.linear(self.model.norm(x), self.model.embed_tokens.weight)
        return logits


def save(model: Decoder, folder: Path) -> None:
    """`config.json` and `weights.npz`, the weights rounded to float16."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(model.shape.config(), indent=2) + "\n", encoding="utf-8")
    weights = {name: value.detach().numpy().astype(np.float16) for name, value in model.state_dict().items()}
    np.savez_compressed(folder / "weights.npz", **weights)


def load(folder: Path) -> Decoder:
    """The model of a folder, in float32 with the rounded weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = Decoder(Shape(**{name: config[name] for name in Shape.__dataclass_fields__}))
    with np.load(folder / "weights.npz") as weights:
        model.load_state_dict({name: torch.from_numpy(weights[name].astype(np.float32)) for name in weights})
    return model
