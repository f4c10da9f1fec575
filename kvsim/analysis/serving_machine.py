"""What instances and lanes did in a run of requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvsim.analysis.frames import CLASS_NAMES
from kvsim.analysis.intervals import exact_sum
from kvsim.analysis.metrics import LaneSummary
from kvsim.analysis.queueing import littles_law
from kvsim.sim.records import TransferClass
from kvsim.sim.result import LaneInfo
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND

__all__ = ["InstanceSummary", "bytes_by_class", "instances", "lanes"]


@dataclass(frozen=True, slots=True)
class InstanceSummary:
    """One instance."""

    requests: int
    """Requests that ended here."""
    busy_s: float
    """Time in iterations, stalls included."""
    utilisation: float
    """The same over the makespan."""
    stalled_s: float
    """The part of it in which iterations waited for parts of layers."""
    iterations: int
    mean_batch: float
    """Sequences that decode, on average over the time of iterations."""
    prompt_tokens: int
    """Tokens computed for prompts, and computed again."""
    decoded_tokens: int
    tokens_per_iteration: float


def instances(result: ServingResult) -> dict[str, InstanceSummary]:
    """Every instance by its number."""
    table, ended = result.records.iterations, result.records.requests.column("instance")
    names = ("instance", "start", "end", "iterations", "decoding", "prompt", "stall")
    of, start, end, steps, decoding, prompt, stall = map(table.column, names)
    summaries = {}
    for number, busy in enumerate(result.busy_ticks):
        mine = of == number
        decoded = exact_sum((steps * decoding)[mine])
        computed, count = exact_sum(prompt[mine]), exact_sum(steps[mine])
        summaries[str(number)] = InstanceSummary(
            requests=int((ended == number).sum()),
            busy_s=busy / TICKS_PER_SECOND,
            utilisation=_ratio(busy, result.makespan_ticks),
            stalled_s=exact_sum(stall[mine]) / TICKS_PER_SECOND,
            iterations=count,
            mean_batch=_ratio(exact_sum(((end - start) * decoding)[mine]), busy),
            prompt_tokens=computed,
            decoded_tokens=decoded,
            tokens_per_iteration=_ratio(computed + decoded, count),
        )
    return summaries


def lanes(result: ServingResult) -> dict[str, LaneSummary]:
    """Every lane by its name. What of it is hidden or waited for is None: iterations and transfers of
    several requests overlap, so that what is exposed is told by request."""
    law = littles_law(result) if result.records.keep_events else {}
    summaries = {}
    for info in result.lanes:
        queue = law.get(info.name)
        summaries[info.name] = LaneSummary(
            link=info.link,
            direction=info.direction,
            kind=info.kind,
            transfers=info.transfers,
            bytes=info.bytes_out,
            bytes_by_class=_classes([info]),
            busy_s=info.busy_ticks / TICKS_PER_SECOND,
            utilisation=min(1.0, _ratio(info.busy_ticks, result.makespan_ticks * info.channels)),
            mean_queue_s=_ratio(info.queue_ticks, info.transfers * TICKS_PER_SECOND),
            mean_sojourn_s=queue.mean_sojourn_s if queue else None,
            mean_in_system=queue.mean_in_system if queue else None,
            arrival_rate_per_s=queue.arrival_rate_per_s if queue else None,
            hidden_s=None,
            exposed_s=None,
            exposed_by_cause_s=None,
            outstanding_s=None,
        )
    return summaries


def bytes_by_class(lanes: Sequence[LaneInfo]) -> dict[str, int]:
    """Bytes over some lanes by class, and `total`."""
    sums = _classes(lanes)
    return sums | {"total": sum(sums.values())}


def _classes(lanes: Sequence[LaneInfo]) -> dict[str, int]:
    return {CLASS_NAMES[cls]: sum(lane.bytes_by_class[cls] for lane in lanes) for cls in TransferClass}


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
