"""Telling apart what moves pages and what compute streams for itself: weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.intervals import exact_sum
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult

__all__ = ["page_rows", "waited_for_weights"]


def page_rows(result: RunResult) -> NDArray[np.bool_] | slice:
    """Which rows of the `hops` table are services of pages."""
    if not result.weights_bytes:
        return slice(None)
    return ~np.isin(result.records.hops.column("transfer"), _streams(result))


def waited_for_weights(result: RunResult) -> int:
    """Ticks that steps waited for weights after compute was done, or because kernels read them."""
    if not result.weights_bytes:
        return 0
    stalls = result.records.stalls
    mine = np.isin(stalls.column("transfer"), _streams(result))
    mine |= stalls.column("cause") == Cause.COPY_KERNEL  # by whose copies is not recorded
    return exact_sum((stalls.column("end") - stalls.column("start"))[mine])


def _streams(result: RunResult) -> NDArray[np.int64]:
    transfers = result.records.transfers
    numbers: NDArray[np.int64] = transfers.column("transfer")[transfers.column("pages") == 0]
    return numbers
