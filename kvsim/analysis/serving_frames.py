"""The records of a run of requests as pandas tables: seconds and bytes, units in the column names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kvsim.analysis.frames import TRANSFER_COLUMNS, names_behind, seconds_of, transfers_frame
from kvsim.analysis.serving import tenant_names
from kvsim.analysis.serving_times import PARTS, latencies, waits
from kvsim.sim.serving.records import PHASES
from kvsim.sim.serving.result import ServingResult

__all__ = ["iterations_frame", "moves_frame", "requests_frame"]

_RENAMED = {"step": "request", "page": "block", "pages": "blocks"}


def requests_frame(result: ServingResult) -> pd.DataFrame:
    """One row per request, in order of arrival: when, how many tokens, what its time went to."""
    table = result.records.requests
    order = np.argsort(table.column("request"), kind="stable")
    of = {name: table.column(name)[order] for name in table.columns}
    times, spent = latencies(result), waits(result)
    tpot = seconds_of(times.tpot[order])
    tpot[~times.has_tpot[order]] = np.nan
    data: dict[str, NDArray[Any] | pd.Categorical] = {"request": of["request"]}
    data["tenant"] = names_behind(of["tenant"], tenant_names(result))
    data |= {name: of[name] for name in ("session", "instance")}
    data |= {f"{name}_s": seconds_of(of[name]) for name in ("arrival", "admitted", "first_token", "end")}
    data |= {"ttft_s": seconds_of(times.ttft[order]), "tpot_s": tpot}
    data["latency_s"] = seconds_of(times.total[order])
    data |= {f"{part}_s": seconds_of(spent.part(part)[order]) for part in PARTS}
    data |= {f"{phase}_s": seconds_of(of[phase]) for phase in PHASES if phase != "compute"}
    tokens = ("input", "output", "reused", "loaded", "computed")
    data |= {f"{name}_tokens": of[name] for name in tokens}
    data |= {"blocks": of["blocks"], "preemptions": of["preemptions"]}
    for level, tier in enumerate(result.scenario.hierarchy.tiers):
        data[f"found_{tier.name}_blocks"] = of[f"found_{level}"]
    return pd.DataFrame(data)


def iterations_frame(result: ServingResult) -> pd.DataFrame:
    """One row per iteration, or per several in a row that decode for the same requests."""
    table = result.records.iterations
    of = {name: table.column(name) for name in table.columns}
    return pd.DataFrame(
        {
            "instance": of["instance"],
            "start_s": seconds_of(of["start"]),
            "end_s": seconds_of(of["end"]),
            "iterations": of["iterations"],
            "decoding": of["decoding"],
            "context_tokens": of["context"],
            "prompt_tokens": of["prompt"],
            "stall_s": seconds_of(of["stall"]),
        }
    )


def moves_frame(result: ServingResult) -> pd.DataFrame:
    """One row per transfer of blocks and hop; none with `records: summary`."""
    names = [_RENAMED.get(name, name) for name in TRANSFER_COLUMNS]
    return transfers_frame(result).rename(columns=_RENAMED)[names]
