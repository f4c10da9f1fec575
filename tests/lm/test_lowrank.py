"""Low-rank keys and values: the theorem of Eckart and Young, and the numbers that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from kvsim.lm.codes import Array, fp16
from kvsim.lm.lowrank import CalibratedRank, PagedRank, principal_directions


def normal(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def of_rank(rank: int, *shape: int) -> Array:
    return normal(*shape[:-1], rank) @ normal(rank, shape[-1], seed=4)


def squares(array: Array) -> float:
    return float(np.square(array, dtype=np.float64).sum())


@pytest.mark.parametrize("rank", [1, 3, 8, 16])
def test_calibrated_directions_leave_the_smallest_singular_values(rank: int) -> None:
    samples = normal(2, 200, 16) * np.geomspace(4, 0.1, 16, dtype=np.float32)
    basis = principal_directions(samples, rank)
    read = CalibratedRank(basis, basis).project(samples, "keys")
    for head in range(2):
        sizes = np.linalg.svd(samples[head].astype(np.float64), compute_uv=False)
        # what is kept is rounded to fp16: 2^-11 of each number, so about 2^-22 of the squares, twice
        slack = 4 * 2.0**-22 * float(np.square(sizes).sum())
        left = float(np.square(sizes[rank:]).sum())
        assert squares(read[head] - samples[head]) == pytest.approx(left, rel=1e-3, abs=slack)


def test_directions_are_orthonormal() -> None:
    basis = principal_directions(normal(3, 50, 8), 5)
    assert basis.shape == (3, 8, 5)
    np.testing.assert_allclose(
        basis.swapaxes(-1, -2) @ basis, np.broadcast_to(np.eye(5), (3, 5, 5)), atol=2e-3
    )


def test_keys_and_values_have_directions_and_ranks_of_their_own() -> None:
    keys, values = of_rank(2, 1, 60, 8), of_rank(3, 1, 60, 8)
    both = CalibratedRank(principal_directions(keys, 2), principal_directions(values, 3))
    np.testing.assert_allclose(both.project(keys, "keys"), keys, atol=0.02)
    np.testing.assert_allclose(both.project(values, "values"), values, atol=0.02)
    assert squares(both.project(values, "keys") - values) > squares(values) / 10
    assert both.bits(60) == 60 * (2 + 3) * 16
    assert both.basis_bits == 8 * (2 + 3) * 16


def test_a_calibrated_token_does_not_depend_on_the_others() -> None:
    tokens = normal(4, 2, 30, 8)  # 4 sequences of 2 heads
    basis = principal_directions(normal(2, 100, 8), 4)
    codec = CalibratedRank(basis, basis)
    whole = codec.project(tokens, "values")
    for chunk in (slice(0, 1), slice(1, 17), slice(17, 30)):
        np.testing.assert_allclose(
            codec.project(tokens[:, :, chunk], "values"), whole[:, :, chunk], atol=1e-6
        )


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_a_page_leaves_its_own_smallest_singular_values(rank: int) -> None:
    array = normal(2, 64, 16)
    read = PagedRank(rank, page_tokens=32).project(array, "keys")
    for head in range(2):
        for page in (slice(0, 32), slice(32, 64)):
            sizes = np.linalg.svd(array[head, page].astype(np.float64), compute_uv=False)
            error = squares(read[head, page] - array[head, page])
            assert error == pytest.approx(float(np.square(sizes[rank:]).sum()), rel=1e-3)


def test_pages_of_low_rank_come_back_though_each_has_other_directions() -> None:
    pages = [normal(16, 2, seed=seed) @ normal(2, 12, seed=seed + 50) for seed in range(3)]
    array = np.concatenate(pages)
    np.testing.assert_allclose(PagedRank(2, 16).project(array, "values"), array, atol=0.02)


def test_an_unfinished_page_stays_in_fp16() -> None:
    array = normal(40, 16)
    read = PagedRank(2, page_tokens=16).project(array, "keys")
    assert np.array_equal(read[32:], fp16(array[32:]))
    assert not np.array_equal(read[:32], fp16(array[:32]))


def test_pages_take_their_factors_unless_those_are_no_smaller() -> None:
    # two pages of 2 x (16 + 16) numbers, and 8 tokens of 16
    assert PagedRank(2, 16).bits(40, 16) == (2 * 2 * 32 + 8 * 16) * 16
    # 8 x (16 + 16) = 16 x 16: nothing is saved, so nothing is lost
    assert PagedRank(8, 16).bits(40, 16) == 40 * 16 * 16
    array = normal(40, 16)
    assert np.array_equal(PagedRank(8, 16).project(array, "keys"), fp16(array))


def test_ranks_that_make_no_sense_are_refused() -> None:
    for rank in (0, 9):
        with pytest.raises(ValueError, match="from 1 to the number of channels, 8"):
            principal_directions(normal(1, 50, 8), rank)
    with pytest.raises(ValueError, match="1 or more, not 0 and 16"):
        PagedRank(0, 16)
