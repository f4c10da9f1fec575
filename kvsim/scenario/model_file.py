"""A user's own model, from the file it came with: a Hugging Face `config.json`, or GGUF.

Where a catalog name of a model may stand, so may the path of such a file; it is known by its ending.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kvsim.errors import Problem, ScenarioError
from kvsim.scenario import gguf_file, hf_config
from kvsim.scenario.catalog import LlmSpec

__all__ = ["MODEL_SUFFIXES", "ModelFile", "is_model_path", "read_model"]

MODEL_SUFFIXES = (".json", ".gguf")
"""How the name of a model's file ends."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a file says of a model."""

    spec: LlmSpec
    """Its shape."""
    weight_bits: Fraction
    """Bits of one parameter as the weights are stored, on average."""
    weight_format: str
    """What that format is called."""


def is_model_path(text: object) -> bool:
    """Whether that means a file and not an entry of the catalog."""
    return isinstance(text, str) and text.lower().endswith(MODEL_SUFFIXES)


def read_model(path: Path, shown: str | None = None) -> ModelFile:
    """The model of a file, called `shown` in messages. Raises ScenarioError with one problem."""
    name = shown or str(path)
    try:
        if path.suffix.lower() == ".gguf":
            return _checked(name, *gguf_file.read(path))
        config = _json(path)
        title = path.resolve().parent.name if path.name == "config.json" else path.stem
        return _checked(
            name, {"name": title or "model", **hf_config.shape(config)}, *hf_config.weights(config)
        )
    except OSError as error:
        message = (
            "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
    except ValueError as error:
        message = " ".join(str(error).split())
    raise ScenarioError((Problem(name, None, None, "", message),))


def _checked(name: str, fields: Mapping[str, Any], bits: Fraction, format: str) -> ModelFile:
    """The file's model, told where it is from."""
    try:
        spec = LlmSpec.model_validate(
            {**fields, "source": f"read from {name}; parameters derived from shapes"}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(": ".join(part for part in (where, first["msg"]) if part)) from None
    return ModelFile(spec, bits, format)


def _json(path: Path) -> dict[str, Any]:
    """The mapping that a JSON file holds; ValueError if it holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None
    except (ValueError, RecursionError):
        raise ValueError("is not JSON that can be read") from None
    if not isinstance(found, dict):
        raise ValueError("is no model configuration: not a mapping of keys to values")
    return found
