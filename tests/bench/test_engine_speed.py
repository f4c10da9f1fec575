"""How fast the engine is, as a ratio to a bare SimPy timeout loop in the same run.

10,000 pages, 64 pages a step, everything recorded. Wanted are .15, .5 and 1.5 accesses per bare event at
hit rates of .5, .9 and .99; a quiet machine shows .18, .59 and 1.73. On a shared one the neighbours take more
from the engine, which lives in the caches, than from the bare loop, which needs none: one and the same commit
has shown two thirds of those figures. So rounds go on until what is wanted is seen, but only what no
neighbour explains is a failure.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from time import process_time
from typing import Any

import numpy as np
import pytest
import simpy
from oracle.bridge import ExplicitWorkload

from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import Simulation
from kvsim.sim.result import RunResult
from kvsim.workloads.base import LayerAccess, Step

PAGES = 10_000
PER_STEP = 64
ROUNDS = 3
MOST_ROUNDS = 12
SHARE = 0.6
"""Of what is wanted, on a machine with the worst neighbours."""
COMPUTE = 200_000_000
"""Ticks of compute a step: long enough for its misses to arrive."""


def machine(pages: int = PAGES, inclusive: bool = True, eviction: str = "lru") -> Scenario:
    """Half the pages fit tier 0; all of them, and copies, fit below it."""
    return Scenario.model_validate(
        {
            "name": "bench",
            "hierarchy": {
                "tiers": [
                    {"name": "hbm", "capacity": f"{pages // 2} pages"},
                    {"name": "dram", "capacity": f"{2 * pages} pages", "inclusive": inclusive},
                ],
                "links": [
                    {"name": "pcie", "between": ("hbm", "dram"), "bandwidth": "50 GB/s", "latency": "1 us"}
                ],
            },
            "workload": {"kind": "custom", "workload_class": "oracle.bridge:ExplicitWorkload"},
            "policy": {"eviction": eviction},
            "execution": {"overlap": "demand", "compute_time": "200 us"},
        }
    )


def reads(hit_rate: float, steps: int, pages: int = PAGES) -> ExplicitWorkload:
    """Steps that read a hot twentieth at random, and in turn pages that LRU does not have.

    The first half of the pages starts in tier 0, the hot ones at its young end; the rest is
    read in a circle too long for LRU, so the hit rate is the same from the first step on.
    """
    draw = np.random.default_rng(1)
    half, hot = pages // 2, max(pages // 20, 2 * PER_STEP)
    lost = np.concatenate([np.arange(half, pages), np.arange(half - hot)])
    made: list[Step] = []
    owed = 0.0
    at = 0
    for _ in range(steps):
        owed += PER_STEP * (1 - hit_rate)
        misses = int(owed)
        owed -= misses
        missing = lost[(at + np.arange(misses)) % len(lost)]
        known = half - 1 - draw.choice(hot, PER_STEP - misses, replace=False)
        made.append(Step([LayerAccess(np.concatenate([known, missing]), COMPUTE)]))
        at += misses
    return ExplicitWorkload(made, pages, 65_536, "appear")


def rate_of(run: Callable[[], int]) -> float:
    """Units of work per second of CPU time."""
    gc.collect()
    begin = process_time()
    work = run()
    return work / (process_time() - begin)


def bare_loop(events: int = 150_000) -> int:
    """What SimPy itself can do: one process, one timeout after another."""
    env = simpy.Environment()

    def tick() -> Generator[Any, Any, None]:
        for _ in range(events):
            yield env.timeout(1)

    env.process(tick())
    env.run()
    return events


def engine_loop(
    scenario: Scenario, workload: ExplicitWorkload, results: list[RunResult]
) -> Callable[[], int]:
    """A run that is ready to go: machine built, pages placed."""
    simulation = Simulation(scenario, workload)

    def run() -> int:
        results.append(simulation.run(None))
        return results[-1].accesses

    return run


def measure(
    hit_rate: float, steps: int, scenario: Scenario, wanted: float = float("inf")
) -> tuple[float, RunResult]:
    """Best ratio of the engine's rate to that of the bare loop just before or after, and one result.

    Rounds go on, up to a limit, while the ratio is below what is wanted: other work on the machine takes more
    from the engine, which needs the caches, than from the bare loop, and so can only make it look worse.
    """
    workload = reads(hit_rate, steps)
    results: list[RunResult] = []
    best = 0.0
    before = rate_of(bare_loop)
    for done in range(MOST_ROUNDS):
        engine = rate_of(engine_loop(scenario, workload, results))
        after = rate_of(bare_loop)
        best = max(best, engine / max(before, after))
        before = after
        if done >= ROUNDS and best >= wanted:
            break
    return best, results[-1]


def note(benchmark: Any, hit_rate: float, steps: int, scenario: Scenario, **figures: float) -> None:
    """One more run under pytest-benchmark, with the figures of the test beside its times."""
    benchmark.extra_info.update({name: round(value, 3) for name, value in figures.items()})
    workload = reads(hit_rate, steps)
    benchmark.pedantic(
        lambda run: run(), setup=lambda: ((engine_loop(scenario, workload, []),), {}), rounds=2
    )
    print(f"\nhit rate {hit_rate}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))


@pytest.mark.parametrize(
    ("hit_rate", "steps", "least_ratio", "most_events"),
    [(0.5, 1500, 0.15, 1.6), (0.9, 4000, 0.5, 0.4), (0.99, 8000, 1.5, 0.08)],
)
def test_accesses_per_bare_event(
    hit_rate: float, steps: int, least_ratio: float, most_events: float, benchmark: Any
) -> None:
    ratio, result = measure(hit_rate, steps, machine(), least_ratio)
    events = result.events / result.accesses
    note(benchmark, hit_rate, steps, machine(), accesses_per_bare_event=ratio, events_per_access=events)
    assert result.tiers[0].found / result.accesses == pytest.approx(hit_rate, abs=0.005)
    assert len(result.records.transfers.array()) == result.accesses - result.tiers[0].found
    assert events <= most_events
    assert ratio >= SHARE * least_ratio


@pytest.mark.parametrize(("hit_rate", "steps", "most_events"), [(0.5, 1500, 1.6), (0.9, 4000, 0.4)])
def test_with_write_backs_a_miss_still_costs_few_events(
    hit_rate: float, steps: int, most_events: float, benchmark: Any
) -> None:
    """Exclusive tiers: every miss into a full tier 0 moves two pages, one waiting for the other."""
    scenario = machine(inclusive=False)
    ratio, result = measure(hit_rate, steps, scenario, wanted=0)
    events = result.events / result.accesses
    note(benchmark, hit_rate, steps, scenario, accesses_per_bare_event=ratio, events_per_access=events)
    assert events <= most_events


def test_time_per_access_hardly_grows_with_the_number_of_pages() -> None:
    """From 1,000 to 1,000,000 pages at most twice the time, at one hit rate."""
    rates: dict[int, list[float]] = {1_000: [], 1_000_000: []}
    for _ in range(3):
        for pages, seen in rates.items():
            seen.append(rate_of(engine_loop(machine(pages), reads(0.9, 6000, pages), [])))
    growth = max(rates[1_000]) / max(rates[1_000_000])
    print(f"\ntime per access from 1,000 to 1,000,000 pages: x {growth:.2f}")
    assert growth <= 2
