"""A memory hierarchy and what is read from it, as plainly as it can be written down.

The oracle runs it directly; `oracle.bridge` turns it into a kvsim scenario with its workload.
Times are picoseconds, sizes bytes, bandwidths bytes per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["serial", "demand", "layered", "ideal"]


@dataclass(frozen=True)
class Tier:
    """A memory; the first of a case is nearest the compute."""

    capacity: int
    read_latency: int = 0
    write_latency: int = 0
    read_bandwidth: int | None = None
    write_bandwidth: int | None = None
    ports: int | None = None
    direct: bool = False
    stage: bool = False
    """Pages are read through tier 0 and keep their place here."""
    inclusive: bool = False
    bits: int = 8
    """Bits a scalar takes here; with 8, a page has as many bytes as scalars."""
    compress: int | None = None
    """Throughput of the codec into this tier's format, in bytes a second of the wider one."""
    decompress: int | None = None
    """Out of it."""
    codec_latency: int = 0
    """Of every transfer that leaves here and, in tier 0, of every read."""
    high: float | None = None
    low: float | None = None


@dataclass(frozen=True)
class Link:
    """Connects tier `near` with tier `far`; `near` < `far`."""

    near: int
    far: int
    bandwidth: int
    bandwidth_down: int | None = None
    latency: int = 0
    setup: int = 0
    half: bool = False
    channels: int = 1
    channel_bandwidth: int | None = None
    chunk: int | None = None
    priority: bool = False
    """A more urgent class takes over at the next chunk boundary; otherwise first come, first served."""


@dataclass(frozen=True)
class Layer:
    """Pages that are read, then computed on, then pages that come into being."""

    pages: tuple[int, ...]
    compute: int = 0
    ordered: bool = False
    created: tuple[int, ...] = ()
    absent_each: int | None = None
    """Extra compute time for each page found nowhere."""
    foreseen: bool = True
    """Whether the pages are known before the layer's turn."""


@dataclass(frozen=True)
class Step:
    """Layers one after another, not before `arrival`."""

    layers: tuple[Layer, ...]
    arrival: int | None = None


@dataclass(frozen=True)
class Case:
    """Everything a run depends on."""

    tiers: tuple[Tier, ...]
    links: tuple[Link, ...]
    scalars: tuple[int, ...]
    """Of every page that will ever exist."""
    initial: int
    """Pages 0 … n-1 exist at the start."""
    steps: tuple[Step, ...]
    mode: Mode = "demand"
    depth: int = 1
    absent: Literal["appear", "compute"] = "appear"
    fill: bool = False
    """Initial pages go to the fastest tier with room; otherwise all to the last."""
    max_in_flight: int | None = None
    wishes: tuple[tuple[tuple[int, int], ...], ...] = ()
    """After each step, pages and the tiers they are wanted in."""
    class_in_flight: tuple[int | None, ...] = (None,) * 4
    """For each class, how many transfers that were launched with it may be on their way between two tiers."""
    coalesce: int = 1
    """Neighbouring pages that may travel together at most."""

    def size(self, page: int, tier: int) -> int:
        """Bytes of the page in the tier's format, at least one."""
        return max(1, self.scalars[page] * self.tiers[tier].bits // 8)
