"""The command `kvsim size`: thin, like the rest of the command line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvsim.errors import KvsimError

if TYPE_CHECKING:
    from kvsim.scenario.model_file import ModelFile

__all__ = ["size_command"]


def size_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Name of a model in the catalog, or the path of its config.json or GGUF file.",
        ),
    ],
    context: Annotated[int | None, typer.Option(min=1, help="Tokens of each sequence.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Number of sequences.")] = 1,
    scheme: Annotated[str, typer.Option(metavar="NAME", help="Storage format of the KV cache.")] = "fp16",
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory to fit into, such as 80GB.")
    ] = None,
    gpu: Annotated[str | None, typer.Option(metavar="NAME", help="GPU whose memory to fit into.")] = None,
    all_heads: Annotated[
        bool, typer.Option("--all-heads", help="Also as if every query head had keys and values of its own.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, sizes in bytes.")] = False,
) -> None:
    """Say how much memory a model's weights and KV cache take, and what context or batch fits."""
    from rich.console import Console

    from kvsim.analysis.memory_size import memory_size
    from kvsim.reporting.memory_size import print_size, size_data
    from kvsim.scenario.catalog import SchemeSpec
    from kvsim.scenario.references import entry

    read = _model_of(model)
    size = memory_size(
        read.spec,
        SchemeSpec.model_validate(entry("schemes", scheme)),
        weight_bits=read.weight_bits,
        weight_format=read.weight_format,
        context_tokens=context,
        batch=batch,
        memory_bytes=_memory_of(memory, gpu),
    )
    if as_json:
        typer.echo(json.dumps(size_data(size, all_heads), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_size(Console(highlight=False), size, all_heads)


def _model_of(name: str) -> ModelFile:
    """The model of a file, or that of the catalog in fp16."""
    from kvsim.scenario.catalog import LlmSpec
    from kvsim.scenario.model_file import ModelFile, is_model_path, read_model
    from kvsim.scenario.references import entry

    if is_model_path(name):
        return read_model(Path(name).expanduser(), name)
    return ModelFile(LlmSpec.model_validate(entry("llms", name)), Fraction(16), "fp16")


def _memory_of(memory: str | None, gpu: str | None) -> int | None:
    from kvsim.scenario.catalog import GpuSpec
    from kvsim.scenario.references import entry
    from kvsim.units import parse_bytes

    if memory is not None and gpu is not None:
        raise KvsimError("give --memory or --gpu, not both")
    if gpu is not None:
        return GpuSpec.model_validate(entry("gpus", gpu)).memory
    if memory is None:
        return None
    try:
        return parse_bytes(memory)
    except ValueError as error:
        raise KvsimError(f"--memory: {error}") from None
