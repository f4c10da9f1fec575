"""kvsim: which part of a KV-cache transfer does the user wait for, why, and what would remove it?

`load` reads and checks a scenario, `run` simulates one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kvsim.api import Run, ServingRun, load, run

__all__ = ["Run", "ServingRun", "__version__", "load", "run"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the API on first use: every floor of the package imports this module, and `--help` is quick."""
    if name in {"Run", "ServingRun", "load", "run"}:
        from kvsim import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
