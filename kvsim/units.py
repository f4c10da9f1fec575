"""Quantities: integers inside, text with a unit outside.

The clock counts picoseconds (*ticks*), sizes are bytes, bandwidths bytes per second, compute rates
floating-point operations per second, and energies femtojoules, also those per bit: all plain ``int``. Files
and dumps hold text such as ``"3.5 us"``, ``"80 GiB"``, ``"64 GB/s"``, ``"200 Gbit/s"``, ``"989 TFLOP/s"`` or
``"6 pJ/bit"``. Text is read with exact rational arithmetic; what is finer than one base unit is rounded
to the nearest one (half to even), and what would round to zero is refused.

Prefixes: ``k M G T P`` are powers of 1000 (``K`` is read as ``k``), ``Ki Mi Gi Ti Pi`` powers of 1024.
``B`` is a byte and ``bit`` a bit; a lone ``b`` is refused because readers disagree about it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

__all__ = [
    "FEMTOJOULES_PER_JOULE",
    "TICKS_PER_SECOND",
    "Bandwidth",
    "Bytes",
    "Capacity",
    "Duration",
    "Energy",
    "EnergyPerBit",
    "FlopRate",
    "PageCount",
    "exact_bandwidth",
    "exact_bytes",
    "exact_capacity",
    "exact_duration",
    "exact_energy",
    "exact_energy_per_bit",
    "exact_flops",
    "format_bandwidth",
    "format_bytes",
    "format_capacity",
    "format_duration",
    "format_flops",
    "format_seconds",
    "parse_bandwidth",
    "parse_bytes",
    "parse_capacity",
    "parse_duration",
    "parse_energy",
    "parse_energy_per_bit",
    "parse_flops",
    "seconds",
    "service_ticks",
]

TICKS_PER_SECOND: Final = 10**12
FEMTOJOULES_PER_JOULE: Final = 10**15
_LARGEST: Final = 2**63 - 1  # what a column of the records holds

_DECIMAL: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_PER: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNSIGNED: Final = r"(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]{1,3})?"
_TEXT: Final = re.compile(rf"\s*([+-]?{_UNSIGNED})\s*(\S.*?)?\s*")


def seconds(ticks: int) -> float:
    """Seconds of a number of ticks, correctly rounded."""
    return ticks / TICKS_PER_SECOND


def service_ticks(size_bytes: int, bandwidth: int) -> int:
    """Ticks to move ``size_bytes`` at ``bandwidth`` bytes per second: exact, rounded up to a whole tick."""
    return -(-size_bytes * TICKS_PER_SECOND // bandwidth)


@dataclass(frozen=True, slots=True)
class PageCount:
    """A capacity given as a number of pages, ``"10000 pages"``."""

    pages: int

    def __str__(self) -> str:
        return f"{self.pages} pages"


@dataclass(frozen=True, slots=True)
class _Dimension:
    """One kind of quantity: its units by text (value in base units), the units for output, the rules."""

    noun: str
    example: str
    units: Mapping[str, Fraction]
    canonical: Mapping[str, int]
    human: tuple[tuple[int, str], ...]
    zero_allowed: bool = False

    @property
    def rule(self) -> str:
        return f"write {self.noun} as a number with a unit, such as {self.example}"

    def parse(self, value: object) -> int:
        """Base units of a text; ValueError with a line that names what is allowed."""
        if self.zero_allowed and not isinstance(value, bool) and value in (0, "0"):
            return 0
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise ValueError(f"{value!r} has no unit; {self.rule}")
        if not isinstance(value, str):
            raise ValueError(f"{_name(value)} is not {self.noun}; {self.rule}")
        match = _TEXT.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r} is not {self.noun}; {self.rule}")
        number, unit = match.groups()
        if unit is None:
            raise ValueError(f"{value!r} has no unit; {self.rule}")
        return self._whole(value, Fraction(number.replace("_", "")) * self._scale(value, unit))

    def _scale(self, value: str, unit: str) -> Fraction:
        scale = self.units.get(" ".join(unit.split()))
        if scale is not None:
            return scale
        for other in _DIMENSIONS:
            if unit in other.units:
                raise ValueError(f"{value!r} is {other.noun}, not {self.noun}; {self.rule}")
        if unit == "pages":
            raise ValueError(f"{value!r} is a number of pages, not {self.noun}; {self.rule}")
        raise ValueError(f"{value!r} has the unknown unit {unit!r}; {self.rule}")

    def _whole(self, value: str, exact: Fraction) -> int:
        if exact < 0 or (exact == 0 and not self.zero_allowed):
            bound = "0 or more" if self.zero_allowed else "greater than 0"
            raise ValueError(f"{value!r} must be {bound}")
        whole = round(exact)
        if whole == 0 and exact != 0:
            raise ValueError(f"{value!r} is smaller than half the finest step, {self.exact(1)}")
        if whole > _LARGEST:
            raise ValueError(f"{value!r} is more than the largest value, {self.show(_LARGEST)}")
        return whole

    def exact(self, value: int) -> str:
        """The shortest text that reads back as exactly ``value``."""
        texts = (f"{_decimal(value, scale)} {unit}" for unit, scale in self.canonical.items())
        return min(texts, key=len)

    def show(self, value: int) -> str:
        """Text for people: three or four significant digits."""
        for scale, unit in self.human:
            if abs(value) >= scale:
                return f"{_short(value / scale)} {unit}"
        return f"{_short(value / self.human[-1][0])} {self.human[-1][1]}"


def _name(value: object) -> str:
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return repr(value)


def _decimal(value: int, scale: int) -> str:
    """Exact decimal text of value / scale; every scale is a product of twos and fives, so it ends."""
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    digits = ""
    while rest:
        digit, rest = divmod(rest * 10, scale)
        digits += str(digit)
    return f"{whole}.{digits}"


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:.0f}"
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e" in text else text


def _byte_units(suffix: str = "", per: int = 1) -> dict[str, Fraction]:
    prefixes = {**_DECIMAL, **_BINARY, "K": 10**3}
    found = {}
    for prefix, scale in prefixes.items():
        found[f"{prefix}B{suffix}"] = Fraction(scale * per)
        found[f"{prefix}bit{suffix}"] = Fraction(scale * per, 8)
    return found


def _rate_units() -> dict[str, Fraction]:
    found = {
        unit: scale for per, times in _PER.items() for unit, scale in _byte_units(f"/{per}", times).items()
    }
    return found | {f"{prefix}bps": Fraction(scale, 8) for prefix, scale in {**_DECIMAL, "K": 10**3}.items()}


def _flop_units() -> dict[str, Fraction]:
    prefixes = {**_DECIMAL, "K": 10**3, "E": 10**18}
    return {
        f"{p}{name}": Fraction(s)
        for p, s in prefixes.items()
        for name in ("FLOP/s", "FLOPS", "flop/s", "flops")
    }


_TIMES: Final = {
    "ps": 1,
    "ns": 10**3,
    "us": 10**6,
    "ms": 10**9,
    "s": 10**12,
    "min": 60 * 10**12,
    "h": 3600 * 10**12,
}


def _human(prefixes: Mapping[str, int], unit: str) -> tuple[tuple[int, str], ...]:
    return tuple((scale, f"{prefix}{unit}") for prefix, scale in reversed(list(prefixes.items())))


_BYTES: Final = _Dimension(
    noun="a size",
    example='"80 GiB" or "64 kB"',
    units=_byte_units(),
    canonical={f"{p}B": s for p, s in {**_DECIMAL, **_BINARY}.items()},
    human=_human(_DECIMAL, "B"),
)
_BANDWIDTH: Final = _Dimension(
    noun="a bandwidth",
    example='"64 GB/s" or "200 Gbit/s"',
    units=_rate_units(),
    canonical={f"{p}B/s": s for p, s in {**_DECIMAL, **_BINARY}.items()},
    human=_human(_DECIMAL, "B/s"),
)
_DURATION: Final = _Dimension(
    noun="a duration",
    example='"3.5 us" or "10 ms"',
    units={unit: Fraction(scale) for unit, scale in {**_TIMES, "µs": 10**6, "μs": 10**6}.items()},
    canonical={unit: scale for unit, scale in _TIMES.items() if unit not in ("min", "h")},
    human=tuple((scale, unit) for unit, scale in reversed(list(_TIMES.items())) if unit not in ("min", "h")),
    zero_allowed=True,
)
_FLOPS: Final = _Dimension(
    noun="a compute rate",
    example='"989 TFLOP/s"',
    units=_flop_units(),
    canonical={f"{p}FLOP/s": s for p, s in _DECIMAL.items()},
    human=_human(_DECIMAL, "FLOP/s"),
)
_JOULES: Final = {"fJ": 1, "pJ": 10**3, "nJ": 10**6, "uJ": 10**9, "mJ": 10**12, "J": 10**15}
_JOULES_READ: Final = _JOULES | {"µJ": 10**9, "μJ": 10**9}
_ENERGY: Final = _Dimension(
    noun="an energy",
    example='"1.4 pJ"',
    units={unit: Fraction(scale) for unit, scale in _JOULES_READ.items()},
    canonical=_JOULES,
    human=tuple((scale, unit) for unit, scale in reversed(_JOULES.items())),
)
_ENERGY_PER_BIT: Final = _Dimension(
    noun="an energy per bit",
    example='"6 pJ/bit"',
    units={
        f"{unit}/{per}": Fraction(scale, bits)
        for unit, scale in _JOULES_READ.items()
        for per, bits in (("bit", 1), ("B", 8))
    },
    canonical={f"{unit}/bit": scale for unit, scale in _JOULES.items()},
    human=tuple((scale, f"{unit}/bit") for unit, scale in reversed(_JOULES.items())),
)
_DIMENSIONS: Final = (_BYTES, _BANDWIDTH, _DURATION, _FLOPS, _ENERGY, _ENERGY_PER_BIT)


def parse_bytes(text: object) -> int:
    """Bytes of a size such as ``"80 GiB"``; greater than 0. Raises ValueError."""
    return _BYTES.parse(text)


def parse_bandwidth(text: object) -> int:
    """Bytes per second of ``"64 GB/s"`` or ``"200 Gbit/s"``; greater than 0. Raises ValueError."""
    return _BANDWIDTH.parse(text)


def parse_duration(text: object) -> int:
    """Ticks of a duration such as ``"3.5 us"``; a bare 0 is fine, nothing is negative. Raises ValueError."""
    return _DURATION.parse(text)


def parse_flops(text: object) -> int:
    """Operations per second of ``"989 TFLOP/s"``; greater than 0. Raises ValueError."""
    return _FLOPS.parse(text)


def parse_energy(text: object) -> int:
    """Femtojoules of an energy such as ``"1.4 pJ"``; greater than 0. Raises ValueError."""
    return _ENERGY.parse(text)


def parse_energy_per_bit(text: object) -> int:
    """Femtojoules per bit of ``"6 pJ/bit"`` or ``"48 pJ/B"``; greater than 0. Raises ValueError."""
    return _ENERGY_PER_BIT.parse(text)


_PAGES: Final = re.compile(r"\s*([+-]?[0-9][0-9_]*)\s*pages?\s*")


def parse_capacity(text: object) -> int | PageCount:
    """Bytes of ``"80 GiB"``, or a `PageCount` of ``"10000 pages"``; greater than 0. Raises ValueError."""
    if isinstance(text, PageCount):
        return text
    match = _PAGES.fullmatch(text) if isinstance(text, str) else None
    if match is not None:
        pages = int(match[1])
        if pages <= 0:
            raise ValueError(f"{text!r} must be greater than 0")
        return PageCount(pages)
    try:
        return _BYTES.parse(text)
    except ValueError as error:
        raise ValueError(f'{error}, or "10000 pages"' if _BYTES.rule in str(error) else str(error)) from None


def exact_bytes(size_bytes: int) -> str:
    """The shortest text that `parse_bytes` reads back as exactly this size."""
    return _BYTES.exact(size_bytes)


def exact_bandwidth(bandwidth: int) -> str:
    """The shortest text that `parse_bandwidth` reads back as exactly this bandwidth."""
    return _BANDWIDTH.exact(bandwidth)


def exact_duration(ticks: int) -> str:
    """The shortest text that `parse_duration` reads back as exactly this many ticks."""
    return _DURATION.exact(ticks)


def exact_flops(flops: int) -> str:
    """The shortest text that `parse_flops` reads back as exactly this rate."""
    return _FLOPS.exact(flops)


def exact_energy(femtojoules: int) -> str:
    """The shortest text that `parse_energy` reads back as exactly this energy."""
    return _ENERGY.exact(femtojoules)


def exact_energy_per_bit(femtojoules: int) -> str:
    """The shortest text that `parse_energy_per_bit` reads back as exactly this energy per bit."""
    return _ENERGY_PER_BIT.exact(femtojoules)


def exact_capacity(capacity: int | PageCount) -> str:
    """The shortest text that `parse_capacity` reads back as exactly this capacity."""
    return str(capacity) if isinstance(capacity, PageCount) else _BYTES.exact(capacity)


def format_bytes(size_bytes: int) -> str:
    """A size for people, such as ``"85.9 GB"``."""
    return _BYTES.show(size_bytes)


def format_bandwidth(bandwidth: int) -> str:
    """A bandwidth for people, such as ``"56.4 GB/s"``."""
    return _BANDWIDTH.show(bandwidth)


def format_duration(ticks: int) -> str:
    """A number of ticks for people, such as ``"3.48 us"``."""
    return _DURATION.show(ticks) if ticks else "0 s"


def format_seconds(time_s: float) -> str:
    """A time in seconds for people, such as ``"3.48 us"``."""
    return format_duration(round(time_s * TICKS_PER_SECOND))


def format_flops(flops: int) -> str:
    """A compute rate for people, such as ``"989 TFLOP/s"``."""
    return _FLOPS.show(flops)


def format_capacity(capacity: int | PageCount) -> str:
    """A capacity for people, such as ``"85.9 GB"`` or ``"10000 pages"``."""
    return str(capacity) if isinstance(capacity, PageCount) else _BYTES.show(capacity)


def _json_schema(description: str, units: str, examples: list[str]) -> dict[str, Any]:
    pattern = rf"^\s*\+?{_UNSIGNED}\s*(?:{units})\s*$"
    return {"type": "string", "description": description, "pattern": pattern, "examples": examples}


_BYTES_PATTERN: Final = "(?:[kMGTP]|[KMGTP]i?)?(?:B|bit)"
_BYTES_SCHEMA: Final = _json_schema("Size with a unit.", _BYTES_PATTERN, ["80 GiB", "64 kB"])
_CAPACITY_SCHEMA: Final = _json_schema(
    "Size with a unit, or a number of pages.", f"{_BYTES_PATTERN}|pages?", ["80 GiB", "10000 pages"]
)
_BANDWIDTH_SCHEMA: Final = _json_schema(
    "Bandwidth with a unit.", f"{_BYTES_PATTERN}/[mun]?s|[kKMGTP]?bps", ["64 GB/s", "200 Gbit/s"]
)
_DURATION_SCHEMA: Final = {
    "anyOf": [
        _json_schema("Duration with a unit.", "[pnuµμm]?s|min|h", ["3.5 us", "10 ms"]),
        {"const": 0},
    ]
}
_FLOPS_SCHEMA: Final = _json_schema(
    "Compute rate with a unit.", "[kKMGTPE]?(?:FLOP/s|FLOPS|flop/s|flops)", ["989 TFLOP/s"]
)
_JOULES_PATTERN: Final = "[fpnuµμm]?J"
_ENERGY_SCHEMA: Final = _json_schema("Energy with a unit.", _JOULES_PATTERN, ["1.4 pJ"])
_ENERGY_PER_BIT_SCHEMA: Final = _json_schema(
    "Energy per bit with a unit.", f"{_JOULES_PATTERN}/(?:bit|B)", ["6 pJ/bit"]
)

Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    PlainSerializer(exact_bytes, return_type=str),
    WithJsonSchema(_BYTES_SCHEMA),
]
"""A size in bytes, greater than 0; text outside."""

Bandwidth = Annotated[
    int,
    BeforeValidator(parse_bandwidth),
    PlainSerializer(exact_bandwidth, return_type=str),
    WithJsonSchema(_BANDWIDTH_SCHEMA),
]
"""A bandwidth in bytes per second, greater than 0; text outside."""

Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(exact_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A duration in ticks (picoseconds), 0 or more; text outside."""

FlopRate = Annotated[
    int,
    BeforeValidator(parse_flops),
    PlainSerializer(exact_flops, return_type=str),
    WithJsonSchema(_FLOPS_SCHEMA),
]
"""A compute rate in operations per second, greater than 0; text outside."""

Energy = Annotated[
    int,
    BeforeValidator(parse_energy),
    PlainSerializer(exact_energy, return_type=str),
    WithJsonSchema(_ENERGY_SCHEMA),
]
"""An energy in femtojoules, greater than 0; text outside."""

EnergyPerBit = Annotated[
    int,
    BeforeValidator(parse_energy_per_bit),
    PlainSerializer(exact_energy_per_bit, return_type=str),
    WithJsonSchema(_ENERGY_PER_BIT_SCHEMA),
]
"""An energy per bit in femtojoules, greater than 0; text outside."""

Capacity = Annotated[
    int | PageCount,
    BeforeValidator(parse_capacity),
    PlainSerializer(exact_capacity, return_type=str),
    WithJsonSchema(_CAPACITY_SCHEMA),
]
"""A capacity in bytes or as a `PageCount`, greater than 0; text outside."""
