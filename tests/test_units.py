"""Quantities: exact in, exact out, and nothing of another dimension."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from kvsim import units
from kvsim.units import PageCount, seconds, service_ticks

LARGEST = 2**63 - 1
PREFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15} | {
    f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("KMGTP", start=1)
}
TIMES = {"ps": 1, "ns": 10**3, "us": 10**6, "µs": 10**6, "ms": 10**9, "s": 10**12} | {
    "min": 60 * 10**12,
    "h": 3600 * 10**12,
}
KINDS: list[tuple[str, Any, Callable[[object], Any], Callable[[Any], str], str]] = [
    ("bytes", units.Bytes, units.parse_bytes, units.exact_bytes, "80 GiB"),
    ("bandwidth", units.Bandwidth, units.parse_bandwidth, units.exact_bandwidth, "200 Gbit/s"),
    ("duration", units.Duration, units.parse_duration, units.exact_duration, "3.5 us"),
    ("flops", units.FlopRate, units.parse_flops, units.exact_flops, "989 TFLOP/s"),
    ("energy", units.Energy, units.parse_energy, units.exact_energy, "1.4 pJ"),
    (
        "energy per bit",
        units.EnergyPerBit,
        units.parse_energy_per_bit,
        units.exact_energy_per_bit,
        "6 pJ/bit",
    ),
    ("capacity", units.Capacity, units.parse_capacity, units.exact_capacity, "80 GiB"),
]
SAMPLES = {kind: text for kind, *_, text in KINDS}
every_kind = pytest.mark.parametrize(("kind", "annotated", "parse", "exact", "sample"), KINDS)


class TestReading:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("80 GiB", 80 * 2**30),
            ("80GB", 80 * 10**9),
            ("  64   kB ", 64_000),
            ("1.5 MiB", 3 * 2**19),
            ("128_000 B", 128_000),
            ("1e3 MB", 10**9),
            ("4 Gbit", 500_000_000),
            (".5 kB", 500),
            ("5. kB", 5000),
            ("0.1 GB", 10**8),  # 0.1 * 10**9 is exact only in rational arithmetic
        ],
    )
    def test_sizes(self, text: str, expected: int) -> None:
        assert units.parse_bytes(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("64 GB/s", 64 * 10**9),
            ("200 Gbit/s", 25 * 10**9),
            ("200 Gbps", 25 * 10**9),
            ("52.5 GiB/s", 105 * 2**29),
            ("80_000 B/ms", 80_000_000),
            ("1 GB/us", 10**15),
        ],
    )
    def test_bandwidths(self, text: str, expected: int) -> None:
        assert units.parse_bandwidth(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("3.5 us", 3_500_000),
            ("10 ms", 10**10),
            ("2 h", 7200 * 10**12),
            ("0", 0),
            (0, 0),
            ("0 s", 0),
            ("1 ps", 1),
        ],
    )
    def test_durations_in_picoseconds(self, text: object, expected: int) -> None:
        assert units.parse_duration(text) == expected

    def test_compute_rates(self) -> None:
        assert units.parse_flops("989 TFLOP/s") == units.parse_flops("0.989 PFLOPS") == 989 * 10**12

    def test_energies_in_femtojoules(self) -> None:
        assert units.parse_energy("1.4 pJ") == units.parse_energy("0.0014 nJ") == 1400
        assert units.parse_energy_per_bit("6.0 pJ/bit") == units.parse_energy_per_bit("48 pJ/B") == 6000

    @pytest.mark.parametrize("text", ["10000 pages", "10_000 pages", " 10000pages"])
    def test_capacities_in_pages(self, text: str) -> None:
        assert units.parse_capacity(text) == PageCount(10_000)

    @given(
        digits=st.integers(1, 10**6),
        places=st.integers(0, 4),
        prefix=st.sampled_from(sorted(PREFIXES)),
        unit=st.sampled_from(["B", "bit"]),
    )
    def test_a_decimal_number_is_taken_as_written(
        self, digits: int, places: int, prefix: str, unit: str
    ) -> None:
        exact = Fraction(digits, 10**places) * PREFIXES[prefix] / (8 if unit == "bit" else 1)
        text = (
            f"{digits // 10**places}.{digits % 10**places:0{places}d} {prefix}{unit}"
            if places
            else (f"{digits} {prefix}{unit}")
        )
        if round(exact) == 0:
            with pytest.raises(ValueError, match="finest step"):
                units.parse_bytes(text)
        elif exact <= LARGEST:
            assert units.parse_bytes(text) == round(exact)
            assert exact.denominator > 1 or units.parse_bytes(text) == exact

    @given(count=st.integers(1, 10**4), unit=st.sampled_from(sorted(TIMES)))
    def test_whole_times_are_exact(self, count: int, unit: str) -> None:
        ticks = count * TIMES[unit]
        if ticks <= LARGEST:
            assert units.parse_duration(f"{count} {unit}") == ticks


class TestRefusing:
    @pytest.mark.parametrize("wrong", ["-1 GB", "0 GB", "-0.1 kB"])
    def test_sizes_that_are_not_positive(self, wrong: str) -> None:
        with pytest.raises(ValueError, match="must be greater than 0"):
            units.parse_bytes(wrong)

    def test_negative_durations(self) -> None:
        with pytest.raises(ValueError, match="must be 0 or more"):
            units.parse_duration("-1 us")

    @pytest.mark.parametrize("wrong", [5, 5.0, 1e9, "5", "1e9"])
    @every_kind
    def test_bare_numbers(
        self,
        kind: str,
        annotated: Any,
        parse: Callable[[object], Any],
        exact: Any,
        sample: str,
        wrong: object,
    ) -> None:
        with pytest.raises(ValueError, match=r"has no unit; write an? .* as a number with a unit, such as"):
            parse(wrong)

    @pytest.mark.parametrize(
        "wrong", [True, False, None, [], {}, "", "GB", "fast", "5 5 GB", "0x10 B", "1,5 GB"]
    )
    @every_kind
    def test_what_is_no_quantity(
        self,
        kind: str,
        annotated: Any,
        parse: Callable[[object], Any],
        exact: Any,
        sample: str,
        wrong: object,
    ) -> None:
        with pytest.raises(ValueError, match=r"write an? "):
            parse(wrong)

    @pytest.mark.parametrize("other", sorted(SAMPLES))
    @every_kind
    def test_other_dimensions(
        self, kind: str, annotated: Any, parse: Callable[[object], Any], exact: Any, sample: str, other: str
    ) -> None:
        if SAMPLES[other] == sample:
            assert parse(sample)
        else:
            with pytest.raises(ValueError, match=f"{SAMPLES[other]!r} is an? .*, not an? "):
                parse(SAMPLES[other])

    @pytest.mark.parametrize("unit", ["Gb", "gb", "gB", "GB/S", "b", "mB"])
    def test_units_that_readers_disagree_about(self, unit: str) -> None:
        with pytest.raises(ValueError, match="unknown unit"):
            units.parse_bytes(f"5 {unit}")

    def test_zero_and_fractional_page_counts(self) -> None:
        with pytest.raises(ValueError, match="greater than 0"):
            units.parse_capacity("0 pages")
        with pytest.raises(ValueError, match="is a number of pages, not a size"):
            units.parse_capacity("1.5 pages")

    def test_what_rounds_to_nothing(self) -> None:
        with pytest.raises(ValueError, match="smaller than half the finest step, 1 ps"):
            units.parse_duration("0.4 ps")

    def test_what_no_column_holds(self) -> None:
        assert units.parse_bytes(f"{LARGEST} B") == LARGEST
        with pytest.raises(ValueError, match="more than the largest value"):
            units.parse_bytes(f"{LARGEST + 1} B")


class TestExactText:
    @given(value=st.integers(1, LARGEST) | st.integers(1, 2000).map(lambda n: n << 30))
    @every_kind
    def test_reads_back_as_the_same_number(
        self, kind: str, annotated: Any, parse: Callable[[object], Any], exact: Any, sample: str, value: int
    ) -> None:
        assert parse(exact(value)) == value

    @given(value=st.integers(1, LARGEST))
    @every_kind
    def test_round_trips_through_the_annotated_type(
        self, kind: str, annotated: Any, parse: Callable[[object], Any], exact: Any, sample: str, value: int
    ) -> None:
        adapter = TypeAdapter[Any](annotated)
        assert adapter.validate_python(adapter.dump_python(value)) == value
        assert adapter.validate_json(adapter.dump_json(value)) == value

    @pytest.mark.parametrize(
        ("text", "exact"),
        [
            (units.exact_bytes(80 * 2**30), "80 GiB"),
            (units.exact_bytes(64_000), "64 kB"),
            (units.exact_bandwidth(105 * 2**29), "52.5 GiB/s"),
            (units.exact_duration(3_500_000), "3.5 us"),
            (units.exact_duration(0), "0 s"),
            (units.exact_flops(989 * 10**12), "989 TFLOP/s"),
            (units.exact_energy_per_bit(6000), "6 pJ/bit"),
            (units.exact_capacity(PageCount(10_000)), "10000 pages"),
        ],
    )
    def test_is_as_short_as_can_be(self, text: str, exact: str) -> None:
        assert text == exact

    def test_a_page_count_round_trips(self) -> None:
        adapter = TypeAdapter[Any](units.Capacity)
        assert adapter.validate_python(adapter.dump_python(PageCount(7))) == PageCount(7)
        assert adapter.validate_python(PageCount(7)) == PageCount(7)


class TestSchema:
    @every_kind
    def test_accepts_the_sample_and_nothing_bare(
        self, kind: str, annotated: Any, parse: Callable[[object], Any], exact: Any, sample: str
    ) -> None:
        schema = TypeAdapter[Any](annotated).json_schema()
        pattern = re.compile(schema.get("pattern") or schema["anyOf"][0]["pattern"])
        assert pattern.search(sample)
        assert not pattern.search("5")
        assert not pattern.search("5 furlongs")

    @every_kind
    def test_accepts_every_unit_that_is_read(
        self, kind: str, annotated: Any, parse: Callable[[object], Any], exact: Any, sample: str
    ) -> None:
        schema = TypeAdapter[Any](annotated).json_schema()
        pattern = re.compile(schema.get("pattern") or schema["anyOf"][0]["pattern"])
        stems = [
            f"{p}{u}"
            for p in [*PREFIXES, "E"]
            for u in ("B", "bit", "bps", "FLOP/s", "FLOPS", "flop/s", "flops")
        ]
        candidates = [
            *stems,
            *(f"{stem}/{time}" for stem in stems for time in TIMES),
            *TIMES,
            *(f"{letter}J{per}" for letter in ("", *"fpnuµmkM") for per in ("", "/bit", "/B", "/s")),
            "pages",
            "page",
        ]
        for unit in candidates:
            text = f"1000 {unit}"
            try:
                parse(text)
            except ValueError as error:
                known = "largest value" in str(error)  # the unit is right, the number too large
            else:
                known = True
            assert bool(pattern.search(text)) == known, text


class TestPydantic:
    def test_a_wrong_value_is_a_validation_error_with_our_words(self) -> None:
        with pytest.raises(ValidationError, match="'5 GB/s' is a bandwidth, not a size"):
            TypeAdapter[int](units.Bytes).validate_python("5 GB/s")


class TestTime:
    def test_a_tick_is_a_picosecond(self) -> None:
        assert units.TICKS_PER_SECOND == 10**12
        assert seconds(1_500_000_000_000) == 1.5

    @given(size=st.integers(0, 10**15), bandwidth=st.integers(1, 10**16))
    def test_service_time_is_the_smallest_whole_tick_that_suffices(self, size: int, bandwidth: int) -> None:
        ticks = service_ticks(size, bandwidth)
        assert (ticks - 1) * bandwidth < size * 10**12 <= ticks * bandwidth

    def test_service_time_of_a_known_transfer(self) -> None:
        assert service_ticks(64_000, 64 * 10**9) == 1_000_000  # 64 kB at 64 GB/s: 1 us
        assert service_ticks(1, 3 * 10**12) == 1  # a third of a picosecond, rounded up


class TestForPeople:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (units.format_bytes(80 * 2**30), "85.9 GB"),
            (units.format_bytes(17), "17 B"),
            (units.format_bytes(0), "0 B"),
            (units.format_bandwidth(25 * 10**9), "25 GB/s"),
            (units.format_duration(3_480_000), "3.48 us"),
            (units.format_duration(0), "0 s"),
            (units.format_duration(12 * 10**15), "12000 s"),
            (units.format_seconds(0.25), "250 ms"),
            (units.format_flops(989 * 10**12), "989 TFLOP/s"),
            (units.format_capacity(PageCount(3)), "3 pages"),
            (units.format_capacity(10**9), "1 GB"),
        ],
    )
    def test_three_digits_and_a_unit(self, text: str, expected: str) -> None:
        assert text == expected

    def test_rounding_up_never_leaves_an_exponent(self) -> None:
        assert units.format_bytes(999_999) == "1000 kB"
