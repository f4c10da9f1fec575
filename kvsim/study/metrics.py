"""Which figures a run has: by name, those of steps and those of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from kvsim.analysis.frames import CAUSE_NAMES, CLASS_NAMES
from kvsim.analysis.metrics import Summary
from kvsim.analysis.predictions import FORMS
from kvsim.analysis.run_bounds import BoundsSummary
from kvsim.analysis.serving import ServingSummary
from kvsim.analysis.serving_times import PARTS, STATISTICS
from kvsim.errors import nearest
from kvsim.lm.answers import ANSWER_FIGURES, ANSWER_SHARES
from kvsim.sim.result import PrefetchInfo
from kvsim.sim.serving.records import PHASES

__all__ = ["ANSWERS", "ENERGY", "PREDICTED", "kind_of", "metric_problem"]

PREDICTED = "predicted_s"
"""What the closed forms say of the scenario; no part of the summary, because no run is needed for it."""
ANSWERS = "answers"
"""What the language model of a scenario answers, of which the simulator knows nothing."""
ENERGY = ("energy_j", "energy_per_token_j", "energy_per_step_j")
"""Figures inside `Summary.energy`."""


@dataclass(frozen=True, slots=True)
class Known:
    """The figures of runs of one kind."""

    what: str
    names: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    """Figures of several parts, which are known."""
    by_tier: tuple[str, ...]
    by_others: tuple[str, ...]
    """Figures of several parts, which only the run knows."""


_BY_TIER = (
    "tier_hit_rate",
    "evictions_by_tier",
    "read_bytes",
    "written_bytes",
    "peak_bytes",
    "capacity_bytes",
)
_NO_NUMBERS = ("scenario", "records", "energy")
_OF_STEPS = Known(
    "steps",
    (
        *(each.name for each in fields(Summary) if each.name not in _NO_NUMBERS),
        *("hits", "misses", PREDICTED, ANSWERS),
        *ENERGY,
    ),
    {
        "exposed_s": (*CAUSE_NAMES, "total"),
        "step_latency_s": ("mean", "p50", "p95", "p99", "max"),
        "step_response_s": ("mean", "p50", "p95", "p99", "max"),
        "prefetch": (*(field.name for field in fields(PrefetchInfo)), "late_saved_s", "stolen_s"),
        "exposed_by_class_s": (*CLASS_NAMES, "none"),
        "bounds": tuple(field.name for field in fields(BoundsSummary) if field.name != "longest"),
        PREDICTED: FORMS,
        ANSWERS: ANSWER_FIGURES,
    },
    _BY_TIER,
    ("bytes_by_link", "bytes_by_class", "links", "reads_by_format", "energy_j"),
)
_OF_REQUESTS = Known(
    "requests",
    tuple(each.name for each in fields(ServingSummary) if each.name not in _NO_NUMBERS),
    {
        **dict.fromkeys(("ttft_s", "tpot_s", "itl_s", "latency_s", "queue_s", "exposed_s"), STATISTICS),
        "parts_s": (*PARTS, "latency"),
        **dict.fromkeys(("phases_s", "phases_mean_s"), PHASES),
        "objectives_s": ("ttft", "tpot"),
        "tokens": ("input", "output", "reused", "loaded", "computed", "recomputed"),
    },
    (*_BY_TIER, "discards_by_tier"),
    ("bytes_by_link", "bytes_by_class", "links", "by_instance", "by_tenant", "skipped"),
)
_SHARES = (
    "hit_rate",
    "hit_mass",
    "tier_hit_rate",
    "token_hit_rate",
    "goodput_share",
    "absent_rate",
    "overlap_efficiency",
    "utilisation",
    "overlapped",
    *(f"{name}{end}" for name in ANSWER_SHARES for end in ("", "_low", "_high")),
)


def kind_of(metric: str) -> str:
    """What a figure is: `time`, `bytes`, `share`, `count` or `number`, by its name."""
    parts = metric.split(".")
    if any(part.endswith("_per_s") for part in parts):
        return "number"
    if any(part.endswith("_s") for part in parts):
        return "time"
    if any(part == "bytes" or part.startswith("bytes_by") or part.endswith("_bytes") for part in parts):
        return "bytes"
    return "share" if any(part in _SHARES for part in parts) else "number"


def metric_problem(name: str, tiers: Sequence[str], *, of_requests: bool = False) -> str | None:
    """Why a run, of steps or of requests, cannot have that figure, as far as can be said before running; None
    if it may.

    `tiers` are the names of the tiers there are, empty if that is not known.
    """
    first, dot, rest = name.partition(".")
    here, other = (_OF_REQUESTS, _OF_STEPS) if of_requests else (_OF_STEPS, _OF_REQUESTS)
    if first not in here.names:
        if first in other.names:
            why = f"is a figure of runs of {other.what}, and the workload is one of {here.what}"
            return f"{first!r} {why} (known: {', '.join(here.names)})"
        return f"{name!r} is no figure of a run{_hint(first, here.names)} (known: {', '.join(here.names)})"
    parts = tuple(tiers) if first in here.by_tier else here.parts.get(first)
    if parts is None and first not in here.by_others:
        return f"{first!r} is a single number, it has no {rest!r}" if dot else None
    if not dot:
        listing = f" ({', '.join(parts)})" if parts else ""
        return f"{first!r} has several figures{listing}; name one, such as {first}.{(parts or ('total',))[0]}"
    if first in here.by_tier and of_requests:
        rest = rest.partition("/")[0]  # `hbm/1` is that of instance 1
    if parts and rest not in parts:
        return f"{first!r} has no {rest!r}{_hint(rest, parts)} (known: {', '.join(parts)})"
    return None


def _hint(name: str, known: Sequence[str]) -> str:
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else ""
