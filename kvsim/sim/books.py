"""Accounts that runs of steps and runs of requests both keep: bytes on lanes, room over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kvsim.sim.lane import Lane
from kvsim.sim.records import Table
from kvsim.sim.tier import Tier

__all__ = ["lanes_balance", "room_is_kept"]


def lanes_balance(lanes: Sequence[Lane], hops: Table) -> Iterator[str]:
    """What enters a lane leaves it, and is what its transfers carried, where these are recorded."""
    recorded = np.zeros(len(lanes), dtype=np.int64)
    np.add.at(recorded, hops.column("lane"), hops.column("bytes"))
    for lane, carried in zip(lanes, recorded, strict=True):
        if lane.bytes_in != lane.bytes_out:
            yield f"bytes: {lane.bytes_in} entered {lane.label.name} but {lane.bytes_out} left it"
        if hops.keep and carried != lane.bytes_in:
            yield f"bytes: {lane.bytes_in} entered {lane.label.name} but its transfers carried {carried}"


def room_is_kept(tier: Tier, space: Table) -> Iterator[str]:
    """Nobody waits for room any more, and it was never exceeded, where that is recorded."""
    if tier.waiting:
        yield f"space: {len(tier.waiting)} requests still wait for room in tier {tier.name}"
    if space.keep:
        level = np.cumsum(space.column("delta")[space.column("tier") == tier.number])
        if len(level) and (level.max() > tier.capacity or level.min() < 0):
            yield f"space: tier {tier.name} was at {level.max()} of {tier.capacity} bytes"
