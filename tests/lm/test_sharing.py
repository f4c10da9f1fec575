"""Cross-layer sharing: which layers keep keys and values."""

from __future__ import annotations

from fractions import Fraction

import pytest

from kvsim.lm.sharing import Sharing, in_groups


def test_neighbours_use_the_first_of_their_group() -> None:
    assert in_groups(5, 2).owners == (0, 0, 2, 2, 4)
    assert in_groups(6, 3, first=2).owners == (0, 1, 2, 2, 2, 5)
    assert in_groups(4, 1).owners == (0, 1, 2, 3)
    assert in_groups(3, 2, first=9).owners == (0, 1, 2)


def test_only_those_that_keep_take_room() -> None:
    shared = Sharing((0, 0, 2, 2, 0))
    assert shared.keepers == (0, 2)
    assert shared.kept == Fraction(2, 5)
    assert shared.bytes([10, 20, 30, 40, 50]) == 40
    with pytest.raises(ValueError, match="there are 5 layers, not 2"):
        shared.bytes([10, 20])


@pytest.mark.parametrize("owners", [(1, 1), (0, 0, 1), (0, -1)])
def test_a_layer_uses_an_earlier_one_that_keeps_its_own(owners: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="only its own, or those of an earlier layer"):
        Sharing(owners)
