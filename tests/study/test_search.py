"""A search finds what trying every value finds, in far fewer runs; what it gives up would have failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.analysis.cost import Prices, token_cost, tokens_per_second
from kvsim.errors import KvsimError, RoomError, ScenarioError
from kvsim.reporting.found import found_data
from kvsim.sim.records import STEP_COLUMNS, Table
from kvsim.study.objective import Objective, parse_objective
from kvsim.study.search import Bracket, Found, search
from kvsim.study.watch import watch
from kvsim.units import TICKS_PER_SECOND

Invoke = Callable[..., Any]

READS = """\
# Every step fetches all its pages anew, one after another: 1 us of compute and 0.5 us a page.
hierarchy:
  tiers:
    - {name: hbm, capacity: 4 MB}
    - {name: dram, capacity: 16 MB}
  links:
    - {name: pcie, between: [hbm, dram], bandwidth: 2 GB/s}
workload: {kind: layers, page_bytes: 1 kB, steps: 3, reads: 1, again: 0}
execution: {compute_time: 1 us, overlap: serial}
policy: {placement: last}
"""
DECODE = """\
# 2 layers of a kilobyte per 4 tokens and layer; memories of 400 pages in all.
model: {name: tiny, layers: 2, hidden: 64, heads: 1, kv_heads: 1, head_dim: 64, parameters: 1000000}
hierarchy:
  tiers:
    - {name: hbm, capacity: 100 pages}
    - {name: dram, capacity: 300 pages}
  links:
    - {name: pcie, between: [hbm, dram], bandwidth: 10 GB/s}
workload: {kind: dense_decode, context_tokens: 16, steps: 2, page_tokens: 4}
execution: {compute_time: 1 us, overlap: demand}
"""


@pytest.fixture
def reads(tmp_path: Path) -> Path:
    path = tmp_path / "reads.yaml"
    path.write_text(READS, encoding="utf-8")
    return path


def found(source: str | Path, path: str, objective: str, **options: Any) -> Found:
    return search(source, path, parse_objective(objective), text=objective, **options)


def holds(source: Path, path: str, objective: str, value: int) -> bool:
    """The plain way: a whole run, and its summary."""
    goal = parse_objective(objective)
    try:
        summary = kvsim.run(source, overrides=[f"{path}={value}"]).summary
    except RoomError:
        return False
    first, _, rest = goal.metric.partition(".")
    figure = getattr(summary, first)
    return goal.met(figure[rest] if rest else figure)


def test_the_answer_is_the_one_of_arithmetic(reads: Path) -> None:
    """1 us + 0.5 us n <= 100 us holds up to n = 198."""
    assert found(reads, "workload.reads", "step_latency_s.p99 <= 100 us").answer == 198
    assert found(reads, "workload.reads", "step_latency_s.p99 < 100 us").answer == 197


@pytest.mark.parametrize(
    "objective",
    [
        "step_latency_s.p99 <= 87.3 us",
        "step_latency_s.mean < 31 us",
        "makespan_s <= 111 us",
        "exposed_s.total < 300 us",
        "hit_rate >= 0",
        "step_latency_s.max <= 0.9 us",
        "bytes_by_class.total <= 500 kB",
    ],
)
def test_it_agrees_with_trying_every_value_in_a_tenth_of_the_runs(reads: Path, objective: str) -> None:
    values = range(1, 241)
    one_by_one = [value for value in values if holds(reads, "workload.reads", objective, value)]
    answer = found(reads, "workload.reads", objective, low=1, high=240)
    assert answer.answer == max(one_by_one, default=None)
    assert one_by_one == list(range(1, (answer.answer or 0) + 1))
    assert answer.runs <= len(values) / 10
    assert answer.violations == ()


def test_steps_and_limits_of_the_values_are_kept(reads: Path) -> None:
    """10, 17, 24, …: the largest up to 198 is 192 = 10 + 26 * 7."""
    by_seven = found(reads, "workload.reads", "step_latency_s.p99 <= 100 us", low=10, step=7)
    assert by_seven.answer == 192
    assert all((probe.value - 10) % 7 == 0 for probe in by_seven.probes)
    limited = found(reads, "workload.reads", "step_latency_s.p99 <= 100 us", high=50)
    assert (limited.answer, limited.at_limit) == (50, True)
    assert not by_seven.at_limit
    none = found(reads, "workload.reads", "step_latency_s.p99 <= 100 us", low=199)
    assert (none.answer, none.at_limit, len(none.probes)) == (None, False, none.runs)


def test_what_does_not_fit_is_too_large(tmp_path: Path) -> None:
    """400 pages: 2 layers x 200 pages of 4 tokens, so 803 tokens, the last 3 of which are not paged yet."""
    path = tmp_path / "decode.yaml"
    path.write_text(DECODE, encoding="utf-8")
    overrides = ["hierarchy.tiers.dram.access=direct", "workload.steps=1"]
    room = found(path, "context", "hit_rate >= 0", overrides=overrides, step=1, low=1)
    assert room.answer == 803
    beyond = room.outcome(804)
    assert beyond is not None
    assert "the context at the start has 402 pages" in beyond.reason
    assert (beyond.simulated, beyond.met) == (False, False)
    assert found(path, "context", "hit_rate >= 0", overrides=overrides).range.step == 4  # a page
    nothing = found(path, "batch", "hit_rate >= 0", overrides=[*overrides, "workload.context_tokens=900"])
    assert (nothing.answer, nothing.runs) == (None, 0)


def test_only_want_of_room_is_excused(tmp_path: Path) -> None:
    path = tmp_path / "decode.yaml"
    path.write_text(DECODE, encoding="utf-8")
    with pytest.raises(RoomError):
        kvsim.load(path, ["workload.context_tokens=900"])
    with pytest.raises(ScenarioError) as wrong:
        kvsim.load(path, ["workload.context_tokens=900", "policy.eviction=lruu"])
    assert not isinstance(wrong.value, RoomError)
    with pytest.raises(ScenarioError, match="did you mean 'context_tokens'"):
        found(path, "workload.contxt_tokens", "hit_rate >= 0")


@pytest.mark.parametrize(
    ("objective", "steps"),
    [
        ("step_latency_s.p95 <= 100 us", 3),  # the 38th of 40 counts: two may be longer
        ("step_latency_s.max <= 100 us", 1),
        ("step_latency_s.mean <= 100 us", 27),  # 26 x 151 us < 40 x 100 us < 27 x 151 us
        ("makespan_s < 1.1 ms", 8),
        ("exposed_s.demand_service <= 1 ms", 7),  # 150 us a step
        ("step_latency_s.p50 > 151 us", 20),  # the 20th counts, and none is longer
    ],
)
def test_a_run_is_given_up_once_its_objective_is_lost(reads: Path, objective: str, steps: int) -> None:
    """Each of 40 steps takes 1 us + 300 x 0.5 us."""
    room = ["workload.steps=40", "hierarchy.tiers.hbm.capacity=16 MB"]
    outcome = found(reads, "workload.reads", objective, overrides=room, low=300, high=300).outcome(300)
    assert outcome is not None
    assert (outcome.given_up, outcome.steps, outcome.number) == (True, steps, None)


def test_the_last_row_of_a_table_is_known_after_it_has_been_packed() -> None:
    table = Table(("step", "end"))
    table.add((1, 10))
    table.add((2, 20))
    assert table.last() == [2, 20]
    table.array()  # packs
    assert table.last() == [2, 20]


METRICS = [
    f"step_{kind}_s.{part}"
    for kind in ("latency", "response")
    for part in ("mean", "p50", "p95", "p99", "max")
]


@given(
    metric=st.sampled_from([*METRICS, "makespan_s", "compute_s", "exposed_s.total"]),
    sign=st.sampled_from(["<", "<=", ">", ">="]),
    limit=st.integers(0, 400),
    steps=st.lists(st.tuples(*(st.integers(0, 30) for _ in range(4))), min_size=1, max_size=25),
    more=st.integers(0, 5),
)
def test_nothing_is_given_up_that_would_have_been_reached(
    metric: str, sign: str, limit: int, steps: Sequence[tuple[int, int, int, int]], more: int
) -> None:
    """Of steps (wait before, compute, demand service, room), in us; `more` are expected and do not come."""
    rows = list(made(steps))
    goal = Objective(metric, sign, limit / 10**6)
    lost = watch(goal, len(rows) + more)
    if lost is None:
        return
    given_up = [lost(row) for row in rows]
    reached = goal.met(figure_of(metric, rows))
    assert not (any(given_up) and reached)
    assert all(after or not before for before, after in pairwise(given_up))
    if goal.bounds_above and not more:
        assert given_up[-1] == (not reached)  # at the end at the latest it is known


def made(steps: Sequence[tuple[int, int, int, int]]) -> Sequence[Sequence[int]]:
    rows, end = [], 0
    for number, (before, compute, service, room) in enumerate(steps):
        row = dict.fromkeys(STEP_COLUMNS, 0) | {"step": number, "arrival": end * 10**6}
        row |= {"start": (end + before) * 10**6, "compute": compute * 10**6}
        row |= {"demand_service": service * 10**6, "room": room * 10**6}
        end += before + compute + service + room
        rows.append([*(row | {"end": end * 10**6}).values()])
    return rows


def figure_of(metric: str, rows: Sequence[Sequence[int]]) -> float:
    """By numpy's nearest rank and plain sums, in seconds."""
    table = {name: np.array([row[at] for row in rows]) for at, name in enumerate(STEP_COLUMNS)}
    first, _, part = metric.partition(".")
    if first == "makespan_s":
        return int(table["end"][-1]) / TICKS_PER_SECOND
    if first == "compute_s":
        return int(table["compute"].sum()) / TICKS_PER_SECOND
    if first == "exposed_s":
        return int(table["demand_service"].sum() + table["room"].sum()) / TICKS_PER_SECOND
    lengths = table["end"] - table["start" if first == "step_latency_s" else "arrival"]
    if part == "mean":
        return int(lengths.sum()) / (len(rows) * TICKS_PER_SECOND)
    percent = 100 if part == "max" else int(part[1:])
    return int(np.percentile(lengths, percent, method="inverted_cdf")) / TICKS_PER_SECOND


@given(top=st.integers(0, 5000), data=st.data())
def test_a_bracket_closes_on_the_threshold_in_logarithmic_time(top: int, data: st.DataObject) -> None:
    start, threshold = data.draw(st.integers(0, top)), data.draw(st.integers(-1, top))
    bracket, asked = Bracket(top, start), []
    while (number := bracket.probe) is not None:
        assert 0 <= number <= top
        asked.append(number)
        bracket = bracket.after(number, number <= threshold)
    assert bracket.met == threshold
    assert len(set(asked)) == len(asked) <= 3 + 2 * (abs(threshold - start) + 1).bit_length()


def test_short_runs_come_first_where_runs_are_long(reads: Path) -> None:
    """All steps are alike, so 16 tell what 128 do: one more run of full length on either side is enough."""
    long = ["workload.steps=128", "hierarchy.tiers.dram.capacity=1 GB", "hierarchy.tiers.hbm.capacity=1 GB"]
    goal = ("workload.reads", "step_latency_s.p99 <= 50 us")
    answer = found(reads, *goal, overrides=long, checks=0)
    assert (answer.answer, answer.short_steps) == (98, 16)
    assert [probe.value for probe in answer.probes] == [98, 99]
    assert answer.runs == answer.short_runs + 2
    of_a_whole = found(reads, "workload.reads", "makespan_s <= 6.4 ms", overrides=long, checks=0)
    assert (of_a_whole.answer, of_a_whole.short_runs) == (98, 0)  # what a whole run takes no part of it tells


BUMPY = """from kvsim.workloads import LayerAccess, Step
import numpy as np


class Bumpy:
    \"\"\"One step, of 10 us where `size` is 32 to 35, else of so many ns as it says.\"\"\"

    name = "bumpy"
    absent = "appear"
    initial_pages = 1
    page_scalars = 64
    total_steps = 1

    def __init__(self, scenario, size: int):
        self.ticks = 10**7 if 32 <= size <= 35 else 1000 * size

    def steps(self):
        yield Step((LayerAccess(np.array([0]), self.ticks),))
"""


def test_exceptions_to_what_is_assumed_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By leaps 1, 2, 4, … 64 and halves the answer is 31 (of the 64 runs of one value after another).

    The search looks for exceptions from 1 to 62, a quarter, half and three quarters of the way: 16, 31, 46.
    """
    (tmp_path / "bumpy_search.py").write_text(BUMPY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "bumpy.yaml"
    workload = "workload: {kind: custom, workload_class: bumpy_search:Bumpy, options: {size: 1}}\n"
    path.write_text(READS.replace(READS[READS.index("workload:") : READS.index("execution:")], workload))
    goal = ("workload.options.size", "step_latency_s.max <= 5 us")
    bumpy = found(path, *goal, overrides=["policy.placement=fill"], high=100, checks=3)
    assert bumpy.answer == 31
    assert bumpy.violations == (
        "it does not hold at workload.options.size 32, but holds at 46",
        "step_latency_s.max is better at workload.options.size 46 than at 32",
    )


def test_the_answer_hangs_on_no_number_of_workers(reads: Path) -> None:
    goal = ("workload.reads", "step_latency_s.p95 <= 100 us")
    assert found_data(found(reads, *goal)) == found_data(found(reads, *goal, jobs=2))


def test_cost_is_that_of_a_hand_calculation() -> None:
    """4 tokens each 20 ms are 720,000 an hour. An hour costs 2.50, and 10 GB of host memory 0.05."""
    assert tokens_per_second(4, 0.02) == 200
    cost = token_cost(Prices(2.5, {"dram": 0.005}), 4, 0.02, {"hbm": 10**12, "dram": 10**10})
    assert cost.per_hour == pytest.approx({"gpu hours": 2.5, "dram": 0.05})
    assert cost.per_million_tokens == pytest.approx({"gpu hours": 2.5 / 0.72, "dram": 0.05 / 0.72})
    assert cost.total_per_million_tokens == pytest.approx(2.55 / 0.72)
    with pytest.raises(ValueError, match="no tier 'ssd'"):
        token_cost(Prices(0, {"ssd": 1}), 1, 1, {"hbm": 1})


def test_cost_comes_with_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "decode.yaml"
    path.write_text(DECODE, encoding="utf-8")
    priced = found(path, "batch", "step_latency_s.max <= 1 ms", high=5, prices=Prices(3.6, {"hbm": 1}))
    summary = kvsim.run(path, overrides=["workload.batch=5"]).summary
    assert priced.cost is not None
    assert priced.cost.tokens_per_s == 5 / summary.step_latency_s["mean"]
    assert priced.cost.per_hour == {"gpu hours": 3.6, "hbm": summary.peak_bytes["hbm"] / 10**9}
    with pytest.raises(KvsimError, match="no such tier"):
        found(path, "batch", "step_latency_s.max <= 1 ms", prices=Prices(0, {"ssd": 1}))


def test_costs_are_of_tokens_alone(reads: Path) -> None:
    with pytest.raises(KvsimError, match="need a workload that decodes"):
        found(reads, "workload.reads", "hit_rate >= 0", prices=Prices(1))


class TestObjectives:
    @pytest.mark.parametrize(
        ("text", "objective"),
        [
            ("step_latency_s.p99 <= 50 ms", Objective("step_latency_s.p99", "<=", 0.05)),
            ("peak_bytes.hbm<80 GiB", Objective("peak_bytes.hbm", "<", 80 * 2**30)),
            ("hit_rate >= 90 %", Objective("hit_rate", ">=", 0.9)),
            ("links.pcie up.mean_queue_s < 1 us", Objective("links.pcie up.mean_queue_s", "<", 1e-6)),
            ("evictions > 1e3", Objective("evictions", ">", 1000)),
        ],
    )
    def test_are_read_with_their_units(self, text: str, objective: Objective) -> None:
        assert parse_objective(text) == objective

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("step_latency_s.p99", "is written as METRIC <= VALUE"),
            ("step_latency_s.p99 == 5 ms", "is written as METRIC <= VALUE"),
            ("step_latency_s.p99 <= 50", "'50' has no unit"),
            ("step_latency_s.p99 <= 50 GB", "is a size, not a duration"),
            ("hit_rate >= most", "'most' is not a number"),
            ("hit_rate >= nan", "not a number that a run can reach"),
        ],
    )
    def test_that_cannot_be_read_are_told_in_a_line(self, text: str, reason: str) -> None:
        with pytest.raises(ScenarioError) as wrong:
            parse_objective(text)
        assert str(wrong.value).startswith(f"--objective {text}: ")
        assert reason in str(wrong.value)
        assert len(str(wrong.value).splitlines()) == 1


class TestCommand:
    GOAL = ("--of", "workload.reads", "--objective", "step_latency_s.p99 <= 100 us")

    def test_prints_the_answer_and_what_was_tried(self, reads: Path, invoke: Invoke) -> None:
        outcome = invoke("capacity", reads, *self.GOAL)
        assert (outcome.code, outcome.err) == (0, "")
        assert "largest workload.reads with step_latency_s.p99 <= 100 us: 198\n" in outcome.out
        assert "198              100 µs  holds ←" in outcome.out
        assert "given up after 1 step" in outcome.out

    def test_prints_all_of_it_as_json(self, reads: Path, invoke: Invoke) -> None:
        told = json.loads(invoke("capacity", reads, *self.GOAL, "--json").out)
        assert (told["answer"], told["cost"], told["not_monotone"]) == (198, None, [])
        values = {each["value"]: each for each in told["values"]}
        assert values[198]["number"] == pytest.approx(100e-6)
        assert (values[199]["holds"], values[199]["given_up"]) == (False, True)

    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (("--of", "workload.read"), "--set workload.read=1: workload.read: unknown key"),
            (("--low", "0", "--step", "0"), "error: --step must be 1 or more, not 0"),
            (("--low", "-1"), "--set workload.reads=-1: workload.reads: must be 0 or more, not -1"),
            (("--high", "1", "--low", "2"), "error: --high 1 is below --low 2"),
            (("--checks", "-1"), "error: --checks must be 0 or more, not -1"),
            (("--jobs", "0"), "error: --jobs must be 1 or more, or -1"),
            (("--set", "seed=x"), "--set seed=x: seed: "),
            (("--gb-hour", "dram"), "error: --gb-hour dram: is written as TIER=PRICE"),
            (
                ("--gb-hour", "dram=1", "--gb-month", "dram=1"),
                "error: --gb-month dram=1: a price of 'dram' is given",
            ),
            (("--gpu-hour", "-1"), "error: --gpu-hour must be a price, 0 or more, not -1.0"),
            (
                ("--objective", "step_latency_s.p9 < 1 s"),
                "--objective step_latency_s.p9 < 1 s: 'step_latency_s' has no",
            ),
        ],
    )
    def test_tells_what_is_wrong_in_a_line(
        self, reads: Path, invoke: Invoke, arguments: tuple[str, ...], line: str
    ) -> None:
        outcome = invoke("capacity", reads, *self.GOAL, *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(line)
        assert len(outcome.err.splitlines()) == 1
