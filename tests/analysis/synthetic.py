"""Run results made by hand: small ones with known answers, and a large plausible one."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from kvsim.scenario.scenario import Scenario
from kvsim.sim.records import Cause, Records, TransferClass
from kvsim.sim.result import FormatReads, LaneInfo, PrefetchInfo, RunResult, TierInfo

Row = tuple[int, ...]
MIB = 1 << 20
INITIAL = (32 * MIB, 2048 * MIB, 8192 * MIB)


@dataclass(frozen=True)
class Lane:
    """What `make_run` needs to know of a lane; its totals come from the hops."""

    name: str
    link: str
    direction: str
    kind: str = "link"
    channels: int = 1
    bandwidth: int = 64 * 10**9


LANES = (
    Lane("pcie up", "pcie", "up"),
    Lane("pcie down", "pcie", "down"),
    Lane("nvme", "nvme", "both", bandwidth=7 * 10**9),
    Lane("nvme ports", "nvme", "both", kind="port"),
)
TIERS = (
    TierInfo("hbm", 64 * MIB, 0, 0, 0, 0, 60 * MIB, 75, 20, 0),
    TierInfo("dram", 512 * MIB, 0, 0, 0, 0, 300 * MIB, 15, 5, 0),
    TierInfo("nvme", 4096 * MIB, 0, 0, 0, 0, 1024 * MIB, 5, 1, 1),
)


def make_scenario(name: str = "synthetic", description: str = "", records: str = "all") -> Scenario:
    return Scenario.model_validate(
        {
            "name": name,
            "description": description,
            "hierarchy": {
                "tiers": [
                    {"name": "hbm", "capacity": "64 MiB"},
                    {"name": "dram", "capacity": "512 MiB"},
                    {"name": "nvme", "capacity": "4 GiB", "ports": 2},
                ],
                "links": [
                    {"name": "pcie", "between": ["hbm", "dram"], "bandwidth": "64 GB/s"},
                    {"name": "nvme", "between": ["dram", "nvme"], "bandwidth": "7 GB/s", "duplex": "half"},
                ],
            },
            "workload": {"kind": "rag_burst"},
            "execution": {"compute_time": "20 us", "records": records},
        }
    )


def step_row(step: int, start: int, end: int, exposed: Sequence[int] = (), **more: int) -> Row:
    """A row of the steps table whose compute is what the causes leave of `end - start`.

    Of causes that are not given nothing was exposed.
    """
    return (
        step,
        more.get("arrival", start),
        start,
        end,
        end - start - sum(exposed),
        *exposed,
        *[0] * (len(Cause) - len(exposed)),
        more.get("accesses", 0),
        more.get("hits", 0),
        more.get("late", 0),
        more.get("absent", 0),
        more.get("lost", 0),
    )


def make_run(
    *,
    steps: Iterable[Row] = (),
    layers: Iterable[Row] = (),
    stalls: Iterable[Row] = (),
    transfers: Iterable[Row] = (),
    hops: Iterable[Row] = (),
    space: Iterable[Row] = (),
    prefetches: Iterable[Row] = (),
    lanes: Sequence[Lane] = LANES,
    tiers: Sequence[TierInfo] = TIERS,
    prefetch: PrefetchInfo | None = None,
    scenario: Scenario | None = None,
    keep_events: bool = True,
) -> RunResult:
    """A run of the given rows; the counters are added up from them as the engine would."""
    steps, hops, transfers = list(steps), list(hops), list(transfers)
    records = Records(keep_events)
    for row in steps:
        records.steps.add(row)
    if keep_events:
        for table, rows in (
            (records.layers, layers),
            (records.stalls, stalls),
            (records.prefetches, prefetches),
            (records.transfers, transfers),
            (records.hops, hops),
            (records.space, space),
        ):
            for row in rows:
                table.add(row)
    classes = {row[0]: row[1] for row in transfers}
    makespan = max((row[3] for row in steps), default=0)
    return RunResult(
        scenario=scenario or make_scenario(records="all" if keep_events else "summary"),
        records=records,
        lanes=tuple(_lane_info(index, lane, hops, classes) for index, lane in enumerate(lanes)),
        tiers=tuple(tiers),
        prefetch=prefetch or PrefetchInfo(),
        migrated=(),
        accesses=sum(row[-5] for row in steps),
        absent=sum(row[-2] for row in steps),
        steps=len(steps),
        makespan_ticks=makespan,
        compute_ticks=sum(row[4] for row in steps),
        idle_ticks=makespan - sum(row[3] - row[2] for row in steps),
        exposed_ticks=tuple(sum(row[5 + cause] for row in steps) for cause in Cause),
        events=3 * len(hops) + len(steps),
        residency=np.zeros(0, np.int8),
        lost=sum(row[-1] for row in steps),
        formats=(FormatReads("fp16", Fraction(1), sum(row[-5] - row[-1] for row in steps)),),
    )


def _lane_info(index: int, lane: Lane, hops: list[Row], classes: dict[int, int]) -> LaneInfo:
    mine = [row for row in hops if row[1] == index]
    by_class = [0, 0, 0, 0]
    for row in mine:
        by_class[classes.get(row[0], 0)] += row[5]
    return LaneInfo(
        name=lane.name,
        link=lane.link,
        direction=lane.direction,
        kind=lane.kind,
        channels=lane.channels,
        bandwidth=lane.bandwidth,
        transfers=len(mine),
        bytes_in=sum(by_class),
        bytes_out=sum(by_class),
        busy_ticks=sum(row[4] - row[3] for row in mine),
        queue_ticks=sum(row[3] - row[2] for row in mine),
        bytes_by_class=(by_class[0], by_class[1], by_class[2], by_class[3]),
    )


def busy_run(
    moves: int, seed: int = 1, keep_events: bool = True, scenario: Scenario | None = None
) -> RunResult:
    """A plausible decode of about `moves` transfers over FIFO lanes, four layers a step; deterministic."""
    rng = random.Random(seed)
    us = 10**6
    size, page_ticks, nvme_ticks = 256 * 1024, 4 * us, 37 * us
    free = [0, 0, 0]
    tables = ("steps", "layers", "stalls", "transfers", "hops", "space")
    rows: dict[str, list[Row]] = {name: [] for name in tables}
    rows["space"] = [(0, tier, level) for tier, level in enumerate(INITIAL)]
    now, number, step = 0, 0, 0

    def move(cls: int, source: int, target: int, lanes: Sequence[int], at: int) -> int:
        nonlocal number
        queued = at
        for lane in lanes:
            service = nvme_ticks if lane == 2 else page_ticks
            start = max(queued, free[lane])
            free[lane] = start + service
            rows["hops"].append((number, lane, queued, start, start + service, size, service))
            queued = start + service
        page = rng.randrange(40_000)
        rows["transfers"].append((number, cls, cls, page, 1, size, source, target, step, at, at, queued))
        rows["space"] += [(at, target, size), (queued, source, -size)]
        number += 1
        return queued

    while number < moves:
        begin, exposed = now, [0] * len(Cause)
        for layer in range(4):
            burst = rng.choice((0, 1, 2, 8)) if rng.random() < 0.9 else 20
            arrived = now
            for _ in range(burst):
                deep = rng.random() < 0.06
                waited_for = number
                arrived = move(TransferClass.DEMAND, 2 if deep else 1, 0, (2, 0) if deep else (0,), now)
                move(TransferClass.WRITE_BACK, 0, 1, (1,), now)
            if arrived > now:
                cause = Cause.LATE_PREFETCH if rng.random() < 0.2 else Cause.DEMAND_SERVICE
                middle = now + (arrived - now) // 3
                for low, high, why in ((now, middle, Cause.DEMAND_QUEUEING), (middle, arrived, cause)):
                    rows["stalls"].append((step, layer, low, high, why, 0, waited_for))
                    exposed[why] += high - low
            now = arrived
            for _ in range(rng.randrange(4)):
                move(TransferClass.PREFETCH, 1, 0, (0,), now)
                move(TransferClass.BACKGROUND, 0, 1, (1,), now)
            rows["layers"].append((step, layer, now, now + 20 * us))
            now += 20 * us
        rows["steps"].append(step_row(step, begin, now, exposed, accesses=256, hits=230, late=3))
        step += 1
        now += 30 * us if step % 10 == 0 else 0
    return make_run(
        **rows,  # type: ignore[arg-type]
        keep_events=keep_events,
        scenario=scenario,
        tiers=_tiers(rows["space"], 256 * step),
        prefetch=PrefetchInfo(issued=900, timely=700, late=120, wasted=80, dropped=40),
    )


def _tiers(space: list[Row], accesses: int) -> tuple[TierInfo, ...]:
    names = (("hbm", 64), ("dram", 4096), ("nvme", 16384))
    found = (accesses * 9 // 10, accesses * 8 // 100, accesses * 2 // 100)
    tiers = []
    for index, (name, capacity) in enumerate(names):
        level = peak = 0
        for _, _tier, delta in sorted(row for row in space if row[1] == index):
            level += delta
            peak = max(peak, level)
        evictions = 0 if index == len(names) - 1 else accesses // 50
        size, initial = capacity * MIB, INITIAL[index]
        tiers.append(TierInfo(name, size, initial, 0, 0, level, peak, found[index], evictions, 0))
    return tuple(tiers)
