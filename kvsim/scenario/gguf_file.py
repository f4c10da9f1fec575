"""The shape of a model from a GGUF file: its metadata and the list of its tensors, never their content.

Parameters and bytes are sums over the tensors. Which layers have a sliding window is often not in the file:
where it is not, and the architecture is not one of those known here, every layer counts as keeping all of
the context, which is never too little.
"""

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

from kvsim.scenario.entries import Entries
from kvsim.scenario.number_set import parse_numbers

__all__ = ["read"]

_PATTERNS = {"cohere2": 4, "gemma2": 2, "gemma3": 6, "gpt-oss": 2}
"""Of so many layers the last sees the whole context, the others a window."""


def read(path: Path) -> tuple[dict[str, Any], Fraction, str]:
    """The fields of an `LlmSpec` but for its source, bits of a parameter, and the format's name.

    Raises ValueError if the file does not tell them, OSError if it cannot be read.
    """
    metadata, tensors = _contents(path)
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise ValueError("`general.architecture` is missing")
    parts = metadata.get("split.count")
    if isinstance(parts, int) and parts > 1:
        raise ValueError(f"is one of {parts} parts; merge them with llama-gguf-split --merge")
    prefix = f"{architecture}."
    keys = Entries({key.removeprefix(prefix): value for key, value in metadata.items()})
    fields = _shape(keys, architecture)
    parameters = sum(count for _, count, _, _ in tensors)
    if not parameters:
        raise ValueError("has no tensors; a model's own file is needed")
    unused = _unused(keys, tensors)
    named = metadata.get("general.name")
    name = named if isinstance(named, str) and named.strip() else path.stem
    fields |= {"name": name, "parameters": parameters}
    fields["active_parameters"] = parameters - unused if unused else None
    return fields, Fraction(8 * sum(size for _, _, size, _ in tensors), parameters), _format(tensors)


_Tensor = tuple[str, int, int, str]
"""Name, elements, bytes, type."""


def _contents(path: Path) -> tuple[dict[str, Any], list[_Tensor]]:
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError("is not GGUF: it does not begin with GGUF")
    try:
        from gguf import GGUFReader
    except ImportError:
        raise ValueError("reading GGUF needs the package gguf: pip install 'kvsim[gguf]'") from None
    try:
        reader = GGUFReader(path)
        # Texts of the tokenizer are long lists that say nothing of the shape.
        wanted = {key: field for key, field in reader.fields.items() if not key.startswith("tokenizer.")}
        metadata = {key: field.contents() for key, field in wanted.items()}
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"is no complete GGUF: {error}") from None
    tensors = [(t.name, int(t.n_elements), int(t.n_bytes), t.tensor_type.name) for t in reader.tensors]
    return metadata, tensors


def _shape(keys: Entries, architecture: str) -> dict[str, Any]:
    layers, hidden = keys.need("block_count"), keys.need("embedding_length")
    heads = _same_in_all(keys, "attention.head_count")
    kv_heads = _same_in_all(keys, "attention.head_count_kv")
    latent = keys.find("attention.kv_lora_rank")
    mla = None if latent is None else latent + keys.need("rope.dimension_count")
    if heads is None:
        keys.need("attention.head_count")
    keys.complete()
    heads = heads or 1
    head_dim = _head_dim(keys, hidden, heads, mla is not None)
    return {
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "kv_heads": kv_heads or heads,
        "head_dim": head_dim,
        "mla": mla,
        **_sliding(keys, layers, architecture),
    }


def _same_in_all(keys: Entries, name: str) -> int | None:
    """A number that may be given for every layer, but must be the same then."""
    given = keys.get(name)
    if not isinstance(given, list):
        return keys.find(name)
    if len(set(given)) != 1:
        raise ValueError(f"`{name}` differs by layer; only models whose layers are alike can be read")
    return Entries({name: given[0]}).find(name)


def _head_dim(keys: Entries, hidden: int, heads: int, latent: bool) -> int:
    """Scalars of a head, half those of its key and its value together."""
    own = "_mla" if latent and keys.get("attention.key_length_mla") is not None else ""
    key, value = (keys.find(f"attention.{part}_length{own}") for part in ("key", "value"))
    if latent and value is not None:
        return value
    if key is None or value is None:
        if hidden % heads:
            raise ValueError(f"`attention.key_length` is missing, and {heads} heads do not divide {hidden}")
        key, value = key or hidden // heads, value or hidden // heads
    if (key + value) % 2:
        raise ValueError(f"keys of {key} and values of {value} scalars cannot be read")
    return (key + value) // 2


def _sliding(keys: Entries, layers: int, architecture: str) -> dict[str, Any]:
    window = keys.find("attention.sliding_window", least=0)
    if not window:
        return {}
    given = keys.get("attention.sliding_window_pattern")
    if isinstance(given, list):
        sliding = [layer for layer, slides in enumerate(given[:layers]) if slides]
    else:
        pattern = keys.find("attention.sliding_window_pattern") or _PATTERNS.get(architecture, 1)
        sliding = [layer for layer in range(layers) if (layer + 1) % pattern]
    if not sliding:
        return {}
    return {"sliding_window": window, "sliding_layers": parse_numbers(sliding)}


def _unused(keys: Entries, tensors: list[_Tensor]) -> int:
    """Parameters of experts beyond those that one token uses."""
    experts, used = keys.find("expert_count", least=0), keys.find("expert_used_count", least=0)
    if not experts or not used:
        return 0
    held = sum(count for name, count, _, _ in tensors if "_exps." in name)
    return held * (experts - used) // experts


def _format(tensors: list[_Tensor]) -> str:
    """The type in which most parameters are."""
    held: Counter[str] = Counter()
    for _, count, _, kind in tensors:
        held[kind] += count
    most = held.most_common(1)[0][0]
    return f"mostly {most}" if len(held) > 1 else most
