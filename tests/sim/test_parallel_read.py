"""Tier 0 and a tier read in place, both read at once while a layer computes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.analysis import bounds
from kvsim.analysis.critical_path import CriticalPaths
from kvsim.analysis.run_bounds import run_bounds
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult

TOKENS = 16
PAGES = 400
LAYERS = 2
PAGE = 2 * 2 * 1 * 64 * TOKENS  # keys and values, two bytes, one head of 64 scalars
NEAR, FAR = 3 * 10**11, 10**11
"""Bytes per second."""
CONCURRENT = ("demand", "layered", "async")


def machine(far: int = FAR, policy: str = "parallel", **options: Any) -> dict[str, Any]:
    """A GPU whose memory is read at NEAR and computes at once, beside memory that is read at `far`; a model
    with almost no weights, so that nothing but the cache takes time."""
    return {
        "name": "two at once",
        "model": {
            "name": "m",
            "layers": LAYERS,
            "hidden": 64,
            "heads": 1,
            "kv_heads": 1,
            "head_dim": 64,
            "parameters": 2,
        },
        "gpu": {
            "name": "g",
            "memory": "1 GB",
            "bandwidth": f"{NEAR} B/s",
            "l2": "1 MB",
            "flops": "1000000 TFLOP/s",
            "host_link": "pcie4-x16",
            "power_w": 1,
        },
        "scheme": {"name": "fp16", "bits": 16},
        "hierarchy": {
            "tiers": [
                {"name": "hbm", "capacity": "1 GB"},
                {"name": "dram", "capacity": "1 GB", "access": "direct"},
            ],
            "links": [{"name": "c2c", "between": ["hbm", "dram"], "bandwidth": f"{far} B/s"}],
        },
        "workload": {
            "kind": "dense_decode",
            "context_tokens": PAGES * TOKENS,
            "page_tokens": TOKENS,
            "steps": 1,
        },
        "policy": {"placement": {"name": policy, "options": options}},
        "execution": {"overlap": "layered", "in_place": "during", "bandwidth_efficiency": 1.0},
    }


def run(plain: dict[str, Any], **execution: Any) -> RunResult:
    plain["execution"] |= execution
    return simulate(Scenario.model_validate(plain))


def ideal(near_pages: int, far: int = FAR) -> Fraction:
    """Ticks of a layer of which so many pages are in tier 0."""
    return bounds.two_tiers(near_pages * PAGE, (PAGES - near_pages) * PAGE, NEAR, far)


@pytest.mark.parametrize("overlap", CONCURRENT)
def test_the_best_split_is_found_and_reads_at_the_sum_of_the_bandwidths(overlap: str) -> None:
    # x* = 3 / (3 + 1), so 300 of 400 pages of each layer; the ideal is all bytes at 400 GB/s.
    result = run(machine(), overlap=overlap)
    assert [tier.found for tier in result.tiers] == [LAYERS * 300, LAYERS * 100]
    together = LAYERS * bounds.service(PAGES * PAGE, NEAR + FAR)
    assert together == LAYERS * ideal(300)
    assert result.makespan_ticks == pytest.approx(float(together), rel=0.001)
    alone = run(machine(policy="fill"), overlap=overlap).makespan_ticks
    assert alone / result.makespan_ticks == pytest.approx((NEAR + FAR) / NEAR, rel=0.001)


@pytest.mark.parametrize("pages", range(0, PAGES + 1, 40))
def test_any_split_takes_the_longer_of_the_two_reads(pages: int) -> None:
    """To the tick, but for what is rounded up: each page's service, the compute of a layer, which two
    weights of two bytes lengthen by 20 / 3 ticks each."""
    result = run(machine(share=pages / PAGES))
    expected = LAYERS * ideal(pages)
    assert 0 <= result.makespan_ticks - expected <= LAYERS * (PAGES + 8)
    slack = LAYERS * ideal(300) - result.makespan_ticks
    assert slack <= 0  # none is better than x*


def test_before_the_two_reads_add_up_and_all_of_the_cache_is_streamed_from_tier_0() -> None:
    result = run(machine(), in_place="before")
    expected = LAYERS * (bounds.service(PAGES * PAGE, NEAR) + bounds.service(100 * PAGE, FAR))
    assert result.makespan_ticks == pytest.approx(float(expected), rel=0.001)


def test_serial_reads_in_place_first_and_ideal_takes_only_what_tier_0_streams() -> None:
    serial = run(machine(), overlap="serial")
    near, far = (bounds.service(n * PAGE, rate) for n, rate in ((300, NEAR), (100, FAR)))
    assert serial.makespan_ticks == pytest.approx(float(LAYERS * (near + far)), rel=0.001)
    assert run(machine(), overlap="ideal").makespan_ticks == pytest.approx(float(LAYERS * near), rel=0.001)


def test_what_the_reads_take_beyond_compute_is_exposed_on_their_link() -> None:
    result = run(machine(share=0.5))
    beyond = bounds.service(200 * PAGE, FAR) - bounds.service(200 * PAGE, NEAR)
    exposed = result.exposed_ticks
    assert sum(exposed) == pytest.approx(float(LAYERS * beyond), rel=0.001)
    assert exposed[Cause.DEMAND_QUEUEING] + exposed[Cause.DEMAND_SERVICE] == sum(exposed)
    assert set(result.records.stalls.column("lane").tolist()) == {0}
    assert result.tiers[1].read_bytes == LAYERS * 200 * PAGE
    spans = CriticalPaths(result).of(0)
    assert sum(span.end - span.start for span in spans) == result.makespan_ticks
    found = run_bounds(result)
    assert found.max_ticks <= result.makespan_ticks <= found.additive_ticks


def test_a_layer_that_is_bound_by_arithmetic_hides_the_reads() -> None:
    plain = machine(share=0.5)
    plain["gpu"]["flops"] = "0.001 TFLOP/s"
    result = run(plain)
    assert sum(result.exposed_ticks) == 0
    assert result.makespan_ticks == run({**machine(policy="fill"), "gpu": plain["gpu"]}).makespan_ticks


def test_given_compute_times_and_reads_overlap_as_they_are() -> None:
    """100 pages of 4,096 bytes at 100 GB/s take 4.096 us of the 10 us that a layer computes."""
    for compute, expected in (("10 us", 20_000_000), ("1 us", 2 * 4_096_000)):
        result = run(machine(share=0.75), compute_time=compute)
        assert result.makespan_ticks == expected


@pytest.mark.parametrize("tile", [1, 7, 100, 399])
def test_tiles_of_a_layer_count_what_is_near_for_themselves(tile: int) -> None:
    """Tiles are read one after another: each takes the longer of its two reads, so together no less than the
    layer, and exactly that of the pages near and far where no tile has both."""
    result = run(machine(share=0.5), tile=tile)
    near, far = (np.arange(PAGES) < 200, np.arange(PAGES) >= 200)
    expected = Fraction(0)
    for start in range(0, PAGES, tile):
        part = slice(start, start + tile)
        expected += bounds.two_tiers(int(near[part].sum()) * PAGE, int(far[part].sum()) * PAGE, NEAR, FAR)
    assert result.makespan_ticks == pytest.approx(float(LAYERS * expected), rel=0.001)


def test_the_split_holds_while_the_cache_grows() -> None:
    """Sixteen tokens fill a page of each layer; three of four stay in tier 0, the fourth goes down after its
    step."""
    plain = machine()
    plain["workload"] |= {"context_tokens": 40 * TOKENS, "steps": 8 * TOKENS}
    result = run(plain)
    assert np.bincount(result.residency[result.residency >= 0]).tolist() == [LAYERS * 36, LAYERS * 12]
    assert result.migrated == ((0, 1, LAYERS * 2),)


@given(
    share=st.floats(0, 1),
    context=st.integers(1, 12 * TOKENS),
    steps=st.integers(1, 3 * TOKENS),
    room=st.integers(2, 40),
    overlap=st.sampled_from(("serial", *CONCURRENT, "ideal")),
    in_place=st.sampled_from(("before", "during")),
)
def test_the_books_balance_and_no_layer_ends_before_its_reads(
    share: float, context: int, steps: int, room: int, overlap: str, in_place: str
) -> None:
    plain = machine(share=share)
    plain["workload"] |= {"context_tokens": context, "steps": steps}
    plain["hierarchy"]["tiers"][0]["capacity"] = f"{room} pages"
    result = run(plain, overlap=overlap, in_place=in_place)
    records = result.records
    reads = records.transfers.array()[records.transfers.column("target") == -1]
    ends = dict(zip(records.steps.column("step").tolist(), records.steps.column("end").tolist(), strict=True))
    for row in reads.tolist():
        assert row[-1] <= ends[row[8]]
