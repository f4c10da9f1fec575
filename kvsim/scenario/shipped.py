"""The files that come with kvsim: where they lie, and what they are called.

In a checkout `models/`, `scenarios/` and `experiments/` stand beside the package; in an installed wheel they
lie in `kvsim/_data/`, of the reports those that kvsim itself reads.
"""

from functools import cache
from pathlib import Path
from typing import Literal

__all__ = ["available_experiments", "available_scenarios", "data_folder", "displayed"]

Kind = Literal["models", "scenarios", "experiments", "reports"]

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def data_folder(kind: Kind) -> Path:
    """The folder of shipped files of a kind; it may be missing if none are shipped."""
    packed = _PACKAGE / "_data" / kind
    return packed if packed.is_dir() else _PACKAGE.parent / kind


def available_scenarios() -> dict[str, Path]:
    """The shipped scenarios: names, in alphabetical order, and their files."""
    return _yaml_files("scenarios")


def available_experiments() -> dict[str, Path]:
    """The shipped experiments: names, in alphabetical order, and their files."""
    return _yaml_files("experiments")


def _yaml_files(kind: Kind) -> dict[str, Path]:
    return {path.stem: path for path in sorted(data_folder(kind).glob("*.yaml"))}


def displayed(path: Path) -> str:
    """The path as short as it can be said: relative to the current directory if it lies under it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
