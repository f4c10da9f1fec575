"""The tiny language models that come with kvsim, as a scenario sees them: where they are, and their shape."""

from functools import cache
from pathlib import Path

from kvsim.errors import ScenarioError, nearest
from kvsim.scenario.catalog import LlmSpec
from kvsim.scenario.model_file import read_model
from kvsim.scenario.shipped import data_folder

__all__ = ["TINY_FORMATS", "tiny_folder", "tiny_models", "tiny_shape"]

TINY_FORMATS = ("fp16", "fp8", "int8", "int4", "int2", "q8_0", "q4_0")
"""Storage formats, by the name of the scheme, that keys and values can really be kept in."""


def tiny_models() -> dict[str, Path]:
    """The models that come with kvsim: names, in alphabetical order, and their folders."""
    folder = data_folder("models") / "tiny-lm"
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/config.json"))}


def tiny_folder(name: str) -> Path:
    """The folder of the model of that name, or that folder itself. ValueError if there is none."""
    known = tiny_models()
    folder = known.get(name, Path(name))
    if not (folder / "config.json").is_file():
        close = nearest(name, known)
        hint = f"; did you mean {close!r}?" if close else ""
        raise ValueError(
            f"no language model {name!r}{hint} (known: {', '.join(known) or 'none'}, or a folder)"
        )
    return folder


def tiny_shape(name: str) -> LlmSpec:
    """Its shape, as that of any other model. ValueError if it cannot be had."""
    return _shape(tiny_folder(name))


@cache
def _shape(folder: Path) -> LlmSpec:
    try:
        return read_model(folder / "config.json").spec
    except ScenarioError as error:
        raise ValueError(str(error.problems[0])) from None
