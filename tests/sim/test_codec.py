"""Tiers of different schemes: what is on the wire, and the codec as one more lane of the route."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle.bridge import ExplicitWorkload

from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult
from kvsim.workloads.base import LayerAccess, Step

SCALARS = 100
"""200 bytes in tier 0 (16 bits), 100 in tier 1 (8 bits)."""


def run(pages: list[int], *, codec: str | None, chunk: str | None, overlap: str = "demand") -> RunResult:
    """Each page is read by a step of its own; tier 0 holds one, the link takes a tick a byte."""
    scheme: dict[str, Any] = {"name": "half", "bits": 8.0, "compress": codec, "decompress": codec}
    scenario = Scenario.model_validate(
        {
            "name": "codec",
            "hierarchy": {
                "tiers": [
                    {"name": "hbm", "capacity": "200 B"},
                    {"name": "dram", "capacity": "1000 B", "scheme": scheme},
                ],
                "links": [
                    {"name": "link", "between": ("hbm", "dram"), "bandwidth": "1 TB/s", "chunk": chunk}
                ],
            },
            "workload": {"kind": "custom", "workload_class": "oracle.bridge:ExplicitWorkload"},
            "policy": {"placement": "last"},
            "execution": {"overlap": overlap, "compute_time": "0 s"},
        }
    )
    steps = [Step([LayerAccess(np.array([page]), 0)]) for page in pages]
    return simulate(scenario, ExplicitWorkload(steps, max(pages) + 1, SCALARS, "appear"))


def test_the_narrower_form_is_on_the_wire_and_each_tier_holds_its_own() -> None:
    result = run([0], codec=None, chunk=None)
    assert result.makespan_ticks == 100
    assert [tier.resident_bytes for tier in result.tiers] == [200, 0]
    assert [lane.bytes_out for lane in result.lanes] == [100, 0]


@pytest.mark.parametrize(
    ("codec", "chunk", "ticks"),
    [
        ("1 TB/s", None, 100 + 200),  # stored whole, then 200 bytes at a tick each
        ("1 TB/s", "25 B", 25 + 3 * 50 + 50),  # K chunks: tau_x + (K - 1) max(tau_x, tau_c) + tau_c
        ("8 TB/s", "20 B", 20 + 4 * 20 + 5),  # the link is the slower one
    ],
)
@pytest.mark.parametrize("overlap", ["serial", "demand"])
def test_decompression_pipelines_with_the_transfer_by_chunk(
    codec: str, chunk: str | None, ticks: int, overlap: str
) -> None:
    result = run([0], codec=codec, chunk=chunk, overlap=overlap)
    assert result.makespan_ticks == ticks
    # the link holds the page up for its own 100 ticks, the codec for what remains
    assert result.exposed_ticks[Cause.DEMAND_SERVICE] == 100
    assert result.exposed_ticks[Cause.CODEC] == ticks - 100


def test_a_page_is_compressed_on_its_way_down() -> None:
    result = run([0, 1], codec="1 TB/s", chunk=None)
    # page 0 up 300; page 1 waits until page 0 is compressed (200) and sent down (100), then 300
    assert result.makespan_ticks == 300 + 300 + 300
    by_lane = {lane.name: lane.bytes_out for lane in result.lanes}
    assert by_lane == {"link up": 200, "link down": 100, "decompress": 200, "compress": 100}
    assert result.exposed_ticks[Cause.ROOM] == 300
    stalls = result.records.stalls
    room = stalls.column("lane")[stalls.column("cause") == Cause.ROOM]
    assert [result.lanes[lane].name for lane in room] == ["link down"]  # where the room was made


@pytest.mark.parametrize(
    ("codec", "chunk", "service", "ticks"),
    [
        ("1 TB/s", "25 B", 200, 50 + 3 * 50 + 25),  # the same the other way round: tau_c + ... + tau_x
        ("8 TB/s", "20 B", 25, 5 + 4 * 20 + 20),  # the link is the slower one
        ("2 TB/s", "10 B", 100, 10 + 9 * 10 + 10),  # as fast as the link
    ],
)
@pytest.mark.parametrize("overlap", ["serial", "demand"])
def test_compression_pipelines_with_the_transfer_by_chunk(
    codec: str, chunk: str, service: int, ticks: int, overlap: str
) -> None:
    """Page 0 goes down to make room; then page 1 comes up, which takes as long the other way round."""
    result = run([0, 1], codec=codec, chunk=chunk, overlap=overlap)
    steps = result.records.steps
    assert (steps.column("end") - steps.column("start")).tolist() == [ticks, ticks + ticks]
    # in serial the step sees the codec at work; else it waits for room, whatever the write-back is doing
    assert result.exposed_ticks[Cause.ROOM] == (ticks - service if overlap == "serial" else ticks)


def test_a_fixed_codec_time_is_paid_by_each_transfer_and_each_read_in_tier_0() -> None:
    """As kv-hierarchy-lab charges it; the scheme is one for all tiers."""
    scenario = Scenario.model_validate(
        {
            "name": "latency",
            "scheme": {"name": "slow", "bits": 8.0, "latency": "7 ps"},
            "hierarchy": {
                "tiers": [{"name": "hbm", "capacity": "100 B"}, {"name": "dram", "capacity": "1000 B"}],
                "links": [{"name": "link", "between": ("hbm", "dram"), "bandwidth": "1 TB/s"}],
            },
            "workload": {"kind": "custom", "workload_class": "oracle.bridge:ExplicitWorkload"},
            "policy": {"placement": "last"},
            "execution": {"overlap": "serial", "compute_time": "0 s"},
        }
    )
    steps = [Step([LayerAccess(np.array([0]), 0)]), Step([LayerAccess(np.array([0]), 0)])]
    result = simulate(scenario, ExplicitWorkload(steps, 1, SCALARS, "appear"))
    assert result.makespan_ticks == (100 + 7) + 7
