"""A Llama in numpy: batched, fed in chunks, its keys and values in a `KvCache`.

It computes in float32 what Hugging Face's LlamaForCausalLM does: RMSNorm, rotary positions (by halves),
grouped-query attention, SwiGLU, tied embeddings. Tokens keep the positions they came with, whatever is
evicted before them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SimulationError
from kvsim.lm.cache import KvCache
from kvsim.lm.weights import LmWeights

__all__ = ["Decoder"]

Floats = NDArray[np.float32]
Tokens = NDArray[np.integer]

ROWS = 256
"""Hidden states that an MLP takes at a time: what stays in a processor's cache."""


class Decoder:
    """Computes logits of the next token; all state is the cache's."""

    def __init__(self, weights: LmWeights) -> None:
        self.weights = weights
        self.shape = weights.shape

    def run(
        self, tokens: Tokens, cache: KvCache | None = None, *, chunk: int | None = None, coming: int = 1
    ) -> Floats:
        """Feed tokens [B, T] in chunks (default: as one) and return the logits [B, T, vocabulary].

        Those at position t are of the token after it. `coming`: see `feed`; without a cache nothing is kept.
        """
        cache = KvCache(self.shape, len(tokens)) if cache is None else cache
        total = tokens.shape[1]
        each = chunk or max(total, 1)
        found = []
        for first in range(0, total, each):
            ahead = min(each, total - first - each)
            part = tokens[:, first : first + each]
            found.append(self.feed(part, cache, coming=ahead if ahead > 0 else coming))
        return np.concatenate(found, axis=1)

    def feed(self, tokens: Tokens, cache: KvCache, *, coming: int = 1) -> Floats:
        """Feed one chunk [B, C], which is one step to the policies, and return its logits.

        `coming` is the number of tokens of the next chunk: each layer makes room for their pages at its end.
        """
        self._check(tokens, cache)
        tensors = self.weights.tensors
        embedding = tensors["model.embed_tokens.weight"]
        first, count = cache.length, tokens.shape[1]
        cache.begin(count, coming)
        turn = self._turns(first, count)
        hidden: Floats = embedding[tokens.ravel()]  # [B · C, hidden], as are all hidden states
        for layer in range(self.shape.num_hidden_layers):
            hidden += self._attention(layer, self._norm(hidden, layer, "input_layernorm"), turn, cache)
            hidden += self._mlp(layer, self._norm(hidden, layer, "post_attention_layernorm"))
        cache.finish()
        logits: Floats = self._normal(hidden, tensors["model.norm.weight"]) @ embedding.T
        return logits.reshape(*tokens.shape, -1)

    def _check(self, tokens: Tokens, cache: KvCache) -> None:
        if tokens.ndim != 2 or not tokens.shape[1] or len(tokens) != cache.batch:
            found = list(tokens.shape)
            raise SimulationError(f"tokens must be of shape [{cache.batch}, one or more], not {found}")
        if tokens.min() < 0 or tokens.max() >= self.shape.vocab_size:
            raise SimulationError(f"tokens must be 0 to {self.shape.vocab_size - 1}")

    def _attention(self, layer: int, hidden: Floats, turn: tuple[Floats, Floats], cache: KvCache) -> Floats:
        split = (cache.batch, len(turn[0]), -1, self.shape.head_dim)

        def heads(what: str) -> Floats:
            """A projection of the hidden states: [B, heads, C, D]."""
            found = hidden @ self.weights.layer(layer, f"self_attn.{what}_proj").T
            return found.reshape(split).transpose(0, 2, 1, 3)

        queries = _rotated(heads("q"), turn)
        if cache.writes(layer):
            cache.write(layer, _rotated(heads("k"), turn), heads("v"))
        found = cache.attend(layer, queries).transpose(0, 2, 1, 3).reshape(len(hidden), -1)
        output: Floats = found @ self.weights.layer(layer, "self_attn.o_proj").T
        return output

    def _mlp(self, layer: int, hidden: Floats) -> Floats:
        wide, up, down = (self.weights.layer(layer, f"mlp.{part}_proj") for part in ("gate", "up", "down"))
        output = np.empty_like(hidden)
        for first in range(0, len(hidden), ROWS):
            part = hidden[first : first + ROWS]
            gate: Floats = part @ wide.T
            gate *= 0.5 * (1 + np.tanh(0.5 * gate))  # x · sigmoid(x), which cannot overflow this way
            gate *= part @ up.T
            output[first : first + ROWS] = gate @ down.T
        return output

    def _norm(self, hidden: Floats, layer: int, part: str) -> Floats:
        return self._normal(hidden, self.weights.layer(layer, part))

    def _normal(self, hidden: Floats, weight: Floats) -> Floats:
        square = np.mean(hidden * hidden, axis=-1, keepdims=True)
        found: Floats = hidden / np.sqrt(square + np.float32(self.shape.rms_norm_eps)) * weight
        return found

    def _turns(self, first: int, count: int) -> tuple[Floats, Floats]:
        """Cosines and sines [C, D / 2] of the positions of a chunk."""
        half = np.arange(0, self.shape.head_dim, 2, dtype=np.float32) / np.float32(self.shape.head_dim)
        rates = np.float32(1) / np.float32(self.shape.rope_theta) ** half
        angles = np.arange(first, first + count, dtype=np.float32)[:, None] * rates
        return np.cos(angles), np.sin(angles)


def _rotated(vectors: Floats, turn: tuple[Floats, Floats]) -> Floats:
    """Vectors [..., C, D] turned by their positions: scalar i of one half with scalar i of the other."""
    cosines, sines = turn
    half = vectors.shape[-1] // 2
    left, right = vectors[..., :half], vectors[..., half:]
    return np.concatenate((left * cosines - right * sines, right * cosines + left * sines), axis=-1)
