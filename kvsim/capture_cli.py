"""The command `kvsim capture`: thin, like the rest of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kvsim.errors import KvsimError

if TYPE_CHECKING:
    from kvsim.workloads.page_trace import PageRow

__all__ = ["capture_command"]


def capture_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Folder of a Hugging Face causal language model, or its name on the hub."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Page trace to write, such as x.csv.gz.")],
    prompt: Annotated[Path | None, typer.Option(metavar="FILE", help="Read the prompt from a file.")] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="The prompt itself.")] = None,
    tokens: Annotated[
        int, typer.Option(min=0, help="Likeliest tokens to go on with after the prompt, each a step.")
    ] = 64,
    page_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a page.")] = 16,
    chunk: Annotated[int, typer.Option(min=1, help="Tokens of the prompt fed at a time, each a step.")] = 512,
    head_groups: Annotated[
        str,
        typer.Option(
            metavar="N|kv", help="Groups of a layer's heads with pages of their own; kv: each KV head."
        ),
    ] = "kv",
    device: Annotated[str, typer.Option(help="Where to run the model, such as cuda.")] = "cpu",
) -> None:
    """Write down what a language model attends to, page by page, for policies to be tried on.

    Needs the extra `capture`: pip install 'kvsim[capture]'.
    """
    from kvsim.lm.capture import capture
    from kvsim.lm.hub import load_model, load_tokenizer, quiet, told
    from kvsim.workloads.page_trace import write_pages

    groups = _groups(head_groups)
    asked = _prompt(prompt, text)

    def rows() -> Iterator[PageRow]:
        """Nothing is loaded before the file can be written."""
        quiet()
        tokenizer = load_tokenizer(model)
        loaded = load_model(model, device)
        with told(model):
            ids = [int(token) for token in tokenizer(asked)["input_ids"]]
            yield from capture(
                loaded, ids, tokens=tokens, page_tokens=page_tokens, chunk=chunk, head_groups=groups
            )

    count = write_pages(out, rows())
    typer.echo(f"wrote {out}: {count} rows", err=True)


def _groups(given: str) -> int | None:
    """The number of head groups; None for one of each KV head."""
    if given == "kv":
        return None
    if not given.isdecimal() or int(given) < 1:
        raise KvsimError(f"--head-groups must be kv or a number from 1, not {given!r}")
    return int(given)


def _prompt(file: Path | None, text: str | None) -> str:
    if (file is None) == (text is None):
        raise KvsimError("give the prompt as --prompt FILE or as --text TEXT")
    if file is None:
        return text or ""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise KvsimError(f"{file} is not UTF-8: {error.reason}") from None
    except OSError as error:
        raise KvsimError(f"{file} cannot be read: {error.strerror}") from None
