"""Named random streams: reproducible, and independent of each other."""

from __future__ import annotations

from kvsim.randomness import stream


def draws(seed: int, *names: str | int) -> list[int]:
    return [int(number) for number in stream(seed, *names).integers(0, 2**32, 8)]


def test_equal_names_and_seeds_give_equal_numbers() -> None:
    assert draws(7, "sparse", 3) == draws(7, "sparse", 3)


def test_numbers_are_the_same_on_every_machine() -> None:
    assert draws(0, "golden")[:3] == [622_343_687, 2_887_031_356, 1_524_128_778]


def test_another_seed_name_or_spelling_gives_other_numbers() -> None:
    keys = [(7,), (8,), (-7,), (7, "a"), (7, "b"), (7, "a", "b"), (7, "ab"), (7, "a/b"), (7, 1), (7, "1")]
    assert len({tuple(draws(*key)) for key in keys}) == len(keys)  # type: ignore[arg-type]
