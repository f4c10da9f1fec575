"""What the catalog holds: LLM shapes, GPUs and storage schemes, and the lookup of their names.

The entries themselves are YAML, in `models/`; links and hierarchy presets there use the specs of
`kvsim.scenario.hierarchy`.
"""

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Self

from pydantic import Field, model_validator

from kvsim.scenario.base import Count, Name, Number, Part, Share, Spec
from kvsim.scenario.number_set import Numbers
from kvsim.units import Bandwidth, Bytes, Duration, Energy, EnergyPerBit, FlopRate

__all__ = ["FP16", "FormatSpec", "GpuSpec", "LlmSpec", "SchemeRule", "SchemeSpec"]


class LlmSpec(Spec):
    """The shape of a language model, as far as its KV cache and its compute time depend on it."""

    name: Name
    """Name of the model."""
    layers: Count
    """Number of transformer layers."""
    hidden: Count
    """Width of the residual stream, in scalars."""
    heads: Count
    """Number of query heads."""
    kv_heads: Count
    """Number of key/value heads; fewer than `heads` with grouped-query attention."""
    head_dim: Count
    """Scalars of one head."""
    parameters: Count
    """Number of parameters."""
    active_parameters: Count | None = None
    """Parameters used for one token, for mixtures of experts. Default: all."""
    mla: Count | None = None
    """Scalars kept per token and layer by multi-head latent attention, in place of keys and values.
    Default: no latent attention."""
    sliding_window: Count | None = None
    """Tokens that a layer with sliding-window attention looks back at, and so all that it has to keep. Only
    `kvsim size` counts it; a simulated decode keeps and reads the whole context. Default: no such layers."""
    sliding_layers: Numbers | None = None
    """Layers that have the window, from 0: a number, a range such as `0-3`, or a list of those; given with
    `sliding_window`. Default: none."""
    source: str = ""
    """Where the figures come from."""

    @model_validator(mode="after")
    def _window_fits_layers(self) -> Self:
        if (self.sliding_window is None) != (self.sliding_layers is None):
            given, other = ("window", "layers") if self.sliding_layers is None else ("layers", "window")
            raise ValueError(f"`sliding_{given}` needs `sliding_{other}` too")
        if self.sliding_layers is not None and self.sliding_layers.largest >= self.layers:
            there = f"0 to {self.layers - 1}" if self.layers > 1 else "only 0"
            largest = self.sliding_layers.largest
            raise ValueError(f"`sliding_layers`: there is no layer {largest}: the model has {there}")
        return self

    @property
    def kv_scalars_per_token_layer(self) -> int:
        """Scalars kept for one token in one layer: keys and values of all KV heads, or the latent."""
        return self.mla if self.mla is not None else 2 * self.kv_heads * self.head_dim

    def window_of(self, layer: int) -> int | None:
        """Tokens that the layer keeps at most; None: all."""
        slides = self.sliding_layers is not None and layer in self.sliding_layers
        return self.sliding_window if slides else None

    @property
    def active(self) -> int:
        """Parameters used for one token."""
        return self.active_parameters if self.active_parameters is not None else self.parameters


class GpuSpec(Spec):
    """What the roofline and the checks need to know of an accelerator."""

    name: Name
    """Name of the GPU."""
    memory: Bytes
    """Size of its memory."""
    bandwidth: Bandwidth
    """Bandwidth of its memory."""
    flops: FlopRate
    """Peak dense fp16 compute rate."""
    l2: Bytes
    """Size of its L2 cache."""
    host_link: Name
    """What connects it to the host, such as `pcie5-x16`."""
    power_w: Number
    """Board power, in watts."""
    idle_power_w: Number | None = None
    """Power, in watts, that the board draws whatever it does; it is spent all through a run.
    Default: unknown."""
    mac_energy: Energy | None = None
    """Energy of one fp16 multiply-accumulate, such as `1.4 pJ`; `source` says what the figure covers.
    Default: unknown."""
    read_energy: EnergyPerBit | None = None
    """Energy to read one bit of its memory, where the roofline finds the weights. Default: unknown."""
    source: str = ""
    """Where the figures come from."""


@lru_cache(maxsize=256)
def _exact(number: float) -> Fraction:
    """The decimal number a person wrote, not the nearest binary fraction."""
    return Fraction(repr(number))


class FormatSpec(Spec):
    """A storage format of a page: its size, and what it costs to convert into it and back."""

    name: Name
    """Name of the scheme, such as `fp16` or `q4_0`."""
    bits: Number = Field(le=64)
    """Bits per scalar, the overhead of blocks and scales included."""
    keep: Share = 1.0
    """Share of a page's tokens that is kept; the others are dropped for good. The page is smaller by as much.
    Default 1."""
    compress: Bandwidth | None = None
    """Codec throughput into this scheme, in bytes of the wider side. Default: it costs nothing."""
    decompress: Bandwidth | None = None
    """Codec throughput out of this scheme, in bytes of the wider side. Default: it costs nothing."""
    latency: Duration = 0
    """Fixed codec time of each read in tier 0, and of each transfer out of a tier of this scheme.
    Default 0."""
    fused: Bandwidth | None = None
    """Throughput, in bytes of fp16 (16 bits a scalar), at which attention decodes what it reads in tier 0, if
    this is its format there; that time is compute. Default: it costs nothing."""
    compute_share: Part = 0
    """Share of the GPU's compute that conversion into this scheme, or out of it, takes while it is at work:
    a separate kernel runs on the multiprocessors. Default 0."""
    source: str = ""
    """Where the figures come from."""

    @property
    def figures(self) -> tuple[object, ...]:
        """What a run can tell formats apart by."""
        codec = self.compress, self.decompress, self.latency, self.compute_share, self.fused
        return self.name, self.bits, self.keep, *codec

    @property
    def density(self) -> Fraction:
        """Bits per scalar of a whole page, dropped ones counted: what makes a format narrow."""
        return _exact(self.bits) * self.kept

    @property
    def kept(self) -> Fraction:
        """Share of a page's tokens that is kept, exactly."""
        return _exact(self.keep)

    def bytes(self, scalars: int) -> int:
        """Bytes of a page of that many scalars: rounded down, but never 0."""
        return self.bytes_of_each((scalars,))[0]

    def bytes_of_each(self, scalars: Iterable[int]) -> list[int]:
        """Bytes of each of several pages."""
        exact = self.density
        numerator, denominator = exact.numerator, 8 * exact.denominator
        return [number * numerator // denominator or 1 for number in scalars]

    def exact_bytes(self, scalars: int) -> Fraction:
        """The same without rounding, for rates and sums."""
        return scalars * self.density / 8


class SchemeRule(FormatSpec):
    """A format of its own for the pages of some layers, head groups or both."""

    layers: Numbers | None = None
    """Layers it is for, from 0: a number, a range such as `0-1`, or a list of those. Default: all."""
    head_groups: Numbers | None = None
    """Head groups it is for, from 0, written alike; with `layers` too, both must fit. Default: all."""

    @model_validator(mode="after")
    def _is_for_some(self) -> Self:
        if self.layers is None and self.head_groups is None:
            raise ValueError("a rule needs `layers`, `head_groups` or both, to say which pages it is for")
        return self

    def fits(self, layer: int, head_group: int) -> bool:
        """Whether the rule is for the pages of that layer and head group."""
        if self.layers is not None and layer not in self.layers:
            return False
        return self.head_groups is None or head_group in self.head_groups


class SchemeSpec(FormatSpec):
    """A storage format of pages, and those that deviate from it: mixed precision."""

    mixed: tuple[SchemeRule, ...] = ()
    """Formats of the pages of some layers or head groups; the first rule that fits a page decides, and the
    scheme itself where none does. Default: one format for all pages."""

    def format_of(self, layer: int, head_group: int) -> FormatSpec:
        """The format of the pages of that layer and head group."""
        return next((rule for rule in self.mixed if rule.fits(layer, head_group)), self)


FP16 = SchemeSpec(name="fp16", bits=16.0, source="IEEE 754 binary16: 2 bytes a scalar (by definition)")
"""The default scheme."""
