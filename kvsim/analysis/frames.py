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
        transfers=_transfers(result),
        exposure=_exposure(result),
        prefetches=_prefetches(result),
    )


def _seconds(ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    return ticks / float(TICKS_PER_SECOND)


def _names(codes: NDArray[np.int64], names: Sequence[str]) -> pd.Categorical:
    """Names behind numbers; -1 means none and stays empty."""
    return pd.Categorical.from_codes(codes.tolist(), categories=pd.Index(list(names), dtype="str"))


def _columns(table: Table) -> dict[str, NDArray[np.int64]]:
    rows = table.array()
    return {name: rows[:, index] for index, name in enumerate(table.columns)}


def _steps(result: RunResult) -> pd.DataFrame:
    of = _columns(result.records.steps)
    exposed = sum((of[name] for name in CAUSE_NAMES), start=np.zeros_like(of["start"]))
    data: dict[str, NDArray[Any]] = {"step": of["step"]}
    data |= {f"{name}_s": _seconds(of[name]) for name in _STEP_TIMES[:3]}
    data["latency_s"] = _seconds(of["end"] - of["start"])
    data["response_s"] = _seconds(of["end"] - of["arrival"])
    data |= {f"{name}_s": _seconds(of[name]) for name in _STEP_TIMES[3:]}
    data["exposed_s"] = _seconds(exposed)
    data |= {name: of[name] for name in _STEP_COUNTS}
    return pd.DataFrame(data)


def _layers(result: RunResult) -> pd.DataFrame:
    of = _columns(result.records.layers)
    return pd.DataFrame(
        {
            "step": of["step"],
            "layer": of["layer"],
            "start_s": _seconds(of["start"]),
            "end_s": _seconds(of["end"]),
        }
    )


def _stalls(result: RunResult) -> pd.DataFrame:
    of = _columns(result.records.stalls)
    return pd.DataFrame(
        {
            "step": of["step"],
            "layer": of["layer"],
            "cause": _names(of["cause"], CAUSE_NAMES),
            "lane": _names(of["lane"], [lane.name for lane in result.lanes]),
            "transfer": of["transfer"],
            "start_s": _seconds(of["start"]),
            "end_s": _seconds(of["end"]),
            "exposed_s": _seconds(of["end"] - of["start"]),
        }
    )


def _exposure(result: RunResult) -> pd.DataFrame:
    of = exposure(result)
    return pd.DataFrame(
        {
            "step": of.step,
            "lane": _names(of.lane, [lane.name for lane in result.lanes]),
            "issued_class": _names(of.issued_cls, CLASS_NAMES),
            "cause": _names(of.cause, CAUSE_NAMES),
            "exposed_s": _seconds(of.ticks),
        }
    )


def _prefetches(result: RunResult) -> pd.DataFrame:
    """`needed_s` is empty unless the prefetch was late."""
    of = prefetches(result)
    needed = _seconds(of.needed)
    needed[of.needed < 0] = np.nan
    return pd.DataFrame(
        {
            "transfer": of.transfer,
            "page": of.page,
            "pages": of.pages,
            "step": of.step,
            "fate": _names(of.fate, FATES),
            "wasted_pages": of.wasted,
            "requested_s": _seconds(of.requested),
            "needed_s": needed,
            "arrived_s": _seconds(of.arrived),
            "waited_s": _seconds(of.waited),
            "saved_s": _seconds(of.saved),
            "stolen_s": _seconds(of.stolen),
        }
    )


def _transfers(result: RunResult) -> pd.DataFrame:
    """Left join of transfers and hops by transfer, hops in order of service."""
    move, hop = _columns(result.records.transfers), _columns(result.records.hops)
    tiers = [tier.name for tier in result.tiers]
    left = pd.DataFrame(
        {
            "transfer": move["transfer"],
            "class": _names(move["cls"], CLASS_NAMES),
            "issued_class": _names(move["issued_cls"], CLASS_NAMES),
            "page": move["page"],
            "pages": move["pages"],
            "bytes": move["bytes"],
            "source": _names(move["source"], tiers),
            "target": _names(move["target"], tiers),
            "step": move["step"],
            "requested_s": _seconds(move["requested"]),
            "granted_s": _seconds(move["granted"]),
            "arrived_s": _seconds(move["arrived"]),
        }
    ).sort_values("transfer", kind="stable")
    order = np.lexsort((hop["start"], hop["transfer"]))
    right = pd.DataFrame(
        {
            "transfer": hop["transfer"][order],
            "lane": _names(hop["lane"][order], [lane.name for lane in result.lanes]),
            "queued_s": _seconds(hop["queued"][order]),
            "start_s": _seconds(hop["start"][order]),
            "end_s": _seconds(hop["end"][order]),
        }
    )
    joined = left.merge(right, on="transfer", how="left", sort=False)
    joined.insert(1, "hop", joined.groupby("transfer", sort=False).cumcount())
    return joined[list(TRANSFER_COLUMNS)]
