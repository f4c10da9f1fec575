"""What is made of a run of requests, by arithmetic on small ones and by identities on busy ones."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from analysis.serving_runs import busy_serving, plain, served, serving_scenario, tight
from hypothesis import given
from hypothesis import strategies as st

from kvsim.analysis.serving import NO_TENANT, ServingSummary, summarise_serving
from kvsim.analysis.serving_frames import iterations_frame, moves_frame, requests_frame
from kvsim.analysis.serving_times import (
    EXPOSED_PHASES,
    PARTS,
    PHASES,
    QUEUE_PHASES,
    STATISTICS,
    distribution,
    token_gaps,
)
from kvsim.scenario.loader import loads_mapping
from kvsim.sim.serving.engine import ServingSimulation
from kvsim.sim.serving.result import ServingResult
from kvsim.workloads.requests import make_requests

MS = 10**9


def summary(result: ServingResult) -> ServingSummary:
    return summarise_serving(result)


def test_one_request_takes_an_iteration_for_its_prompt_and_one_for_each_further_token() -> None:
    """10 tokens of prompt and the first token in 1 ms, two more tokens in 2 ms."""
    one = summary(served([plain(500, 10, 3)]))
    assert one.ttft_s == dict.fromkeys(STATISTICS, 0.001)
    assert one.tpot_s == one.itl_s == one.ttft_s
    assert one.latency_s["max"] == 0.003
    assert one.parts_s == {"queue": 0.0, "exposed": 0.0, "compute": 0.003, "latency": 0.003}
    assert one.makespan_s == 0.0035
    assert one.requests_per_s == pytest.approx(1 / 0.0035)
    assert one.output_tokens_per_s == pytest.approx(3 / 0.0035)
    assert one.tokens_per_s == pytest.approx(13 / 0.0035)
    assert one.iterations == 3
    assert one.mean_batch == pytest.approx(2 / 3)
    assert one.by_instance["0"].utilisation == pytest.approx(3 / 3.5)
    assert one.by_instance["0"].tokens_per_iteration == pytest.approx(12 / 3)


def test_who_comes_during_an_iteration_queues_for_its_turn() -> None:
    """The second comes at 0.25 ms and waits 0.75 ms for the iteration that runs; it has its token at 2 ms."""
    two = summary(served([plain(0, 8, 2), plain(250, 8, 1)]))
    assert two.ttft_s["max"] == 0.00175
    assert two.phases_s["turn"] == two.parts_s["queue"] == 0.00075
    assert two.queue_s == {
        "mean": 0.000375,
        "p50": 0.0,
        "p90": 0.00075,
        "p95": 0.00075,
        "p99": 0.00075,
        "max": 0.00075,
    }
    assert two.phases_mean_s["turn"] == 0.000375
    assert two.tpot_s["max"] == 0.001  # of the first; the second has one token, and no time between two


def test_hits_are_blocks_and_tokens_of_the_tier_where_they_were_found() -> None:
    """Blocks 1 and 2 are computed once (8 tokens of the first prompt), then found by the second, whose last
    block, of 3 tokens, is new."""
    two = summary(served([plain(0, 8, 1, 1, 2), plain(5000, 11, 1, 1, 2, 3)]))
    assert two.blocks == 5
    assert two.hit_rate == pytest.approx(2 / 5)
    assert two.tier_hit_rate == {"hbm": pytest.approx(2 / 5), "dram": 0.0}
    assert two.tokens == {
        "input": 19, "output": 2, "reused": 8, "loaded": 0, "computed": 11, "recomputed": 0,
    }  # fmt: skip
    assert two.token_hit_rate == pytest.approx(8 / 19)


def test_loads_are_exposed_and_counted_apart() -> None:
    """hbm holds 3 blocks, and a block takes 1 us: the second request waits 2 us until blocks 1 and 2 are
    written back, the third 3 us for those of the second and 2 us for the loads of 1 and 2."""
    rows = [plain(0, 8, 1, 1, 2), plain(5000, 12, 1, 3, 4, 5), plain(10000, 12, 1, 1, 2, 6)]
    three = summary(served(rows, hierarchy=tight(hbm=3)))
    assert three.tokens["loaded"] == 8
    assert three.tier_hit_rate == {"hbm": 0.0, "dram": pytest.approx(2 / 8)}
    assert three.phases_s["load"] == 2e-6
    assert three.phases_s["room"] == 5e-6
    assert three.parts_s["exposed"] == 7e-6
    assert three.exposed_s["max"] == 5e-6
    up, down = three.links["pcie up"], three.links["pcie down"]
    assert (up.bytes, up.bytes_by_class["demand"]) == (2000, 2000)
    assert down.bytes == down.bytes_by_class["write_back"] == 1000 * three.evictions
    assert three.bytes_by_link["pcie"]["total"] == up.bytes + down.bytes == three.bytes_by_class["total"]
    assert up.mean_sojourn_s is not None
    assert up.hidden_s is None


def test_what_a_preemption_has_computed_again_is_no_prompt() -> None:
    """5 blocks of room, two prompts of one block that grow. After 5 tokens each both need a third block and
    one is left: the second gives way with 4 + 5 tokens, waits until the first ends at 12 ms, and computes
    these 9 again, in an iteration that gives its sixth token; six more end it at 19 ms."""
    two = summary(served([plain(0, 4, 12), plain(0, 4, 12)], hierarchy=tight()))
    assert two.preemptions == 1
    assert (two.tokens["computed"], two.tokens["recomputed"]) == (8, 9)
    assert two.phases_s["preempted"] == 0.007
    assert two.latency_s["max"] == 0.019
    assert two.itl_s["max"] == 0.008  # its fifth token at 5 ms, the sixth at 13 ms


def test_a_handed_over_prompt_is_still_accounted_for() -> None:
    apart = {"instances": {"count": 2, "prefill": 1}}
    two = summary(served([plain(0, 10, 3), plain(100, 9, 5)], serving=apart))
    assert two.tokens["computed"] == 19
    assert two.tokens["reused"] == two.tokens["recomputed"] == 0
    assert two.phases_s["handover"] > 0
    assert two.by_instance["0"].decoded_tokens == 0
    assert two.by_instance["1"].prompt_tokens == 0


def test_goodput_counts_those_that_keep_every_objective() -> None:
    """TTFT is 1 ms for the first and 1.75 ms for the second; TPOT is 1 ms."""
    rows = [plain(0, 8, 2), plain(250, 8, 1)]

    def goodput(**objectives: str) -> float | None:
        return summary(served(rows, serving={"objectives": objectives})).goodput_share

    assert goodput() is None
    assert goodput(ttft="1 ms") == 0.5
    assert goodput(ttft="1.75 ms") == 1.0
    assert goodput(ttft="1.75 ms", tpot="0.9 ms") == 0.5  # one token keeps any time between tokens
    kept = summary(served(rows, serving={"objectives": {"ttft": "1 ms"}}))
    assert kept.goodput_per_s == pytest.approx(1 / 0.002)
    assert kept.objectives_s == {"ttft": 0.001}


def test_nothing_asked_for_is_summarised_too() -> None:
    nothing = summary(served([]))
    assert (nothing.requests, nothing.hit_rate, nothing.itl_s["max"], nothing.goodput_share) == (
        0,
        0,
        0,
        None,
    )


def test_lines_left_out_of_the_trace_are_told() -> None:
    assert summary(served([plain(0, 4, 1)], seed=99)).skipped == {"negative tokens": 2}


@pytest.fixture(scope="module")
def busy() -> ServingResult:
    return busy_serving()


def test_parts_and_phases_add_up_to_the_latencies(busy: ServingResult) -> None:
    of = busy.records.requests
    whole = int((of.column("end") - of.column("arrival")).sum())
    said = summary(busy)
    assert said.parts_s["latency"] == whole / 10**12
    assert sum(said.phases_s.values()) == pytest.approx(said.parts_s["latency"], rel=1e-12)
    assert said.latency_s["mean"] * said.requests == pytest.approx(said.parts_s["latency"], rel=1e-12)
    for part, phases in PARTS.items():
        assert said.parts_s[part] == pytest.approx(sum(said.phases_s[name] for name in phases), rel=1e-12)
    assert (*QUEUE_PHASES, *EXPOSED_PHASES, "compute") == PHASES


def test_tokens_of_prompts_are_reused_loaded_or_computed(busy: ServingResult) -> None:
    tokens = summary(busy).tokens
    assert tokens["input"] == tokens["reused"] + tokens["loaded"] + tokens["computed"]
    assert tokens["recomputed"] > 0
    computed = int(busy.records.iterations.column("prompt").sum())
    assert computed == tokens["computed"] + tokens["recomputed"]


def test_instances_and_tenants_add_up_to_the_run(busy: ServingResult) -> None:
    said = summary(busy)
    for group in (said.by_instance.values(), said.by_tenant.values()):
        assert sum(each.requests for each in group) == said.requests
    assert sum(each.iterations for each in said.by_instance.values()) == said.iterations
    assert sum(each.tokens["output"] for each in said.by_tenant.values()) == said.tokens["output"]
    assert list(said.by_tenant) == ["chat", "rag"]
    assert max(each.ttft_s["max"] for each in said.by_tenant.values()) == said.ttft_s["max"]
    assert set(said.peak_bytes) == {"hbm/0", "hbm/1", "dram"}
    assert set(said.tier_hit_rate) == {"hbm", "dram"}


def test_requests_without_a_tenant_have_a_name_beside_others() -> None:
    rows = [plain(0, 4, 1), plain(0, 4, 1, tenant="a")]
    assert list(summary(served(rows)).by_tenant) == [NO_TENANT, "a"]
    assert summary(served(rows[:1])).by_tenant == {}


def test_gaps_between_tokens_are_those_between_first_and_last(busy: ServingResult) -> None:
    gaps = token_gaps(busy)
    of = busy.records.requests
    later = np.maximum(of.column("output") - 1, 0)
    assert gaps.count == later.sum() == gaps.at_most(gaps.longest)
    assert gaps.total == (of.column("end") - of.column("first_token")).sum()
    assert gaps.at_most(0) == 0


REAL = {
    "name": "real",
    "model": "llama-3.1-8b",
    "gpu": "h100-sxm",
    "hierarchy": {"tiers": [{"name": "hbm", "capacity": "3 GiB"}]},
    "execution": {"records": "summary"},
}


def real(stride: int | None) -> ServingResult:
    """Prompts and outputs of odd lengths on a GPU, passed in one go or one iteration at a time."""
    rows = [plain(9000 * n, 300 + 517 * (n % 3), 20 + 31 * (n % 4)) for n in range(12)]
    options = {"rows": [list(row) for row in rows], "block_tokens": 16, "block_bytes": 16 * 131072}
    workload = {"kind": "custom", "workload_class": "workloads.own_requests:Scripted", "options": options}
    scenario = loads_mapping(REAL | {"workload": workload})
    requests = make_requests(scenario)
    if stride is None:
        return ServingSimulation(scenario, requests).run()
    return ServingSimulation(scenario, requests, stride).run()


def test_gaps_of_iterations_in_a_row_are_those_of_one_by_one_to_a_tick() -> None:
    together, one_by_one = token_gaps(real(None)), token_gaps(real(1))
    assert len(together.rows) > 5
    assert not len(one_by_one.rows)
    assert (together.count, together.total) == (one_by_one.count, one_by_one.total)
    for rank in (1, *range(7, together.count, 13), together.count):
        assert abs(together.ranked(rank) - one_by_one.ranked(rank)) <= 1


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=200))
def test_percentiles_are_observed_values_of_nearest_rank(values: list[int]) -> None:
    found = distribution(np.array(values, dtype=np.int64))
    ordered = sorted(values)
    for name, percent in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99), ("max", 100)):
        wanted = next(v for k, v in enumerate(ordered, 1) if 100 * k >= percent * len(values))
        assert found[name] == wanted / 10**12
    assert found["mean"] == pytest.approx(sum(values) / len(values) / 10**12)


class TestFrames:
    def test_one_row_a_request_with_its_parts(self, busy: ServingResult) -> None:
        table = requests_frame(busy)
        assert len(table) == busy.requests
        assert table["request"].tolist() == list(range(busy.requests))
        parts = table[["queue_s", "exposed_s", "compute_s"]].sum(axis="columns")
        assert parts.to_numpy() == pytest.approx(table["latency_s"].to_numpy(), rel=1e-12)
        phases = table[[f"{name}_s" for name in PHASES if name != "compute"]].sum(axis="columns")
        assert phases.to_numpy() == pytest.approx(
            (table["queue_s"] + table["exposed_s"]).to_numpy(), abs=1e-15
        )
        assert table["ttft_s"].max() == summary(busy).ttft_s["max"]
        assert set(table["tenant"]) == {"chat", "rag"}
        assert (table["found_hbm_blocks"] + table["found_dram_blocks"] <= table["blocks"]).all()

    def test_time_between_tokens_is_empty_for_one_token(self) -> None:
        table = requests_frame(served([plain(0, 4, 1), plain(0, 4, 3)]))
        assert table["tpot_s"].isna().tolist() == [True, False]

    def test_iterations_and_transfers(self, busy: ServingResult) -> None:
        iterations, transfers = iterations_frame(busy), moves_frame(busy)
        assert (iterations["end_s"] - iterations["start_s"]).sum() == pytest.approx(
            sum(busy.busy_ticks) / 10**12
        )
        assert len(transfers) == sum(lane.transfers for lane in busy.lanes)
        assert transfers["bytes"].sum() == sum(lane.bytes_in for lane in busy.lanes)
        assert {"request", "block", "blocks"} <= set(transfers.columns)
        assert len(moves_frame(busy_serving("summary"))) == 0


def test_what_was_not_recorded_is_none_and_all_else_the_same() -> None:
    whole, short = summary(busy_serving()), summary(busy_serving("summary"))
    assert short.transfers is None
    differing = {name for name, value in asdict(whole).items() if asdict(short)[name] != value}
    assert differing == {"records", "transfers", "links"}
    assert short.links["pcie/0 up"].mean_in_system is None


def test_objectives_change_nothing_but_what_is_counted() -> None:
    rows = [plain(0, 8, 2), plain(250, 8, 1)]
    scenario = serving_scenario(rows, serving={"objectives": {"ttft": "2 ms"}})
    assert scenario.serving.objectives.ttft == 2 * MS
    free, bound = summary(served(rows)), summary(served(rows, serving={"objectives": {"ttft": "2 ms"}}))
    differing = {name for name, value in asdict(free).items() if asdict(bound)[name] != value}
    assert differing == {"objectives_s", "goodput_share", "goodput_per_s"}
