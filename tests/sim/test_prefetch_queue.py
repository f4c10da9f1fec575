"""Guesses that wait: for a slot, for room, for less pressure; and what becomes of them meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier
from strategies import cases

from kvsim.errors import SimulationError
from kvsim.scenario.execution import DmaSpec
from kvsim.scenario.policy import PolicyRef
from kvsim.sim.engine import simulate
from kvsim.sim.records import PREFETCH
from kvsim.sim.result import RunResult

ONE = 10**12
"""Bytes a second: one byte a tick."""
LATENCY = 50
PAGE = 8
"""Bytes: a fetch that is alone takes 8 + 50 ticks."""
NO_LEAD = 0

thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Guesses = list[tuple[list[int], int]]
"""For each layer access the guesses and their lead."""


def run(case: Case, policy: PolicyRef, mode: str = "async", **dma: Any) -> RunResult:
    scenario = bridge.scenario(case)
    execution = scenario.execution.model_copy(
        update={"overlap": mode, "dma": DmaSpec.model_validate({"prefetch_limit": 1, **dma})}
    )
    parts = {"policy": scenario.policy.model_copy(update={"prefetch": policy}), "execution": execution}
    return simulate(scenario.model_copy(update=parts), bridge.workload(case))


def scripted(guesses: Guesses) -> PolicyRef:
    script = {"guesses": [pages for pages, _ in guesses], "leads": [lead for _, lead in guesses]}
    return PolicyRef(name="sim.scripted:Scripted", options=script)


def reads(*layers: tuple[tuple[int, ...], int], near: int = 16, pages: int = 8, depth: int = 1) -> Case:
    """Steps of one layer (pages, compute); everything is far away, and there is room for `near` pages."""
    steps = tuple(Step((Layer(which, compute),)) for which, compute in layers)
    tiers = (Tier(PAGE * near), Tier(PAGE * 2 * pages))
    return Case(tiers, (Link(0, 1, ONE, latency=LATENCY),), (PAGE,) * pages, pages, steps, "layered", depth)


def requested(result: RunResult) -> list[tuple[int, int]]:
    """Pages fetched as prefetches, and when that was decided."""
    transfers = result.records.transfers
    rows = zip(
        *(transfers.column(name).tolist() for name in ("page", "requested", "issued_cls")), strict=True
    )
    return sorted(((page, tick) for page, tick, cls in rows if cls == PREFETCH), key=lambda row: row[1])


def fates(result: RunResult) -> tuple[int, int, int]:
    return result.prefetch.issued, result.prefetch.dropped, result.prefetch.cancelled


LONG = ((0,), 1000)
"""Reads page 0, from tick 0 to 58, and computes."""


@pytest.mark.parametrize(
    ("places", "expected", "dropped"),
    [
        (0, [(1, 58)], 2),
        (1, [(1, 58), (2, 116)], 1),
        (2, [(1, 58), (2, 116), (3, 174)], 0),
        (9, [(1, 58), (2, 116), (3, 174)], 0),
    ],
)
def test_guesses_follow_each_other_as_prefetches_arrive(
    places: int, expected: list[tuple[int, int]], dropped: int
) -> None:
    """One slot: each arrives 8 + 50 ticks after its turn came. The last ones have no place."""
    result = run(reads(LONG), scripted([([1, 2, 3], NO_LEAD)]), prefetch_queue=places)
    assert requested(result) == expected
    assert fates(result) == (len(expected), dropped, 0)


def test_a_guess_is_cancelled_when_the_access_comes_that_needed_it() -> None:
    """Access 2 starts at 158, when 1 and 2 have arrived (116, 174) or are on their way; 3 was for it too."""
    case = reads(((0,), 100), ((0,), 1000))
    result = run(case, scripted([([1, 2, 3], 1)]), prefetch_queue=4)
    assert requested(result) == [(1, 58), (2, 116)]
    assert fates(result) == (2, 0, 1)
    later = run(case, scripted([([1, 2, 3], 2)]), prefetch_queue=4)
    assert requested(later) == [(1, 58), (2, 116), (3, 174)]
    assert fates(later) == (3, 0, 0)


def test_the_own_time_of_an_access_counts_even_while_its_pages_are_not_there() -> None:
    """Access 2 starts at 68 and waits for page 7 until 126; page 1 arrives in between, at 116."""
    result = run(reads(((0,), 10), ((7,), 10)), scripted([([1, 2], 1)]), prefetch_queue=4)
    assert requested(result) == [(1, 58)]
    assert fates(result) == (1, 0, 1)


SHORT = ((0,), 10)
"""Page 0 again, from 58 to 68 at the first time."""


def test_the_earliest_deadline_goes_first() -> None:
    """Needed by access 4 and 4, and one round later by access 3: that comes first, at 116."""
    script: Guesses = [([1, 2, 3], 3), ([4], 1)]
    result = run(reads(SHORT, LONG), scripted(script), prefetch_queue=4)
    assert requested(result) == [(1, 58), (4, 116), (2, 174), (3, 232)]
    assert fates(result) == (4, 0, 0)


def test_the_latest_deadline_is_dropped_when_the_queue_is_full() -> None:
    """2 and 3, needed by access 4, have the places until 4, needed by 3, takes that of 3 at 68. It is overdue
    at 78, so there is a place again: for 5, but not for 6."""
    script: Guesses = [([1, 2, 3], 3), ([4], 1), ([5, 6], NO_LEAD)]
    result = run(reads(SHORT, SHORT, LONG), scripted(script), prefetch_queue=2)
    assert requested(result) == [(1, 58), (2, 116), (5, 174)]
    assert fates(result) == (3, 2, 1)


def test_a_guess_that_is_made_again_has_the_place_and_deadline_of_the_new_one() -> None:
    script: Guesses = [([1, 2, 3, 4], NO_LEAD), ([4, 2], NO_LEAD)]
    result = run(reads(SHORT, LONG), scripted(script), prefetch_queue=4)
    assert requested(result) == [(1, 58), (3, 116), (4, 174), (2, 232)]
    assert fates(result) == (4, 0, 0)


# The next ones have one place: page 3 gets it only if the guess before it has been cancelled.


def test_a_guess_is_cancelled_when_its_page_is_read() -> None:
    case = reads(SHORT, ((2,), 1000))
    result = run(case, scripted([([1, 2], NO_LEAD), ([3], NO_LEAD)]), prefetch_queue=1)
    assert requested(result) == [(1, 58), (3, 126)]  # when page 2 has come
    assert fates(result) == (2, 0, 1)


def test_a_guess_is_cancelled_when_its_page_has_been_read_though_it_has_left_again() -> None:
    """In `serial` the round comes last: by then two pages were born, for which page 2 had to leave."""
    case = reads(((0,), 10), ((2,), 10), near=2, pages=10)
    steps = (case.steps[0], Step((Layer((2,), 10, created=(8, 9)),)))
    script = scripted([([2], NO_LEAD), ([3], NO_LEAD)])
    result = run(replace(case, initial=8, steps=steps), script, "serial", prefetch_queue=1, prefetch_limit=0)
    assert result.residency.tolist()[2] == 1
    assert fates(result) == (0, 0, 2)  # page 3 waits until the end


def test_a_guess_is_cancelled_when_its_page_comes_into_being() -> None:
    """Page 9 was nowhere when it was guessed; access 2 makes it."""
    case = reads(SHORT, SHORT, LONG, pages=10)
    steps = (case.steps[0], Step((Layer((0,), 10, created=(9,)),)), case.steps[2])
    script = scripted([([1, 9], NO_LEAD), ([], NO_LEAD), ([3], NO_LEAD)])
    result = run(replace(case, initial=8, steps=steps), script, prefetch_queue=1)
    assert requested(result) == [(1, 58), (3, 116)]
    assert fates(result) == (2, 0, 1)


def test_a_guess_is_cancelled_when_its_page_is_discarded() -> None:
    """All tiers are full: page 8 can only be born where the oldest page of the last tier, 2, was."""
    case = reads(SHORT, SHORT, LONG, near=2, pages=9)
    tiers = (Tier(PAGE * 2), Tier(PAGE * 6))
    steps = (case.steps[0], Step((Layer((0,), 10, created=(8,)),)), case.steps[2])
    full = replace(case, tiers=tiers, initial=8, steps=steps, fill=True, absent="compute")
    script = scripted([([2], NO_LEAD), ([], NO_LEAD), ([3], NO_LEAD)])
    result = run(full, script, prefetch_queue=1, prefetch_limit=0)
    assert result.residency.tolist()[2] == -1
    assert fates(result) == (0, 0, 2)


def test_what_waits_when_the_run_ends_is_cancelled() -> None:
    result = run(reads(SHORT), scripted([([1, 2], NO_LEAD)]), prefetch_queue=4)
    assert requested(result) == [(1, 58)]  # arrives when nobody is there any more
    assert fates(result) == (1, 0, 1)


def test_a_guess_waits_for_room() -> None:
    """Access 1 pins all of tier 0 until 76; access 2 pins but page 0, so its round has room for page 2."""
    case = reads(((0, 1), 10), LONG, near=2)
    waits = run(case, scripted([([2], NO_LEAD)]), prefetch_queue=1)
    assert requested(waits) == [(2, 66 + 10)]  # pages 0 and 1 arrive at 58 and 66
    assert fates(waits) == (1, 0, 0)
    assert fates(run(case, scripted([([2], NO_LEAD)]))) == (0, 1, 0)


@pytest.mark.parametrize(
    ("pressure", "places", "expected", "dropped"),
    [
        (None, 0, [(4, 0), (5, 0)], 0),
        (2, 0, [(4, 0), (5, 0)], 0),
        (1, 0, [(4, 0)], 1),
        (1, 1, [(4, 0), (5, 116)], 0),
    ],
)
def test_guesses_are_held_back_while_there_is_something_more_urgent(
    pressure: int | None, places: int, expected: list[tuple[int, int]], dropped: int
) -> None:
    """Layer 2 is fetched ahead: page 1 leaves from 0 to 58, then page 4 comes, to 116. Page 5 is guessed."""
    case = reads(near=4, pages=6)
    step = Step((Layer((0,), 1000), Layer((4,), 10)))
    full = replace(case, steps=(step,), fill=True)
    result = run(full, scripted([([5], NO_LEAD)]), prefetch_limit=9, prefetch_queue=places, pressure=pressure)
    assert requested(result) == expected
    assert fates(result) == (len(expected), dropped, 0)


def test_serial_guesses_never_wait_where_there_is_room() -> None:
    """Each is on the step's own time, so slot and room are free: with and without a queue alike."""
    case = reads(((0, 1), 10), LONG, LONG, near=3)
    script = scripted([([2, 3], 1), ([4], 2), ([5, 1], NO_LEAD)])
    plain, queued = (run(case, script, "serial", prefetch_queue=places) for places in (0, 5))
    assert plain.prefetch.issued > 0
    assert plain.prefetch == queued.prefetch
    assert plain.records.hops.array().tolist() == queued.records.hops.array().tolist()


@st.composite
def guessing(draw: Any) -> tuple[Case, str, dict[str, Any]]:
    """A case in which all that is fetched ahead is guessed: every layer is a step of its own."""
    case = draw(cases("layered", busy=True))
    steps = tuple(Step((layer,)) for step in case.steps for layer in step.layers)
    dma = {
        "max_in_flight": draw(st.sampled_from([None, 1, 3])),
        "prefetch_limit": draw(st.sampled_from([0, 1, 2, 5])),
        "prefetch_queue": draw(st.sampled_from([0, 1, 3, 20])),
        "pressure": draw(st.sampled_from([None, 1, 2])),
        "classes": {"prefetch": {"in_flight": draw(st.sampled_from([None, 1]))}},
    }
    policy = draw(st.sampled_from(["next_page", "next_layer", "markov", "look_ahead", "oracle"]))
    return replace(case, steps=steps), policy, dma


@given(guessing(), st.sampled_from(["async", "async", "serial"]))
@thorough
def test_every_run_ends_with_balanced_books(drawn: tuple[Case, str, dict[str, Any]], mode: str) -> None:
    """The engine audits each run; slots are never exceeded; nothing is cancelled that could not wait."""
    case, policy, dma = drawn
    try:
        result = run(case, PolicyRef(name=policy), mode, **dma)
    except SimulationError as error:
        assume("no room" not in str(error))
        raise
    assert result.accesses == sum(len(layer.pages) for step in case.steps for layer in step.layers)
    assert not result.prefetch.cancelled or dma["prefetch_queue"]
    if mode == "async":
        transfers = result.records.transfers
        names = ("requested", "arrived", "issued_cls")
        flights = zip(*(transfers.column(name).tolist() for name in names), strict=True)
        guessed = [(start, end) for start, end, cls in flights if cls == PREFETCH]
        changes = sorted(change for start, end in guessed for change in ((start, 1), (end, -1)))
        levels = [sum(change for _, change in changes[: at + 1]) for at in range(len(changes))]
        assert max(levels, default=0) <= dma["prefetch_limit"]
