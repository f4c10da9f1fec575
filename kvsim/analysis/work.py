"""What a scenario's workload had the model compute; the engine knows only how long that took."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kvsim.scenario.compute import decode_macs, prefill_macs
from kvsim.scenario.geometry import cached_steps, read_pages
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import DenseDecode, Layers, Mooncake, SparseDecode
from kvsim.sim.result import RunResult
from kvsim.workloads.mooncake_trace import read_mooncake

__all__ = ["Work", "work_of"]


@dataclass(frozen=True, slots=True)
class Work:
    """Of all steps of a run together."""

    passes: int
    """How often the weights of the whole model were read, by the batch together."""
    macs: int
    """Multiply-accumulates, those of the roofline's flops."""
    tokens: int | None
    """Tokens generated; None where steps generate none."""


def work_of(result: RunResult) -> Work | str:
    """What was computed, or why that is not known."""
    scenario = result.scenario
    if scenario.model is None:
        return "the scenario has no model"
    work = scenario.workload
    if isinstance(work, (DenseDecode, SparseDecode)):
        return _decoded(scenario, work, result.steps)
    if isinstance(work, Layers) and (work.new_tokens or work.page_tokens):
        return _layers(scenario, work, result.steps)
    if isinstance(work, Mooncake) and Path(work.path).is_file():
        return _requests(result, work)
    return f"the workload {work.kind!r} does not say what it computes"


def _decoded(scenario: Scenario, work: DenseDecode | SparseDecode, steps: int) -> Work:
    """Unfinished pages are attended to as well."""
    assert scenario.model is not None
    attended = sum(
        read_pages(work, step) * work.page_tokens + (work.context_tokens + step) % work.page_tokens
        for step in range(steps)
    )
    tokens = steps * work.batch
    return Work(steps, decode_macs(scenario.model, tokens, work.batch * attended), tokens)


def _layers(scenario: Scenario, work: Layers, steps: int) -> Work:
    assert scenario.model is not None
    again = work.reads if work.again is None else work.again
    cached = cached_steps(work, steps)
    passes = macs = 0
    for count, found in ((cached, work.reads), (steps - cached, again)):
        new = work.new_tokens + (work.reads - found) * work.page_tokens
        passes += count if new else 0
        macs += count * prefill_macs(scenario.model, new, found * work.page_tokens)
    return Work(passes, macs, None)


def _requests(result: RunResult, work: Mooncake) -> Work:
    """What a step found absent it prefilled; the rest of its request is in the trace."""
    model = result.scenario.model
    assert model is not None
    passes = macs = tokens = attended = 0
    requests = islice(read_mooncake(work.path, work.block_tokens), result.steps)
    for request, absent in zip(requests, result.records.steps.column("absent").tolist(), strict=True):
        if absent:
            cached = (len(request.hash_ids) - absent) * work.block_tokens
            passes += 1
            macs += prefill_macs(model, request.input_length - cached, cached)
        if work.decode:
            count = request.output_length
            tokens += count
            attended += count * request.input_length + count * (count - 1) // 2
    macs += decode_macs(model, tokens, attended)
    return Work(passes + tokens, macs, tokens if work.decode else None)
