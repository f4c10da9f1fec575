"""Whatever serves whatever: runs end, books balance, and it does not matter how time is passed.

The engine audits each run itself; these tests give it machines, ways to serve and requests of all kinds, and
look at what it writes down.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from serving import rig, shapes
from serving.shapes import Shape

from kvsim.scenario.scenario import Scenario
from kvsim.sim.records import DEMAND, Table
from kvsim.sim.serving.result import ServingResult
from kvsim.sim.serving.sequence import PHASES

thorough = settings(
    max_examples=int(os.environ.get("KVSIM_EXAMPLES", "60")),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
"""The same shapes every time. To hunt: more, and not derandomized."""


def serve(shape: Shape, **options: Any) -> ServingResult:
    return rig.serve(shape.scenario, shape.workload, **options)


def whole(table: Table) -> list[list[int]]:
    """All rows of a table, in order of their contents."""
    return sorted(table.array().tolist())


def one_by_one(result: ServingResult) -> list[tuple[int, ...]]:
    """Its iterations as far as they can be told apart: instance, number of it there, and what is in it; with
    the times at which rows begin and end."""
    records = result.records.iterations
    known: list[tuple[int, ...]] = []
    seen: Counter[int] = Counter()
    for instance, _, _, count, decoding, context, prompt, stall, gapped in records.array().tolist():
        for position in range(count):
            rest = (prompt, stall, gapped if position == 0 else 0)
            known.append((instance, seen[instance], decoding, context + position * decoding, *rest))
            seen[instance] += 1
    return sorted(known)


def edges(result: ServingResult) -> set[tuple[int, int, int, int]]:
    """Instance, number of iterations there so far, and when they ended, where that is written down."""
    seen: Counter[int] = Counter()
    known = set()
    for instance, start, end, count, *_ in result.records.iterations.array().tolist():
        before = seen[instance]
        seen[instance] += count
        known |= {(instance, before, 0, start), (instance, seen[instance], 1, end)}
    return known


@given(shapes.shapes())
@thorough
def test_passing_iterations_in_one_go_gives_what_passing_them_one_by_one_gives(shape: Shape) -> None:
    fast, slow = serve(shape), serve(shape, stride=1)
    assert whole(fast.records.requests) == whole(slow.records.requests)
    assert one_by_one(fast) == one_by_one(slow)
    assert edges(fast) <= edges(slow)
    assert whole(fast.records.gaps) == whole(slow.records.gaps)
    assert whole(fast.records.hops) == whole(slow.records.hops)
    assert fast.tiers == slow.tiers
    assert fast.makespan_ticks == slow.makespan_ticks


@given(shapes.shapes(policies=("belady", "belady_size")))
@thorough
def test_a_run_repeats_itself(shape: Shape) -> None:
    first, second = serve(shape), serve(shape)
    assert first.records.requests.array().tolist() == second.records.requests.array().tolist()
    assert first.records.hops.array().tolist() == second.records.hops.array().tolist()
    assert (first.events, first.tiers) == (second.events, second.tiers)


def balances(shape: Shape, result: ServingResult) -> None:
    """What came in went out: requests, tokens, blocks and bytes, as the records have it."""
    asked = shape.all_requests
    table = {name: np.array(result.records.requests.column(name)) for name in result.records.requests.columns}
    assert result.requests == len(asked) == len(table["end"])
    assert sorted(table["input"]) == sorted(request.input_tokens for request in asked)
    assert sorted(table["output"]) == sorted(request.output_tokens for request in asked)

    # times are in order, and add up
    assert (table["arrival"] <= table["admitted"]).all()
    assert (table["admitted"] < table["first_token"]).all()
    assert (table["first_token"] <= table["end"]).all()
    spent = np.array([table[phase] for phase in PHASES])
    assert (spent.sum(axis=0) == table["end"] - table["arrival"]).all()
    assert spent.min() >= 0

    # tokens: all of a prompt is reused, loaded or computed; the rest of an output is decoded
    assert min(int(table[name].min()) for name in ("reused", "loaded")) >= 0
    assert (table["reused"] + table["loaded"] < table["input"]).all()
    calm = table["preemptions"] == 0
    accounted = table["reused"] + table["loaded"] + table["computed"]
    assert (accounted[calm] == table["input"][calm]).all()

    # blocks: those found are among those asked for
    found = sum(table[f"found_{level}"] for level in range(len(shape.scenario.hierarchy.tiers)))
    assert (found <= table["blocks"]).all()
    assert int(np.sum(found)) == sum(tier.found for tier in result.tiers)

    # bytes: what a tier reads and writes is what transfers carried; it holds what came less what left
    carried = result.records.transfers
    for number, tier in enumerate(result.tiers):
        size = np.array(carried.column("bytes"))
        assert tier.read_bytes == size[np.array(carried.column("source")) == number].sum()
        assert tier.written_bytes == size[np.array(carried.column("target")) == number].sum()
        assert tier.initial_bytes + tier.arrived_bytes - tier.departed_bytes == tier.resident_bytes
        assert 0 <= tier.resident_bytes <= tier.peak_bytes <= tier.capacity_bytes
    for lane in result.lanes:
        assert lane.bytes_in == lane.bytes_out


def test_requests_tokens_blocks_and_bytes_are_conserved() -> None:
    met: Counter[str] = Counter()

    @given(shapes.shapes())
    @thorough
    def check(shape: Shape) -> None:
        result = serve(shape)
        balances(shape, result)
        requests = result.records.requests
        met["loaded"] += bool(requests.column("loaded").any())
        met["reused"] += bool(requests.column("reused").any())
        met["written back"] += any(tier.written_bytes for tier in result.tiers[1:])
        met["evicted"] += any(tier.evictions for tier in result.tiers)

    check()
    assert min(met[what] for what in ("loaded", "reused", "written back", "evicted")) >= 5, met


def test_what_is_preempted_is_conserved_too() -> None:
    met: Counter[str] = Counter()

    @given(shapes.shapes(tight=True))
    @thorough
    def check(shape: Shape) -> None:
        result = serve(shape)
        balances(shape, result)
        preempted = result.records.requests.column("preemptions")
        swaps = shape.scenario.serving.batch.preemption == "swap" and len(result.tiers) > 1
        met["swapped" if swaps else "recomputed"] += bool(preempted.any())
        met["again"] += bool((preempted > 1).any())

    check()
    assert min(met[what] for what in ("swapped", "recomputed", "again")) >= 3, met


# --- nobody queues


def faster(scenario: Scenario, numerator: int, denominator: int = 1) -> Scenario:
    """The same with links and codecs so many times as fast, and as much less latency."""
    scaled = [
        link.model_copy(
            update={
                "bandwidth": link.bandwidth * numerator // denominator,
                "latency": link.latency * denominator // numerator,
                "setup": link.setup * denominator // numerator,
            }
        )
        for link in scenario.hierarchy.links
    ]
    hierarchy = scenario.hierarchy.model_copy(update={"links": tuple(scaled)})
    return scenario.model_copy(update={"hierarchy": hierarchy})


def pairs(shape: Shape, other: Scenario) -> list[tuple[int, int, int]]:
    """Number of each request and its latency on both machines; none where they find different blocks."""
    first, second = serve(shape), rig.serve(other, shape.workload)
    found = [rig.rows(result, "found_0", "found_1") for result in (first, second)]
    if found[0] != found[1]:
        # what is written through depends on what has arrived below
        assert shape.scenario.serving.reuse.write == "through"
        return []
    ends = [rig.rows(result, "request", "arrival", "end") for result in (first, second)]
    return [
        (number, end - start, later - start)
        for (number, start, end), (_, _, later) in zip(*ends, strict=True)
    ]


@given(shapes.shapes(alone=True))
@thorough
def test_alone_nobody_is_slower_on_faster_links(shape: Shape) -> None:
    assert all(new <= old for _, old, new in pairs(shape, faster(shape.scenario, 2)))


@given(shapes.shapes(alone=True))
@thorough
def test_alone_a_hit_is_never_computed_again(shape: Shape) -> None:
    result = serve(shape)
    size = shape.block_tokens
    columns = ("input", "computed", "preemptions", "found_0", "found_1")
    for tokens, computed, preemptions, *found in rig.rows(result, *columns):
        assert preemptions == 0
        assert computed == max(1, tokens - sum(found) * size)


def test_alone_everybody_who_loads_is_slower_on_a_slower_link() -> None:
    met: Counter[str] = Counter()

    @given(shapes.shapes(alone=True))
    @thorough
    def check(shape: Shape) -> None:
        carried = serve(shape).records.transfers
        loading = np.array(carried.column("cls")) == DEMAND
        who = set(np.array(carried.column("step"))[loading].tolist()) if len(loading) else set()
        for number, old, new in pairs(shape, faster(shape.scenario, 1, 2)):
            assert new > old if number in who else new >= old
        met["loads"] += len(who)

    check()
    assert met["loads"] >= 20, met
