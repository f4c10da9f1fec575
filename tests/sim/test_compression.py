"""What compression leaves of pages, what decoding them costs, what becomes of pages discarded for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import bridge
from oracle.bridge import ExplicitWorkload
from oracle.description import Case
from strategies import cases

from kvsim.analysis.metrics import Summary, summarise
from kvsim.errors import AuditError, SimulationError
from kvsim.policies.base import ResidencyView
from kvsim.policies.eviction.lru import Lru
from kvsim.scenario.catalog import FormatSpec
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.fidelity import Fidelity
from kvsim.sim.records import PREFETCH, Cause
from kvsim.sim.result import RunResult
from kvsim.workloads.base import LayerAccess, Step

MODES = ("serial", "demand", "layered", "async", "ideal")
SAME_DECISIONS = ("serial", "demand", "ideal")
SCALARS = 100
WIDE = {"name": "wide", "bits": 16.0}
"""200 bytes a page."""
NARROW = {"name": "narrow", "bits": 4.0}
"""50 bytes a page."""
HALF = {"name": "half", "bits": 16.0, "keep": 0.5}
"""100 bytes a page, and half of its tokens."""

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Pages(ExplicitWorkload):
    """A step of one layer access for each list; page i is of layer i mod 2 where rules ask."""

    def __init__(
        self, *reads: list[int], initial: int = 0, absent: Any = "appear", compute: int = 0, cost: int = 0
    ) -> None:
        each = (lambda absent: cost * absent) if cost else None
        steps = [Step([LayerAccess(np.array(pages), compute, absent_ticks=each)]) for pages in reads]
        super().__init__(steps, initial, SCALARS, absent)
        self.page_layers = np.arange(16) % 2


def machine(*tiers: tuple[str, dict[str, Any]], overlap: str = "demand", **more: Any) -> Scenario:
    """Tiers in a row, each of that capacity and scheme; links take a tick a byte."""
    names = [f"tier{k}" for k in range(len(tiers))]
    ends = pairwise(names)
    policy = {"placement": more.pop("placement", "fill"), "lossy": more.pop("lossy", False)}
    extra = more.pop("below", {})
    return Scenario.model_validate(
        {
            "name": "compression",
            "hierarchy": {
                "tiers": [
                    {"name": name, "capacity": capacity, "scheme": scheme, **(extra if k else {})}
                    for k, (name, (capacity, scheme)) in enumerate(zip(names, tiers, strict=True))
                ],
                "links": [{"name": f"{a}-{b}", "between": (a, b), "bandwidth": "1 TB/s"} for a, b in ends],
                "codec_engines": more.pop("engines", 1),
            },
            "workload": {"kind": "custom", "workload_class": "oracle.bridge:ExplicitWorkload"},
            "policy": policy | more.pop("policy", {}),
            "execution": {"overlap": overlap, "compute_time": "0 s", **more},
        }
    )


def durations(result: RunResult) -> list[int]:
    steps = result.records.steps
    return [int(ticks) for ticks in steps.column("end") - steps.column("start")]


def lane_bytes(result: RunResult) -> dict[str, int]:
    return {lane.name: lane.bytes_out for lane in result.lanes}


def left(result: RunResult) -> tuple[dict[str, int] | None, float]:
    summary: Summary = summarise(result)
    found = None if summary.reads_by_format is None else dict(summary.reads_by_format)
    return found, summary.kept_share


# -- sizes -----------------------------------------------------------------------------------


def test_a_page_is_smaller_by_the_tokens_it_drops() -> None:
    quarter = FormatSpec(name="f", bits=8, keep=0.25)
    assert [quarter.bytes(n) for n in (1, 4, 7, 400)] == [1, 1, 1, 100]  # floor, but never nothing
    assert quarter.exact_bytes(7) == Fraction(7, 4)


def test_the_share_is_taken_as_written() -> None:
    """100 * 8 * .29 / 8 is 29 exactly; in binary fractions a little less."""
    assert FormatSpec(name="f", bits=8, keep=0.29).bytes(100) == 29


def test_which_format_is_the_narrower_one_goes_by_the_tokens_too() -> None:
    """8 bits of all tokens are wider than 16 bits of a quarter: going there is compressing."""
    eight = {"name": "eight", "bits": 8.0, "compress": "4 TB/s", "decompress": "4 TB/s"}
    quarter = {"name": "quarter", "bits": 16.0, "keep": 0.25, "compress": "1 TB/s", "decompress": "1 TB/s"}
    result = simulate(machine(("100 B", eight), ("1 kB", quarter)), Pages([0], [1]))
    # up: 50 bytes over the link, then 100 of the wider side at a tick each; down: the same before it
    assert durations(result) == [50 + 100, 100 + 50 + 50 + 100]
    assert lane_bytes(result) == {
        "tier0-tier1 up": 100, "tier0-tier1 down": 50, "decompress": 100, "compress": 50,
    }  # fmt: skip


# -- what is left of a page ------------------------------------------------------------------


@pytest.mark.parametrize("overlap", MODES)
def test_dropped_tokens_never_come_back(overlap: str) -> None:
    """Page 0 starts whole in tier 0, page 1 halved below; reading 1 sends 0 down, where it is halved too."""
    result = simulate(
        machine(("200 B", WIDE), ("1 kB", HALF), overlap=overlap), Pages([0], [1], [0], initial=2)
    )
    assert left(result) == ({"wide": 1, "half": 2}, float(Fraction(1 + 0.5 + 0.5) / 3))
    assert [tier.resident_bytes for tier in result.tiers] == [200, 100]  # the slot in tier 0 is a whole one
    if overlap != "ideal":
        assert lane_bytes(result) == {"tier0-tier1 up": 200, "tier0-tier1 down": 200}


def test_the_least_faithful_format_and_the_fewest_tokens_may_be_of_different_tiers() -> None:
    """Of 16, 4 and 8 bits times tokens. Tier 0 and tier 1 hold a page each.

    Read 1 (from tier 1): 0 finds no room in tier 1, which 1 is about to leave, and goes to tier 2. Read 2:
    1 goes to tier 1. Read 0: 2 goes to tier 1 and 1 to tier 2. Read 1: it has been in all of them.
    """
    result = simulate(
        machine(("200 B", WIDE), ("50 B", NARROW), ("1 kB", HALF)), Pages([1], [2], [0], [1], initial=3)
    )
    assert left(result) == ({"wide": 0, "narrow": 2, "half": 2}, (1 + 0.5 + 0.5 + 0.5) / 4)


def test_a_page_that_falls_back_on_a_narrow_copy_is_narrow() -> None:
    """Page 0 starts wide in tier 0, with a copy below; evicted, the copy is all that is left of it."""
    scenario = machine(("200 B", WIDE), ("1 kB", NARROW), below={"inclusive": True})
    result = simulate(scenario, Pages([0], [1], [0], initial=2))
    assert left(result) == ({"wide": 1, "narrow": 2}, 1.0)
    assert lane_bytes(result)["tier0-tier1 down"] == 0


def test_a_page_computed_again_is_whole_again() -> None:
    """Tier 1 holds one page, so the third page computed in tier 0 pushes the first out of it."""
    scenario = machine(("200 B", WIDE), ("50 B", HALF | {"bits": 8.0}))
    result = simulate(scenario, Pages([0], [1], [2], [0], absent="compute"))
    assert sum(tier.discards for tier in result.tiers) == 2
    assert left(result) == ({"wide": 4, "half": 0}, 1.0)


def test_pages_read_in_place_are_what_they_are_there() -> None:
    scenario = machine(("200 B", WIDE), ("1 kB", NARROW), below={"access": "direct"}, placement="last")
    assert left(simulate(scenario, Pages([0], [1], initial=2)))[0] == {"wide": 0, "narrow": 2}


def test_rules_count_by_their_own_names() -> None:
    """Pages of layer 0 are exempt from the scheme below; `eight` is `narrow` in all but name."""
    rules = [{**WIDE, "name": "exempt", "layers": 0}]
    scenario = machine(("1 kB", WIDE), ("1 kB", {**NARROW, "mixed": rules}), placement="last")
    result = simulate(scenario, Pages([0, 1], [2], initial=3))
    assert left(result)[0] == {"wide": 0, "exempt": 2, "narrow": 1}
    rules = [{**NARROW, "name": "eight", "layers": 0}]
    scenario = machine(("1 kB", WIDE), ("1 kB", {**NARROW, "mixed": rules}), placement="last")
    result = simulate(scenario, Pages([0, 1], [2], initial=3))
    assert left(result)[0] == {"wide": 0, "eight": 2, "narrow": 1}


def test_formats_that_are_equally_faithful_are_not_told_apart() -> None:
    other = {**WIDE, "name": "other", "latency": "3 ps"}
    assert left(simulate(machine(("200 B", WIDE), ("1 kB", other)), Pages([0], [1]))) == (None, 1.0)
    assert left(simulate(machine(("100 B", HALF), ("1 kB", HALF)), Pages([0], [1]))) == (None, 0.5)


def test_a_move_that_the_states_are_not_told_of_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Fidelity.stored

    def forgetful(fidelity: Fidelity, page: int, tier: int) -> None:
        if tier == 0:
            honest(fidelity, page, tier)

    monkeypatch.setattr(Fidelity, "stored", forgetful)
    with pytest.raises(AuditError, match="pages: page 0 is in tier 1, in a format that its state knows"):
        simulate(machine(("200 B", WIDE), ("1 kB", NARROW)), Pages([0], [1], initial=1))


# -- fused decoding --------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", MODES)
def test_attention_decodes_all_it_reads_in_tier_0_s_format_and_rounds_up_once(overlap: str) -> None:
    """200 bytes of fp16 a page at 3 TB/s: 66.7 ticks, 133.3 for two, and compute 7."""
    fused = {**NARROW, "fused": "3 TB/s"}
    scenario = machine(("1 kB", fused), ("1 kB", NARROW), overlap=overlap, placement="last")
    result = simulate(scenario, Pages([0, 1], [1], [1, 2], initial=3, compute=7))
    assert result.compute_ticks == (7 + 134) + (7 + 67) + (7 + 134)


@pytest.mark.parametrize("overlap", MODES)
@pytest.mark.parametrize("absent", ["appear", "compute"])
def test_pages_read_in_place_and_pages_just_computed_are_decoded_too(overlap: str, absent: str) -> None:
    fused = {**NARROW, "fused": "1 TB/s"}
    below = {"access": "direct"}
    scenario = machine(("1 kB", fused), ("1 kB", WIDE), overlap=overlap, below=below, placement="last")
    result = simulate(scenario, Pages([0, 1], initial=1, absent=absent))
    assert result.compute_ticks == 2 * 200


def test_only_the_tokens_kept_are_decoded() -> None:
    result = simulate(machine(("1 kB", {**HALF, "fused": "1 TB/s"})), Pages([0], initial=1))
    assert result.compute_ticks == 100


def test_each_page_is_decoded_at_the_rate_of_its_format() -> None:
    """66.7 and 33.3 ticks are 100 together; rounded by themselves they would be 101."""
    rule = {**WIDE, "fused": "6 TB/s", "layers": 1}
    scheme = {**NARROW, "fused": "3 TB/s", "mixed": [rule]}
    result = simulate(machine(("1 kB", scheme)), Pages([0, 1], [0], [1], initial=2))
    assert durations(result) == [100, 67, 34]
    free = {**WIDE, "layers": 1}
    result = simulate(machine(("1 kB", {**scheme, "mixed": [free]})), Pages([0, 1], [1], initial=2))
    assert durations(result) == [67, 0]


def test_a_rate_in_any_other_tier_costs_nothing() -> None:
    scenario = machine(("1 kB", WIDE), ("1 kB", {**NARROW, "fused": "1 TB/s"}), placement="last")
    assert simulate(scenario, Pages([0], initial=1)).compute_ticks == 0


@pytest.mark.parametrize("overlap", ["serial", "demand"])
def test_decoding_at_each_read_against_decompressing_once(overlap: str) -> None:
    """A page of 50 bytes is fetched and read four times. Apart: 200 ticks once, and four times the room."""
    codec = {**NARROW, "decompress": "1 TB/s"}
    reads = ([0], [0], [0], [0])
    apart = simulate(machine(("200 B", WIDE), ("1 kB", codec), overlap=overlap, placement="last"),
                     Pages(*reads, initial=1))  # fmt: skip
    assert durations(apart) == [50 + 200, 0, 0, 0]
    assert apart.exposed_ticks[Cause.CODEC] == 200
    fused = {**NARROW, "fused": "1 TB/s"}
    together = simulate(machine(("50 B", fused), ("1 kB", fused), overlap=overlap, placement="last"),
                        Pages(*reads, initial=1))  # fmt: skip
    assert durations(together) == [50 + 200, 200, 200, 200]
    assert (together.exposed_ticks[Cause.CODEC], together.compute_ticks) == (0, 4 * 200)


@pytest.mark.parametrize(("engines", "ticks"), [(1, 50 + 3 * 200), (2, 50 + 2 * 200), (3, 150 + 200)])
def test_pages_are_decompressed_side_by_side_where_there_are_engines(engines: int, ticks: int) -> None:
    """Three pages reach the codec at 50, 100 and 150; of two engines one is free again at 250."""
    codec = {**NARROW, "decompress": "1 TB/s"}
    scenario = machine(("1 kB", WIDE), ("1 kB", codec), engines=engines, placement="last")
    assert durations(simulate(scenario, Pages([0, 1, 2], initial=3))) == [ticks]


# -- pages discarded for good ----------------------------------------------------------------


@pytest.mark.parametrize("overlap", MODES)
@pytest.mark.parametrize("ordered", [False, True])
def test_a_read_of_a_lost_page_is_skipped_and_counted(overlap: str, ordered: bool) -> None:
    """Room for two pages: computing page 2 discards page 0; reading it again is neither work nor a miss."""
    workload = Pages([0], [1], [2], [0, 2], [0], absent="compute", compute=5, cost=100)
    for step in workload._steps:
        step.layers[0].ordered = ordered
    result = simulate(machine(("400 B", WIDE), overlap=overlap, lossy=True), workload)
    steps = result.records.steps
    assert steps.column("lost").tolist() == [0, 0, 0, 1, 1]
    assert steps.column("absent").tolist() == [1, 1, 1, 0, 0]
    assert steps.column("hits").tolist() == [0, 0, 0, 1, 0]
    assert durations(result) == [105, 105, 105, 5, 5]
    assert summarise(result).lost_reads == 2
    assert summarise(result).kept_share == 4 / 6
    again = simulate(machine(("400 B", WIDE), overlap=overlap), workload)
    assert again.records.steps.column("absent").tolist() == [1, 1, 1, 1, 0]
    assert again.lost == 0


def test_what_is_left_sums_to_the_reads_that_were_not_lost() -> None:
    """One page fits each tier; 2 pushes 0 out of the last one."""
    scenario = machine(("200 B", WIDE), ("50 B", NARROW), lossy=True)
    result = simulate(scenario, Pages([0], [1], [2], [0], [1], absent="compute"))
    assert result.lost == 1
    assert left(result) == ({"wide": 3, "narrow": 1}, 4 / 5)


@pytest.mark.parametrize(("lossy", "guesses", "lost"), [(False, [6, 9, 5, 6], 0), (True, [6, 9], 1)])
def test_no_guess_brings_a_lost_page_back(lossy: bool, guesses: list[int], lost: int) -> None:
    """Two pages fit each tier, and each read makes the next page a guess, if such a number has been seen.

    Read 5, guess 6: 15 goes down. Read 8: 5 goes down, 15 is discarded. Guess 9: 6 goes down, 5 is discarded.
    Read 4: 8 goes down, 6 is discarded. Guess 5, read 5, guess 6.
    """
    policy = {"prefetch": {"name": "next_page"}}
    scenario = machine(("400 B", WIDE), ("400 B", WIDE), overlap="async", lossy=lossy, policy=policy)
    result = simulate(scenario, Pages([15], [5], [8], [4], [5], compute=10_000))
    transfers = result.records.transfers
    assert transfers.column("page")[transfers.column("issued_cls") == PREFETCH].tolist() == guesses
    assert result.lost == lost


def test_a_lost_page_receives_no_attention() -> None:
    workload = Pages([0], [1], [2], [0, 2], absent="compute")
    for step in workload._steps:
        layer = step.layers[0]
        layer.mass = np.full(len(layer.pages), 0.25)
    scenario = machine(("400 B", WIDE), lossy=True, policy={"eviction": f"{__name__}:Witness"})
    simulate(scenario, workload)
    assert Witness.last.attention == {0: 0.25, 1: 0.25, 2: 0.5}


# -- any machine -----------------------------------------------------------------------------


class Witness(Lru):
    """Lru that writes down which tiers each page has been in since it came into being, at each read."""

    name = "witness"
    last: ClassVar[Witness]

    def __init__(self, view: ResidencyView) -> None:
        super().__init__(view)
        self.been: dict[int, list[int]] = {}
        self.reads: Counter[tuple[int, ...]] = Counter()
        self.attention: Counter[int] = Counter()
        self.revived: set[int] = set()
        Witness.last = self

    def accessed(self, pages: Sequence[int], tier: int) -> None:
        super().accessed(pages, tier)
        if tier < 0:
            self.revived.update(page for page in pages if page in self.been)
            for page in pages:
                self.been.pop(page, None)

    def inserted(self, page: int, tier: int) -> None:
        super().inserted(page, tier)
        self.been.setdefault(page, []).append(tier)

    def attended(self, pages: Sequence[int], mass: Sequence[float]) -> None:
        for page, share in zip(pages, mass, strict=True):
            self.reads[tuple(self.been[page])] += 1
            self.attention[page] += share  # type: ignore[assignment]  # a Counter of floats


def run(case: Case, keeps: list[float], mode: str, *, lossy: bool = False) -> tuple[RunResult, Witness]:
    """The case with tiers that drop tokens; every read tells the witness."""
    plain = bridge.scenario(case).model_dump(mode="json")
    for tier, keep in zip(plain["hierarchy"]["tiers"], keeps, strict=False):
        tier["scheme"]["keep"] = keep
    plain["policy"] |= {"eviction": f"{__name__}:Witness", "lossy": lossy}
    plain["execution"]["overlap"] = mode
    workload = bridge.workload(case)
    for step in workload.steps():
        for layer in step.layers:
            layer.mass = np.zeros(len(layer.pages))
    try:
        return simulate(Scenario.model_validate(plain), workload), Witness.last
    except SimulationError as error:
        assume("no room" not in str(error) and "do not fit" not in str(error))
        raise


def expected(result: RunResult, witness: Witness) -> dict[tuple[str, Fraction], int]:
    """Reads by least faithful format and tokens left, from the tiers that the witness has seen."""
    schemes = [tier.scheme for tier in result.scenario.hierarchy.tiers]
    found: Counter[tuple[str, Fraction]] = Counter()
    for tiers, count in witness.reads.items():
        formats = [scheme for tier in tiers if (scheme := schemes[tier]) is not None]
        worst = min(formats, key=lambda f: Fraction(f.bits) * Fraction(f.keep))
        found[worst.name, min(Fraction(f.keep) for f in formats)] += count
    return dict(found)


keep_shares = st.lists(st.sampled_from([1.0, 1.0, 0.5, 0.25]), min_size=4, max_size=4)


@given(cases(), keep_shares, st.sampled_from(MODES))
@thorough
def test_a_page_is_never_more_faithful_than_it_has_been(case: Case, keeps: list[float], mode: str) -> None:
    """The engine's states against the history that a policy sees; every read is counted once."""
    result, witness = run(case, keeps, mode)
    counted = {(part.name, part.kept): part.reads for part in result.formats if part.reads}
    assert sum(counted.values()) == result.accesses
    if len(result.formats) > 1:
        assert counted == expected(result, witness)
    else:
        assert {kept for _, kept in expected(result, witness)} <= {part.kept for part in result.formats}


@given(cases(), keep_shares, st.booleans())
@thorough
def test_modes_that_decide_alike_leave_the_same_of_pages(case: Case, keeps: list[float], lossy: bool) -> None:
    runs = [run(small(case, lossy), keeps, mode, lossy=lossy)[0] for mode in SAME_DECISIONS]
    first = runs[0]
    assert all((other.formats, other.lost) == (first.formats, first.lost) for other in runs)


def small(case: Case, lossy: bool) -> Case:
    """In a lossy case the last tier has room for little more than what is there at the start."""
    if not lossy:
        return case
    largest = max(case.scalars)
    room = max(sum(case.scalars[: case.initial]), case.tiers[0].capacity) + largest
    last = replace(case.tiers[-1], capacity=room, inclusive=False, high=None, low=None)
    return replace(case, tiers=(*case.tiers[:-1], last))


@given(cases(), keep_shares, st.sampled_from(MODES))
@thorough
def test_a_page_discarded_for_good_is_never_seen_again(case: Case, keeps: list[float], mode: str) -> None:
    """Reads are hits, misses, absent or lost; whoever is lost is told to no policy."""
    result, witness = run(small(case, lossy=True), keeps, mode, lossy=True)
    found = sum(tier.found for tier in result.tiers)
    assert found + result.absent + result.lost == result.accesses
    assert sum(part.reads for part in result.formats) == result.accesses - result.lost
    assert sum(witness.reads.values()) == result.accesses - result.lost
    assert not witness.revived
    discarded = sum(tier.discards for tier in result.tiers)
    known = {page for page in witness.been if result.residency[page] < 0}
    assert len(known) == discarded
