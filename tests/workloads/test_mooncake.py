"""mooncake: one step a request, dense block numbers, prefill of what is absent, arrival times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workloads.scenarios import SCALARS_PER_TOKEN_LAYER, scenario

from kvsim.errors import TraceError
from kvsim.scenario.compute import ComputeModel
from kvsim.workloads import Step, Workload, make_workload

LAYERS = 3
REQUESTS = [
    {"timestamp": 0, "input_length": 1300, "output_length": 4, "hash_ids": [70, 5, 900]},
    {"timestamp": 3000, "input_length": 1024, "output_length": 0, "hash_ids": [70, 6]},
    {"timestamp": 3000, "input_length": 600, "output_length": 2, "hash_ids": [900, 5]},
    {"timestamp": 6000.25, "input_length": 100, "output_length": 1, "hash_ids": [1]},
]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(request) + "\n" for request in REQUESTS), encoding="utf-8")
    return path


def mooncake(trace: Path, seed: int = 0, **fields: Any) -> Workload:
    return make_workload(scenario({"kind": "mooncake", "path": str(trace), **fields}, seed))


def arrivals(workload: Workload) -> list[int | None]:
    return [step.arrival_ticks for step in workload.steps()]


def prefill(step: Step, absent: int) -> int:
    (access,) = step.layers
    assert access.absent_ticks is not None
    return access.absent_ticks(absent)


def test_blocks_are_numbered_by_first_appearance_and_looked_up_in_order(trace: Path) -> None:
    steps = list(mooncake(trace).steps())
    assert [step.layers[0].pages.tolist() for step in steps] == [[0, 1, 2], [0, 3], [2, 1], [4]]
    assert all(len(step.layers) == 1 and step.layers[0].ordered for step in steps)


def test_nothing_is_there_at_first_and_absent_blocks_are_computed(trace: Path) -> None:
    workload = mooncake(trace)
    assert workload.absent == "compute"
    assert workload.initial_pages == 0
    assert workload.total_steps is None


def test_a_block_holds_all_layers_of_its_tokens_or_the_bytes_given(trace: Path) -> None:
    assert mooncake(trace).page_scalars == 512 * SCALARS_PER_TOKEN_LAYER * LAYERS
    assert mooncake(trace, block_bytes="1 MiB").page_scalars == 2**20 // 2  # fp16


def test_absent_blocks_are_prefilled_on_top_of_the_present_ones(trace: Path) -> None:
    subject = scenario({"kind": "mooncake", "path": str(trace)})
    model = ComputeModel(subject)
    step = next(make_workload(subject).steps())
    assert prefill(step, 0) == 0
    assert prefill(step, 1) == model.prefill_ticks(1300 - 1024, 1024)  # the last block has 276 tokens
    assert prefill(step, 2) == model.prefill_ticks(1300 - 512, 512)
    assert prefill(step, 3) == model.prefill_ticks(1300, 0)


def test_the_output_is_decoded_unless_switched_off(trace: Path) -> None:
    subject = scenario({"kind": "mooncake", "path": str(trace)})
    model = ComputeModel(subject)
    ticks = [step.layers[0].compute_ticks for step in make_workload(subject).steps()]
    assert ticks == [model.decode_ticks(1300, 4), 0, model.decode_ticks(600, 2), model.decode_ticks(100, 1)]
    assert {step.layers[0].compute_ticks for step in mooncake(trace, decode=False).steps()} == {0}


def test_a_given_time_is_that_of_each_layer(trace: Path) -> None:
    subject = scenario({"kind": "mooncake", "path": str(trace)}, execution={"compute_time": "2 us"})
    step = next(make_workload(subject).steps())
    assert step.layers[0].compute_ticks == 4 * LAYERS * 2_000_000
    assert prefill(step, 2) == LAYERS * 2_000_000


def test_requests_arrive_at_their_timestamps_or_back_to_back(trace: Path) -> None:
    assert arrivals(mooncake(trace)) == [0, 3 * 10**12, 3 * 10**12, 6_000_250_000_000]
    assert arrivals(mooncake(trace, arrivals="back_to_back")) == [None] * 4


def test_jitter_spreads_equal_timestamps_and_keeps_the_order(tmp_path: Path) -> None:
    path = tmp_path / "buckets.jsonl"
    lines = [{**REQUESTS[3], "timestamp": 3000 * (number // 50)} for number in range(200)]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    times = np.array(arrivals(mooncake(path, seed=1, jitter="3 s")), dtype=np.int64)
    assert (np.diff(times) >= 0).all()
    delays = (times - np.repeat(np.arange(4), 50) * 3 * 10**12) / 10**12
    assert delays.min() >= 0
    assert delays.max() < 3
    assert delays.mean() == pytest.approx(1.5, abs=3 * 3 / np.sqrt(12 * 200))  # three standard errors
    assert times.tolist() == arrivals(mooncake(path, seed=1, jitter="3 s"))
    assert times.tolist() != arrivals(mooncake(path, seed=2, jitter="3 s"))


def test_jitter_beyond_the_next_timestamp_never_turns_time_back(trace: Path) -> None:
    times = [time for time in arrivals(mooncake(trace, jitter="1000 s")) if time is not None]
    assert times == sorted(times)


def test_the_first_requests_can_be_taken_alone(trace: Path) -> None:
    with trace.open("ab") as file:
        file.write(b"broken")
    assert len(list(mooncake(trace, max_requests=2).steps())) == 2
    assert len(list(mooncake(trace, max_requests=4).steps())) == 4
    with pytest.raises(TraceError, match=r"trace\.jsonl:5:1: is not JSON"):
        list(mooncake(trace).steps())


def test_a_trace_that_cannot_be_read_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"missing\.jsonl: cannot be read"):
        mooncake(tmp_path / "missing.jsonl")


def test_it_can_be_read_again(trace: Path) -> None:
    workload = mooncake(trace, jitter="1 s")
    assert arrivals(workload) == arrivals(workload)
