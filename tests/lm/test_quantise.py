"""Keys and values in few bits: which scalars share a scale, which tokens stay exact, and what it takes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kvsim.lm.codes import Array, affine, fp8, fp16, q8_0
from kvsim.lm.quantise import Format, FormatName, Quantiser, quantiser


def normal(*shape: int) -> Array:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array))))


FORMATS = [
    Format("fp16"), Format("fp8"), Format("fp8", "token", 16), Format("q8_0"), Format("q4_0"),
    *(Format(f"int{bits}", axis, group, symmetric)  # type: ignore[arg-type]
      for bits in (8, 4, 3, 2) for axis in ("token", "channel") for group in (None, 7, 32)
      for symmetric in (False, True)),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_a_head_of_a_sequence_does_not_depend_on_the_others(form: Format) -> None:
    array = normal(2, 3, 40, 64)
    whole = form.quantise(array)
    assert whole.dtype == np.float32
    assert whole.shape == array.shape
    for sequence in range(2):
        for head in range(3):
            assert np.array_equal(whole[sequence, head], form.quantise(array[sequence, head]))


def test_by_token_groups_are_channels_of_one_token() -> None:
    array = normal(5, 10)
    by_hand = np.concatenate(
        [affine(array[:, start : start + 4], 2).decoded() for start in (0, 4, 8)], axis=1
    )
    assert np.array_equal(Format("int2", "token", 4).quantise(array), by_hand)


def test_by_channel_groups_are_tokens_of_one_channel() -> None:
    array = normal(10, 5)
    by_hand = np.concatenate(
        [affine(array[start : start + 4].T, 2).decoded().T for start in (0, 4, 8)], axis=0
    )
    assert np.array_equal(Format("int2", "channel", 4).quantise(array), by_hand)


@pytest.mark.parametrize(("axis", "shape"), [("token", (64, 1)), ("channel", (1, 64))])
def test_an_outlier_spoils_only_those_that_share_its_scale(axis: Any, shape: tuple[int, int]) -> None:
    """One token, or one channel, is 100 times as large: it should have scales of its own."""
    array = normal(64, 64)
    factor = np.ones(shape, dtype=np.float32)
    factor.flat[5] = 100  # the token, or the channel, that is large
    array = array * factor
    along = Format("int4", axis).quantise(array) - array
    across = Format("int4", "channel" if axis == "token" else "token").quantise(array) - array
    ordinary = np.broadcast_to(factor == 1, array.shape)
    assert rms(along[ordinary]) < rms(across[ordinary]) / 5


def test_fewer_bits_are_coarser_by_the_ratio_of_their_steps() -> None:
    # uniform values: the error is uniform too, its root mean square the range / (2^bits - 1) / sqrt(12)
    array = np.random.default_rng(1).uniform(-1, 1, size=(2000, 128)).astype(np.float32)
    for bits in (2, 3, 4, 8):
        form = Format(f"int{bits}", "token", 128)  # type: ignore[arg-type]
        expected = 2 / (2**bits - 1) / 12**0.5
        assert rms(form.quantise(array) - array) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_an_array_of_no_tokens_has_no_bits(form: Format) -> None:
    assert form.quantise(normal(0, 64)).shape == (0, 64)
    assert form.bits(0, 64) == 0


def test_bits_count_codes_scales_and_minima() -> None:
    # 10 tokens of 64 channels, 640 scalars
    assert Format("int4", "token", 32).bits(10, 64) == 640 * 4 + 20 * 32  # two groups a token
    assert Format("int4", "token", 32, symmetric=True).bits(10, 64) == 640 * 4 + 20 * 16
    assert Format("int2", "channel", 4).bits(10, 64) == 640 * 2 + 64 * 3 * 32  # groups of 4, 4 and 2 tokens
    assert Format("int8", "channel").bits(10, 64) == 640 * 8 + 64 * 32
    assert Format("fp8", "token").bits(10, 64) == 640 * 8 + 10 * 16
    assert Format("q8_0").bits(10, 64) == 10 * 2 * 34 * 8  # blocks of 34 bytes


def test_bits_a_scalar_are_those_of_the_catalog_where_it_counts_scales(root: Path) -> None:
    """Its fp16 and the blocks exactly; of the other formats it leaves the scales out, which then are on top:
    16 or 32 bits a group, nothing a scalar in the limit of long groups."""
    catalog = yaml.safe_load((root / "models" / "schemes.yaml").read_text(encoding="utf-8"))
    scalars = 1024 * 64
    for name in get_args(FormatName):
        if name == "int3":  # not in the catalog
            continue
        bits = Fraction(str(catalog[name]["bits"]))
        if not name.startswith("int"):
            assert Fraction(Format(name).bits(1024, 64), scalars) == bits
        else:
            for group in (32, 64, 128):
                form = Format(name, "channel", group)
                assert Fraction(form.bits(1024, 64), scalars) == bits + Fraction(32, group)
    assert Format("int4", "token", 32, symmetric=True).bits(1024, 64) == Format("q4_0").bits(1024, 64)


def test_kivi_takes_keys_by_channel_and_values_by_token() -> None:
    array = normal(64, 64)
    kivi = quantiser("int2", group=32)
    assert np.array_equal(kivi.quantise(array, "keys"), Format("int2", "channel", 32).quantise(array))
    assert np.array_equal(kivi.quantise(array, "values"), Format("int2", "token", 32).quantise(array))
    assert np.array_equal(quantiser("fp8").quantise(array, "keys"), fp8(array))


def test_sinks_and_the_newest_stay_in_fp16_and_groups_leave_whole() -> None:
    # 100 tokens less 4 sinks and 16 newest: 80, of which two groups of 32 are whole: tokens 4 to 67
    kivi = quantiser("int2", group=32, sinks=4, residual=16)
    assert kivi.quantised(100) == range(4, 68)
    array = normal(2, 100, 64)
    for kind in ("keys", "values"):
        found = kivi.cached(array, kind)
        exact = np.r_[0:4, 68:100]
        assert np.array_equal(found[:, exact], fp16(array)[:, exact])
        assert np.array_equal(found[:, 4:68], kivi.quantise(array[:, 4:68], kind))
    # 36 tokens of 2 x 64 scalars in fp16; 64 tokens with 2 + 32 / 32 bits a scalar
    assert kivi.bits(100, 64) == 36 * 128 * 16 + 64 * 128 * 3


@given(st.integers(0, 8), st.integers(0, 40), st.sampled_from([1, 4, 32]), st.integers(0, 150))
def test_a_longer_sequence_keeps_what_it_has_quantised(
    sinks: int, residual: int, group: int, tokens: int
) -> None:
    kivi = quantiser("int4", group, sinks, residual)
    old = kivi.quantised(tokens)
    assert len(old) % kivi.step == 0
    assert tokens - len(old) >= min(tokens, sinks + residual)
    assert len(old) == 0 or tokens - old.stop < residual + kivi.step
    if tokens:
        array = np.random.default_rng(tokens).normal(size=(tokens, 8)).astype(np.float32)
        before = kivi.quantised(tokens - 1)
        earlier = kivi.cached(array[:-1], "keys")[before.start : before.stop]
        assert np.array_equal(kivi.cached(array, "keys")[before.start : before.stop], earlier)


def test_blocks_run_along_the_channels_of_a_head() -> None:
    array = normal(3, 64)
    by_hand = np.concatenate([q8_0(array[:, :32]).decoded(), q8_0(array[:, 32:]).decoded()], axis=1)
    assert np.array_equal(Format("q8_0").quantise(array), by_hand)
    for act in (lambda: Format("q4_0").quantise(normal(3, 48)), lambda: Format("q4_0").bits(3, 48)):
        with pytest.raises(ValueError, match="multiple of 32 channels, not 48"):
            act()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("int5", "token"), "unknown format 'int5'"),
        (("int4",), "int4 needs an axis"),
        (("q8_0", "token"), "q8_0 has no axis"),
        (("int4", "token", 0), "a group is of 1 scalar or more"),
        (("fp8", None, 32), "along an axis"),
        (("fp8", "token", 32, True), "not made of whole numbers"),
    ],
)
def test_formats_that_make_no_sense_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Format(*arguments)


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more, not 0 and -1"):
        Quantiser(Format("fp8"), Format("fp8"), residual=-1)
