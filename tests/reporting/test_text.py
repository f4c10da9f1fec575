from __future__ import annotations

import pytest

from kvsim.reporting.text import (
    bytes_text,
    count_text,
    duration_text,
    number_text,
    percent_text,
    significant,
    time_unit,
)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "0 s"),
        (1e-12, "1.00 ps"),
        (3.48e-6, "3.48 µs"),
        (1e-3, "1.00 ms"),
        (0.0345, "34.5 ms"),
        (12.34, "12.3 s"),
        (4321, "4,321 s"),
        (None, "n/a"),
    ],
)
def test_times_have_a_unit_that_fits(time_s: float | None, text: str) -> None:
    assert duration_text(time_s) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.50 KiB"),
        (80 << 30, "80.0 GiB"),
        (3 << 40, "3.00 TiB"),
        (None, "n/a"),
    ],
)
def test_sizes_are_in_binary_units(size: int | None, text: str) -> None:
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.382, "38.2 %"), (1e-6, "<0.1 %"), (0.99999, ">99.9 %"), (None, "n/a")],
)
def test_shares_never_round_to_all_or_nothing(share: float | None, text: str) -> None:
    assert percent_text(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00012, "1.2e-04"),
        (0.0123, "0.0123"),
        (0.1234, "0.123"),
        (9.996, "10.0"),
        (99.96, "100"),
        (-2.5, "-2.50"),
    ],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_counts_are_grouped_and_missing_figures_say_so() -> None:
    assert count_text(1234567) == "1,234,567"
    assert count_text(None) == number_text(None) == "n/a"


def test_the_unit_of_an_axis_is_the_largest_that_is_reached() -> None:
    assert [time_unit(value).name for value in (2, 0.5, 1e-6, 3e-9, 1e-12, 0)] == [
        "s",
        "ms",
        "µs",
        "ns",
        "ps",
        "ns",
    ]
    assert time_unit(1e-3).ticks == pytest.approx(1e9)
