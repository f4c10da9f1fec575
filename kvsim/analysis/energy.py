"""The energy of a run: what was moved and computed, times the figures of the scenario.

Every component is an amount of work (bits or multiply-accumulates, or time) times its figure, in exact
arithmetic, so the components sum to the whole; only what is reported is rounded. A component with work but
without a figure is named as missing: the whole is then that of the others, and a lower bound.

- `weights`: the active weights (2 bytes each) in the memory they are read from, once for each step of a
  batch: the GPU's, or the tier of `execution.weights`; then `weights_link.LINK`, on their way to the compute.
- `kv.TIER`: pages. In tier 0 what compute reads, what moves take away and bring, and new pages; below it what
  moves and reads in place take away and bring. An unfinished page is in no tier, and not counted.
- `link.LINK`: pages, in both directions.
- `codec`: named as missing where a codec was at work, since there is no figure for it.
- `macs`: the multiply-accumulates of the roofline.
- `idle`: the GPU's idle power, all through the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from kvsim.analysis.work import Work, work_of
from kvsim.scenario.compute import streamed_layer_bytes
from kvsim.scenario.geometry import tier_formats
from kvsim.scenario.routes import links_between
from kvsim.scenario.scenario import Scenario
from kvsim.sim.result import RunResult
from kvsim.units import FEMTOJOULES_PER_JOULE, TICKS_PER_SECOND

__all__ = ["Energy", "EnergySummary", "energy_of"]

Charge = tuple[int, int | None, str]
"""An amount of work, the femtojoules of one unit of it, and the field that would hold them."""


@dataclass(frozen=True, slots=True)
class EnergySummary:
    """Energy in joules. Where anything is missing, sums are lower bounds."""

    energy_j: Mapping[str, float]
    """By component, and `total`."""
    shares: Mapping[str, float]
    """Of the total, by component."""
    energy_per_token_j: float | None
    """Per token generated; None where the workload generates none that is known of."""
    energy_per_step_j: float | None
    missing: Mapping[str, str]
    """Components that are not known, and why."""


@dataclass(frozen=True)
class Energy:
    """The same, exactly: femtojoules."""

    parts: Mapping[str, Fraction]
    missing: Mapping[str, str]
    tokens: int | None
    steps: int

    @cached_property
    def total(self) -> Fraction:
        """Of all known components."""
        return sum(self.parts.values(), Fraction(0))

    def summary(self) -> EnergySummary:
        """Rounded, once for each figure."""
        joules = {name: _joules(part) for name, part in self.parts.items()}
        return EnergySummary(
            energy_j=joules | {"total": _joules(self.total)},
            shares={name: float(part / self.total) if part else 0.0 for name, part in self.parts.items()},
            energy_per_token_j=_joules(self.total / self.tokens) if self.tokens else None,
            energy_per_step_j=_joules(self.total / self.steps) if self.steps else None,
            missing=self.missing,
        )


def energy_of(result: RunResult) -> Energy | None:
    """The energy of a run; None if its scenario has no figure for any of it."""
    if not _has_figures(result.scenario):
        return None
    work = work_of(result)
    parts: dict[str, Fraction] = {}
    missing: dict[str, str] = {}
    for name, charges in _charges(result, work):
        unknown = [field for amount, figure, field in charges if amount and figure is None]
        if unknown:
            missing[name] = f"no {' and '.join(unknown)}"
        else:
            parts[name] = Fraction(sum(amount * (figure or 0) for amount, figure, _ in charges))
    if isinstance(work, str):
        missing |= {"weights": work, "macs": work}
    missing |= _unknown_work(result)
    power = None if result.scenario.gpu is None else result.scenario.gpu.idle_power_w
    if power is None:
        missing["idle"] = "no gpu.idle_power_w"
    else:
        # A watt for a tick is a picojoule, 1000 femtojoules.
        parts["idle"] = (
            Fraction(repr(power)) * result.makespan_ticks * FEMTOJOULES_PER_JOULE / TICKS_PER_SECOND
        )
    tokens = None if isinstance(work, str) else work.tokens
    return Energy({k: v for k, v in parts.items() if k not in missing}, missing, tokens, result.steps)


def _has_figures(scenario: Scenario) -> bool:
    hierarchy, gpu = scenario.hierarchy, scenario.gpu
    figures: list[object] = [link.energy for link in hierarchy.links]
    for tier in hierarchy.tiers:
        figures += [tier.read_energy, tier.write_energy]
    if gpu is not None:
        figures += [gpu.idle_power_w, gpu.mac_energy, gpu.read_energy]
    return any(figure is not None for figure in figures)


def _charges(result: RunResult, work: Work | str) -> Iterator[tuple[str, list[Charge]]]:
    """Components and what they are made of, in the order of the report."""
    if not isinstance(work, str):
        yield from _weights(result.scenario, work)
    for number, (tier, spec) in enumerate(zip(result.tiers, result.scenario.hierarchy.tiers, strict=True)):
        read, written = tier.read_bytes, tier.written_bytes
        if number == 0:
            read += result.attended_bytes or 0
            written = tier.arrived_bytes
        fields = (f"{spec.name}.read_energy", f"{spec.name}.write_energy")
        charges = [(8 * read, spec.read_energy, fields[0]), (8 * written, spec.write_energy, fields[1])]
        yield f"kv.{spec.name}", charges
    for link in result.scenario.hierarchy.links:
        lanes = [lane for lane in result.lanes if lane.kind == "link" and lane.link == link.name]
        size = sum(lane.bytes_out - lane.weights_bytes for lane in lanes)
        yield f"link.{link.name}", [(8 * size, link.energy, f"{link.name}.energy")]
    if not isinstance(work, str):
        gpu = result.scenario.gpu
        yield "macs", [(work.macs, None if gpu is None else gpu.mac_energy, "gpu.mac_energy")]


def _weights(scenario: Scenario, work: Work) -> Iterator[tuple[str, list[Charge]]]:
    assert scenario.model is not None
    hierarchy, gpu, home = scenario.hierarchy, scenario.gpu, scenario.execution.weights
    if home is None:
        figure = None if gpu is None else gpu.read_energy
        yield "weights", [(8 * 2 * scenario.model.active * work.passes, figure, "gpu.read_energy")]
        return
    bits = 8 * work.passes * scenario.model.layers * streamed_layer_bytes(scenario.model)
    tier = hierarchy.tier_index(home)
    yield "weights", [(bits, hierarchy.tiers[tier].read_energy, f"{home}.read_energy")]
    for link in links_between(hierarchy, tier, 0):
        yield f"weights_link.{link.name}", [(bits, link.energy, f"{link.name}.energy")]


def _unknown_work(result: RunResult) -> Iterator[tuple[str, str]]:
    """Components of which it is not known how much there was of them, or what they cost."""
    scenario = result.scenario
    if result.attended_bytes is None:
        name = scenario.hierarchy.tiers[0].name
        yield f"kv.{name}", f"no {name}.read_energy"
    codecs = any(lane.kind == "codec" and lane.transfers for lane in result.lanes)
    if codecs or any(format.fused is not None for format in tier_formats(scenario, 0)):
        yield "codec", "no figure for codecs"
    if scenario.execution.overlap == "ideal" and any(tier.read_bytes for tier in result.tiers):
        yield "links", "in `ideal` nothing crosses them"


def _joules(femtojoules: Fraction) -> float:
    return float(femtojoules / FEMTOJOULES_PER_JOULE)
