from __future__ import annotations

import json
from dataclasses import replace

import pytest
from analysis.synthetic import TIERS, Lane, busy_run, make_run, make_scenario, step_row

from kvsim.analysis.metrics import overlap_efficiency, summarise
from kvsim.scenario.workload import DenseDecode, LanguageModel, RagBurst, WorkloadSpec
from kvsim.sim.records import Cause, TransferClass
from kvsim.sim.result import PrefetchInfo, RunResult

SECOND = 10**12
UP, DOWN, NVME = 0, 1, 2


def one_step() -> RunResult:
    """One step of 300 s: compute in [0, 100) and [150, 250), waits of 30 s, 20 s and 50 s."""
    return make_run(
        steps=[
            step_row(0, 0, 300 * SECOND, (30 * SECOND, 70 * SECOND, 0, 0, 0), accesses=8, hits=6, absent=1)
        ],
        layers=[(0, 0, 0, 100 * SECOND), (0, 1, 150 * SECOND, 250 * SECOND)],
        stalls=[
            (0, 1, 100 * SECOND, 130 * SECOND, Cause.DEMAND_QUEUEING, UP, 0),
            (0, 1, 130 * SECOND, 150 * SECOND, Cause.DEMAND_SERVICE, UP, 0),
            (0, 2, 250 * SECOND, 300 * SECOND, Cause.DEMAND_SERVICE, -1, -1),
        ],
        transfers=[
            (0, TransferClass.DEMAND, TransferClass.DEMAND, 7, 1, 500, 1, 0, 0, 0, 0, 150 * SECOND),
            (1, TransferClass.WRITE_BACK, TransferClass.WRITE_BACK, 8, 2, 900, 0, 1, 0, 0, 0, 0),
        ],
        hops=[
            (0, UP, 40 * SECOND, 50 * SECOND, 160 * SECOND, 500, 110 * SECOND),
            (1, DOWN, 90 * SECOND, 90 * SECOND, 120 * SECOND, 900, 30 * SECOND),
        ],
    )


def test_hidden_time_of_a_lane_is_its_service_under_compute() -> None:
    links = summarise(one_step()).links
    assert links["pcie up"].hidden_s == (100 - 50) + (160 - 150)
    assert links["pcie down"].hidden_s == 100 - 90
    assert links["nvme"].hidden_s == 0


def test_hidden_time_is_summed_over_lanes_and_weighed_against_exposed_time() -> None:
    summary = summarise(one_step())
    assert summary.hidden_s == 60 + 10
    assert summary.exposed_s["total"] == 30 + 70
    assert summary.overlap_efficiency == 70 / (70 + 100)


def test_transfers_that_overlap_on_one_lane_hide_the_same_compute_once() -> None:
    run = make_run(
        steps=[step_row(0, 0, 100)],
        layers=[(0, 0, 0, 100)],
        hops=[(0, 0, 10, 10, 60, 1, 50), (1, 0, 20, 20, 80, 1, 60)],
        lanes=[Lane("pcie up", "pcie", "up", channels=2)],
    )
    lane = summarise(run).links["pcie up"]
    assert lane.hidden_s == (80 - 10) / SECOND
    assert lane.busy_s == (50 + 60) / SECOND
    assert lane.utilisation == (50 + 60) / (2 * 100)


def test_exposed_time_is_attributed_to_lane_and_cause() -> None:
    links = summarise(one_step()).links
    assert links["pcie up"].exposed_s == 30 + 20
    assert links["pcie up"].exposed_by_cause_s == {
        "demand_queueing": 30,
        "demand_service": 20,
        "room": 0,
        "codec": 0,
        "late_prefetch": 0,
        "copy_kernel": 0,
        "decision": 0,
    }
    assert links["pcie down"].exposed_s == 0


def test_times_of_a_run_add_up_to_its_makespan() -> None:
    summary = summarise(busy_run(2_000))
    spent = summary.compute_s + summary.exposed_s["total"] + summary.idle_s
    assert spent == pytest.approx(summary.makespan_s, rel=1e-12)


def test_lane_figures_are_ratios_of_counted_ticks() -> None:
    lane = summarise(one_step()).links["pcie up"]
    assert lane.utilisation == 110 / 300
    assert lane.mean_queue_s == 50 - 40
    assert lane.mean_sojourn_s == 160 - 40
    assert lane.mean_in_system == 120 / 300
    assert lane.arrival_rate_per_s == 1 / 300


def test_bytes_are_split_by_link_and_class() -> None:
    summary = summarise(one_step())
    assert summary.bytes_by_link["pcie"] == {
        "demand": 500,
        "write_back": 900,
        "prefetch": 0,
        "background": 0,
        "total": 1400,
    }
    assert summary.bytes_by_link["nvme"]["total"] == 0
    assert "nvme ports" not in summary.bytes_by_link
    assert summary.bytes_by_class["total"] == 1400


def test_percentiles_are_observed_latencies_of_nearest_rank() -> None:
    starts = [sum(range(1, n)) for n in range(1, 101)]
    run = make_run(steps=[step_row(n, start, start + n + 1) for n, start in enumerate(starts)])
    latency = summarise(run).step_latency_s
    assert latency == {
        "mean": 50.5 / SECOND,
        "p50": 50 / SECOND,
        "p95": 95 / SECOND,
        "p99": 99 / SECOND,
        "max": 100 / SECOND,
    }


def test_response_counts_the_wait_for_earlier_steps() -> None:
    run = make_run(steps=[step_row(0, 0, 10, arrival=0), step_row(1, 10, 20, arrival=4)])
    summary = summarise(run)
    assert summary.step_latency_s["max"] == 10 / SECOND
    assert summary.step_response_s["max"] == 16 / SECOND


@pytest.mark.parametrize(
    ("work", "tokens_per_s"),
    [
        pytest.param(
            DenseDecode(context_tokens=64, steps=4, batch=4), 4 * 4 / 2.0, id="a token a step and sequence"
        ),
        pytest.param(
            LanguageModel(context_tokens=80, decode_tokens=16, chunk_tokens=32),
            2 / 0.5,
            id="two chunks of prompt, 64 tokens, give none",
        ),
        pytest.param(RagBurst(), None, id="bursts are no tokens"),
    ],
)
def test_tokens_per_second_are_those_decoded(work: WorkloadSpec, tokens_per_s: float | None) -> None:
    """Steps of 1, 0.5, 0.2 and 0.3 s, and a second without any between."""
    spans = [(0.0, 1.0), (1.0, 1.5), (2.5, 2.7), (2.7, 3.0)]
    steps = [step_row(n, round(start * SECOND), round(end * SECOND)) for n, (start, end) in enumerate(spans)]
    scenario = make_scenario().model_copy(update={"workload": work})
    assert summarise(make_run(steps=steps, scenario=scenario)).tokens_per_s == tokens_per_s


def test_hit_rates_are_shares_of_all_reads() -> None:
    tiers = [replace(tier, found=found) for tier, found in zip(TIERS, (6, 1, 0), strict=True)]
    summary = summarise(make_run(steps=[step_row(0, 0, 1, accesses=8, hits=6, absent=1)], tiers=tiers))
    assert summary.hit_rate == 6 / 8
    assert summary.tier_hit_rate == {"hbm": 6 / 8, "dram": 1 / 8, "nvme": 0}
    assert summary.absent_rate == 1 / 8


def test_a_run_without_steps_has_figures_of_zero() -> None:
    summary = summarise(make_run())
    assert summary.hit_rate == summary.makespan_s == summary.step_latency_s["mean"] == 0
    assert summary.links["pcie up"].utilisation == 0


def test_nothing_hidden_and_nothing_exposed_leaves_nothing_to_remove() -> None:
    assert overlap_efficiency(0, 0) == 1
    assert overlap_efficiency(0, 5) == 0
    assert overlap_efficiency(15, 5) == 0.75


def test_summary_records_keep_what_counters_know_and_say_none_for_the_rest() -> None:
    full, short = summarise(busy_run(500)), summarise(busy_run(500, keep_events=False))
    assert short.records == "summary"
    assert short.hidden_s is short.overlap_efficiency is short.transfers is None
    assert short.bounds is None
    assert short.links["pcie up"].hidden_s is short.links["pcie up"].mean_in_system is None
    for name in (
        "steps",
        "accesses",
        "makespan_s",
        "exposed_s",
        "step_latency_s",
        "bytes_by_link",
        "peak_bytes",
    ):
        assert getattr(short, name) == getattr(full, name)
    assert short.links["pcie up"].utilisation == full.links["pcie up"].utilisation


def test_counters_are_passed_on() -> None:
    summary = summarise(make_run(prefetch=PrefetchInfo(issued=6, timely=3, late=2, wasted=1, dropped=9)))
    assert summary.prefetch == {
        "issued": 6,
        "timely": 3,
        "late": 2,
        "wasted": 1,
        "dropped": 9,
        "polluted": 0,
        "cancelled": 0,
        "late_saved_s": 0.0,
        "stolen_s": 0.0,
    }
    assert (summary.evictions, summary.discards) == (26, 1)
    assert summary.peak_bytes == {"hbm": 60 << 20, "dram": 300 << 20, "nvme": 1024 << 20}


def test_the_dictionary_of_a_summary_is_json_and_the_same_each_time() -> None:
    texts = {json.dumps(summarise(busy_run(300)).to_dict(), allow_nan=False) for _ in range(2)}
    assert len(texts) == 1
