"""The shape of a model from its Hugging Face `config.json`.

Families differ in the names of keys and in what a missing key means; what is known of them stands in tables
here. A model with layers that keep no keys and values of their own for each token is refused.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from kvsim.scenario.entries import Entries
from kvsim.scenario.number_set import parse_numbers
from kvsim.scenario.parameter_count import count_parameters

__all__ = ["shape", "weights"]

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HIDDEN = ("hidden_size", "n_embd", "d_model")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_NESTED = ("text_config", "llm_config", "language_config")
_NOT_READ = (
    "is_encoder_decoder", "num_kv_shared_layers", "attention_chunk_size", "attn_layer_period",
    "layers_block_type", "hybrid_override_pattern", "full_attention_interval", "cross_attention_layers",
)  # fmt: skip
_UNSAID: dict[str, dict[str, Any]] = {
    "gemma2": {"sliding_window_pattern": 2},
    "gemma3_text": {
        "sliding_window_pattern": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262_208,
    },
}
"""What configurations of a family leave out although it is not what others mean by leaving it out."""
_DTYPE_BITS = {
    "float32": 32, "float16": 16, "bfloat16": 16, "float8_e4m3fn": 8, "float8_e5m2": 8,
}  # fmt: skip
_METHOD_BITS = {"fp8": Fraction(8), "mxfp4": Fraction(17, 4)}


def shape(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an `LlmSpec`, but for its name and source. Raises ValueError."""
    values = _text_part(config)
    keys = Entries(values)
    for name in _NOT_READ:
        if values.get(name):
            raise ValueError(
                f"`{name}` is set; only models of which every layer keeps keys and values can be read"
            )
    layers, hidden, heads = keys.need(*_LAYERS), keys.need(*_HIDDEN), keys.need(*_HEADS)
    latent = keys.find("kv_lora_rank")
    mla = None if latent is None else latent + keys.need("qk_rope_head_dim")
    head_dim = keys.find("v_head_dim") if mla is not None else None
    head_dim = head_dim or keys.find("head_dim")
    parameters, active = count_parameters(keys, layers, hidden, heads, _kv_heads(keys, heads), head_dim)
    sliding = _sliding(keys, layers)
    keys.complete()
    if head_dim is None and hidden % heads:
        raise ValueError(f"`head_dim` is missing, and {hidden} scalars cannot be split over {heads} heads")
    return {
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "kv_heads": _kv_heads(keys, heads),
        "head_dim": head_dim or hidden // heads,
        "parameters": parameters,
        "active_parameters": active if active != parameters else None,
        "mla": mla,
        **sliding,
    }


def _text_part(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of its language model, and what it says of all its parts."""
    nested: Mapping[str, Any] = next(
        (config[name] for name in _NESTED if isinstance(config.get(name), dict)), {}
    )
    values = {**config, **nested}
    unsaid = _UNSAID.get(str(values.get("model_type")), {})
    return {**values, **{key: value for key, value in unsaid.items() if values.get(key) is None}}


def _kv_heads(keys: Entries, heads: int) -> int:
    if keys.get("multi_query") and not keys.get("new_decoder_architecture"):  # Falcon, GPT-BigCode
        return 1
    return keys.find("num_key_value_heads", "num_kv_heads", "multi_query_group_num") or heads


def _sliding(keys: Entries, layers: int) -> dict[str, Any]:
    """The window and the layers that have it; nothing if none has."""
    sliding = [] if keys.get("use_sliding_window") is False else _sliding_layers(keys, layers)
    if not sliding:
        return {}
    return {"sliding_window": keys.need("sliding_window"), "sliding_layers": parse_numbers(sliding)}


def _sliding_layers(keys: Entries, layers: int) -> list[int]:
    types = keys.get("layer_types")
    if types is not None:
        return _of_types(types, layers)
    if keys.get("sliding_window") is None:
        return []
    pattern = keys.find("sliding_window_pattern", "_sliding_window_pattern")
    if pattern is not None:  # the last of so many sees everything
        return [layer for layer in range(layers) if (layer + 1) % pattern]
    first = keys.find("max_window_layers", least=0) if keys.get("use_sliding_window") else None
    return list(range(first or 0, layers))


def _of_types(types: object, layers: int) -> list[int]:
    if not isinstance(types, list) or len(types) != layers:
        raise ValueError(f"`layer_types` must be a list of {layers} texts, one for each layer")
    for name in types:
        if name not in ("full_attention", "sliding_attention"):
            raise ValueError(f"`layer_types` has {name!r}; full_attention and sliding_attention can be read")
    return [layer for layer, name in enumerate(types) if name == "sliding_attention"]


def weights(config: Mapping[str, Any]) -> tuple[Fraction, str]:
    """Bits of a stored parameter and what that format is called; fp16 where the file does not say."""
    values = _text_part(config)
    dtype = str(values.get("dtype") or values.get("torch_dtype") or "fp16").removeprefix("torch.")
    bits = Fraction(_DTYPE_BITS.get(dtype, 16))
    quantised = values.get("quantization_config")
    if not isinstance(quantised, dict):
        return bits, dtype
    method = str(quantised.get("quant_method", "unnamed"))
    stored = quantised.get("bits")
    if method in _METHOD_BITS:
        return _METHOD_BITS[method], method
    if type(stored) is int and 0 < stored <= 64:
        return Fraction(stored), f"{method}, {stored} bits"
    if quantised.get("load_in_4bit") or quantised.get("load_in_8bit"):
        return Fraction(4 if quantised.get("load_in_4bit") else 8), method
    return bits, f"{dtype}, its quantisation {method!r} not counted"
