"""The text the tiny language models are trained on: what ships with Python itself.

Documents are the help topics of `pydoc_data.topics` and the docstrings of each module of the standard library
(module, classes and functions, in the order of the source), tests and bundled tools left out. Every
twentieth, chosen by a hash of its name, is held out. The text is that of the Python that runs this; the
held-out part as it was when the shipped models were trained lies beside their weights; `python data.py FILE`
writes it.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import pydoc_data.topics
import sys
import sysconfig
from pathlib import Path

SKIPPED = ("test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__")
HELD_OUT_ONE_IN = 20


def documents() -> dict[str, str]:
    """Every document by its name."""
    found = {f"topics/{name}": text for name, text in sorted(pydoc_data.topics.topics.items())}
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts):
        parts = path.relative_to(root).parts
        if not any(part in SKIPPED or part.startswith("config-") for part in parts):
            text = "\n\n".join(docstrings(path.read_bytes()))
            if text:
                found["stdlib/" + "/".join(parts)] = text
    return found


def docstrings(source: bytes) -> list[str]:
    """The docstrings in a source file, in its order."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = sorted((node for node in ast.walk(tree) if isinstance(node, kinds)), key=_line)
    return [text for node in nodes if (text := ast.get_docstring(node))]


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def corpus() -> tuple[bytes, bytes]:
    """The text to train on and the text held out, each in one piece."""
    parts: tuple[list[str], list[str]] = ([], [])
    for name, text in documents().items():
        digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        parts[digest % HELD_OUT_ONE_IN == 0].append(text.strip("\n") + "\n\n")
    training, held_out = ("".join(part).encode("utf-8", "replace") for part in parts)
    return training, held_out


def write_held_out(path: Path, text: bytes) -> None:
    """The held-out text, compressed; the same bytes each time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(text)
    path.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    write_held_out(Path(sys.argv[1]), corpus()[1])
