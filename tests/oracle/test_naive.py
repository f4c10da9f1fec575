"""The oracle and the engine on cases small enough to work out by hand.

A bandwidth of 10^12 bytes a second serves one byte a tick, so that times can be read off the sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from oracle import bridge, naive
from oracle.decisions import NoRoom
from oracle.description import Case, Layer, Link, Step, Tier
from oracle.outcome import Outcome

ONE = 10**12
"""Bytes a second: one byte a tick."""
HALF = 5 * 10**11
"""One byte every two ticks."""


Simulate = Callable[[Case], Outcome]


@pytest.fixture(params=[naive.simulate, bridge.simulate], ids=["oracle", "engine"])
def simulate(request: pytest.FixtureRequest) -> Simulate:
    """Either of the two; both must give what was worked out by hand."""
    chosen: Simulate = request.param
    return chosen


def reads(*steps: tuple[int, ...], compute: int = 0) -> tuple[Step, ...]:
    return tuple(Step((Layer(pages, compute),)) for pages in steps)


def two_tiers(
    steps: tuple[Step, ...], *, pages: int = 4, size: int = 100, room: int = 10**6, link: Link | None = None
) -> Case:
    tiers = (Tier(room), Tier(10**6))
    return Case(tiers, (link or Link(0, 1, ONE),), (size,) * pages, pages, steps)


def waits(simulate: Simulate, case: Case) -> list[int]:
    """Total wait of every step."""
    outcome = simulate(case)
    return [
        sum(end - start for step, _, start, end in outcome.stalls if step == number)
        for number in range(len(case.steps))
    ]


def test_a_fetch_takes_set_up_service_and_latency_before_the_layer_computes(simulate: Simulate) -> None:
    case = two_tiers(reads((0,), compute=50), link=Link(0, 1, ONE, latency=7, setup=3))
    outcome = simulate(case)
    assert outcome.stalls == [(0, 0, 0, 3 + 100 + 7)]
    assert outcome.computes == [(0, 0, 110, 160)]
    assert outcome.steps == [(0, 160, 50)]
    assert outcome.end == 160
    assert outcome.lane_bytes == {("link", 0, "up"): 100, ("link", 0, "down"): 0}
    assert outcome.residency == [0, 1, 1, 1]
    assert outcome.found == [0, 1]


def test_service_is_rounded_up_to_a_whole_tick(simulate: Simulate) -> None:
    assert simulate(two_tiers(reads((0,)), link=Link(0, 1, 3 * 10**11))).end == 334  # 1000 / 3


def test_transfers_of_one_lane_follow_each_other_and_share_the_latency(simulate: Simulate) -> None:
    case = replace(two_tiers(reads((0, 1)), link=Link(0, 1, ONE, latency=7)), scalars=(100, 40, 9, 9))
    assert [arrival.arrived for arrival in simulate(case).arrivals] == [100 + 7, 100 + 40 + 7]


def test_tiers_slow_a_hop_down_and_add_their_latencies(simulate: Simulate) -> None:
    tiers = (Tier(10**6, write_latency=11), Tier(10**6, read_latency=5, read_bandwidth=HALF))
    case = replace(two_tiers(reads((0,))), tiers=tiers)
    assert simulate(case).end == 2 * 100 + 5 + 11
    slow_write = replace(case, tiers=(Tier(10**6, write_bandwidth=HALF), Tier(10**6)))
    assert simulate(slow_write).end == 2 * 100


def test_a_full_tier_waits_for_its_victim_to_leave(simulate: Simulate) -> None:
    # Page 0 must be written back (100) before page 1 has room to come (100).
    case = two_tiers(reads((0,), (1,)), room=100)
    assert waits(simulate, case) == [100, 200]
    assert simulate(case).evictions == [1, 0]
    assert simulate(case).residency == [1, 0, 1, 1]


@pytest.mark.parametrize(("half", "second_wait"), [(False, 100), (True, 200)])
def test_opposite_transfers_share_only_a_half_duplex_link(
    simulate: Simulate, half: bool, second_wait: int
) -> None:
    # Three pages exceed half of tier 0, so page 0 is written back while step 1 fetches page 3.
    tiers = (Tier(400, high=0.5, low=0.5), Tier(10**6))
    case = replace(two_tiers(reads((0, 1, 2), (3,)), link=Link(0, 1, ONE, half=half)), tiers=tiers)
    assert waits(simulate, case) == [300, second_wait]
    # After step 0: 300 -> 200 bytes; after the announcement of step 1: 300 -> 200 again.
    assert simulate(case).evictions == [2, 0]


def test_channels_serve_at_once_each_at_its_own_rate(simulate: Simulate) -> None:
    link = Link(0, 1, ONE, channels=2, channel_bandwidth=HALF)
    outcome = simulate(two_tiers(reads((0, 1, 2)), link=link))
    assert [arrival.arrived for arrival in outcome.arrivals] == [200, 200, 400]


def test_each_direction_has_its_own_bandwidth(simulate: Simulate) -> None:
    case = two_tiers(reads((0,), (1,)), room=100, link=Link(0, 1, ONE, bandwidth_down=HALF))
    assert waits(simulate, case) == [100, 200 + 100]


def test_ports_are_a_lane_of_their_own_at_both_ends(simulate: Simulate) -> None:
    tiers = (Tier(10**6), Tier(10**6, ports=1, read_bandwidth=ONE, write_bandwidth=ONE))
    case = replace(two_tiers(reads((0, 1))), tiers=tiers)
    # Port 0-100 and 100-200, link 100-200 and 200-300.
    assert simulate(case).end == 300
    both = replace(case, tiers=(tiers[1], tiers[1]))
    # The writing port of tier 0 follows: 200-300 and 300-400.
    assert simulate(both).end == 400
    assert simulate(both).lane_bytes == {
        ("link", 0, "up"): 200,
        ("link", 0, "down"): 0,
        ("port", 0, "both"): 200,
        ("port", 1, "both"): 200,
    }


def chain(near: Link, far: Link, steps: tuple[Step, ...], sizes: tuple[int, ...] = (100,)) -> Case:
    tiers = (Tier(10**6), Tier(10**6), Tier(10**6))
    return Case(tiers, (near, far), sizes, len(sizes), steps)


@pytest.mark.parametrize(
    ("near", "far", "chunk", "end"),
    [
        (HALF, ONE, None, 100 + 200),
        (ONE, HALF, None, 200 + 100),
        (HALF, ONE, 25, 25 + 200),  # the slow second hop starts after a quarter of the first
        (ONE, HALF, 25, 200 + 25),  # the fast second hop ends a quarter after the slow first
        (HALF, ONE, 30, 25 + 200),  # four equal parts, not three of 30 and one of 10
        (HALF, ONE, 40, 34 + 200),  # parts of 34, 34 and 32 bytes: the first is one of 34 ...
        (ONE, HALF, 40, 200 + 32),  # ... and the last one of 32
    ],
)
def test_a_chunked_route_overlaps_its_hops(
    simulate: Simulate, near: int, far: int, chunk: int | None, end: int
) -> None:
    case = chain(Link(0, 1, near, chunk=chunk), Link(1, 2, far, chunk=chunk), reads((0,)))
    assert simulate(case).end == end
    assert simulate(replace(case, mode="serial")).end == end


def test_the_coarsest_chunk_counts_and_a_link_without_one_stores_and_forwards(simulate: Simulate) -> None:
    coarse = chain(Link(0, 1, HALF, chunk=50), Link(1, 2, ONE, chunk=10), reads((0,)))
    assert simulate(coarse).end == 50 + 200
    whole = chain(Link(0, 1, HALF), Link(1, 2, ONE, chunk=10), reads((0,)))
    assert simulate(whole).end == 100 + 200


def test_a_chunked_transfer_queues_where_its_head_arrives(simulate: Simulate) -> None:
    # Page 0 fills tier 0, so that page 1 starts in tier 1 and page 2 in tier 2. First page 0 leaves for
    # tier 2 (13 parts of 24 bytes or less): 301 + 24. Then the link to tier 0 serves page 1 until 150, and
    # page 2, whose head has been there since 25 and whose tail since 100, until 250.
    tiers = (Tier(400), Tier(150), Tier(401))
    links = (Link(0, 1, ONE, chunk=25), Link(1, 2, ONE, chunk=25))
    case = Case(tiers, links, (301, 150, 100), 3, reads((1, 2)), fill=True)
    outcome = simulate(case)
    assert outcome.found == [0, 1, 1]
    assert outcome.residency == [2, 0, 0]
    assert [(a.page, a.arrived) for a in outcome.arrivals] == [(0, 325), (1, 325 + 150), (2, 325 + 250)]


def test_a_direct_tier_is_read_in_place_every_time_and_nothing_is_written(simulate: Simulate) -> None:
    tiers = (Tier(100, write_latency=1000), Tier(10**6, read_latency=7, direct=True))
    case = replace(two_tiers(reads((0,), (0, 1))), tiers=tiers)
    outcome = simulate(case)
    assert waits(simulate, case) == [107, 207]
    assert outcome.residency == [1, 1, 1, 1]
    assert outcome.found == [0, 3]
    assert outcome.lane_bytes["link", 0, "up"] == 300
    assert simulate(replace(case, mode="serial")).end == 107 * 3


def test_a_direct_read_does_not_write_tier_zero(simulate: Simulate) -> None:
    near = Tier(100, write_latency=1000, write_bandwidth=1, ports=1, read_bandwidth=1)
    far = Tier(10**6, direct=True, ports=1, read_bandwidth=HALF, write_bandwidth=1)
    case = replace(two_tiers(reads((0,))), tiers=(near, far))
    # The port of the far tier at two ticks a byte, then the link, which that tier slows down as much.
    assert simulate(case).end == 200 + 200
    assert simulate(case).lane_bytes["port", 0, "both"] == 0


def test_pages_leave_for_a_lower_copy_free_of_charge(simulate: Simulate) -> None:
    tiers = (Tier(100), Tier(10**6, inclusive=True))
    case = replace(two_tiers(reads((0,), (1,), (0,))), tiers=tiers)
    assert waits(simulate, case) == [100, 100, 100]
    outcome = simulate(case)
    assert outcome.residency == [0, 1, 1, 1]
    assert outcome.found == [0, 3]
    assert outcome.evictions == [2, 0]
    assert outcome.lane_bytes["link", 0, "down"] == 0


def test_evictions_cascade_from_the_bottom_up(simulate: Simulate) -> None:
    tiers = (Tier(100), Tier(100), Tier(300))
    case = Case(tiers, (Link(0, 1, ONE), Link(1, 2, ONE)), (100,) * 3, 3, reads((0,), (1,), (2,)))
    # Step 0 fetches over two hops. Step 1 writes page 0 one tier down first. Step 2 first demotes page 0
    # from tier 1 to tier 2, then page 1 from tier 0 to tier 1, then fetches page 2.
    assert waits(simulate, case) == [200, 100 + 200, 100 + 100 + 200]
    assert simulate(case).evictions == [2, 1, 0]
    assert simulate(case).residency == [2, 1, 0]


def test_a_tier_that_is_too_small_for_a_page_is_skipped(simulate: Simulate) -> None:
    tiers = (Tier(100), Tier(99), Tier(300))
    case = Case(tiers, (Link(0, 1, ONE), Link(1, 2, ONE)), (100,) * 2, 2, reads((0,), (1,)))
    assert waits(simulate, case) == [200, 200 + 200]
    assert simulate(case).residency == [2, 0]


def test_the_least_recently_read_page_goes_first(simulate: Simulate) -> None:
    case = two_tiers(reads((0,), (1,), (0,), (2,)), room=200)
    assert simulate(case).residency == [0, 1, 0, 1]


def test_a_set_is_protected_before_any_of_it_is_fetched_and_an_ordered_layer_is_not(
    simulate: Simulate,
) -> None:
    warm = reads((0,), (1,))
    case = two_tiers((*warm, *reads((2, 0))), room=200)
    # The set protects page 0, so page 1 makes room for page 2.
    assert simulate(case).found == [1, 3]
    ordered = replace(case, steps=(*warm, Step((Layer((2, 0), ordered=True),))))
    # Page 2 pushes out page 0, which then comes back in place of page 1.
    assert simulate(ordered).found == [0, 4]
    assert simulate(ordered).evictions == [2, 0]


def test_hits_cost_one_read_latency_a_layer_and_one_each_when_serial(simulate: Simulate) -> None:
    tiers = (Tier(10**6, read_latency=5), Tier(10**6))
    case = replace(two_tiers(reads((0, 1), (0, 1), compute=20)), tiers=tiers)
    assert simulate(case).steps == [(0, 220, 20), (220, 245, 20 + 5)]
    assert simulate(replace(case, mode="serial")).steps == [(0, 220, 20), (220, 250, 20 + 2 * 5)]
    assert simulate(replace(case, mode="ideal")).steps == [(0, 20, 20), (20, 40, 20)]


def test_serial_puts_every_move_on_the_steps_own_time(simulate: Simulate) -> None:
    # Watermark: step 0 ends with 300 bytes, one page over; serial waits for its write-back too.
    tiers = (Tier(400, high=0.5, low=0.5), Tier(10**6))
    case = replace(two_tiers(reads((0, 1, 2), compute=10)), tiers=tiers)
    assert simulate(case).end == 310
    outcome = simulate(replace(case, mode="serial"))
    assert outcome.end == 410
    assert outcome.stalls == [(0, 0, 0, 300), (0, 0, 310, 410)]


def test_steps_wait_for_their_arrival_and_for_each_other(simulate: Simulate) -> None:
    first, second = Layer((0,), 10), Layer((0,), 10)
    case = two_tiers((Step((first,), 50), Step((second,), 60), Step((second,), 500)))
    assert simulate(case).steps == [(50, 160, 10), (160, 170, 10), (500, 510, 10)]


def test_initial_pages_fill_one_tier_after_the_other(simulate: Simulate) -> None:
    sizes = (100, 60, 30, 10)
    tiers = (Tier(150), Tier(100), Tier(10**6))
    case = Case(tiers, (Link(0, 1, ONE), Link(1, 2, ONE)), sizes, 4, (), fill=True)
    # Page 1 does not fit beside page 0, and tier 0 is full from then on, though pages 2 and 3 would fit.
    assert simulate(case).residency == [0, 1, 1, 1]
    assert simulate(replace(case, fill=False)).residency == [2, 2, 2, 2]


def test_initial_pages_have_their_copy_in_an_inclusive_tier_below(simulate: Simulate) -> None:
    tiers = (Tier(100), Tier(100), Tier(10**6, inclusive=True))
    case = Case(tiers, (Link(0, 1, ONE), Link(1, 2, ONE)), (100,) * 3, 3, reads((2,), (1,)), fill=True)
    outcome = simulate(case)
    # Page 2 comes over two hops, page 1 from tier 1; pages 0 and 2 leave at no cost, past tier 1.
    assert waits(simulate, case) == [200, 100]
    assert outcome.residency == [2, 0, 2]
    assert outcome.lane_bytes["link", 0, "down"] == 0


def test_created_pages_need_room_and_the_step_waits_for_it(simulate: Simulate) -> None:
    steps = (Step((Layer((0, 1), 10, created=(2,)),)), *reads((2,)))
    case = replace(two_tiers(steps, pages=3, room=200), initial=2)
    outcome = simulate(case)
    # 200 to fetch, 10 to compute, 100 to write page 0 back; page 2 is then a hit.
    assert outcome.steps == [(0, 310, 10), (310, 310, 0)]
    assert outcome.stalls == [(0, 0, 0, 200), (0, 0, 210, 310)]
    assert outcome.residency == [1, 0, 0]
    assert outcome.found == [1, 2]


def test_pages_without_a_tier_below_are_lost(simulate: Simulate) -> None:
    steps = tuple(Step((Layer((), 10, created=(page,)),)) for page in range(3)) + reads((0,))
    case = Case((Tier(200),), (), (100,) * 3, 0, steps, absent="compute")
    outcome = simulate(case)
    assert outcome.end == 30
    assert outcome.residency == [0, -1, 0]  # page 0 was lost to page 2, then computed again over page 1
    assert outcome.discards == [2]
    assert outcome.absent == 1


def test_absent_pages_are_computed_at_a_price_or_appear_in_the_last_tier_for_free(simulate: Simulate) -> None:
    case = replace(two_tiers((Step((Layer((0, 1, 2), 10, absent_each=30),)),), pages=3), initial=1)
    computed = simulate(replace(case, absent="compute"))
    assert computed.steps == [(0, 100 + 10 + 2 * 30, 10 + 2 * 30)]
    assert (computed.found, computed.absent) == ([0, 1], 2)
    appeared = simulate(replace(case, absent="appear"))
    assert appeared.stalls == [(0, 0, 0, 300)]
    assert (appeared.found, appeared.absent) == ([0, 1], 2)


def test_a_page_that_appears_in_a_full_last_tier_pushes_another_one_out(simulate: Simulate) -> None:
    case = replace(two_tiers(reads((2,)), pages=3), initial=2, tiers=(Tier(100), Tier(200)))
    outcome = simulate(case)
    assert outcome.residency == [-1, 1, 0]
    assert outcome.discards == [0, 1]


@pytest.mark.parametrize(("limit", "end"), [(None, 250), (1, 300), (2, 250)])
def test_the_scheduler_bounds_the_transfers_on_their_way(
    simulate: Simulate, limit: int | None, end: int
) -> None:
    # 100 of service each and 50 of latency; alone on the way, the second starts when the first arrived.
    case = replace(two_tiers(reads((0, 1)), link=Link(0, 1, ONE, latency=50)), max_in_flight=limit)
    assert simulate(case).end == end


@pytest.mark.parametrize(("compute", "end"), [(60, 100 + 2 * 100 + 60), (150, 100 + 2 * 150 + 150)])
def test_layered_fetches_the_next_layer_while_one_computes(
    simulate: Simulate, compute: int, end: int
) -> None:
    step = Step(tuple(Layer((page,), compute) for page in range(3)))
    assert simulate(replace(two_tiers((step,)), mode="layered")).end == end


def test_layered_looks_several_layers_ahead_within_one_step(simulate: Simulate) -> None:
    # From the start of compute at 100: pages 1 and 2 arrive at 200 and 300, layers compute 150.
    step = Step(tuple(Layer((page,), 150) for page in range(3)))
    case = replace(two_tiers((step, *reads((3,)))), mode="layered", depth=2)
    assert [a.requested for a in simulate(case).arrivals] == [0, 100, 100, 550]


def test_layered_does_not_fetch_ahead_what_has_no_room_beside_the_running_layer(simulate: Simulate) -> None:
    step = Step(tuple(Layer((page,), 60) for page in range(2)))
    case = replace(two_tiers((step,), room=199), mode="layered")
    # As if on demand: 100 + 60, then write back 100, fetch 100, compute 60.
    assert simulate(case).end == 160 + 260
    fits = replace(case, tiers=(Tier(200), Tier(10**6)))
    assert simulate(fits).end == 100 + 100 + 60
    created = replace(
        fits,
        scalars=(100,) * 5,
        steps=(Step((Layer((0,), 60, created=(4,)), Layer((1,), 60))),),
    )
    # Page 4 is born beside page 0 at 160; page 0 is then written back for page 1.
    assert simulate(created).end == 160 + 260


def test_a_fetch_ahead_becomes_urgent_when_its_layer_waits_for_it(simulate: Simulate) -> None:
    # One transfer at a time. Step 0 ends at 300, and page 0 is written back until 350. Layer 0 computes
    # from 300 to 310 and fetches ahead pages 0, 3 and 4. At 350 page 0 gives its old room to page 4, and
    # only then can it turn round itself; but since 310 layer 1 waits for it, so at 400 it goes first.
    link = Link(0, 1, ONE, bandwidth_down=2 * ONE)
    ahead = Step((Layer((1,), 10), Layer((0,), 10), Layer((3, 4), 10)))
    tiers = (Tier(500, high=0.5, low=0.5), Tier(10**6))
    case = replace(two_tiers((*reads((0, 1, 2)), ahead), pages=5, link=link), tiers=tiers)
    outcome = simulate(replace(case, mode="layered", depth=2, max_in_flight=1))
    fetched = [a for a in outcome.arrivals if a.target == 0 and a.requested >= 300]
    assert [(a.page, a.granted, a.arrived) for a in fetched] == [(3, 300, 400), (0, 350, 500), (4, 350, 600)]
    assert [a.cls.name for a in fetched] == ["PREFETCH", "DEMAND", "DEMAND"]
    assert [a.issued.name for a in fetched] == ["PREFETCH"] * 3
    assert outcome.stalls[1:] == [(1, 1, 310, 500), (1, 2, 510, 600)]


def test_a_page_on_its_way_down_turns_round_when_it_has_arrived(simulate: Simulate) -> None:
    # Step 0 ends at 300 with 300 bytes: page 0 leaves (300-400). Step 1 asks for it at once: it comes
    # back from 400 to 500.
    tiers = (Tier(500, high=0.5, low=0.5), Tier(10**6))
    case = replace(two_tiers(reads((0, 1, 2), (0,))), tiers=tiers)
    outcome = simulate(case)
    assert outcome.stalls[1] == (1, 0, 300, 500)
    assert [(a.page, a.source, a.requested, a.granted) for a in outcome.arrivals if a.page == 0] == [
        (0, 1, 0, 0),
        (0, 0, 300, 300),
        (0, 1, 300, 400),
    ]


def test_a_page_that_is_lost_on_its_way_down_gives_its_room_back_when_it_arrives(simulate: Simulate) -> None:
    # Births 0, 1 and 2 exceed half of tier 0, so page 0 leaves at 0 and is in tier 1 at 100. But birth 3
    # already pushes page 1 after it, for which page 0 is discarded: page 1 has its room at 100.
    steps = (Step((Layer((), created=(0, 1, 2)), Layer((), created=(3,)))),)
    tiers = (Tier(400, high=0.5, low=0.5), Tier(100))
    case = Case(tiers, (Link(0, 1, ONE),), (100,) * 4, 0, steps)
    outcome = simulate(case)
    assert outcome.end == 0
    assert [(a.page, a.requested, a.granted, a.arrived) for a in outcome.arrivals] == [
        (0, 0, 0, 100),
        (1, 0, 100, 200),
    ]
    assert outcome.residency == [-1, 1, 0, 0]
    assert outcome.discards == [0, 1]


def test_watermarks_look_at_what_a_layer_has_released_even_when_it_creates_nothing(
    simulate: Simulate,
) -> None:
    # All three pages are protected when the layer is announced; at its end the oldest one may leave.
    tiers = (Tier(400, high=0.5, low=0.5), Tier(10**6))
    case = replace(two_tiers(reads((0, 1, 2), compute=10)), tiers=tiers)
    assert [(a.page, a.requested) for a in simulate(case).arrivals if a.target == 1] == [(0, 310)]


def test_a_move_is_as_big_as_the_smaller_of_both_formats(simulate: Simulate) -> None:
    tiers = (Tier(10**6, bits=16), Tier(10**6, bits=4))
    case = replace(two_tiers(reads((0,))), tiers=tiers)
    assert simulate(case).end == 50


def test_routes_have_the_fewest_links_then_the_least_latency(simulate: Simulate) -> None:
    tiers = tuple(Tier(10**6) for _ in range(4))
    links = (
        Link(0, 1, ONE, latency=9),
        Link(0, 2, ONE, latency=4),
        Link(1, 3, ONE, latency=1),
        Link(2, 3, ONE, latency=5),
    )
    case = Case(tiers, links, (100,), 1, reads((0,)))
    assert simulate(case).end == 200 + 5 + 4  # over tier 2 (9) rather than tier 1 (10)
    direct = replace(case, links=(*links, Link(0, 3, ONE, latency=1000)))
    assert simulate(direct).end == 100 + 1000


def test_a_layer_that_cannot_be_held_is_an_error(simulate: Simulate) -> None:
    with pytest.raises(NoRoom):
        simulate(two_tiers(reads((0, 1)), room=199))


@pytest.mark.parametrize(("chunk", "fetched", "written"), [(50, 450, 500), (None, 500, 400)])
def test_a_fetch_takes_over_from_a_write_back_at_its_next_chunk_boundary(
    simulate: Simulate, chunk: int | None, fetched: int, written: int
) -> None:
    # Page 0 leaves in the background from 300 on; at 330 page 3 is wanted, at 350 a chunk is across.
    link = Link(0, 1, ONE, half=True, chunk=chunk, priority=True)
    tiers = (Tier(400, high=0.5, low=0.5), Tier(10**6))
    case = replace(two_tiers((*reads((0, 1, 2)), Step((Layer((3,)),), 330)), link=link), tiers=tiers)
    last = {arrival.page: arrival.arrived for arrival in simulate(case).arrivals}
    assert (last[3], last[0]) == (fetched, written)


@pytest.mark.parametrize(("chunk", "up"), [(None, 100 + 200), (25, 25 + 4 * 50)])
def test_a_codec_is_a_lane_that_works_on_one_chunk_while_the_next_is_on_its_way(
    simulate: Simulate, chunk: int | None, up: int
) -> None:
    # 100 bytes on the wire; to make 200 of them at a byte a tick takes 200.
    tiers = (Tier(200, bits=16), Tier(10**6, compress=ONE, decompress=ONE, codec_latency=3))
    case = replace(two_tiers(reads((0,), (1,)), link=Link(0, 1, ONE, chunk=chunk)), tiers=tiers)
    # Page 0 then makes room: compressed at 200 a page, it is across 100 later, or one chunk.
    down = 200 + (100 if chunk is None else chunk)
    assert waits(simulate, case) == [up + 3, down + up + 3]


def test_neighbours_that_become_ready_together_are_one_transfer(simulate: Simulate) -> None:
    link = Link(0, 1, ONE, setup=7)
    case = replace(two_tiers(reads((3, 0, 1, 2)), link=link), coalesce=2)
    assert [(a.page, a.pages, a.size, a.arrived) for a in simulate(case).arrivals] == [
        (3, 1, 100, 107),
        (0, 2, 200, 314),
        (2, 1, 100, 421),
    ]
