"""What a run of requests means in numbers: `summarise_serving` makes one frozen `ServingSummary` of it.

All sums are integer ticks, bytes, blocks and tokens; seconds and ratios are made last, by one exact division
each, so a summary is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.intervals import exact_sum
from kvsim.analysis.metrics import LaneSummary
from kvsim.analysis.serving_machine import InstanceSummary, bytes_by_class, instances, lanes
from kvsim.analysis.serving_times import (
    PARTS,
    Latencies,
    Waits,
    distribution,
    latencies,
    token_gaps,
    waits,
)
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND

__all__ = ["NO_TENANT", "ServingSummary", "TenantSummary", "summarise_serving", "tenant_names"]

NO_TENANT = "(none)"
"""What requests that name no tenant are counted under."""
_TOKENS = ("input", "output", "reused", "loaded", "computed", "recomputed")


@dataclass(frozen=True, slots=True)
class TenantSummary:
    """The requests of one tenant; figures as in `ServingSummary`."""

    requests: int
    ttft_s: Mapping[str, float]
    tpot_s: Mapping[str, float]
    latency_s: Mapping[str, float]
    queue_s: Mapping[str, float]
    tokens: Mapping[str, int]
    hit_rate: float
    output_tokens_per_s: float
    goodput_share: float | None
    preemptions: int


@dataclass(frozen=True, slots=True)
class ServingSummary:
    """The figures of one run of requests, JSON-ready through `to_dict`. None: needs `execution.records: all`,
    or `serving.objectives`.

    A distribution has mean, p50, p90, p95, p99 and max; percentiles are observed values (nearest rank).
    """

    scenario: str
    records: str
    requests: int
    makespan_s: float
    """When the last request ended."""
    ttft_s: Mapping[str, float]
    """Time to first token, from arrival; of a request without output, to the end of its prompt."""
    tpot_s: Mapping[str, float]
    """Time per output token after the first, one mean for each request with two or more."""
    itl_s: Mapping[str, float]
    """Time between two tokens of a request, over all of them."""
    latency_s: Mapping[str, float]
    """From arrival to end."""
    queue_s: Mapping[str, float]
    """The part of a request's latency that it queued."""
    exposed_s: Mapping[str, float]
    """The part that it waited for transfers, or for room that they make."""
    parts_s: Mapping[str, float]
    """Summed up over all requests: `queue`, `exposed` and `compute`, which add up to `latency`."""
    phases_s: Mapping[str, float]
    """The same, by what a request queues for or is exposed to; see `kvsim.sim.serving`."""
    phases_mean_s: Mapping[str, float]
    """The same, of one request on average."""
    requests_per_s: float
    """Requests over makespan, as all rates here."""
    output_tokens_per_s: float
    tokens_per_s: float
    """Tokens of prompts and generated ones."""
    objectives_s: Mapping[str, float]
    """What `serving.objectives` asks for: `ttft`, `tpot`."""
    goodput_share: float | None
    """Share of the requests that keep all objectives; None without any."""
    goodput_per_s: float | None
    """Requests that do, over makespan."""
    blocks: int
    """Blocks of all prompts."""
    hit_rate: float
    """Blocks found in any tier, at the first admission, over blocks of prompts."""
    tier_hit_rate: Mapping[str, float]
    """Blocks found in the tier (nearest copy) over blocks of prompts."""
    token_hit_rate: float
    """Tokens of prompts that were not computed, because they were in the first tier or loaded."""
    tokens: Mapping[str, int]
    """`input`, of prompts, = `reused` in the first tier + `loaded` from further down + `computed`; `output`
    were generated, and `recomputed` once more, after preemptions."""
    preemptions: int
    bytes_by_link: Mapping[str, Mapping[str, int]]
    """Link, then class or `total`: bytes over the link in both directions."""
    bytes_by_class: Mapping[str, int]
    """Bytes over links by class, and `total`; a route of two links counts twice."""
    links: Mapping[str, LaneSummary]
    """By lane name; what is exposed is known by request, not by lane."""
    evictions: int
    discards: int
    """Of these, blocks that went to no other tier, though none had them."""
    evictions_by_tier: Mapping[str, int]
    discards_by_tier: Mapping[str, int]
    read_bytes: Mapping[str, int]
    """Bytes of blocks that moves took from each tier."""
    written_bytes: Mapping[str, int]
    """Bytes of blocks that moves put into each tier."""
    peak_bytes: Mapping[str, int]
    capacity_bytes: Mapping[str, int]
    iterations: int
    mean_batch: float
    """Sequences that decode, on average over the time of iterations."""
    by_instance: Mapping[str, InstanceSummary]
    by_tenant: Mapping[str, TenantSummary]
    """Empty if no request names a tenant."""
    transfers: int | None
    events: int
    events_per_request: float
    skipped: Mapping[str, int]
    """Lines of the trace that were left out, by reason."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings, in field order."""
        return asdict(self)


def summarise_serving(result: ServingResult) -> ServingSummary:
    """Compute every figure of a run of requests."""
    times, spent = latencies(result), waits(result)
    phases = {name: exact_sum(ticks) for name, ticks in spent.by_phase.items()}
    parts = {name: sum(phases[phase] for phase in of) for name, of in PARTS.items()}
    everybody = np.ones(times.ttft.shape, dtype=bool)
    tokens = _tokens(result, everybody)
    kept = _kept(result, times)
    blocks = exact_sum(result.records.requests.column("blocks"))
    machine = instances(result)
    found = _found(result, everybody)
    links = [lane for lane in result.lanes if lane.kind == "link"]
    busy = sum(result.busy_ticks)
    tiers = result.tiers
    return ServingSummary(
        scenario=result.scenario.name,
        records="all" if result.records.keep_events else "summary",
        requests=result.requests,
        makespan_s=_seconds(result.makespan_ticks),
        ttft_s=distribution(times.ttft),
        tpot_s=distribution(times.tpot[times.has_tpot]),
        itl_s=token_gaps(result).distribution(),
        latency_s=distribution(times.total),
        queue_s=distribution(spent.part("queue")),
        exposed_s=distribution(spent.part("exposed")),
        parts_s={name: _seconds(ticks) for name, ticks in parts.items()}
        | {"latency": _seconds(sum(parts.values()))},
        phases_s={name: _seconds(ticks) for name, ticks in phases.items()},
        phases_mean_s={
            name: _ratio(ticks, result.requests * TICKS_PER_SECOND) for name, ticks in phases.items()
        },
        requests_per_s=_rate(result.requests, result),
        output_tokens_per_s=_rate(tokens["output"], result),
        tokens_per_s=_rate(tokens["input"] + tokens["output"], result),
        objectives_s=_objectives(result),
        goodput_share=None if kept is None else _ratio(int(kept.sum()), result.requests),
        goodput_per_s=None if kept is None else _rate(int(kept.sum()), result),
        blocks=blocks,
        hit_rate=_ratio(sum(found.values()), blocks),
        tier_hit_rate={name: _ratio(count, blocks) for name, count in found.items()},
        token_hit_rate=_ratio(tokens["reused"] + tokens["loaded"], tokens["input"]),
        tokens=tokens,
        preemptions=exact_sum(result.records.requests.column("preemptions")),
        bytes_by_link={
            name: bytes_by_class([lane for lane in links if lane.link == name])
            for name in dict.fromkeys(lane.link for lane in links)
        },
        bytes_by_class=bytes_by_class(links),
        links=lanes(result),
        evictions=sum(tier.evictions for tier in tiers),
        discards=sum(tier.discards for tier in tiers),
        evictions_by_tier={tier.name: tier.evictions for tier in tiers},
        discards_by_tier={tier.name: tier.discards for tier in tiers},
        read_bytes={tier.name: tier.read_bytes for tier in tiers},
        written_bytes={tier.name: tier.written_bytes for tier in tiers},
        peak_bytes={tier.name: tier.peak_bytes for tier in tiers},
        capacity_bytes={tier.name: tier.capacity_bytes for tier in tiers},
        iterations=sum(each.iterations for each in machine.values()),
        mean_batch=_ratio(_batch_ticks(result), busy),
        by_instance=machine,
        by_tenant=_by_tenant(result, times, spent, kept),
        transfers=len(result.records.transfers.array()) if result.records.keep_events else None,
        events=result.events,
        events_per_request=_ratio(result.events, result.requests),
        skipped=dict(result.skipped),
    )


def tenant_names(result: ServingResult) -> tuple[str, ...]:
    """Names of the tenants, as the `tenant` column numbers them."""
    return tuple(name or NO_TENANT for name in result.tenants)


def _tokens(result: ServingResult, mine: NDArray[np.bool_]) -> dict[str, int]:
    """Tokens of some requests; prompts are computed once, the rest of what is computed is recomputed."""
    requests = result.records.requests
    columns = {name: requests.column(name)[mine] for name in _TOKENS[:-1]}
    once = np.minimum(columns["computed"], columns["input"] - columns["reused"] - columns["loaded"])
    columns |= {"computed": once, "recomputed": columns["computed"] - once}
    return {name: exact_sum(column) for name, column in columns.items()}


def _found(result: ServingResult, mine: NDArray[np.bool_]) -> dict[str, int]:
    """Blocks of the prompts of some requests, by the tier of the scenario that they were found in."""
    requests = result.records.requests
    return {
        tier.name: exact_sum(requests.column(f"found_{level}")[mine])
        for level, tier in enumerate(result.scenario.hierarchy.tiers)
    }


def _objectives(result: ServingResult) -> dict[str, float]:
    wanted = result.scenario.serving.objectives
    return {
        name: _seconds(ticks)
        for name, ticks in (("ttft", wanted.ttft), ("tpot", wanted.tpot))
        if ticks is not None
    }


def _kept(result: ServingResult, times: Latencies) -> NDArray[np.bool_] | None:
    """Which requests keep all objectives; None if there are none."""
    wanted = result.scenario.serving.objectives
    if wanted.ttft is None and wanted.tpot is None:
        return None
    kept: NDArray[np.bool_] = np.ones(times.ttft.shape, dtype=bool)
    if wanted.ttft is not None:
        kept &= times.ttft <= wanted.ttft
    if wanted.tpot is not None:
        kept &= times.tpot <= wanted.tpot
    return kept


def _batch_ticks(result: ServingResult) -> int:
    """Ticks of iterations, each as often as sequences decode in it."""
    iterations = result.records.iterations
    start, end, decoding = map(iterations.column, ("start", "end", "decoding"))
    return exact_sum((end - start) * decoding)


def _by_tenant(
    result: ServingResult, times: Latencies, spent: Waits, kept: NDArray[np.bool_] | None
) -> dict[str, TenantSummary]:
    if not any(result.tenants):
        return {}
    requests = result.records.requests
    queue = spent.part("queue")
    tenants = {}
    for number, name in enumerate(tenant_names(result)):
        mine = requests.column("tenant") == number
        tokens = _tokens(result, mine)
        count = int(mine.sum())
        tenants[name] = TenantSummary(
            requests=count,
            ttft_s=distribution(times.ttft[mine]),
            tpot_s=distribution(times.tpot[mine & times.has_tpot]),
            latency_s=distribution(times.total[mine]),
            queue_s=distribution(queue[mine]),
            tokens=tokens,
            hit_rate=_ratio(sum(_found(result, mine).values()), exact_sum(requests.column("blocks")[mine])),
            output_tokens_per_s=_rate(tokens["output"], result),
            goodput_share=None if kept is None else _ratio(int(kept[mine].sum()), count),
            preemptions=exact_sum(requests.column("preemptions")[mine]),
        )
    return tenants


def _seconds(ticks: int) -> float:
    return ticks / TICKS_PER_SECOND


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _rate(count: int, result: ServingResult) -> float:
    """So many over the makespan, in one a second."""
    return _ratio(count * TICKS_PER_SECOND, result.makespan_ticks)
