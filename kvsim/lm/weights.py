"""The weights of a small Llama: shape, names, and how they come from files or out of thin air."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import Problem, ScenarioError
from kvsim.scenario.shipped import displayed
from kvsim.scenario.tiny import tiny_models

__all__ = ["LmShape", "LmWeights", "load", "random_weights"]

Floats = NDArray[np.float32]

_FILES = ("config.json", "weights.npz")
_FIXED: dict[str, tuple[Any, ...]] = {
    "model_type": ("llama",),
    "tie_word_embeddings": (True,),
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "rope_scaling": (None,),
}
"""Keys of a config.json that must have one of these values, where they are there."""


@dataclass(frozen=True, slots=True)
class LmShape:
    """The shape of a Llama; the fields are the keys of Hugging Face's config.json."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int = 257
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 2048
    """Tokens of the longest sequence it was made for; more are computed all the same."""

    @property
    def queries_per_head(self) -> int:
        """Query heads that share one KV head."""
        return self.num_attention_heads // self.num_key_value_heads

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Hugging Face's name, and the shape [out, in], of each tensor."""
        hidden, inner = self.hidden_size, self.intermediate_size
        queries, keys = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        yield "model.embed_tokens.weight", (self.vocab_size, hidden)
        for layer in range(self.num_hidden_layers):
            at = f"model.layers.{layer}"
            yield f"{at}.input_layernorm.weight", (hidden,)
            yield f"{at}.self_attn.q_proj.weight", (queries, hidden)
            yield f"{at}.self_attn.k_proj.weight", (keys, hidden)
            yield f"{at}.self_attn.v_proj.weight", (keys, hidden)
            yield f"{at}.self_attn.o_proj.weight", (hidden, queries)
            yield f"{at}.post_attention_layernorm.weight", (hidden,)
            yield f"{at}.mlp.gate_proj.weight", (inner, hidden)
            yield f"{at}.mlp.up_proj.weight", (inner, hidden)
            yield f"{at}.mlp.down_proj.weight", (hidden, inner)
        yield "model.norm.weight", (hidden,)

    @property
    def parameters(self) -> int:
        """Scalars of all tensors; the embedding counts once, as it is the output too."""
        return sum(int(np.prod(shape)) for _, shape in self.tensors())


@dataclass(frozen=True, slots=True)
class LmWeights:
    """The tensors of a model by Hugging Face's names, in float32."""

    shape: LmShape
    tensors: Mapping[str, Floats] = field(repr=False)
    name: str = "random"

    def layer(self, layer: int, part: str) -> Floats:
        """The weight of a part (such as `mlp.up_proj`) of a layer."""
        return self.tensors[f"model.layers.{layer}.{part}.weight"]


def load(model: str | Path) -> LmWeights:
    """The model of that name, or in that folder, which holds `config.json` and `weights.npz`.

    Raises ScenarioError, with one problem, if it cannot be had or is no Llama as this package computes it.
    """
    known = tiny_models()
    folder = known.get(str(model), Path(model))
    if not folder.is_dir():
        names = ", ".join(known) or "none"
        _refuse(folder, "", f"is neither a folder nor a model that comes with kvsim (these are: {names})")
    config, tensors = (folder / name for name in _FILES)
    shape = _read_shape(config)
    return LmWeights(shape, _read_tensors(tensors, shape), folder.name)


def random_weights(shape: LmShape, seed: int = 0, scale: float = 2.0) -> LmWeights:
    """A model that knows nothing: normal numbers of deviation `scale` / √inputs, rounded to float16.

    The norms are 1 and the embedding has deviation 1; a larger `scale` makes attention less even.
    """
    random = np.random.default_rng(seed)
    tensors: dict[str, Floats] = {}
    for name, size in shape.tensors():
        if len(size) == 1:
            tensors[name] = np.ones(size, dtype=np.float32)
            continue
        deviation = 1.0 if "embed" in name else scale / size[1] ** 0.5
        tensors[name] = (random.standard_normal(size) * deviation).astype(np.float16).astype(np.float32)
    return LmWeights(shape, tensors)


def _read_shape(path: Path) -> LmShape:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        _refuse(path, "", "no such file")
    except OSError as error:
        _refuse(path, "", f"cannot be read: {error.strerror}")
    except ValueError as error:
        _refuse(path, "", f"is not JSON: {error}")
    if not isinstance(config, dict):
        _refuse(path, "", "must be a JSON object")
    for key, allowed in _FIXED.items():
        if config.get(key, allowed[0]) not in allowed:
            _refuse(path, key, f"must be {json.dumps(allowed[0])}, not {json.dumps(config[key])}")
    fields = LmShape.__dataclass_fields__
    values = {key: config[key] for key in fields if key in config}
    for key in fields:
        kind = float if key in ("rope_theta", "rms_norm_eps") else int
        _check_number(path, key, values.get(key), kind)
    shape = LmShape(**values)
    if shape.num_attention_heads % shape.num_key_value_heads:
        _refuse(path, "num_key_value_heads", f"{shape.num_attention_heads} heads cannot share so many")
    if shape.head_dim % 2:
        _refuse(path, "head_dim", "must be even: positions turn pairs of scalars")
    return shape


def _check_number(path: Path, key: str, value: object, kind: type[int] | type[float]) -> None:
    if value is None:
        _refuse(path, key, "is missing")
    fits = isinstance(value, int) if kind is int else isinstance(value, int | float)
    if not fits or isinstance(value, bool) or not value > 0:  # type: ignore[operator]
        _refuse(path, key, f"must be a {'whole ' if kind is int else ''}number above 0, not {value!r}")


def _read_tensors(path: Path, shape: LmShape) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name, size in shape.tensors():
                if name not in file:
                    _refuse(path, name, "is missing")
                if file[name].shape != size:
                    _refuse(path, name, f"must have the shape {list(size)}, not {list(file[name].shape)}")
                found[name] = file[name].astype(np.float32)
                if not np.isfinite(found[name]).all():
                    _refuse(path, name, "has scalars that are no finite numbers")
    except FileNotFoundError:
        _refuse(path, "", "no such file")
    except (OSError, ValueError, BadZipFile) as error:
        _refuse(path, "", f"is no readable npz file: {error}")
    return found


def _refuse(path: Path, field: str, message: str) -> NoReturn:
    raise ScenarioError((Problem(displayed(path), None, None, field, message),)) from None
