"""How much memory a model's weights and its KV cache take, and what fits: exact arithmetic, no simulation.

A layer keeps for each token its keys and values, ``2 x kv_heads x head_dim`` scalars, or one latent (MLA), in
the format that the scheme has for it; a layer with a sliding window keeps that for at most so many tokens.
Sizes are fractions of bytes until they are reported, rounded up then; a simulated page is rounded down.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Literal

from kvsim.scenario.catalog import LlmSpec, SchemeSpec

__all__ = [
    "MemorySize",
    "all_heads_bytes",
    "attention",
    "kv_bytes",
    "largest_batch",
    "largest_context",
    "memory_size",
    "token_layer_bytes",
    "weights_bytes",
]

FP16_BITS = Fraction(16)


def attention(model: LlmSpec) -> Literal["MHA", "GQA", "MQA", "MLA"]:
    """How the query heads share keys and values: multi-head (not), grouped, one for all, one latent."""
    if model.mla is not None:
        return "MLA"
    if model.kv_heads == model.heads:
        return "MHA"
    return "MQA" if model.kv_heads == 1 else "GQA"


def weights_bytes(model: LlmSpec, bits: Fraction = FP16_BITS) -> int:
    """Bytes of all parameters at so many bits each (default 16), rounded up."""
    return ceil(model.parameters * bits / 8)


def token_layer_bytes(model: LlmSpec, scheme: SchemeSpec, layer: int) -> Fraction:
    """Bytes of KV that a layer keeps of one token."""
    return scheme.format_of(layer, 0).exact_bytes(model.kv_scalars_per_token_layer)


def kv_bytes(model: LlmSpec, scheme: SchemeSpec, tokens: int, batch: int = 1) -> Fraction:
    """Bytes of KV of `batch` sequences of so many tokens, all layers."""
    parts = _rates(model, scheme).items()
    each = (rate * (tokens if window is None else min(tokens, window)) for window, rate in parts)
    return batch * sum(each, Fraction(0))


def all_heads_bytes(model: LlmSpec, scheme: SchemeSpec, tokens: int, batch: int = 1) -> Fraction:
    """``2 x layers x heads x head_dim x tokens x batch x bytes``: as if every query head kept its own.

    The formula of earlier benchmarks, right for multi-head attention only; of a scheme with rules it takes
    the format of most pages.
    """
    scalars = 2 * model.layers * model.heads * model.head_dim * tokens * batch
    return scheme.exact_bytes(scalars)


def largest_context(model: LlmSpec, scheme: SchemeSpec, batch: int, room_bytes: int) -> int | None:
    """Most tokens of each of `batch` sequences whose KV fits so many bytes; None: any number does."""
    rates = _rates(model, scheme)
    growing, room = rates.get(None, Fraction(0)), Fraction(max(0, room_bytes), batch)
    window = next((each for each in rates if each is not None), None)
    tokens = room / sum(rates.values(), Fraction(0))
    if window is None or tokens < window:
        return floor(tokens)
    return floor((room - window * rates[window]) / growing) if growing else None


def largest_batch(model: LlmSpec, scheme: SchemeSpec, tokens: int, room_bytes: int) -> int:
    """Most sequences of so many tokens (1 or more) whose KV fits so many bytes."""
    return floor(max(0, room_bytes) / kv_bytes(model, scheme, tokens))


def _rates(model: LlmSpec, scheme: SchemeSpec) -> dict[int | None, Fraction]:
    """Bytes of KV per token of all layers that keep at most so many tokens (None: all of them)."""
    rates: dict[int | None, Fraction] = {}
    for layer in range(model.layers):
        window = model.window_of(layer)
        rates[window] = rates.get(window, Fraction(0)) + token_layer_bytes(model, scheme, layer)
    return rates


@dataclass(frozen=True, slots=True)
class MemorySize:
    """What `kvsim size` tells; None where it was not asked."""

    model: LlmSpec
    scheme: SchemeSpec
    weight_format: str
    weights_bytes: int
    layer_bytes: Fraction
    """KV of one token in the layer that keeps most."""
    token_bytes: Fraction
    """KV of one token in all layers."""
    later_token_bytes: Fraction
    """The same of a token after the sliding window is full: only layers without one grow."""
    batch: int
    context_tokens: int | None
    sequence_bytes: int | None
    batch_bytes: int | None
    all_heads_bytes: int
    """By the formula for multi-head attention, of the batch; of one token if no context is given."""
    memory_bytes: int | None
    largest_context: int | None
    """For the batch; None also where there is no limit, `unlimited`."""
    unlimited: bool
    largest_batch: int | None
    """For the context."""

    @property
    def left_bytes(self) -> int | None:
        """What the memory leaves after the weights; less than 0 if they do not fit."""
        return None if self.memory_bytes is None else self.memory_bytes - self.weights_bytes

    @property
    def sliding(self) -> int:
        """Number of layers with a sliding window."""
        return sum(self.model.window_of(layer) is not None for layer in range(self.model.layers))


def memory_size(
    model: LlmSpec,
    scheme: SchemeSpec,
    *,
    weight_bits: Fraction = FP16_BITS,
    weight_format: str = "fp16",
    context_tokens: int | None = None,
    batch: int = 1,
    memory_bytes: int | None = None,
) -> MemorySize:
    """All of it at once, for one model, scheme, context, batch and memory."""
    rates, weights = _rates(model, scheme), weights_bytes(model, weight_bits)
    known = context_tokens is not None
    tokens = context_tokens or 1
    left = 0 if memory_bytes is None else memory_bytes - weights
    longest = largest_context(model, scheme, batch, left)
    return MemorySize(
        model=model,
        scheme=scheme,
        weight_format=weight_format,
        weights_bytes=weights,
        layer_bytes=max(token_layer_bytes(model, scheme, layer) for layer in range(model.layers)),
        token_bytes=sum(rates.values(), Fraction(0)),
        later_token_bytes=rates.get(None, Fraction(0)),
        batch=batch,
        context_tokens=context_tokens,
        sequence_bytes=ceil(kv_bytes(model, scheme, tokens)) if known else None,
        batch_bytes=ceil(kv_bytes(model, scheme, tokens, batch)) if known else None,
        all_heads_bytes=ceil(all_heads_bytes(model, scheme, tokens, batch if known else 1)),
        memory_bytes=memory_bytes,
        largest_context=longest if memory_bytes is not None else None,
        unlimited=memory_bytes is not None and longest is None,
        largest_batch=largest_batch(model, scheme, tokens, left)
        if known and memory_bytes is not None
        else None,
    )
