"""Numbers as people read them: three significant digits and a unit that fits."""

from __future__ import annotations

from dataclasses import dataclass

NOT_RECORDED = "n/a"
"""Shown for figures that need event records in a run that kept only a summary."""

WEIGHTS = "weights"
"""Name of a transfer without pages: a layer's compute streams its weights."""

_TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps"))
_ENERGY_UNITS = ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"))
_BYTE_UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_CLASS_TITLES = {
    "demand": "demand",
    "write_back": "write-back",
    "prefetch": "prefetch",
    "background": "background",
}
_CAUSE_TITLES = {
    "demand_queueing": "demand queueing",
    "demand_service": "demand service",
    "room": "waiting for room",
    "codec": "codec",
    "late_prefetch": "late prefetch",
    "copy_kernel": "copy kernel",
    "decision": "placement decision",
}


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """A unit for an axis: its name, its length in seconds and in ticks (picoseconds)."""

    name: str
    length_s: float

    @property
    def ticks(self) -> float:
        """Ticks in one unit."""
        return self.length_s * 1e12


def time_unit(longest_s: float) -> TimeUnit:
    """The largest unit in which `longest_s` is at least 1 (nanoseconds for 0)."""
    for length, name in _TIME_UNITS:
        if longest_s >= length * (1 - 1e-12):
            return TimeUnit(name, length)
    return TimeUnit("ns", 1e-9)


def duration_text(time_s: float | None) -> str:
    """A time such as `3.48 µs`; `n/a` for None."""
    if time_s is None:
        return NOT_RECORDED
    if time_s == 0:
        return "0 s"
    unit = time_unit(abs(time_s))
    return f"{significant(time_s / unit.length_s)} {unit.name}"


def bytes_text(size_bytes: int | None) -> str:
    """A size such as `1.50 MiB`; `n/a` for None."""
    if size_bytes is None:
        return NOT_RECORDED
    for size, name in _BYTE_UNITS:
        if abs(size_bytes) >= size:
            return f"{significant(size_bytes / size)} {name}"
    return f"{size_bytes} B"


def energy_text(energy_j: float | None) -> str:
    """An energy such as `3.48 mJ`; `n/a` for None."""
    if energy_j is None:
        return NOT_RECORDED
    if energy_j == 0:
        return "0 J"
    length, name = next(
        (unit for unit in _ENERGY_UNITS if energy_j >= unit[0] * (1 - 1e-12)), _ENERGY_UNITS[-1]
    )
    return f"{significant(energy_j / length)} {name}"


def percent_text(share: float | None) -> str:
    """A share such as `38.2 %`; never rounds up to 100 or down to 0; `n/a` for None."""
    if share is None:
        return NOT_RECORDED
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{share * 100:.1f} %" if 0 < share < 1 else f"{share * 100:.0f} %"


def count_text(count: int | None) -> str:
    """An integer with thousands separated by commas; `n/a` for None."""
    return NOT_RECORDED if count is None else f"{count:,}"


def number_text(value: float | None) -> str:
    """A plain number with three significant digits; `n/a` for None."""
    if value is None:
        return NOT_RECORDED
    return "0" if value == 0 else significant(value)


def significant(value: float) -> str:
    """Three significant digits without an exponent: `0.123`, `3.48`, `34.8`, `348`, `3,480`."""
    size = abs(value)
    if size and size < 0.001:
        return f"{value:.1e}"
    if size < 0.0995:
        return f"{value:.4f}"
    if size < 0.9995:
        return f"{value:.3f}"
    if size < 9.995:
        return f"{value:.2f}"
    if size < 99.95:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def class_title(name: str) -> str:
    """How a transfer class is written for people."""
    return _CLASS_TITLES.get(name, name)


def cause_title(name: str) -> str:
    """How a cause of exposed time is written for people."""
    return _CAUSE_TITLES.get(name, name)
