"""The serving engine and its oracle agree to the tick, on anything the oracle knows."""

from __future__ import annotations

import os
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import serving as naive
from oracle.serving import Asked, Case, NoRoom, Roofline
from serving import rig
from strategies import Odd

from kvsim.errors import SimulationError
from kvsim.sim.serving.result import ServingResult
from kvsim.workloads.requests import Request

thorough = settings(
    max_examples=int(os.environ.get("KVSIM_EXAMPLES", "200")),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
"""The same cases every time. To hunt: more, and not derandomized."""

PETA = 10**15
"""Bytes of a block times picoseconds a second: over its time on the link, the bandwidth."""

# The tiny model on the tiny GPU: 80 % of 1 GB/s, and 60 % of 4 Gflop/s; 1000 parameters of 2 bytes and 2
# flop, 2 layers with 16 scalars of 2 bytes a token, and 4 flop for each of 2 heads of 8 scalars a pair of
# tokens.
TINY = Roofline(
    weights=Fraction(2000 * 10**12, 800_000_000),
    cached=Fraction(2 * 16 * 2 * 10**12, 800_000_000),
    token=Fraction(2000 * 10**12, 2_400_000_000),
    pair=Fraction(2 * 4 * 2 * 8 * 10**12, 2_400_000_000),
)


@st.composite
def cases(draw: Any, *, below: bool) -> Case:
    """Requests over a few texts, in a first tier that has room for the largest of them, or a little more."""
    odd = Odd()
    size = draw(st.sampled_from([1, 2, 4]))
    texts = rig.Texts(size)
    length = draw(st.integers(1, 5 * size))
    branch = draw(st.integers(0, length))
    documents = [[0] * length, [0] * branch + [1] * (length - branch), [2] * length]
    asked = []
    clock = 0
    for number in range(draw(st.sampled_from([1, 3, 8, 8]))):
        gap = draw(st.sampled_from([0, 0, 10**5, 10**6, 10**7]))
        clock = odd.near(clock + gap) if gap else clock
        prompt: list[Any] = draw(st.sampled_from(documents))
        own = draw(st.sampled_from([0, 0, 1, size + 1]))
        prompt = prompt + [(number, k) for k in range(own)]
        blocks = texts.blocks(prompt) if draw(st.integers(0, 5)) else ()
        asked.append(Asked(clock, len(prompt), draw(st.integers(0, 3 * size + 2)), tuple(blocks)))
    most = max(-(-(request.prompt + request.output) // size) for request in asked)
    overhead = draw(st.sampled_from([0, 10**5]))
    overhead = odd.near(overhead) if overhead else 0
    roofline = draw(st.sampled_from([None, TINY]))
    weights = Fraction(odd.near(10**6)) if roofline is None else TINY.weights
    shape = Roofline(weights, overhead=overhead)
    if roofline is not None:
        shape = Roofline(weights, TINY.cached, TINY.token, TINY.pair, overhead)
    return Case(
        tuple(asked),
        size,
        shape,
        first=most + draw(st.sampled_from([0, 0, 1, 2, 5])),
        below=draw(st.sampled_from([1, 3, 8, 20, 20])) if below else None,
        keeps=draw(st.booleans()),
        transfer=draw(st.sampled_from([250_000, 640_000, 1_600_000, 5_000_000])),
        setup=odd.near(draw(st.sampled_from([10**5, 10**6]))),
        latency=odd.near(draw(st.sampled_from([10**5, 10**6]))),
        coalesce=draw(st.sampled_from([1, 2, 4])),
        write=draw(st.sampled_from(["back", "back", "through", "none"])),
        max_tokens=draw(st.sampled_from([1, 2, 3, 5, 8, 64])),
        max_sequences=draw(st.sampled_from([1, 2, 3, 16])),
        chunked=draw(st.booleans()),
        prompts_first=draw(st.booleans()),
        growth=draw(st.sampled_from([1, 1, 2, 5])),
    )


def run(case: Case) -> ServingResult:
    """What the engine makes of it."""
    tiers: list[dict[str, Any]] = [{"name": "hbm", "capacity": f"{case.first} pages"}]
    links: list[dict[str, Any]] = []
    if case.below is not None:
        tiers.append({"name": "dram", "capacity": f"{case.below} pages", "inclusive": case.keeps})
        times = {"setup": rig.time(case.setup), "latency": rig.time(case.latency)}
        bandwidth = rig.rate(PETA // case.transfer)
        links.append({"name": "pcie", "between": ("hbm", "dram"), "bandwidth": bandwidth, **times})
    roofline = case.roofline.cached > 0
    timed = {} if roofline else {"compute_time": rig.time(int(case.roofline.weights))}
    scenario = rig.scenario(
        tiers,
        links,
        serving={
            "batch": {
                "max_tokens": case.max_tokens,
                "max_sequences": case.max_sequences,
                "chunked": case.chunked,
                "first": "prefill" if case.prompts_first else "decode",
                "growth_blocks": case.growth,
                "overhead": rig.time(case.roofline.overhead),
            },
            "reuse": {"write": case.write},
        },
        execution={"dma": {"coalesce": case.coalesce}, **timed},
        roofline=roofline,
    )
    asked = [Request(one.arrival, one.prompt, one.output, one.blocks) for one in case.requests]
    return rig.serve(scenario, rig.Given(asked, case.block_tokens))


def check(case: Case) -> list[naive.Sequence] | None:
    """The engine does what the oracle does, failing included; what became of the requests."""
    try:
        expected = naive.simulate(case)
    except NoRoom:
        with pytest.raises(SimulationError):
            run(case)
        return None
    columns = ["admitted", "first_token", "end", "computed", "preemptions", "found_0"]
    columns += [] if case.below is None else ["found_1"]
    found = rig.rows(run(case), *columns)
    assert found == [
        (one.admitted, one.first_token, one.end, one.computed, one.preemptions, *one.found)[: len(columns)]
        for one in expected
    ]
    return expected


def test_one_tier_agrees() -> None:
    met: Counter[str] = Counter()

    @thorough
    @given(cases(below=False))
    def agrees(case: Case) -> None:
        served = check(case)
        met["preempted"] += any(one.preemptions for one in served or ())
        met["found"] += any(one.found[0] for one in served or ())

    agrees()
    assert min(met["preempted"], met["found"]) >= 10, met


def test_two_tiers_agree() -> None:
    met: Counter[str] = Counter()

    @thorough
    @given(cases(below=True))
    def agrees(case: Case) -> None:
        served = check(case)
        met["preempted"] += any(one.preemptions for one in served or ())
        met["loaded"] += any(one.found[1] for one in served or ())

    agrees()
    assert min(met["preempted"], met["loaded"]) >= 10, met
