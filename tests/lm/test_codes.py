"""Numbers in few bits: against the definitions of the formats and the quantisers of other projects."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kvsim.lm.codes import Array, affine, fp8, fp16, q4_0, q8_0, scaled_fp8, symmetric

GROUPS = arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.floats(-100, 100, width=32)
)
BLOCKS = arrays(np.float32, (3, 32), elements=st.floats(-1000, 1000, width=32))


def row(*values: float) -> Array:
    return np.array([values], dtype=np.float32)


def every_e4m3() -> dict[float, int]:
    """All values of 0 or more of the format, with their bit patterns.

    4 bits of exponent (bias 7) and 3 of fraction; exponent 0 holds the subnormals; all ones is NaN.
    """
    table: dict[float, int] = {}
    for exponent, fraction in product(range(16), range(8)):
        if (exponent, fraction) == (15, 7):
            continue
        value = fraction / 8 * 2.0**-6 if exponent == 0 else (1 + fraction / 8) * 2.0 ** (exponent - 7)
        table[value] = exponent * 8 + fraction
    return table


def nearest_e4m3(value: float) -> float:
    """By looking at all of them; of two equally near the one with an even pattern."""
    table = every_e4m3()
    return min(table, key=lambda candidate: (abs(candidate - value), table[candidate] % 2))


def test_fp8_leaves_each_of_its_own_values_as_it_is() -> None:
    own = np.array(sorted(every_e4m3()), dtype=np.float32)
    assert own.size == 127
    assert fp8(own).tolist() == own.tolist()
    assert fp8(-own).tolist() == (-own).tolist()


def test_fp8_takes_the_even_of_two_neighbours_halfway() -> None:
    own = sorted(every_e4m3())
    halfway = np.array([(a + b) / 2 for a, b in pairwise(own)], dtype=np.float32)
    assert fp8(halfway).tolist() == [nearest_e4m3(float(value)) for value in halfway]


@given(st.floats(-600, 600, width=32))
def test_fp8_is_the_nearest_of_its_values(value: float) -> None:
    assert float(fp8(row(value))[0, 0]) == np.copysign(nearest_e4m3(abs(value)), value)


def test_fp8_saturates() -> None:
    assert fp8(row(448, 464, 480, 1e30, -1e30)).tolist() == [[448, 448, 448, 448, -448]]


def test_fp16_saturates_and_rounds_half_to_even() -> None:
    # between 2048 and 4096 the spacing is 2: 2049 is halfway between 2048 (even) and 2050
    assert fp16(row(2049, 2051, 70000, -70000)).tolist() == [[2048, 2052, 65504, -65504]]


def test_whole_numbers_between_minimum_and_maximum() -> None:
    # 4 values from -1 to 2: the scale is 3 / 3; 0.5 lies between codes 1 and 2 (to even: 2), -0.4 is code 1
    coded = affine(row(-1, -0.4, 0.5, 2), bits=2)
    assert coded.codes.tolist() == [[0, 1, 2, 3]]
    assert coded.decoded().tolist() == [[-1, 0, 1, 2]]


def test_whole_numbers_around_zero() -> None:
    # 4 bits: 7 is the largest code, so the scale is 14 / 7; 3 is halfway between 2 and 4 (codes 1 and 2)
    coded = symmetric(row(-14, 3, 0, 1.1), bits=4)
    assert coded.codes.tolist() == [[-7, 2, 0, 1]]
    assert coded.decoded().tolist() == [[-14, 4, 0, 2]]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@given(groups=GROUPS)
def test_no_error_is_larger_than_half_a_scale(bits: int, groups: Array) -> None:
    for coded in (affine(groups, bits), symmetric(groups, bits)):
        # a scale below the normal fp16 numbers is off by up to 2^-25 a code; float32 rounds the result
        bound = np.maximum(coded.scale / 2, 2**bits * 2.0**-25) + np.abs(groups) * 2.0**-22
        assert np.all(np.abs(coded.decoded() - groups) <= bound)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@given(groups=GROUPS)
def test_codes_fit_their_bits_and_scales_fit_fp16(bits: int, groups: Array) -> None:
    asymmetric, around_zero = affine(groups, bits), symmetric(groups, bits)
    assert asymmetric.codes.min() >= 0
    assert asymmetric.codes.max() <= 2**bits - 1
    assert np.abs(around_zero.codes).max() < 2 ** (bits - 1)
    assert asymmetric.low is not None
    for stored in (asymmetric.scale, asymmetric.low, around_zero.scale):
        assert np.array_equal(stored, stored.astype(np.float16))
    for codes in (asymmetric.codes, around_zero.codes):
        assert np.array_equal(codes, np.rint(codes))


@given(st.integers(2, 8), st.integers(-3, 3), st.integers(-64, 64), st.data())
def test_values_on_the_grid_are_exact_and_stay_what_they_are(
    bits: int, exponent: int, low: int, data: st.DataObject
) -> None:
    most, scale = 2**bits - 1, 2.0**exponent
    codes = data.draw(st.lists(st.integers(0, most), min_size=1, max_size=30))
    on_grid = row(*(scale * (code + low) for code in [0, most, *codes]))
    assert np.array_equal(affine(on_grid, bits).decoded(), on_grid)
    half = 2 ** (bits - 1) - 1
    around = row(*(scale * (code % (2 * half + 1) - half) for code in [0, *codes]))
    assert np.array_equal(symmetric(around, bits).decoded(), around)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_what_was_quantised_once_stays_as_it_is(bits: int) -> None:
    values = np.random.default_rng(5).normal(size=(50, 32)).astype(np.float32)
    for code in (affine, symmetric):
        once = code(values, bits).decoded()
        # a sum of a minimum and a multiple of the scale is rounded to float32
        np.testing.assert_allclose(code(once, bits).decoded(), once, rtol=0, atol=1e-6)
    assert np.array_equal(q8_0(q8_0(values).decoded()).decoded(), q8_0(values).decoded())
    assert np.array_equal(fp8(fp8(values)), fp8(values))


@pytest.mark.parametrize("code", [q8_0, q4_0, scaled_fp8, lambda g: affine(g, 2), lambda g: symmetric(g, 2)])
def test_zeros_and_groups_too_small_for_fp16_come_back_as_zeros(code: Any) -> None:
    # 1e-30 is far below the least fp16 (6e-8), so every scale and minimum is 0; below 0 the minimum is -6e-8
    for value in (0.0, 1e-30, 1e-44):
        assert np.all(code(np.full((2, 32), value, dtype=np.float32)).decoded() == 0)


@pytest.mark.parametrize("value", [1000.3, -1000.3, 60000.0, 0.1])
def test_a_group_of_equal_values_keeps_its_value(value: float) -> None:
    # the scale spans from the minimum, rounded down to fp16, up to the value; it is rounded by 2^-11 of that,
    # and the minimum was off by at most 2^-10 of the value
    group = np.full((1, 8), value, dtype=np.float32)
    for bits in (2, 8):
        np.testing.assert_allclose(affine(group, bits).decoded(), group, rtol=2.0**-20)


def test_what_exceeds_fp16_saturates_its_scale_without_a_warning() -> None:
    huge = row(-1e9, 0, 1e9)
    for coded in (affine(huge, 4), symmetric(huge, 4), scaled_fp8(huge)):
        assert np.all(np.isfinite(coded.decoded()))
        assert np.all(np.diff(coded.decoded()) >= 0)


def test_scaled_fp8_uses_its_whole_range() -> None:
    # the scale is 7 / 448 = 2^-6; 7 becomes 448, and 1 and 0.5 are powers of two, exact in fp8
    coded = scaled_fp8(row(7, 1, -0.5, 0))
    assert coded.scale.tolist() == [[2.0**-6]]
    assert coded.decoded().tolist() == [[7, 1, -0.5, 0]]


def test_q4_0_gives_the_value_of_largest_magnitude_the_code_minus_8() -> None:
    # scale 8 / -8 = -1: so 8 has the code -8, and -8 would need the code 8, of which 7 is left
    block = np.zeros((1, 32), dtype=np.float32)
    block[0, :4] = 8, -8, 3, 0.4
    coded = q4_0(block)
    assert coded.codes[0, :4].tolist() == [-8, 7, -3, 0]
    assert coded.decoded()[0, :4].tolist() == [8, -7, 3, 0]


def test_q8_0_rounds_halves_away_from_zero() -> None:
    # largest magnitude 127, so the scale is 1
    block = np.zeros((1, 32), dtype=np.float32)
    block[0, :5] = 127, 0.5, -0.5, 2.5, 0.49999997
    assert q8_0(block).codes[0, :5].tolist() == [127, 1, -1, 3, 0]


@given(BLOCKS)
def test_blocks_are_those_of_the_gguf_package_bit_for_bit(blocks: Array) -> None:
    gguf: Any = pytest.importorskip("gguf", reason="the optional package gguf is not installed: kvsim[gguf]")
    blocks[:, 0] = 7.5  # where a scale is 0, codes mean nothing: theirs need not be 0
    for code, kind in ((q8_0, gguf.GGMLQuantizationType.Q8_0), (q4_0, gguf.GGMLQuantizationType.Q4_0)):
        theirs = gguf.quants.quantize(blocks, kind)
        ours = code(blocks)
        assert np.array_equal(theirs[:, :2].copy().view(np.float16), ours.scale)
        if code is q8_0:
            codes = theirs[:, 2:].copy().view(np.int8)
        else:  # first half of the block in the low four bits
            codes = np.concatenate((theirs[:, 2:] & 15, theirs[:, 2:] >> 4), axis=1).astype(np.int8) - 8
        assert np.array_equal(codes, ours.codes)
        assert np.array_equal(gguf.quants.dequantize(theirs, kind), ours.decoded())
