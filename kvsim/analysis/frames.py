"""A run's records as pandas tables: seconds and bytes, units in the column names.

The records stay in integer ticks; the division to seconds is the last thing done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kvsim.analysis.attribution import exposure
from kvsim.analysis.prefetches import FATES, prefetches
from kvsim.sim.records import CAUSE_COLUMNS, Table, TransferClass
from kvsim.sim.result import RunResult
from kvsim.sim.serving.result import ServingResult
from kvsim.units import TICKS_PER_SECOND

CAUSE_NAMES = CAUSE_COLUMNS
"""Names of the exposed causes, indexed by `Cause`."""
CLASS_NAMES = tuple(cls.name.lower() for cls in TransferClass)
"""Names of the transfer classes, indexed by `TransferClass`."""

_STEP_TIMES = ("arrival", "start", "end", "compute", *CAUSE_NAMES)
_STEP_COUNTS = ("accesses", "hits", "late", "absent", "lost")
TRANSFER_COLUMNS = (
    "transfer",
    "hop",  # 0 for the first lane of the route
    "lane",
    "class",
    "issued_class",
    "page",
    "pages",
    "bytes",
    "source",
    "target",
    "step",
    "requested_s",
    "granted_s",
    "queued_s",
    "start_s",
    "end_s",
    "arrived_s",
)
"""Columns of `Frames.transfers`."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The tables of one run. With `records: summary` only `steps` has rows."""

    steps: pd.DataFrame
    """One row per step: when, what its time was spent on, what it read."""
    layers: pd.DataFrame
    """One row per compute interval."""
    stalls: pd.DataFrame
    """One row per exposed interval: cause, and the lane and transfer waited for."""
    transfers: pd.DataFrame
    """One row per transfer and hop; a transfer that used no lane has one row with an empty lane."""
    exposure: pd.DataFrame
    """Exposed time by step, lane, class and cause: one row each."""
    prefetches: pd.DataFrame
    """One row per transfer issued as a prefetch: its fate, what it saved, what it took from demand."""


def frames(result: RunResult) -> Frames:
    """All tables of a run."""
    return Frames(
        steps=_steps(result),
        layers=_layers(result),
        stalls=_stalls(result),
        transfers=transfers_frame(result),
        exposure=_exposure(result),
        prefetches=_prefetches(result),
    )


def seconds_of(ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Times in seconds."""
    return ticks / float(TICKS_PER_SECOND)


def names_behind(codes: NDArray[np.int64], names: Sequence[str]) -> pd.Categorical:
    """Names behind numbers; -1 means none and stays empty."""
    return pd.Categorical.from_codes(codes.tolist(), categories=pd.Index(list(names), dtype="str"))


def _columns(table: Table) -> dict[str, NDArray[np.int64]]:
    rows = table.array()
    return {name: rows[:, index] for index, name in enumerate(table.columns)}


def _steps(result: RunResult) -> pd.DataFrame:
    of = _columns(result.records.steps)
    exposed = sum((of[name] for name in CAUSE_NAMES), start=np.zeros_like(of["start"]))
    data: dict[str, NDArray[Any]] = {"step": of["step"]}
    data |= {f"{name}_s": seconds_of(of[name]) for name in _STEP_TIMES[:3]}
    data["latency_s"] = seconds_of(of["end"] - of["start"])
    data["response_s"] = seconds_of(of["end"] - of["arrival"])
    data |= {f"{name}_s": seconds_of(of[name]) for name in _STEP_TIMES[3:]}
    data["exposed_s"] = seconds_of(exposed)
    data |= {name: of[name] for name in _STEP_COUNTS}
    return pd.DataFrame(data)


def _layers(result: RunResult) -> pd.DataFrame:
    of = _columns(result.records.layers)
    return pd.DataFrame(
        {
            "step": of["step"],
            "layer": of["layer"],
            "start_s": seconds_of(of["start"]),
            "end_s": seconds_of(of["end"]),
        }
    )


def _stalls(result: RunResult) -> pd.DataFrame:
    of = _columns(result.records.stalls)
    return pd.DataFrame(
        {
            "step": of["step"],
            "layer": of["layer"],
            "cause": names_behind(of["cause"], CAUSE_NAMES),
            "lane": names_behind(of["lane"], [lane.name for lane in result.lanes]),
            "transfer": of["transfer"],
            "start_s": seconds_of(of["start"]),
            "end_s": seconds_of(of["end"]),
            "exposed_s": seconds_of(of["end"] - of["start"]),
        }
    )


def _exposure(result: RunResult) -> pd.DataFrame:
    of = exposure(result)
    return pd.DataFrame(
        {
            "step": of.step,
            "lane": names_behind(of.lane, [lane.name for lane in result.lanes]),
            "issued_class": names_behind(of.issued_cls, CLASS_NAMES),
            "cause": names_behind(of.cause, CAUSE_NAMES),
            "exposed_s": seconds_of(of.ticks),
        }
    )


def _prefetches(result: RunResult) -> pd.DataFrame:
    """`needed_s` is empty unless the prefetch was late."""
    of = prefetches(result)
    needed = seconds_of(of.needed)
    needed[of.needed < 0] = np.nan
    return pd.DataFrame(
        {
            "transfer": of.transfer,
            "page": of.page,
            "pages": of.pages,
            "step": of.step,
            "fate": names_behind(of.fate, FATES),
            "wasted_pages": of.wasted,
            "requested_s": seconds_of(of.requested),
            "needed_s": needed,
            "arrived_s": seconds_of(of.arrived),
            "waited_s": seconds_of(of.waited),
            "saved_s": seconds_of(of.saved),
            "stolen_s": seconds_of(of.stolen),
        }
    )


def transfers_frame(result: RunResult | ServingResult) -> pd.DataFrame:
    """Left join of transfers and hops by transfer, hops in order of service."""
    move, hop = _columns(result.records.transfers), _columns(result.records.hops)
    tiers = [tier.name for tier in result.tiers]
    left = pd.DataFrame(
        {
            "transfer": move["transfer"],
            "class": names_behind(move["cls"], CLASS_NAMES),
            "issued_class": names_behind(move["issued_cls"], CLASS_NAMES),
            "page": move["page"],
            "pages": move["pages"],
            "bytes": move["bytes"],
            "source": names_behind(move["source"], tiers),
            "target": names_behind(move["target"], tiers),
            "step": move["step"],
            "requested_s": seconds_of(move["requested"]),
            "granted_s": seconds_of(move["granted"]),
            "arrived_s": seconds_of(move["arrived"]),
        }
    ).sort_values("transfer", kind="stable")
    order = np.lexsort((hop["start"], hop["transfer"]))
    right = pd.DataFrame(
        {
            "transfer": hop["transfer"][order],
            "lane": names_behind(hop["lane"][order], [lane.name for lane in result.lanes]),
            "queued_s": seconds_of(hop["queued"][order]),
            "start_s": seconds_of(hop["start"][order]),
            "end_s": seconds_of(hop["end"][order]),
        }
    )
    joined = left.merge(right, on="transfer", how="left", sort=False)
    joined.insert(1, "hop", joined.groupby("transfer", sort=False).cumcount())
    return joined[list(TRANSFER_COLUMNS)]
