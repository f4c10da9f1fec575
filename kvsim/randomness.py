"""Random numbers: independent named streams, all derived from the scenario's one seed."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["stream"]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The random stream of that name under the given seed: the same numbers in every run, on every machine.

    Streams of different names (or seeds) are independent, so that a part of the simulator that draws
    more numbers, or is switched off, changes nothing elsewhere. `seed` is any integer, negative ones too.
    The key is a SHA-256 of seed and names; `hash()` would change from process to process.
    """
    path = "/".join(f"{type(name).__name__}:{len(str(name))}:{name}" for name in (seed, *names))
    digest = hashlib.sha256(path.encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
