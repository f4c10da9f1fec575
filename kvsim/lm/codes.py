"""Numbers in few bits: what a group of scalars becomes in each format, and what it is read back as.

Every encoder takes groups along the last axis and works on all of them at once. Scales and minima are
rounded to fp16, as they are stored, before the codes are chosen, except in the block formats of llama.cpp,
whose codes are chosen with the scale before it is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Coded", "affine", "fp8", "fp16", "q4_0", "q8_0", "scaled_fp8", "symmetric"]

Array = NDArray[np.float32]

FP16_MAX = np.float32(65504)
"""Largest finite fp16."""
E4M3_MAX = np.float32(448)
"""Largest finite fp8 e4m3: 1.75 x 2^8; there are no infinities."""
_E4M3_LEAST = -6
"""Exponent of the smallest normal fp8 e4m3; below it the spacing stays 2^-9."""
_E4M3_FRACTION = 3


@dataclass(frozen=True, slots=True)
class Coded:
    """Groups of scalars as they are stored. A scalar is read back as ``codes * scale + low``."""

    codes: Array
    """Whole numbers, or e4m3 values; shape [..., group]."""
    scale: Array
    """fp16 values, shape [..., 1]."""
    low: Array | None = None
    """What code 0 stands for, fp16 values, shape [..., 1]; None: 0, and nothing is stored."""

    def decoded(self) -> Array:
        """What is read back, shape [..., group]."""
        values = self.codes * self.scale
        return values if self.low is None else values + self.low


def fp16(values: Array) -> Array:
    """Rounded to the nearest fp16, ties to even; what is beyond its range becomes its largest value."""
    within: Array = np.clip(values, -FP16_MAX, FP16_MAX)
    return within.astype(np.float16).astype(np.float32)


def fp8(values: Array) -> Array:
    """Rounded to the nearest fp8 e4m3 (4 bits of exponent, 3 of fraction), ties to even, saturating at 448.

    Source: OCP 8-bit Floating Point Specification (OFP8), revision 1.0, 2023.
    """
    magnitude = np.minimum(np.abs(values), E4M3_MAX)
    exponent = np.maximum(np.frexp(magnitude)[1] - 1, _E4M3_LEAST)
    spacing = np.ldexp(np.float32(1), exponent - _E4M3_FRACTION)
    rounded: Array = np.copysign(np.rint(magnitude / spacing) * spacing, values)
    return rounded


def scaled_fp8(groups: Array) -> Coded:
    """e4m3 codes after division by a scale that takes the largest magnitude of the group to 448."""
    scale = fp16(_largest(groups) / E4M3_MAX)
    return Coded(fp8(_divided(groups, scale)), scale)


def affine(groups: Array, bits: int) -> Coded:
    """Codes 0 … 2^bits - 1 between the least and the largest value of the group (asymmetric).

    The minimum is rounded down, so that nothing lies below code 0. The error of a scalar is at most half the
    scale, as long as the scale is a normal fp16 (2^-14 or more).
    """
    most = 2**bits - 1
    low = _fp16_below(groups.min(axis=-1, keepdims=True))
    scale = fp16((groups.max(axis=-1, keepdims=True) - low) / np.float32(most))
    codes = np.rint(_divided(groups - low, scale))
    return Coded(np.clip(codes, 0, most), scale, low)


def symmetric(groups: Array, bits: int) -> Coded:
    """Codes -m … m with m = 2^(bits-1) - 1, the largest magnitude of the group being m: 0 stays 0.

    The bound of the error is that of `affine`. With 2 bits there are three values.
    """
    most = 2 ** (bits - 1) - 1
    scale = fp16(_largest(groups) / np.float32(most))
    return Coded(np.clip(np.rint(_divided(groups, scale)), -most, most), scale)


def q8_0(blocks: Array) -> Coded:
    """llama.cpp's Q8_0: codes -127 … 127, the largest magnitude becoming 127; halves go away from 0.

    Source: `quantize_row_q8_0_ref` of ggml.
    """
    scale = _largest(blocks) / np.float32(127)
    steps = blocks * _inverse(scale)
    whole = np.trunc(steps)
    away = np.abs(steps - whole) >= np.float32(0.5)
    return Coded(whole + np.copysign(away, steps).astype(np.float32), fp16(scale))


def q4_0(blocks: Array) -> Coded:
    """llama.cpp's Q4_0: codes -8 … 7; the value of largest magnitude becomes -8.

    The scale is that value / -8, so it may be negative. A value as large with the other sign is cut to 7.
    Source: `quantize_row_q4_0_ref` of ggml.
    """
    largest = np.abs(blocks).argmax(axis=-1, keepdims=True)
    scale = np.take_along_axis(blocks, largest, axis=-1) / np.float32(-8)
    codes = np.trunc(blocks * _inverse(scale) + np.float32(8.5))
    return Coded(np.minimum(codes, np.float32(15)) - np.float32(8), fp16(scale))


def _largest(groups: Array) -> Array:
    """Largest magnitude of each group."""
    magnitude: Array = np.abs(groups).max(axis=-1, keepdims=True)
    return magnitude


def _divided(groups: Array, scale: Array) -> Array:
    """Divided by the scale; 0 where that is 0."""
    quotient: Array = np.divide(groups, scale, out=np.zeros_like(groups), where=scale != 0)
    return quotient


def _inverse(scale: Array) -> Array:
    """1 / scale; 0 where the scale is stored as 0, so that any code would be read back as 0."""
    inverse: Array = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=fp16(scale) != 0)
    return inverse


def _fp16_below(values: Array) -> Array:
    """The largest fp16 that is not above; -65504 below that."""
    within = np.clip(values, -FP16_MAX, FP16_MAX)
    nearest = within.astype(np.float16)
    below = np.where(nearest > within, np.nextafter(nearest, np.float16(-FP16_MAX)), nearest)
    return below.astype(np.float32)
