"""From a case of the oracle to a kvsim scenario with its workload."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from oracle.decisions import Cls, NoRoom
from oracle.description import Case, Layer, Link, Tier
from oracle.outcome import Arrival, Outcome
from oracle.roads import LaneName

from kvsim import units
from kvsim.errors import SimulationError
from kvsim.policies import PlacementPolicy, PlacementView
from kvsim.scenario.scenario import Scenario
from kvsim.sim import engine
from kvsim.sim.result import RunResult
from kvsim.workloads.base import LayerAccess
from kvsim.workloads.base import Step as KvsimStep


class ExplicitWorkload:
    """A workload that was written down beforehand, step by step."""

    name: ClassVar[str] = "explicit"

    def __init__(
        self,
        steps: list[KvsimStep],
        initial_pages: int,
        page_scalars: int | NDArray[np.int64],
        absent: Literal["appear", "compute"],
    ) -> None:
        self.absent = absent
        self.initial_pages = initial_pages
        self.page_scalars = page_scalars
        self.total_steps: int | None = len(steps)
        self._steps = steps

    def steps(self) -> Iterator[KvsimStep]:
        """Yields the steps in order."""
        yield from self._steps


def _layer(index: int, layer: Layer) -> LayerAccess:
    each = layer.absent_each
    return LayerAccess(
        pages=np.array(layer.pages, dtype=np.int64),
        compute_ticks=layer.compute,
        layer=index,
        ordered=layer.ordered,
        created=np.array(layer.created, dtype=np.int64),
        absent_ticks=None if each is None else lambda absent: each * absent,
        foreseen=layer.foreseen,
    )


def workload(case: Case) -> ExplicitWorkload:
    """The case's steps as kvsim reads them."""
    steps = [
        KvsimStep([_layer(index, layer) for index, layer in enumerate(step.layers)], step.arrival)
        for step in case.steps
    ]
    return ExplicitWorkload(steps, case.initial, np.array(case.scalars, dtype=np.int64), case.absent)


# The same numbers come again and again: in other modes of a case, and in other cases.
_size = cache(units.exact_bytes)
_time = cache(units.exact_duration)
_rate = cache(units.exact_bandwidth)


def _speed(bandwidth: int | None) -> str | None:
    return None if bandwidth is None else _rate(bandwidth)


def _tier(number: int, tier: Tier) -> dict[str, Any]:
    return {
        "name": f"tier{number}",
        "capacity": _size(tier.capacity),
        "read_latency": _time(tier.read_latency),
        "write_latency": _time(tier.write_latency),
        "read_bandwidth": _speed(tier.read_bandwidth),
        "write_bandwidth": _speed(tier.write_bandwidth),
        "ports": tier.ports,
        "access": "direct" if tier.direct else "stage" if tier.stage else "promote",
        "inclusive": tier.inclusive,
        "scheme": {
            "name": f"scheme{number}",
            "bits": float(tier.bits),
            "compress": _speed(tier.compress),
            "decompress": _speed(tier.decompress),
            "latency": _time(tier.codec_latency),
        },
        "high_watermark": tier.high,
        "low_watermark": tier.low,
    }


def _link(number: int, link: Link) -> dict[str, Any]:
    return {
        "name": f"link{number}",
        "between": (f"tier{link.near}", f"tier{link.far}"),
        "bandwidth": _speed(link.bandwidth),
        "bandwidth_down": _speed(link.bandwidth_down),
        "latency": _time(link.latency),
        "setup": _time(link.setup),
        "duplex": "half" if link.half else "full",
        "channels": link.channels,
        "channel_bandwidth": _speed(link.channel_bandwidth),
        "chunk": None if link.chunk is None else _size(link.chunk),
        "arbitration": "priority" if link.priority else "fifo",
    }


def _placement(case: Case) -> Any:
    if not case.wishes:
        return "fill" if case.fill else "last"
    options = {"wishes": [[list(wish) for wish in step] for step in case.wishes], "fill": case.fill}
    return {"name": "oracle.bridge:Wishes", "options": options}


class Wishes(PlacementPolicy):
    """Wants after each step what was written down beforehand."""

    name = "wishes"
    watches = True

    def __init__(self, view: PlacementView, wishes: list[list[list[int]]], fill: bool) -> None:
        super().__init__(view)
        self._wishes = wishes
        self._first = 0 if fill else view.tier_count - 1

    def start(self, page: int) -> int:
        return self._first

    def migrations(self) -> Iterator[tuple[int, int]]:
        if self.view.step < len(self._wishes):
            yield from ((page, tier) for page, tier in self._wishes[self.view.step])


def scenario(case: Case) -> Scenario:
    """The case's hierarchy, policies and mode as kvsim reads them."""
    return Scenario.model_validate(
        {
            "name": "case",
            "hierarchy": {
                "tiers": [_tier(number, tier) for number, tier in enumerate(case.tiers)],
                "links": [_link(number, link) for number, link in enumerate(case.links)],
            },
            "workload": {"kind": "custom", "workload_class": "oracle.bridge:ExplicitWorkload"},
            "policy": {"eviction": "lru", "placement": _placement(case)},
            "execution": {
                "overlap": case.mode,
                "depth": case.depth,
                "compute_time": _time(0),
                "dma": {
                    "max_in_flight": case.max_in_flight,
                    "coalesce": case.coalesce,
                    "classes": {
                        cls.name.lower(): {"in_flight": most}
                        for cls, most in zip(Cls, case.class_in_flight, strict=True)
                    },
                },
            },
        }
    )


def run(case: Case) -> RunResult:
    """The engine's result. Raises SimulationError if a page that must go somewhere cannot."""
    return engine.simulate(scenario(case), workload(case))


def simulate(case: Case) -> Outcome:
    """The engine's result in the oracle's words. Raises NoRoom like the oracle."""
    try:
        result = run(case)
    except SimulationError as error:
        raise NoRoom(str(error)) from error
    records = result.records
    steps = (records.steps.column(name).tolist() for name in ("start", "end", "compute"))
    residency = result.residency.tolist()
    return Outcome(
        end=result.makespan_ticks,
        steps=list(zip(*steps, strict=True)),
        computes=[(step, layer, start, end) for step, layer, start, end in records.layers.array().tolist()],
        stalls=_merged([tuple(row[:4]) for row in records.stalls.array().tolist()]),
        arrivals=_arrivals(result),
        lane_bytes={_lane(lane.link, lane.kind, lane.direction): lane.bytes_out for lane in result.lanes},
        residency=residency + [-1] * (len(case.scalars) - len(residency)),
        found=[tier.found for tier in result.tiers],
        absent=result.absent,
        evictions=[tier.evictions for tier in result.tiers],
        discards=[tier.discards for tier in result.tiers],
    )


def _merged(parts: list[tuple[int, ...]]) -> list[tuple[int, int, int, int]]:
    """The engine cuts a wait by its causes; put the pieces together again."""
    waits: list[tuple[int, int, int, int]] = []
    for step, layer, start, end in sorted(parts):
        if waits and waits[-1][:2] == (step, layer) and waits[-1][3] == start:
            waits[-1] = (step, layer, waits[-1][2], end)
        elif end > start:
            waits.append((step, layer, start, end))
    return waits


def _arrivals(result: RunResult) -> list[Arrival]:
    columns = (
        "page", "pages", "source", "target", "bytes", "cls", "issued_cls", "requested", "granted", "arrived",
    )  # fmt: skip
    table = zip(*(result.records.transfers.column(name).tolist() for name in columns), strict=True)
    arrivals = [
        Arrival(page, pages, source, target, size, Cls(cls), Cls(issued), *times)
        for page, pages, source, target, size, cls, issued, *times in table
    ]
    return sorted(arrivals, key=lambda arrival: arrival.arrived)


def _lane(name: str, kind: str, direction: str) -> LaneName:
    if kind == "codec":
        return kind, 0, direction
    return kind, int(name.removeprefix("link" if kind == "link" else "tier")), direction
