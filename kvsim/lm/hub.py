"""Loads causal language models of transformers, and says in one line what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from kvsim.errors import KvsimError

__all__ = ["libraries", "load_model", "load_tokenizer", "quiet", "told"]

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def libraries() -> tuple[Any, Any]:
    """The packages torch and transformers. Raises KvsimError, which says how to get them, without."""
    try:
        return import_module("torch"), import_module("transformers")
    except ImportError as error:
        raise KvsimError(
            f"models of Hugging Face need torch and transformers: pip install 'kvsim[capture]' ({error})"
        ) from None


def load_model(name: str, device: str = "cpu") -> Any:
    """The causal language model in a folder, or of that name on the hub, in the data type of its weights.

    Raises KvsimError if it cannot be had, is no such model, or lacks weights.
    """
    torch, transformers = libraries()
    _check_name(name)
    with told(name):
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            name, dtype="auto", output_loading_info=True
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise KvsimError(f"{name}: its weights lack {len(missing)} tensors, such as {missing[0]}")
    with told(f"device {device}"):
        return model.to(torch.device(device))


def load_tokenizer(name: str) -> Any:
    """The tokenizer of the model, as for `load_model`."""
    _, transformers = libraries()
    _check_name(name)
    with told(f"{name}: no tokenizer"):
        return transformers.AutoTokenizer.from_pretrained(name)


def quiet() -> None:
    """Have transformers write errors alone to standard error, for the rest of the process."""
    libraries()
    logging: Any = import_module("transformers.utils.logging")
    logging.set_verbosity_error()
    logging.disable_progress_bar()


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what the libraries raise into a KvsimError of one line, which begins with `what`."""
    libraries()
    damaged: Any = import_module("safetensors").SafetensorError
    try:
        yield
    except (OSError, ValueError, RuntimeError, AssertionError, ImportError, KeyError, damaged) as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise KvsimError(f"{what}: {said}") from None


def _check_name(name: str) -> None:
    if not Path(name).is_dir() and (Path(name).exists() or not _HUB_NAME.fullmatch(name)):
        raise KvsimError(f"{name} is neither a folder nor the name of a model on the hub")
