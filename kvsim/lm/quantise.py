"""Real quantisation of keys and values: what a cache in few bits gives back, and the bits it takes.

Arrays are [..., tokens, channels], the channels those of one head. Quantisation is deterministic, and each
group of scalars that shares a scale is coded by itself; so what a token is read back as does not depend on
tokens outside its group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import lcm
from typing import Final, Literal, get_args

import numpy as np

from kvsim.lm.codes import Array, Coded, affine, fp8, fp16, q4_0, q8_0, scaled_fp8, symmetric

__all__ = ["BLOCK", "Format", "FormatName", "Kind", "Quantiser", "quantiser"]

Kind = Literal["keys", "values"]
FormatName = Literal["fp16", "fp8", "int8", "int4", "int3", "int2", "q8_0", "q4_0"]

BLOCK: Final = 32
"""Scalars of a block of q8_0 and q4_0."""
SCALE_BITS: Final = 16
"""A scale is kept in fp16, and so is a minimum."""

_CODE_BITS: Final[dict[FormatName, int]] = {
    "fp16": 16, "fp8": 8, "int8": 8, "int4": 4, "int3": 3, "int2": 2, "q8_0": 8, "q4_0": 4,
}  # fmt: skip
_BLOCKS: Final[dict[FormatName, Callable[[Array], Coded]]] = {"q8_0": q8_0, "q4_0": q4_0}


@dataclass(frozen=True, slots=True)
class Format:
    """How keys, or values, are kept in few bits."""

    name: FormatName
    """`fp16`; `fp8`: e4m3; `int8` … `int2`: whole numbers; `q8_0`, `q4_0`: blocks of llama.cpp."""
    axis: Literal["token", "channel"] | None = None
    """What a scale belongs to. `token`: channels of one token share it. `channel`: tokens share it, each
    channel has its own. Whole numbers need it; fp8 without it is cast as it is; the blocks have scales of
    their own, by token. Default: none."""
    group: int | None = None
    """Scalars that share a scale, the last group having what is left. Default: all channels of the token, or
    all tokens given at once."""
    symmetric: bool = False
    """Whole numbers only: around 0 with a scale alone, not between a stored minimum and the maximum.
    Default: no."""

    def __post_init__(self) -> None:
        whole, scaled = self.name.startswith("int"), self.axis is not None
        if self.name not in get_args(FormatName):
            raise ValueError(f"unknown format {self.name!r} (known: {', '.join(get_args(FormatName))})")
        if whole and not scaled:
            raise ValueError(f"{self.name} needs an axis, token or channel, that its scales belong to")
        if scaled and not (whole or self.name == "fp8"):
            raise ValueError(f"{self.name} has no axis to choose")
        if self.group is not None and (not scaled or self.group < 1):
            raise ValueError(f"a group is of 1 scalar or more, along an axis, not {self.group}")
        if self.symmetric and not whole:
            raise ValueError(f"{self.name} is not made of whole numbers: `symmetric` does not apply")

    def quantise(self, array: Array) -> Array:
        """What is read back of an array [..., tokens, channels]: the same shape, float32."""
        array = np.asarray(array, dtype=np.float32)
        if self.name == "fp16":
            return fp16(array)
        if self.name == "fp8" and self.axis is None:
            return fp8(array)
        if array.size == 0:
            return array.copy()
        if self.name in _BLOCKS:
            _check_blocks(self.name, array.shape[-1])
            return _by_group(array, BLOCK, _BLOCKS[self.name])
        if self.axis == "token":
            return _by_group(array, self.group, self._coded)
        return _by_group(array.swapaxes(-1, -2), self.group, self._coded).swapaxes(-1, -2)

    def bits(self, tokens: int, channels: int) -> int:
        """Bits of an array [tokens, channels] given at once: its codes, and its scales and minima."""
        codes = tokens * channels * _CODE_BITS[self.name]
        if self.name in _BLOCKS:
            _check_blocks(self.name, channels)
            return codes + tokens * channels // BLOCK * SCALE_BITS
        if self.axis is None or not tokens:
            return codes
        lines, length = (tokens, channels) if self.axis == "token" else (channels, tokens)
        groups = lines * -(-length // (self.group or length))
        minima = self.name != "fp8" and not self.symmetric
        return codes + groups * SCALE_BITS * (2 if minima else 1)

    @property
    def step(self) -> int:
        """Tokens that are best quantised together: those that share a scale, where their number is fixed."""
        return self.group or 1 if self.axis == "channel" else 1

    def _coded(self, groups: Array) -> Coded:
        if self.name == "fp8":
            return scaled_fp8(groups)
        return (symmetric if self.symmetric else affine)(groups, _CODE_BITS[self.name])


def _check_blocks(name: str, channels: int) -> None:
    if channels % BLOCK:
        raise ValueError(f"{name} needs heads of a multiple of {BLOCK} channels, not {channels}")


def _by_group(array: Array, group: int | None, code: Callable[[Array], Coded]) -> Array:
    """Code groups along the last axis and read them back; what is left at the end is a group too."""
    length = array.shape[-1]
    size = min(group or length, length)
    whole = length - length % size
    groups = array[..., :whole].reshape(*array.shape[:-1], whole // size, size)
    read = code(groups).decoded().reshape(*array.shape[:-1], whole)
    if whole == length:
        return read
    return np.concatenate((read, code(array[..., whole:]).decoded()), axis=-1)


@dataclass(frozen=True, slots=True)
class Quantiser:
    """How a cache keeps its keys and its values, and which tokens it keeps in fp16.

    A token is quantised once, when it is no longer among the newest: those that share a scale together.
    """

    keys: Format
    """Of keys."""
    values: Format
    """Of values."""
    sinks: int = 0
    """First tokens of a sequence that stay in fp16. Default 0."""
    residual: int = 0
    """Newest tokens, at least, that are still in fp16. Default 0."""

    def __post_init__(self) -> None:
        if self.sinks < 0 or self.residual < 0:
            raise ValueError(f"sinks and residual are 0 or more, not {self.sinks} and {self.residual}")

    @property
    def step(self) -> int:
        """Tokens leave the residual window so many at a time, so that all groups are whole."""
        return lcm(self.keys.step, self.values.step)

    def of(self, kind: Kind) -> Format:
        """The format of keys or of values."""
        return self.keys if kind == "keys" else self.values

    def quantise(self, array: Array, kind: Kind) -> Array:
        """What is read back of tokens that are quantised together: [..., tokens, channels], float32."""
        return self.of(kind).quantise(array)

    def quantised(self, tokens: int) -> range:
        """The tokens of a sequence of that length that are no longer in fp16."""
        old = max(0, tokens - self.sinks - self.residual)
        return range(self.sinks, self.sinks + old - old % self.step)

    def cached(self, array: Array, kind: Kind) -> Array:
        """What a cache gives back of a whole sequence, [..., tokens, channels].

        The same as if its tokens had come one by one, unless all tokens of a channel share a scale."""
        old = self.quantised(array.shape[-2])
        found = fp16(np.asarray(array, dtype=np.float32))
        found[..., old.start : old.stop, :] = self.quantise(array[..., old.start : old.stop, :], kind)
        return found

    def bits(self, tokens: int, channels: int) -> int:
        """Bits of keys and values of one head of a sequence of that length."""
        old = len(self.quantised(tokens))
        exact = 2 * 16 * (tokens - old) * channels
        return exact + self.keys.bits(old, channels) + self.values.bits(old, channels)


def quantiser(name: FormatName, group: int = 32, sinks: int = 0, residual: int = 0) -> Quantiser:
    """Keys and values in that format; whole numbers as KIVI keeps them: keys by channel, values by token.

    Source of the latter: Z. Liu et al., "KIVI: a tuning-free asymmetric 2bit quantization for KV cache",
    ICML 2024.
    """
    if not name.startswith("int"):
        plain = Format(name)
        return Quantiser(plain, plain, sinks, residual)
    return Quantiser(Format(name, "channel", group), Format(name, "token", group), sinks, residual)
