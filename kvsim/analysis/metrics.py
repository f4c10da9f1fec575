"""What a run means in numbers: `summarise` turns records and counters into one frozen `Summary`.

All sums are integer ticks and bytes; seconds and ratios are made last, by one exact division each, so a
summary is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from kvsim.analysis.attribution import NO_CLASS, Outstanding, exposure, outstanding
from kvsim.analysis.cost import tokens_per_second
from kvsim.analysis.energy import EnergySummary, energy_of
from kvsim.analysis.frames import CAUSE_NAMES, CLASS_NAMES
from kvsim.analysis.intervals import Ticks, exact_sum, merge, overlap_ticks
from kvsim.analysis.prefetches import late_saved_ticks, prefetches, stolen_ticks
from kvsim.analysis.queueing import littles_law
from kvsim.analysis.run_bounds import BoundsSummary, run_bounds
from kvsim.analysis.streams import page_rows
from kvsim.scenario.geometry import decoded_sequences, prompt_steps
from kvsim.scenario.scenario import Scenario
from kvsim.sim.records import TransferClass
from kvsim.sim.result import LaneInfo, RunResult
from kvsim.units import TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class LaneSummary:
    """One lane: a direction of a link, or a tier's ports or codec. None: needs event records."""

    link: str
    direction: str
    kind: str
    transfers: int
    bytes: int
    bytes_by_class: Mapping[str, int]
    busy_s: float
    """Channel-seconds of service."""
    utilisation: float
    """Busy time over makespan and channels, at most 1 (write-backs may outlast the last step)."""
    mean_queue_s: float
    """Mean time from reaching the lane to being served."""
    mean_sojourn_s: float | None
    """Mean time from reaching the lane to leaving it (Little's W)."""
    mean_in_system: float | None
    """Time average of the transfers waiting or in service (Little's L)."""
    arrival_rate_per_s: float | None
    """Transfers per second (Little's lambda)."""
    hidden_s: float | None
    """Time with at least one transfer in service that overlaps compute."""
    exposed_s: float | None
    """Time steps waited for transfers on this lane."""
    exposed_by_cause_s: Mapping[str, float] | None
    outstanding_s: Mapping[str, float] | None
    """Time with at least one transfer queued or in service, in `total` and as its parts: `hidden` under
    compute, `waiting` while the step waited for this lane or another, `between` steps or after the last."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one run, JSON-ready through `to_dict`. None: needs `execution.records: all`."""

    scenario: str
    records: str
    accesses: int
    """Page reads."""
    steps: int
    makespan_s: float
    compute_s: float
    exposed_s: Mapping[str, float]
    """Time steps waited, by cause, and `total`."""
    exposed_by_class_s: Mapping[str, float] | None
    """The same time by the class with which the transfer that ended the wait was issued; `none` where a new
    page waited for room, copies by a kernel slowed compute, or the placement policy decided."""
    hidden_s: float | None
    """Sum over lanes of the service time that overlaps compute."""
    overlap_efficiency: float | None
    """hidden / (hidden + exposed); 1 when both are 0, for then no wait is left to remove."""
    bounds: BoundsSummary | None
    """The makespan against what it would be without overlap and with perfect overlap."""
    idle_s: float
    """Time between steps, waiting for the next arrival."""
    step_latency_s: Mapping[str, float]
    """End minus start: mean, p50, p95, p99, max. Percentiles are observed values (nearest rank). Steps
    that read the prompt of a language model do not count."""
    step_response_s: Mapping[str, float]
    """End minus arrival: the latency plus the wait for earlier steps; of the same steps."""
    tokens_per_s: float | None
    """Tokens decoded in a second of the same steps, of all sequences together; None where steps give none."""
    hit_rate: float
    """Reads that found their page in tier 0 over reads; 0 without reads."""
    tier_hit_rate: Mapping[str, float]
    """Reads that found their page in the tier over all reads."""
    hit_mass: float | None
    """Share of the attention mass that fell on pages found in tier 0; None where none is known."""
    absent_rate: float
    """Reads whose page was in no tier over all reads."""
    lost_reads: int
    """Reads that were skipped, because their page had been discarded for good; see `policy.lossy`."""
    reads_by_format: Mapping[str, int] | None
    """The other reads by the least faithful format that their page has ever been in; None where all formats
    are equally faithful."""
    kept_share: float
    """Mean share of a page's tokens that its reads found, nothing for lost pages; 1 without reads."""
    bytes_by_link: Mapping[str, Mapping[str, int]]
    """Link, then class or `total`: bytes over the link in both directions."""
    bytes_by_class: Mapping[str, int]
    """Bytes over links by class, and `total`; a route of two links counts twice."""
    weights_bytes: int
    """Bytes of weights that layers streamed while they computed. 0 without `execution.weights`; else the
    bytes of links count them as `weights`, a class of their own."""
    links: Mapping[str, LaneSummary]
    """By lane name."""
    prefetch: Mapping[str, int | float | None]
    """issued = timely + late + wasted; dropped were never issued, nor were cancelled, which waited in vain;
    polluted: misses on pages that a guess had pushed out of tier 0. `late_saved_s`: by how much longer steps
    would have waited for late ones, had they started when they were needed. `stolen_s`: time demand queued on
    a lane while a prefetch was served there, summed over transfers."""
    migrations: Mapping[str, int]
    """Pages that the placement policy had moved, by way, such as `cxl to hbm`."""
    evictions: int
    discards: int
    evictions_by_tier: Mapping[str, int]
    read_bytes: Mapping[str, int]
    """Bytes of pages that transfers took from each tier; reads of tier 0 by compute are not transfers."""
    written_bytes: Mapping[str, int]
    """Bytes of pages that transfers put into each tier."""
    peak_bytes: Mapping[str, int]
    capacity_bytes: Mapping[str, int]
    transfers: int | None
    events: int
    energy: EnergySummary | None
    """What the run spent; None if the scenario has no energy figures."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings, in field order."""
        return asdict(self)


def summarise(result: RunResult) -> Summary:
    """Compute every figure of a run."""
    steps = result.records.steps
    arrival, start, end = (steps.column(name) for name in ("arrival", "start", "end"))
    decoded = slice(prompt_steps(result.scenario), None)
    complete = result.records.keep_events
    hidden = _hidden_ticks(result) if complete else None
    latency = _distribution((end - start)[decoded])
    exposed = sum(result.exposed_ticks)
    found = {tier.name: _ratio(tier.found, result.accesses) for tier in result.tiers}
    return Summary(
        scenario=result.scenario.name,
        records="all" if complete else "summary",
        accesses=result.accesses,
        steps=result.steps,
        makespan_s=_seconds(result.makespan_ticks),
        compute_s=_seconds(result.compute_ticks),
        exposed_s=_by_cause(result.exposed_ticks) | {"total": _seconds(exposed)},
        exposed_by_class_s=_exposed_by_class(result) if complete else None,
        hidden_s=None if hidden is None else _seconds(sum(hidden)),
        overlap_efficiency=None if hidden is None else overlap_efficiency(sum(hidden), exposed),
        bounds=run_bounds(result).summary() if complete else None,
        idle_s=_seconds(result.idle_ticks),
        step_latency_s=latency,
        step_response_s=_distribution((end - arrival)[decoded]),
        tokens_per_s=_tokens_per_s(result.scenario, latency["mean"]),
        hit_rate=_ratio(result.tiers[0].found, result.accesses),
        tier_hit_rate=found,
        hit_mass=result.mass_found / result.mass if result.mass else None,
        absent_rate=_ratio(result.absent, result.accesses),
        lost_reads=result.lost,
        reads_by_format=_reads_by_format(result),
        kept_share=_kept_share(result),
        bytes_by_link=_bytes_by_link(result),
        bytes_by_class=_bytes_by_class(result, [lane for lane in result.lanes if lane.kind == "link"]),
        weights_bytes=result.weights_bytes,
        links=_lanes(result, hidden),
        prefetch=_prefetch(result),
        migrations=_migrations(result),
        evictions=sum(tier.evictions for tier in result.tiers),
        discards=sum(tier.discards for tier in result.tiers),
        evictions_by_tier={tier.name: tier.evictions for tier in result.tiers},
        read_bytes={tier.name: tier.read_bytes for tier in result.tiers},
        written_bytes={tier.name: tier.written_bytes for tier in result.tiers},
        peak_bytes={tier.name: tier.peak_bytes for tier in result.tiers},
        capacity_bytes={tier.name: tier.capacity_bytes for tier in result.tiers},
        transfers=len(result.records.transfers.array()) if complete else None,
        events=result.events,
        energy=None if (energy := energy_of(result)) is None else energy.summary(),
    )


def _reads_by_format(result: RunResult) -> dict[str, int] | None:
    if len(result.formats) < 2:
        return None
    sums: dict[str, int] = {}
    for part in result.formats:
        sums[part.name] = sums.get(part.name, 0) + part.reads
    return sums


def _kept_share(result: RunResult) -> float:
    if not result.accesses:
        return 1.0
    return float(sum(part.kept * part.reads for part in result.formats) / Fraction(result.accesses))


def overlap_efficiency(hidden_ticks: int, exposed_ticks: int) -> float:
    """Share of transfer time that no step waited for; 1 when there was none at all."""
    if hidden_ticks + exposed_ticks == 0:
        return 1.0
    return _ratio(hidden_ticks, hidden_ticks + exposed_ticks)


def compute_intervals(result: RunResult) -> tuple[Ticks, Ticks]:
    """When compute ran, merged."""
    layers = result.records.layers
    return merge(layers.column("start"), layers.column("end"))


def _hidden_ticks(result: RunResult) -> list[int]:
    """Per lane: ticks with a transfer in service that overlap compute."""
    compute = compute_intervals(result)
    hops, rows = result.records.hops, page_rows(result)
    lane, start, end = (hops.column(name)[rows] for name in ("lane", "start", "end"))
    return [
        overlap_ticks(merge(start[lane == index], end[lane == index]), compute)
        for index in range(len(result.lanes))
    ]


def _lanes(result: RunResult, hidden: list[int] | None) -> dict[str, LaneSummary]:
    known = hidden is not None
    waits = _exposed_by_lane(result) if known else []
    law = littles_law(result) if known else {}
    work = outstanding(result) if known else []
    lanes = {}
    for index, info in enumerate(result.lanes):
        queue = law.get(info.name)
        lanes[info.name] = LaneSummary(
            link=info.link,
            direction=info.direction,
            kind=info.kind,
            transfers=info.transfers,
            bytes=info.bytes_out,
            bytes_by_class=_classes(result, [info]),
            busy_s=_seconds(info.busy_ticks),
            utilisation=min(1.0, _ratio(info.busy_ticks, result.makespan_ticks * info.channels)),
            mean_queue_s=_ratio(info.queue_ticks, info.transfers * TICKS_PER_SECOND),
            mean_sojourn_s=queue.mean_sojourn_s if queue else None,
            mean_in_system=queue.mean_in_system if queue else None,
            arrival_rate_per_s=queue.arrival_rate_per_s if queue else None,
            hidden_s=None if hidden is None else _seconds(hidden[index]),
            exposed_s=_seconds(sum(waits[index])) if known else None,
            exposed_by_cause_s=_by_cause(waits[index]) if known else None,
            outstanding_s=_outstanding(work[index]) if known else None,
        )
    return lanes


def _exposed_by_lane(result: RunResult) -> list[list[int]]:
    """Ticks waited, by lane and cause."""
    stalls = result.records.stalls
    key = stalls.column("lane") * len(CAUSE_NAMES) + stalls.column("cause")
    length = stalls.column("end") - stalls.column("start")
    causes = range(len(CAUSE_NAMES))
    return [
        [exact_sum(length[key == lane * len(CAUSE_NAMES) + cause]) for cause in causes]
        for lane in range(len(result.lanes))
    ]


def _exposed_by_class(result: RunResult) -> dict[str, float]:
    names = dict(enumerate(CLASS_NAMES)) | {NO_CLASS: "none"}
    return {names[cls]: _seconds(ticks) for cls, ticks in exposure(result).by_class().items()}


def _outstanding(work: Outstanding) -> dict[str, float]:
    parts = asdict(work) | {"total": work.total}
    return {name: _seconds(ticks) for name, ticks in parts.items()}


def _prefetch(result: RunResult) -> dict[str, int | float | None]:
    """The counts of the engine, and the times that only the records of events tell."""
    counts = asdict(result.prefetch)
    if not result.records.keep_events:
        return counts | {"late_saved_s": None, "stolen_s": None}
    stolen = stolen_ticks(result, prefetches(result))
    return counts | {"late_saved_s": _seconds(late_saved_ticks(result)), "stolen_s": _seconds(stolen)}


def _migrations(result: RunResult) -> dict[str, int]:
    names = [tier.name for tier in result.tiers]
    return {f"{names[source]} to {names[target]}": pages for source, target, pages in result.migrated}


def _bytes_by_link(result: RunResult) -> dict[str, dict[str, int]]:
    of_link: dict[str, list[LaneInfo]] = {}
    for lane in result.lanes:
        if lane.kind == "link":
            of_link.setdefault(lane.link, []).append(lane)
    return {link: _bytes_by_class(result, members) for link, members in of_link.items()}


def _bytes_by_class(result: RunResult, lanes: list[LaneInfo]) -> dict[str, int]:
    sums = _classes(result, lanes)
    return sums | {"total": sum(sums.values())}


def _classes(result: RunResult, lanes: list[LaneInfo]) -> dict[str, int]:
    """Bytes of pages by the class they travelled in, and those of weights, if any are streamed."""
    sums = {CLASS_NAMES[cls]: sum(lane.bytes_by_class[cls] for lane in lanes) for cls in TransferClass}
    if result.weights_bytes:
        weights = sum(lane.weights_bytes for lane in lanes)
        sums[CLASS_NAMES[TransferClass.DEMAND]] -= weights
        sums["weights"] = weights
    return sums


_RANKS = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


def _distribution(ticks: Ticks) -> dict[str, float]:
    if not ticks.size:
        return dict.fromkeys(("mean", "p50", "p95", "p99", "max"), 0.0)
    ordered = np.sort(ticks)
    mean = float(Fraction(exact_sum(ticks), ticks.size * TICKS_PER_SECOND))
    nearest = {name: int(ordered[-(-percent * ticks.size // 100) - 1]) for name, percent in _RANKS.items()}
    return {"mean": mean} | {name: _seconds(value) for name, value in nearest.items()}


def _tokens_per_s(scenario: Scenario, mean_step_s: float) -> float | None:
    sequences = decoded_sequences(scenario)
    return None if sequences is None or not mean_step_s else tokens_per_second(sequences, mean_step_s)


def _by_cause(ticks: tuple[int, ...] | list[int]) -> dict[str, float]:
    return {name: _seconds(value) for name, value in zip(CAUSE_NAMES, ticks, strict=True)}


def _seconds(ticks: int) -> float:
    return ticks / TICKS_PER_SECOND


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
