"""Mixed precision: pages of some layers and head groups have formats of their own, in every tier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import bridge
from oracle.bridge import ExplicitWorkload
from oracle.description import Case
from strategies import cases

from kvsim.errors import SimulationError
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult
from kvsim.workloads.base import LayerAccess, Step, Workload

MODES = ("serial", "demand", "layered", "async", "ideal")
SCALARS = 100
WIDE = {"name": "wide", "bits": 16.0}
"""200 bytes a page."""
WIDE_BELOW = {**WIDE, "latency": "3 ps"}
NARROW = {"name": "narrow", "bits": 4.0, "latency": "7 ps", "compress": "1 TB/s", "decompress": "1 TB/s"}
"""50 bytes a page; the codec takes a tick for each of the 200 bytes of the wider side."""

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Placed(ExplicitWorkload):
    """A workload whose page i is of layer i mod `layers` and of head group i mod `head_groups`."""

    def __init__(self, steps: list[Step], scalars: int | NDArray[np.int64], pages: int, **rest: Any) -> None:
        super().__init__(steps, rest.get("initial", pages), scalars, rest.get("absent", "appear"))
        self.page_layers = np.arange(pages) % rest.get("layers", 2)
        self.page_head_groups = np.arange(pages) % rest.get("head_groups", 1)


def reads(*pages: list[int]) -> list[Step]:
    """A step of one layer access for each list."""
    return [Step([LayerAccess(np.array(each), 0)]) for each in pages]


def machine(
    overlap: str, *, hbm: str = "400 B", below: dict[str, Any] | None = None, **more: Any
) -> Scenario:
    """Tier 0 holds wide pages; below, the pages of layer 0 are wide too and the others narrow."""
    scheme = below or {**NARROW, "mixed": [{**WIDE_BELOW, "layers": 0}]}
    return Scenario.model_validate(
        {
            "name": "mixed",
            "scheme": more.pop("scheme", WIDE),
            "hierarchy": {
                "tiers": [
                    {"name": "hbm", "capacity": hbm},
                    {"name": "dram", "capacity": "1000 B", "scheme": scheme, **more.pop("dram", {})},
                ],
                "links": [{"name": "link", "between": ("hbm", "dram"), "bandwidth": "1 TB/s"}],
            },
            "workload": {"kind": "custom", "workload_class": "mixed:Placed"},
            "policy": {"placement": more.pop("placement", "last")},
            "execution": {"overlap": overlap, "compute_time": "0 s", **more},
        }
    )


def durations(result: RunResult) -> list[int]:
    steps = result.records.steps
    return [int(ticks) for ticks in steps.column("end") - steps.column("start")]


def lane_bytes(result: RunResult) -> dict[str, int]:
    return {lane.name: lane.bytes_out for lane in result.lanes}


@pytest.mark.parametrize("scalars", [SCALARS, np.full(2, SCALARS)], ids=["one size", "a size a page"])
@pytest.mark.parametrize("overlap", ["serial", "demand"])
def test_each_page_takes_its_own_codec_and_its_own_bytes(overlap: str, scalars: Any) -> None:
    """Page 0 is wide in both tiers: 200 bytes, 3 ticks of latency, no codec. Page 1: 50 + 7, then 200."""
    result = simulate(machine(overlap), Placed(reads([0], [1]), scalars, 2))
    assert durations(result) == [200 + 3, 50 + 7 + 200]
    assert result.exposed_ticks[Cause.CODEC] == 200
    assert lane_bytes(result) == {"link up": 200 + 50, "link down": 0, "decompress": 50, "compress": 0}
    assert [tier.initial_bytes for tier in result.tiers] == [0, 200 + 50]
    assert [tier.resident_bytes for tier in result.tiers] == [400, 0]
    assert result.lanes[0].bytes_by_class == (200 + 50, 0, 0, 0)


@pytest.mark.parametrize("overlap", ["serial", "demand"])
def test_a_page_goes_down_in_the_format_it_has_there(overlap: str) -> None:
    """Room for one page: 0 leaves in 200 as it is; 1 is compressed in 200, then crosses in 50."""
    result = simulate(machine(overlap, hbm="200 B"), Placed(reads([0], [1], [0]), SCALARS, 2))
    assert durations(result) == [203, 200 + 257, 200 + 50 + 203]
    assert lane_bytes(result) == {
        "link up": 200 + 50 + 200, "link down": 200 + 50, "decompress": 50, "compress": 50,
    }  # fmt: skip


def test_pages_of_all_kinds_share_the_lanes() -> None:
    """Page 1 follows page 0 over the link (200 to 250), and is decompressed while nothing else is."""
    result = simulate(machine("demand"), Placed(reads([0, 1]), SCALARS, 2))
    assert durations(result) == [200 + 50 + 7 + 200]


def test_pages_of_all_kinds_share_the_bound_in_flight() -> None:
    result = simulate(machine("demand", dma={"max_in_flight": 1}), Placed(reads([0, 1]), SCALARS, 2))
    assert durations(result) == [203 + 257]


def test_a_page_read_in_place_is_decompressed_by_its_own_format() -> None:
    dram = {"access": "direct"}
    for overlap in ("serial", "demand"):
        result = simulate(machine(overlap, dram=dram), Placed(reads([0], [1]), SCALARS, 2))
        assert durations(result) == [203, 257]


@pytest.mark.parametrize(
    ("overlap", "ticks"), [("serial", [11 + 5, 5, 11]), ("demand", [11, 5, 11]), ("layered", [11, 5, 11])]
)
def test_reads_in_tier_0_take_the_latency_of_the_pages_found(overlap: str, ticks: list[int]) -> None:
    """Serial charges each page found its own; otherwise a layer waits for the longest."""
    rule = {"name": "careful", "bits": 16.0, "latency": "11 ps", "layers": 0}
    scheme = {"name": "fast", "bits": 8.0, "latency": "5 ps", "mixed": [rule]}
    scenario = machine(overlap, scheme=scheme, below=scheme, placement="fill")
    assert durations(simulate(scenario, Placed(reads([0, 1], [1], [0]), SCALARS, 2))) == ticks


def test_the_first_rule_that_fits_decides() -> None:
    """Of 8 scalars a page, in bytes: page 1 fits both rules, page 3 has neither their layer nor group."""
    rules = [
        {"name": "a", "bits": 16.0, "layers": [0, 1], "head_groups": "1-1"},
        {"name": "b", "bits": 4.0, "layers": 1},
    ]
    scheme = {"name": "base", "bits": 8.0, "mixed": rules}
    workload = Placed(reads([0]), 8, 5, layers=4, head_groups=2)
    result = simulate(machine("demand", scheme=scheme, below=scheme), workload)
    # page: 0 1 2 3 4; layer: 0 1 2 3 0; head group: 0 1 0 1 0
    assert result.tiers[1].initial_bytes == 8 + 16 + 8 + 8 + 8
    both_ways = {**scheme, "mixed": rules[::-1]}
    result = simulate(machine("demand", scheme=both_ways, below=both_ways), workload)
    assert result.tiers[1].initial_bytes == 8 + 4 + 8 + 8 + 8


def test_a_capacity_in_pages_counts_the_largest_page() -> None:
    result = simulate(machine("demand", dram={"capacity": "5 pages"}), Placed(reads([0]), SCALARS, 2))
    assert result.tiers[1].capacity_bytes == 5 * 200


class Untold(ExplicitWorkload):
    """Knows nothing of layers."""


def test_rules_need_a_workload_that_tells() -> None:
    with pytest.raises(
        SimulationError, match="rules by layer, but the workload Untold does not tell the layer"
    ):
        simulate(machine("demand"), Untold(reads([0]), 2, SCALARS, "appear"))
    by_group = {**NARROW, "mixed": [{**WIDE, "head_groups": 0}]}
    with pytest.raises(SimulationError, match=r"by head group, .* no `page_head_groups`, a number for every"):
        simulate(machine("demand", below=by_group), Untold(reads([0]), 2, SCALARS, "appear"))


def test_what_the_workload_tells_must_be_of_as_many_pages_as_have_a_size() -> None:
    with pytest.raises(SimulationError, match="tells of 2 and 3 pages"):
        simulate(machine("demand"), Placed(reads([0]), np.full(3, SCALARS), 2))


def test_a_page_beyond_those_told_of_is_refused() -> None:
    with pytest.raises(SimulationError, match="page 2 has no size: the workload announced 2 pages"):
        simulate(machine("demand"), Placed(reads([2]), SCALARS, 2))


# -- any machine ---------------------------------------------------------------------------


def placed(case: Case, scalars: NDArray[np.int64]) -> Workload:
    pages = bridge.workload(case)
    steps = list(pages.steps())
    rest = {"initial": case.initial, "absent": case.absent, "layers": 3, "head_groups": 2}
    return Placed(steps, scalars, len(case.scalars), **rest)


def ruled(case: Case, rules: list[list[dict[str, Any]]], mode: str, **execution: Any) -> Scenario:
    """The case's scenario with rules for every tier."""
    plain = bridge.scenario(case).model_dump(mode="json")
    for tier, each in zip(plain["hierarchy"]["tiers"], rules, strict=True):
        tier["scheme"]["mixed"] = each
    plain["execution"] |= {"overlap": mode, **execution}
    return Scenario.model_validate(plain)


def tables(result: RunResult) -> Iterator[list[Any]]:
    records = result.records
    for table in (
        records.steps,
        records.layers,
        records.stalls,
        records.transfers,
        records.hops,
        records.space,
    ):
        yield table.array().tolist()
    yield result.residency.tolist()


def outcome(scenario: Scenario, workload: Workload) -> RunResult:
    try:
        return simulate(scenario, workload)
    except SimulationError as error:
        assume("no room" not in str(error))
        raise


@st.composite
def formats(draw: Any) -> dict[str, Any]:
    codec = draw(st.sampled_from([None, "900 MB/s", "7 GB/s"]))
    where = draw(
        st.sampled_from(
            [{"layers": 0}, {"layers": "1-2"}, {"head_groups": 1}, {"layers": [0, 2], "head_groups": 0}]
        )
    )
    return {
        "name": "rule",
        "bits": draw(st.sampled_from([2.0, 4.0, 4.5, 8.0])),
        "compress": codec,
        "decompress": codec,
        "latency": draw(st.sampled_from(["0 s", "1234567 ps"])),
        **where,
    }


@given(st.data(), cases(), st.sampled_from(MODES), st.sampled_from([None, 1, 3]), st.sampled_from([1, 8]))
@thorough
def test_any_rules_on_any_machine_leave_balanced_books(
    data: st.DataObject, case: Case, mode: str, most: int | None, coalesce: int
) -> None:
    """The run audits itself; sizes summed here from the rules are those that were placed."""
    rules = [data.draw(st.lists(formats(), max_size=3)) for _ in case.tiers]
    scenario = ruled(case, rules, mode, dma={"max_in_flight": most, "coalesce": coalesce})
    result = outcome(scenario, placed(case, np.array(case.scalars)))
    assert result.steps == len(case.steps)
    if not case.fill and not case.tiers[-1].inclusive:
        scheme = scenario.hierarchy.tiers[-1].scheme
        assert scheme is not None
        sizes = [scheme.format_of(p % 3, p % 2).bytes(case.scalars[p]) for p in range(case.initial)]
        assert result.tiers[-1].initial_bytes == sum(sizes)


@given(cases(), st.sampled_from(MODES))
@thorough
def test_rules_that_repeat_the_scheme_change_nothing(case: Case, mode: str) -> None:
    rules = [[{"name": "same", "bits": float(tier.bits), "layers": 1}] for tier in case.tiers]
    scalars = np.array(case.scalars)
    mixed = outcome(ruled(case, rules, mode), placed(case, scalars))
    alike = outcome(ruled(case, [[]] * len(case.tiers), mode), placed(case, scalars))
    assert list(tables(mixed)) == list(tables(alike))
    assert mixed.events == alike.events


@given(cases(), st.sampled_from(MODES))
@thorough
def test_half_the_bits_are_as_good_as_half_the_scalars(case: Case, mode: str) -> None:
    """A page of layer 1 with twice the scalars and half the bits has the same bytes everywhere."""
    rules = [[{"name": "half", "bits": tier.bits / 2, "layers": 1}] for tier in case.tiers]
    doubled = [2 * n if page % 3 == 1 else n for page, n in enumerate(case.scalars)]
    mixed = outcome(ruled(case, rules, mode), placed(case, np.array(doubled)))
    plain = outcome(ruled(case, [[]] * len(case.tiers), mode), placed(case, np.array(case.scalars)))
    assert list(tables(mixed)) == list(tables(plain))


@given(cases(mode="serial"))
@thorough
def test_in_serial_each_transfer_of_a_slow_format_takes_its_latency_more(case: Case) -> None:
    """Serial time is a sum, so what a rule adds can be counted beside the run."""
    rules = [[{"name": "slow", "bits": float(t.bits), "latency": "999 ns", "layers": 1}] for t in case.tiers]
    scalars = np.array(case.scalars)
    mixed = outcome(ruled(case, rules, "serial"), placed(case, scalars))
    plain = outcome(ruled(case, [[]] * len(case.tiers), "serial"), placed(case, scalars))
    transfers = mixed.records.transfers
    slow = int((transfers.column("page") % 3 == 1).sum())
    hits = mixed.compute_ticks - plain.compute_ticks
    assert mixed.makespan_ticks - mixed.idle_ticks == (
        plain.makespan_ticks - plain.idle_ticks + hits + slow * 999_000
    )
