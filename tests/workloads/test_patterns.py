"""The synthetic workloads of kv-hierarchy-lab: each rule stated again, and its published LRU rows."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workloads.scenarios import scenario

from kvsim.errors import ScenarioError
from kvsim.scenario.loader import loads
from kvsim.workloads import Workload, make_workload

PUBLISHED = Path(__file__).parents[3] / "shared" / "reference" / "kv_hierarchy_lab_default_sweep.csv"
DEFAULTS = {  # pages, steps, base scalars; the original's own seed
    "chat_continuation": (64, 256, 2048, 7),
    "rag_burst": (96, 320, 2304, 11),
    "periodic_reuse": (80, 320, 2048, 13),
    "long_tail_mix": (128, 400, 2048, 17),
    "prefetch_friendly": (48, 240, 2048, 19),
    "adversarial_prefetch": (64, 256, 2048, 23),
    "adversarial_burst": (96, 320, 2112, 29),
    "mixed_locality": (112, 360, 2176, 31),
}
every_kind = pytest.mark.parametrize("kind", DEFAULTS)


def make(kind: str, seed: int = 0, **fields: Any) -> Workload:
    return make_workload(scenario({"kind": kind, **fields}, seed=seed))


def reads(workload: Workload) -> list[int]:
    return [int(step.layers[0].pages[0]) for step in workload.steps()]


def chat(n: int, length: int, r: random.Random) -> list[int]:
    ws, out = [p for p in range(12) if p < n], []
    for step in range(length):
        if step in range(0, length, 17):
            new = r.randrange(n)
            ws[r.randrange(len(ws))] = new
        out.append(r.choice(ws[-8:] if len(ws) > 8 else ws))
    return out


def rag(n: int, length: int, r: random.Random) -> list[int]:
    rounds = (r.choices(range(16), k=14) + r.sample(range(16, n), k=6) for _ in range(length // 20))
    return [page for pages in rounds for page in pages]


def periodic(n: int, length: int, r: random.Random) -> list[int]:
    return [3 * (step % 9) % n for step in range(length)]


def long_tail(n: int, length: int, r: random.Random) -> list[int]:
    tail, weights = list(range(10, n)), [1 / k for k in range(1, n - 9)]
    return [
        r.choice(list(range(10))) if r.random() < 0.7 else r.choices(tail, weights=weights, k=1)[0]
        for _ in range(length)
    ]


def friendly(n: int, length: int, r: random.Random) -> list[int]:
    return [step % n for step in range(length)]


def unpredictable(n: int, length: int, r: random.Random) -> list[int]:
    return [r.randrange(n // 2, n) if step % 2 else r.randrange(0, n // 2) for step in range(length)]


def burst(n: int, length: int, r: random.Random) -> list[int]:
    ids, out = list(range(n)), list[int]()
    early, middle, late = ids[: n // 3], ids[n // 3 : 2 * n // 3], ids[2 * n // 3 :]
    while len(out) < length:
        anchor = r.sample(early, min(12, len(early)))
        out += anchor
        out += r.sample(middle, min(12, len(middle)))
        out += anchor[:6]
        out += r.sample(late, min(12, len(late)))
    return out[:length]


def mixed(n: int, length: int, r: random.Random) -> list[int]:
    out = []
    for step in range(length):
        match (step // 60) % 3:
            case 0:
                out.append(r.choice(list(range(12))))
            case 1:
                out.append(r.choice(list(range(12, min(32, n)))))
            case _:
                out.append(5 * step % n)
    return out


RULES: dict[str, Callable[[int, int, random.Random], list[int]]] = {
    "chat_continuation": chat,
    "rag_burst": rag,
    "periodic_reuse": periodic,
    "long_tail_mix": long_tail,
    "prefetch_friendly": friendly,
    "adversarial_prefetch": unpredictable,
    "adversarial_burst": burst,
    "mixed_locality": mixed,
}


@every_kind
@pytest.mark.parametrize("seed", [0, 42])
def test_the_defaults_are_those_of_the_original(kind: str, seed: int) -> None:
    pages, length, base, _ = DEFAULTS[kind]
    workload, sizes = make(kind, seed), random.Random(seed)
    assert np.array_equal(workload.page_scalars, [base + sizes.randint(-64, 64) for _ in range(pages)])
    assert reads(workload) == RULES[kind](pages, length, random.Random(seed))
    assert workload.total_steps == length


@every_kind
@pytest.mark.parametrize(("pages", "length"), [(35, 205), (22, 61), (113, 640)])
def test_reads_follow_the_rule_at_other_sizes(kind: str, pages: int, length: int) -> None:
    workload = make(kind, 5, pages=pages, length=length)
    assert reads(workload) == RULES[kind](pages, length, random.Random(5))
    assert workload.total_steps == len(reads(workload))


@every_kind
def test_each_step_reads_one_page_of_its_layer_which_appears_on_first_use(kind: str) -> None:
    workload = make(kind)
    assert (workload.absent, workload.initial_pages) == ("appear", 0)
    for step in workload.steps():
        (access,) = step.layers
        assert access.layer == int(access.pages[0]) % 16
        assert len(access.pages) == 1
        assert step.arrival_ticks is None


@every_kind
def test_it_can_be_read_again_and_its_own_seed_wins(kind: str) -> None:
    workload = make(kind, seed=11)
    own = make_workload(scenario({"kind": kind, "seed": 11}, seed=3))
    assert reads(workload) == reads(workload) == reads(own)


def test_parameters_of_their_own() -> None:
    assert reads(make("periodic_reuse", pages=96, period=11, length=13)) == [*range(0, 33, 3), 0, 3]
    fours = reads(make("adversarial_burst", pages=30, burst=4, length=14))
    assert fours[8:10] == fours[:2]
    assert [page // 10 for page in fours] == [0] * 4 + [1] * 4 + [0] * 2 + [2] * 4


def test_bursts_do_not_exceed_their_third() -> None:
    workload = make("adversarial_burst", pages=9, burst=12, length=12)
    assert [page // 3 for page in reads(workload)] == [0, 0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2]


@pytest.mark.parametrize(
    ("kind", "pages"),
    [("rag_burst", 21), ("long_tail_mix", 10), ("mixed_locality", 12), ("adversarial_burst", 2)],
)
def test_too_few_pages_are_refused(kind: str, pages: int) -> None:
    rest = "name: x\nhierarchy: {tiers: [{name: t, capacity: 1 GB}]}\nexecution: {compute_time: 1 us}\n"
    with pytest.raises(ScenarioError, match=r"workload\.pages"):
        loads(f"{rest}workload: {{kind: {kind}, pages: {pages}}}\n")


class Lab:
    """The original's engine, as far as LRU, misses and evictions go."""

    def __init__(self, capacities: list[int], sizes: list[int]) -> None:
        self.capacities, self.sizes = capacities, sizes
        self.tiers: list[set[int]] = [set() for _ in capacities]
        self.last: dict[int, int] = {}
        self.misses = self.evictions = 0

    def put(self, page: int, tier: int, step: int) -> None:
        members = self.tiers[tier]
        while sum(self.sizes[p] for p in members) + self.sizes[page] > self.capacities[tier]:
            victim = min(members, key=lambda p: self.last[p])
            members.remove(victim)
            self.evictions += 1
            if tier + 1 < len(self.tiers):
                self.put(victim, tier + 1, step)
        members.add(page)
        self.last[page] = step

    def read(self, page: int, step: int) -> None:
        self.last[page] = step
        if page in self.tiers[0]:
            return
        self.misses += 1
        if not any(page in members for members in self.tiers):
            self.put(page, 3, step)
        self.put(page, 0, step)
        for members in self.tiers[1:]:
            members.discard(page)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/reference")
@pytest.mark.parametrize(
    ("name", "divisor", "scalar_bytes"),
    [
        ("small_fp16_no_prefetch", 2, 2),
        ("small_int4_no_prefetch", 2, 0.5),
        ("constrained_fp16_prefetch", 4, 2),
    ],
)
@pytest.mark.parametrize("kind", sorted(DEFAULTS.keys() - {"adversarial_prefetch"}))
def test_misses_and_evictions_of_lru_are_the_published_ones(
    name: str, divisor: int, scalar_bytes: float, kind: str
) -> None:
    with PUBLISHED.open(newline="") as file:
        rows = [
            r
            for r in csv.DictReader(file)
            if (r["scenario"], r["workload"], r["policy"]) == (name, kind, "lru")
        ]
    workload = make(kind, DEFAULTS[kind][3])
    assert isinstance(workload.page_scalars, np.ndarray)
    capacities = [c // divisor for c in (128_000, 256_000, 1_000_000, 8_000_000)]
    lab = Lab(capacities, [int(scalars * scalar_bytes) for scalars in workload.page_scalars.tolist()])
    for step, page in enumerate(reads(workload)):
        lab.read(page, step)
    (row,) = rows
    assert (lab.misses, lab.evictions) == (int(row["miss_count"]), int(row["eviction_count"]))
