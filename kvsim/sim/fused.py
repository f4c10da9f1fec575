"""Fused decompression: pages stay narrow in tier 0, and attention decodes them as it reads."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np

from kvsim.scenario.catalog import FormatSpec
from kvsim.sim.kinds import Kinds
from kvsim.units import TICKS_PER_SECOND
from kvsim.workloads.base import Pages


class FusedDecoding:
    """Compute time that a layer spends on decoding what it reads, by the formats its pages have in tier 0.

    The throughput is in bytes of fp16, so the time of a page goes by the scalars it keeps, not by its bytes.
    """

    def __init__(self, kinds: Kinds, scalars: int | Pages) -> None:
        self._of_page = kinds.of_page
        self._ticks_per_scalar = [_ticks_per_scalar(formats[0]) for formats in kinds.formats]
        self._scalars = scalars

    def ticks(self, pages: Pages) -> int:
        """Of a layer that reads these pages: summed exactly, rounded up once."""
        scalars = self._scalars
        each = np.full(len(pages), scalars) if isinstance(scalars, int) else scalars[pages]
        if self._of_page is None:
            return ceil(int(each.sum()) * self._ticks_per_scalar[0])
        kind_of = self._of_page[pages]
        total = Fraction(0)
        for kind, ticks in enumerate(self._ticks_per_scalar):
            if ticks:
                total += int(each[kind_of == kind].sum()) * ticks
        return ceil(total)


def fused_decoding(kinds: Kinds, scalars: int | Pages) -> FusedDecoding | None:
    """None if no format that pages have in tier 0 costs anything to decode there."""
    if all(formats[0].fused is None for formats in kinds.formats):
        return None
    return FusedDecoding(kinds, scalars)


def _ticks_per_scalar(format: FormatSpec) -> Fraction:
    if format.fused is None:
        return Fraction(0)
    return format.kept * 2 * TICKS_PER_SECOND / format.fused
