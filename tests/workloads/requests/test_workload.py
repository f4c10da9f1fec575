"""The workload of recorded requests in a scenario, and classes of a user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from workloads.requests.samples import MS, SAMPLES, S
from workloads.scenarios import MODEL, SCALARS_PER_TOKEN_LAYER, scenario

from kvsim.errors import ScenarioError, TraceError
from kvsim.registry import BadOption, BadReference
from kvsim.scenario.loader import load
from kvsim.scenario.scenario import Scenario
from kvsim.workloads import check_workload
from kvsim.workloads.requests import Request, asks_requests, make_requests
from kvsim.workloads.requests.trace import Requests


class Twins:
    """Two requests at once, time after time."""

    name: ClassVar[str] = "twins"
    block_tokens = 4
    block_bytes = 64

    def __init__(self, scenario: Scenario, pairs: int = 2) -> None:
        self.pairs = pairs
        self.total_requests: int | None = 2 * pairs

    def requests(self) -> Iterator[Request]:
        for pair in range(self.pairs):
            yield Request(pair, 4, 1, [0])
            yield Request(pair, 8, 1, [0, 1])


class Halfway:
    """Has requests, and nothing else of a workload of requests."""

    name: ClassVar[str] = "halfway"

    def __init__(self, scenario: Scenario) -> None:
        self.block_tokens = 4

    def requests(self) -> Iterator[Request]:
        return iter(())


HERE = "workloads.requests.test_workload"


def custom(name: str, **options: Any) -> Scenario:
    return scenario({"kind": "custom", "workload_class": f"{HERE}:{name}", "options": options})


def recorded(folder: Path, name: str, **spec: Any) -> Scenario:
    path = folder / "trace"
    path.write_text(SAMPLES[name].text, encoding="utf-8")
    return scenario({"kind": "requests", "path": str(path), **spec}, seed=spec.pop("seed", 0))


def test_blocks_have_the_size_of_the_format_and_the_bytes_of_the_model(tmp_path: Path) -> None:
    for name, tokens in (("mooncake", 512), ("azure", 16)):
        workload = make_requests(recorded(tmp_path, name))
        assert isinstance(workload, Requests)
        assert workload.block_tokens == tokens
        # keys and values of all layers, 2 bytes each
        layers = MODEL["layers"]
        assert isinstance(layers, int)
        assert workload.block_bytes == tokens * SCALARS_PER_TOKEN_LAYER * layers * 2
    given = make_requests(recorded(tmp_path, "azure", block_tokens=64, block_bytes="3 KiB"))
    assert (given.block_tokens, given.block_bytes) == (64, 3072)


def test_requests_come_limited_and_timed_the_same_each_time(tmp_path: Path) -> None:
    work = make_requests(
        recorded(tmp_path, "bailian", max_requests=3, arrivals={"process": "gamma", "rate": 1.0})
    )
    once, again = list(work.requests()), list(work.requests())
    assert [each.input_tokens for each in once] == [33, 16, 17]
    assert [each.arrival_ticks for each in once] == [each.arrival_ticks for each in again]
    assert once[0].arrival_ticks > 0


def test_a_limit_counts_the_turns_of_closed_loops(tmp_path: Path) -> None:
    # two requests, the first turn of one session, and its second; its third is cut
    work = make_requests(recorded(tmp_path, "mooncake", max_requests=4, arrivals={"speedup": 2.0}))
    found = list(work.requests())
    assert [each.arrival_ticks for each in found] == [0, MS // 20, 5 * MS // 2]
    turn = found[2].follow_up
    assert turn is not None
    assert (turn.arrival_ticks, turn.follow_up) == (5 * MS // 2, None)


def test_what_was_left_out_is_known(tmp_path: Path) -> None:
    work = make_requests(recorded(tmp_path, "burstgpt"))
    assert isinstance(work, Requests)
    assert [each.arrival_ticks for each in work.requests()] == [5 * S, 118 * S]
    assert dict(work.skipped) == {"failed: 0 response tokens": 1}


def test_a_trace_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    broken = recorded(tmp_path, "azure")
    (tmp_path / "trace").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\nx,y,z\n")
    with pytest.raises(TraceError, match=":2: TIMESTAMP: must be a date and time"):
        make_requests(broken)


def test_a_class_of_ones_own_may_have_requests_instead_of_steps() -> None:
    own = custom("Twins", pairs=3)
    assert asks_requests(own)
    assert list(check_workload(own)) == []
    assert [each.arrival_ticks for each in make_requests(own).requests()] == [0, 0, 1, 1, 2, 2]


def test_what_is_wrong_with_it_is_said() -> None:
    with pytest.raises(BadReference, match="lacks block_bytes, total_requests of"):
        make_requests(custom("Halfway"))
    with pytest.raises(BadOption, match="triples: unknown option"):
        make_requests(custom("Twins", triples=3))
    [(path, _)] = check_workload(custom("Twins", pairs="many"))
    assert path == ("workload", "options", "pairs")


def test_workloads_of_steps_are_told_apart() -> None:
    steps = {"kind": "custom", "workload_class": "workloads.own:Countdown"}
    served = scenario(steps, serving={"order": "fair"})
    assert not asks_requests(served)
    assert not asks_requests(scenario({"kind": "rag_burst"}))
    assert not asks_requests(custom("Nothing"))
    [(path, message)] = check_workload(served)
    assert (path, message) == (("serving",), "only a workload of requests is served, not one of steps")
    assert list(check_workload(scenario(steps))) == []


TEXT = """\
hierarchy:
  tiers:
    - {name: hbm, capacity: 80 GB}
    - {name: dram, capacity: 1 TB}
  links:
    - {name: pcie, between: [hbm, dram], bandwidth: 25 GB/s}
execution: {compute_time: 1 us}
workload: {kind: requests, path: trace.csv, block_bytes: 1 MB}
"""


def problems(folder: Path, *changes: str, trace: bool = True) -> list[str]:
    """What is said of the scenario above under some changes: field and message."""
    if trace:
        (folder / "trace.csv").write_text(SAMPLES["csv"].text, encoding="utf-8")
    path = folder / "s.yaml"
    path.write_text(TEXT)
    try:
        found = load(path, changes, checks=(check_workload,))
    except ScenarioError as error:
        return [f"{problem.field}: {problem.message}" for problem in error.problems]
    assert make_requests(found).block_bytes > 0  # the trace was found beside the scenario
    return []


NEEDS = "the process `{}` needs it: requests a second on average"
NO_EFFECT = "has no effect with the process `{}`, only with {}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("workload.arrivals.process=poisson", [f"rate: {NEEDS.format('poisson')}"]),
        ("workload.arrivals={process: gamma, rate: 2.0, variation: 3.0}", []),
        ("workload.arrivals={process: bursts, rate: 2.0, burst: 3}", []),
        ("workload.arrivals={speedup: 3.0, jitter: 3 s}", []),
        (
            "workload.arrivals.rate=2.0",
            [f"rate: {NO_EFFECT.format('trace', '`poisson` and `gamma` and `bursts`')}"],
        ),
        (
            "workload.arrivals={process: together, jitter: 1 s}",
            [f"jitter: {NO_EFFECT.format('together', '`trace`')}"],
        ),
        (
            "workload.arrivals={process: poisson, rate: 1.0, variation: 2.0, burst: 3, speedup: 2.0}",
            [
                f"variation: {NO_EFFECT.format('poisson', '`gamma`')}",
                f"burst: {NO_EFFECT.format('poisson', '`bursts`')}",
                f"speedup: {NO_EFFECT.format('poisson', '`trace`')}",
            ],
        ),
    ],
)
def test_arrivals_have_what_their_process_looks_at(tmp_path: Path, change: str, said: list[str]) -> None:
    assert problems(tmp_path, change) == [f"workload.arrivals.{each}" for each in said]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("workload.block_bytes=null", "model: the size of a block needs a model, or `workload.block_bytes`"),
        (
            "workload.block_bytes=1001 B",
            "workload.block_bytes: 1001 bytes are no whole number of fp16 scalars; the next larger block has "
            "1002 bytes",
        ),
        ("workload.path=gone.csv", "workload.path: 'gone.csv': no such file"),
        (
            "workload.path=null",
            "workload.path: no trace is given; use --set workload.path=FILE",
        ),
        (
            "serving.instances={count: 2, shared_from: hbm}",
            "serving.instances.shared_from: each instance has a first tier, 'hbm', of its own; name one",
        ),
        (
            "serving.instances={count: 2, shared_from: ssd}",
            "serving.instances.shared_from: there is no tier 'ssd' (known: hbm, dram)",
        ),
        (
            "serving.reuse.lookahead_tier=ssd",
            "serving.reuse.lookahead_tier: there is no tier 'ssd' (known: hbm, dram)",
        ),
        (
            "serving.reuse.warm={tier: ssd}",
            "serving.reuse.warm.tier: there is no tier 'ssd' (known: hbm, dram)",
        ),
        (
            "serving.instances={count: 2, prefill: 2}",
            "serving.instances.prefill: of 2 instances at most 1 can leave decoding to others",
        ),
        (
            "serving.tenants={a: {cache_share: 0.6}, b: {cache_share: 0.5}, c: {}}",
            "serving.tenants: the tenants' `cache_share` add up to 1.1, more than the whole",
        ),
        (
            "workload={kind: zipf}",
            "serving: only a workload of requests is served, and 'zipf' is one of steps",
        ),
        (
            "scheme={preset: fp16, mixed: [{layers: 0, preset: int4}]}",
            "scheme.mixed.int4.layers: the workload 'requests' does not tell the layer of a page",
        ),
    ],
)
def test_what_does_not_fit_together_is_said(tmp_path: Path, change: str, said: str) -> None:
    found = problems(tmp_path, "serving.order=fair", change)
    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize(
    "change",
    [
        "serving.instances={count: 2, prefill: 1, shared_from: dram}",
        "serving.reuse={lookahead: 4, lookahead_tier: hbm}",
        # ten shares of a tenth are the whole, whatever floating point makes of them
        f"serving.tenants={{{', '.join(f't{n}: {{cache_share: 0.1}}' for n in range(10))}}}",
    ],
)
def test_what_fits_together_is_accepted(tmp_path: Path, change: str) -> None:
    assert problems(tmp_path, change) == []


def test_a_capacity_in_blocks_is_known_when_the_trace_is_opened(tmp_path: Path) -> None:
    assert problems(tmp_path, "hierarchy.tiers.hbm.capacity=10 pages") == []
