"""Energy: amounts times figures, exact, and nothing left out in silence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case
from strategies import cases
from workloads.scenarios import GPU
from workloads.scenarios import scenario as small_scenario

from kvsim.analysis.energy import Energy, energy_of
from kvsim.analysis.metrics import summarise
from kvsim.analysis.work import work_of
from kvsim.scenario.compute import ComputeModel, decode_macs, prefill_macs
from kvsim.scenario.loader import loads
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.result import RunResult
from kvsim.workloads import make_workload

LLAMA_2_7B = """
name: hbm
model: llama-2-7b
gpu: {preset: h100-sxm, idle_power_w: 70, mac_energy: 1.4 pJ, read_energy: 5 pJ/bit}
hierarchy:
  tiers: [{name: hbm, capacity: 60 GB, read_energy: 5 pJ/bit, write_energy: 4 pJ/bit}]
workload: {kind: dense_decode, context_tokens: 4096, steps: 32}
execution: {compute_time: 250 us}
"""

PJ = Fraction(1, 10**12)


def spent(result: RunResult) -> Energy:
    energy = energy_of(result)
    assert energy is not None
    return energy


def test_a_decode_of_llama_2_7b_in_hbm_agrees_with_a_calculation_by_hand() -> None:
    """32 tokens after 4,096; a page has 16 tokens of a layer: 16 x 2 x 32 heads x 128 x 2 B = 256 KiB."""
    token = 32 * 2 * 32 * 128 * 2  # layers, keys and values, heads, scalars of a head, bytes
    assert token == 524_288
    weights = 2 * 6_740_000_000 * 8 * 5 * PJ  # a step reads every parameter once: 0.539 J
    read = token * (16 * 4096 + 16 * 4112)  # 16 steps before a page of each layer is full, 16 after it
    written = token * 32  # pages are full with the 16th and the 32nd token
    macs = 32 * 6_740_000_000 + 2 * 32 * 32 * 128 * sum(range(4096, 4128))
    wanted = {
        "weights": 32 * weights,
        "kv.hbm": (read * 5 + written * 4) * 8 * PJ,
        "macs": macs * Fraction("1.4") * PJ,
        "idle": 70 * 32 * 32 * Fraction(250, 10**6),  # watts, steps, layers, seconds
    }
    energy = spent(simulate(loads(LLAMA_2_7B)))
    assert {name: part / 10**15 for name, part in energy.parts.items()} == wanted
    summary = energy.summary()
    assert summary.energy_per_token_j == pytest.approx(float(sum(wanted.values()) / 32), rel=1e-12)
    # 539.2 mJ of weights, 86.1 mJ of KV, 10.9 mJ of MACs and 560 mJ of idle power, in ms of 8.
    assert summary.energy_per_token_j == pytest.approx(0.5392 + 0.0862 + 0.0109 + 0.56, rel=1e-3)
    assert not summary.missing


def with_figures(scenario: Scenario) -> Scenario:
    """The scenario with a figure for every tier and link, each a different one."""
    plain = scenario.model_dump(mode="json")
    for number, tier in enumerate(plain["hierarchy"]["tiers"], start=1):
        tier |= {"read_energy": f"{3 * number} pJ/bit", "write_energy": f"{7 * number} pJ/bit"}
    for number, link in enumerate(plain["hierarchy"]["links"], start=1):
        link["energy"] = f"{11 * number} pJ/bit"
    return Scenario.model_validate(plain)


def case_energy(case: Case) -> tuple[RunResult, Energy]:
    result = simulate(with_figures(bridge.scenario(case)), bridge.workload(case))
    return result, spent(result)


@given(case=cases("demand") | cases("serial") | cases("layered", busy=True))
@settings(max_examples=40, deadline=None)
def test_components_sum_to_the_whole_exactly_and_are_bytes_times_figures(case: Case) -> None:
    result, energy = case_energy(case)
    assert sum(energy.parts.values()) == energy.total
    assert energy.parts.keys() & energy.missing.keys() == set()
    links = result.scenario.hierarchy.links
    for number, link in enumerate(links, start=1):
        hops = result.records.hops
        lanes = [at for at, lane in enumerate(result.lanes) if lane.kind == "link" and lane.link == link.name]
        size = int(hops.column("bytes")[np.isin(hops.column("lane"), lanes)].sum())
        assert energy.parts[f"link.{link.name}"] == size * 8 * 11_000 * number
    for number, tier in enumerate(result.tiers[1:], start=2):
        picojoules = 8 * number * (3 * tier.read_bytes + 7 * tier.written_bytes)
        assert energy.parts[f"kv.{tier.name}"] == picojoules * 1000


@given(case=cases("demand") | cases("layered") | cases("serial"))
@settings(max_examples=40, deadline=None)
def test_compute_reads_in_tier_0_what_does_not_stay_in_a_tier_below(case: Case) -> None:
    result, _ = case_energy(case)
    reads = [page for step in case.steps for layer in step.layers for page in layer.pages]
    whole = sum(case.size(page, 0) for page in reads)
    if any(tier.direct for tier in case.tiers):
        assert result.attended_bytes is not None
        assert 0 <= result.attended_bytes <= whole
    else:
        assert result.attended_bytes == whole


@given(case=cases("demand") | cases("layered", busy=True))
@settings(max_examples=50, deadline=None)
def test_where_pages_are_alike_counting_reads_is_as_good_as_summing_their_bytes(case: Case) -> None:
    assume(len(set(case.scalars)) == 1)
    summed, _ = case_energy(case)
    alike = bridge.workload(case)
    alike.page_scalars = case.scalars[0]
    counted = simulate(bridge.scenario(case), alike)
    assert counted.attended_bytes == summed.attended_bytes


def test_bytes_nobody_asked_for_are_not_summed() -> None:
    """Pages of a synthetic workload differ in size: their sum costs time, so it is made for a figure only."""
    scenario = small_scenario({"kind": "rag_burst", "length": 40})
    assert simulate(scenario).attended_bytes is None
    asked = simulate(with_figures(scenario))
    workload = make_workload(scenario)
    sizes = 2 * np.asarray(workload.page_scalars)  # fp16
    read = [int(sizes[layer.pages].sum()) for step in workload.steps() for layer in step.layers]
    assert asked.attended_bytes == sum(read)


STREAMED = """
name: streamed
model: {name: m, layers: 4, hidden: 64, heads: 4, kv_heads: 2, head_dim: 8, parameters: 999_999}
gpu: {preset: t4, mac_energy: 2 pJ, read_energy: 1 pJ/bit}
hierarchy:
  tiers:
    - {name: hbm, capacity: 16 pages, read_energy: 3 pJ/bit, write_energy: 4 pJ/bit}
    - {name: dram, capacity: 1 GB, access: direct, read_energy: 5 pJ/bit, write_energy: 6 pJ/bit}
    - {name: nvme, capacity: 1 GB, read_energy: 9 pJ/bit, write_energy: 9 pJ/bit}
  links:
    - {name: pcie, between: [hbm, dram], bandwidth: 1 GB/s, energy: 7 pJ/bit}
    - {name: x4, between: [dram, nvme], bandwidth: 1 GB/s, energy: 8 pJ/bit}
workload: {kind: dense_decode, context_tokens: 128, steps: 6}
execution: {weights: nvme, compute_time: 1 us}
"""


def test_the_same_bytes_take_the_same_energy_however_they_overlap() -> None:
    results = {mode: simulate(loads(STREAMED, [f"execution.overlap={mode}"])) for mode in ("serial", "async")}
    parts = {mode: dict(spent(result).parts) for mode, result in results.items()}
    for mode, part in parts.items():  # 27 W, for as long as each takes
        assert part.pop("idle") == 27 * 1000 * results[mode].makespan_ticks
    assert parts["serial"] == parts["async"]
    # 6 steps of 4 layers of 2 x 999,999 / 4 bytes, rounded down to whole ones
    weights = 6 * 4 * 499_999
    assert results["async"].weights_bytes == weights
    assert parts["async"]["weights"] == 8 * weights * 9_000
    assert parts["async"]["weights_link.x4"] == 8 * weights * 8_000
    assert parts["async"]["weights_link.pcie"] == 8 * weights * 7_000
    # 8 pages of 16 tokens of 32 scalars in each layer at the start, of which half have room in HBM
    read = 6 * (4 * 8 - 16) * 16 * 32 * 2
    assert parts["serial"]["kv.dram"] == 8 * read * 5_000
    assert parts["serial"]["link.pcie"] == 8 * read * 7_000
    assert parts["serial"]["link.x4"] == 0


FLOPS_BOUND = {"bandwidth_efficiency": 1, "flops_efficiency": 1}


@given(batch=st.integers(1, 64), context=st.integers(1, 10**6), new=st.integers(1, 10**5))
def test_multiply_accumulates_are_half_of_the_flops_of_the_roofline(
    batch: int, context: int, new: int
) -> None:
    """On a GPU whose memory is no limit, at 10^12 operations a second, a tick is an operation."""
    gpu = GPU | {"bandwidth": "9000 PB/s", "flops": "1 TFLOP/s"}
    scenario = small_scenario({"kind": "rag_burst"}, gpu=gpu, execution=FLOPS_BOUND)
    compute, model = ComputeModel(scenario), scenario.model
    assert model is not None
    layer = Fraction(2 * decode_macs(model, batch, batch * context), model.layers)
    assert compute.layer_ticks(batch, context) == -(-layer // 1)
    assert compute.prefill_ticks(new, context) == 2 * prefill_macs(model, new, context)


def work_in(workload: dict[str, Any], **parts: Any) -> Any:
    return work_of(simulate(small_scenario(workload, **parts)))


def test_sparse_decode_attends_to_what_it_reads() -> None:
    """Of 100 tokens, pages of 16: 6 full ones and a tail of 4; sinks, window and choice are a page each."""
    spec = {"sink_tokens": 16, "recent_tokens": 16, "top_k_tokens": 16, "batch": 3}
    work = work_in({"kind": "sparse_decode", "context_tokens": 100, "steps": 2, **spec})
    attended = (3 * 16 + 4) + (3 * 16 + 5)
    assert work.macs == 3 * (2 * 1_000_000 + 2 * 3 * 4 * 8 * attended)
    assert (work.passes, work.tokens) == (2, 6)


def test_the_work_of_layers_is_their_prompt_and_what_was_not_cached() -> None:
    """Of 4 steps half find their 2 pages of 8 tokens; the others compute 5 + 16 tokens."""
    pages = {"page_bytes": "1 kB", "reads": 2, "again": 0, "page_tokens": 8, "new_tokens": 5, "cached": 0.5}
    work = work_in({"kind": "layers", "layers": 3, "steps": 4, **pages})
    heads = 3 * 4 * 8  # layers, heads, scalars of a head
    found, computed = 5 * 16 + 5 * 6 / 2, 21 * 22 / 2  # pairs of tokens that attend
    assert work.macs == 2 * (26 * 1_000_000 + 2 * heads * int(found + computed))
    assert (work.passes, work.tokens) == (4, None)


def test_the_work_of_requests_is_prefill_of_what_was_absent_and_decoding(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    row = '{"timestamp": 0, "input_length": 20, "output_length": 3, "hash_ids": [0, 1]}\n'
    trace.write_text(row + row)  # the second prompt is found whole
    work = work_in({"kind": "mooncake", "path": str(trace), "block_tokens": 16, "arrivals": "back_to_back"})
    heads = 3 * 4 * 8
    decoded = 3 * 1_000_000 + 2 * heads * (20 + 21 + 22)
    assert work.macs == 20 * 1_000_000 + heads * 20 * 21 + 2 * decoded
    assert (work.passes, work.tokens) == (1 + 2 * 3, 6)


class TestWhatIsMissing:
    def test_a_scenario_without_figures_has_no_energy(self) -> None:
        assert summarise(simulate(small_scenario({"kind": "rag_burst", "length": 20}))).energy is None

    def test_work_without_a_figure_is_named_and_never_nothing(self) -> None:
        scenario = loads(
            STREAMED, ["hierarchy.tiers.dram.read_energy=null", "hierarchy.links.x4.energy=null"]
        )
        energy = spent(simulate(scenario))
        assert energy.missing == {"weights_link.x4": "no x4.energy", "kv.dram": "no dram.read_energy"}
        assert "kv.dram" not in energy.parts
        # no page crosses this link, so it takes nothing whatever its figure is
        assert energy.parts["link.x4"] == 0

    def test_a_workload_that_does_not_say_what_it_computes(self) -> None:
        energy = spent(
            simulate(small_scenario({"kind": "zipf", "length": 3}, gpu=GPU | {"mac_energy": "1 pJ"}))
        )
        reason = "the workload 'zipf' does not say what it computes"
        assert energy.missing["macs"] == energy.missing["weights"] == reason
        assert energy.tokens is None
        assert energy.missing["idle"] == "no gpu.idle_power_w"

    def test_links_are_not_crossed_where_transfers_are_free(self) -> None:
        plain = STREAMED.replace(", access: direct", "")
        assert "links" not in spent(simulate(loads(plain, ["execution.overlap=demand"]))).missing
        assert "links" in spent(simulate(loads(plain, ["execution.overlap=ideal"]))).missing

    def test_a_codec_has_no_figure(self) -> None:
        scheme = "{name: q, bits: 4, compress: 1 GB/s, decompress: 1 GB/s}"
        overrides = [f"hierarchy.tiers.dram.scheme={scheme}"]
        assert spent(simulate(loads(STREAMED, overrides))).missing["codec"] == "no figure for codecs"
