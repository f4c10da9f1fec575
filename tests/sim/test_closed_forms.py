"""Where a formula is exact, the simulation gives the same number, to the tick.

A bandwidth of 10^12 bytes a second serves one byte a tick, so sizes are times where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier

from kvsim import units
from kvsim.analysis import bounds
from kvsim.scenario.hierarchy import LinkSpec
from kvsim.sim.engine import simulate
from kvsim.sim.link import Link as KvsimLink
from kvsim.sim.result import RunResult

ONE = 10**12
"""Bytes a second: one byte a tick."""
LARGE = 10**12
"""Room for everything."""


def run(case: Case) -> RunResult:
    return simulate(bridge.scenario(case), bridge.workload(case))


def layers(count: int, compute: int, first: int = 0) -> tuple[Layer, ...]:
    """That many layers of one page each."""
    return tuple(Layer((first + number,), compute) for number in range(count))


# --- double buffering -----------------------------------------------------------------------------------


@pytest.mark.parametrize("compute", [70, 100, 101, 250], ids="compute={}".format)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_double_buffered_layers_cost_the_slower_of_transfer_and_compute(count: int, compute: int) -> None:
    # t_x + (L - 1) max(t_x, t_c) + t_c. The transfer time includes set-up and latency: with one page under
    # way at a time they are not hidden by the next one.
    transfer = 5 + 88 + 7
    link = Link(0, 1, ONE, setup=5, latency=7)
    case = Case(
        (Tier(LARGE), Tier(LARGE)), (link,), (88,) * count, count, (Step(layers(count, compute)),), "layered"
    )
    expected = bounds.double_buffered(count, transfer, compute)
    assert run(case).makespan_ticks == expected
    # Truly double buffered, with room for two layers: the formula assumes that a used page leaves for free,
    # which is so when the tier below has kept a copy.
    buffered = replace(case, tiers=(Tier(2 * 88), Tier(LARGE, inclusive=True)))
    assert run(buffered).makespan_ticks == expected
    assert run(buffered).tiers[0].peak_bytes == 88 * min(count, 2)


def test_double_buffering_is_worth_up_to_half_of_what_demand_costs() -> None:
    # Demand: L (t_x + t_c); at t_x = t_c the double buffer saves L - 1 of 2 L.
    case = Case((Tier(LARGE), Tier(LARGE)), (Link(0, 1, ONE),), (100,) * 9, 9, (Step(layers(9, 100)),))
    assert run(case).makespan_ticks == bounds.additive_law(9 * 100, 9 * 100) == 1800
    assert run(replace(case, mode="layered")).makespan_ticks == bounds.double_buffered(9, 100, 100) == 1000


def test_a_double_buffer_deeper_than_two_hides_the_latency_that_the_formula_adds() -> None:
    # t_x = 30 + 70. One layer ahead, every layer costs 100; two ahead, the link serves the next page during
    # the latency of this one. The fetches are issued at 100, 100, 200, 240, 300 and take 100, the second one
    # 130, so the layers begin at 100, 200, 240, 300, 340, 400.
    link = Link(0, 1, ONE, latency=70)
    case = Case((Tier(LARGE), Tier(LARGE)), (link,), (30,) * 6, 6, (Step(layers(6, 40)),), "layered")
    assert run(case).makespan_ticks == bounds.double_buffered(6, 100, 40) == 640
    assert run(replace(case, depth=2)).makespan_ticks == 400 + 40


def test_a_double_buffer_whose_used_pages_must_be_written_back_is_slower_than_the_formula() -> None:
    # Room for two layers, and no copy below: from layer 2 on a page leaves first, over the same half-duplex
    # link, so that layer k begins at 200 k.
    link = Link(0, 1, ONE, half=True)
    tiers = (Tier(2 * 100), Tier(LARGE))
    case = Case(tiers, (link,), (100,) * 9, 9, (Step(layers(9, 100)),), "layered")
    assert bounds.double_buffered(9, 100, 100) == 1000
    assert run(case).makespan_ticks == 200 * 8 + 100


# --- chunks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [1, 4, 25])
@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 4), (4, 1), (2, 4)])
def test_chunks_overlap_the_hops_of_a_route(chunks: int, first: int, second: int) -> None:
    # tau_x + (K - 1) max(tau_x, tau_c) + tau_c, with tau the time of one chunk on either hop. The engine
    # pays set-up once for a transfer and not for every chunk, so a = 0 here; the next test has it.
    size = 600
    tau_first, tau_second = first * size // chunks, second * size // chunks
    links = (
        Link(0, 1, ONE // second, chunk=size // chunks),
        Link(1, 2, ONE // first, chunk=size // chunks),
    )
    tiers = (Tier(LARGE), Tier(LARGE), Tier(LARGE))
    case = Case(tiers, links, (size,), 1, (Step((Layer((0,)),)),))
    assert (tau_first, tau_second) == (first * size / chunks, second * size / chunks)
    assert run(case).makespan_ticks == bounds.chunked(chunks, 0, first * size, second * size)


def test_a_set_up_that_the_transfer_pays_once_makes_the_engine_faster_than_the_formula() -> None:
    # a = 90 on the first hop, 4 chunks of 160 ticks, and 160 a chunk on the second: the formula has
    # 250 + 3 x 250 + 160, the engine 90 + 4 x 160 + 160.
    links = (Link(0, 1, ONE, chunk=160), Link(1, 2, ONE, setup=90, chunk=160))
    case = Case((Tier(LARGE),) * 3, links, (640,), 1, (Step((Layer((0,)),)),))
    assert bounds.chunked(4, 90, 640, 640) == 1160
    assert run(case).makespan_ticks == 90 + 640 + 160


@pytest.mark.parametrize("chunks", [1, 2, 5, 8])
@pytest.mark.parametrize("latency", [0, 30])
def test_chunks_with_a_set_up_each_are_pages_of_their_own(chunks: int, latency: int) -> None:
    # tau_x + (K - 1) max(tau_x, tau_c) + tau_c with tau_x = a + S / (K B) and tau_c = T_c / K: the set-up of
    # every chunk is that of a page, and the second hop (4 ticks a byte) stands for the consumer.
    size, setup = 640, 90
    links = (Link(0, 1, ONE // 4, latency=latency), Link(1, 2, ONE, setup=setup))
    tiers = (Tier(LARGE), Tier(LARGE), Tier(LARGE))
    pages = tuple(range(chunks))
    case = Case(tiers, links, (size // chunks,) * chunks, chunks, (Step((Layer(pages),)),))
    assert run(case).makespan_ticks == bounds.chunked(chunks, setup, size, 4 * size) + latency


def test_the_best_number_of_chunks_is_the_best_in_the_simulation_too() -> None:
    # a = 90, S / B = 640, T_c = 2560: the transfers are as slow as the consumer at (2560 - 640) / 90 = 21.3
    # chunks, beyond sqrt(2560 / 90) = 5.3. Of the divisors of 640 from 16 to 32 the better is 20.
    def simulated(chunks: int) -> int:
        links = (Link(0, 1, ONE // 4), Link(1, 2, ONE, setup=90))
        pages = tuple(range(chunks))
        tiers = (Tier(LARGE), Tier(LARGE), Tier(LARGE))
        return run(
            Case(tiers, links, (640 // chunks,) * chunks, chunks, (Step((Layer(pages),)),))
        ).makespan_ticks

    divisors = [chunks for chunks in range(1, 65) if 640 % chunks == 0]
    assert min(divisors, key=simulated) == 20
    assert bounds.best_chunks(90, 640, 2560, 64) == 21
    assert bounds.chunked(21, 90, 640, 2560) <= simulated(20)


# --- prefetch depth -------------------------------------------------------------------------------------


def prefetching(depth: int, compute: int, latency: int, size: int, count: int) -> RunResult:
    """A step that fetches `depth` layers ahead, in the steady state that the formula is about.

    The first layers have nobody to fetch them ahead: a fetch begins when a layer begins to compute. So a
    first step reads the pages of layers 0 … D-1, as if they had been fetched; the second step then issues
    the fetch of layer D + j at the start of layer j.
    """
    warm = Step((Layer(tuple(range(depth))),))
    step = Step(layers(count, compute))
    link = Link(0, 1, ONE, latency=latency)
    tiers = (Tier(LARGE), Tier(LARGE))
    case = Case(tiers, (link,), (size,) * count, count, (warm, step), "layered", depth)
    return run(case)


def stalls_of_second_step(result: RunResult) -> int:
    steps = result.records.steps
    start, end, compute = (int(steps.column(name)[1]) for name in ("start", "end", "compute"))
    return end - start - compute


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_prefetch_of_depth_d_is_stall_free_iff_the_latency_is_covered(depth: int) -> None:
    # D t_c >= a + S / B, while S / B <= t_c. One tick less and every D-th layer waits that tick: its fetch
    # was issued when the layer D before it began, and those in between are issued a tick later too.
    compute, size, count = 1000, 600, 40
    latency = depth * compute - size
    assert bounds.prefetch_is_stall_free(depth, compute, latency, size)
    assert stalls_of_second_step(prefetching(depth, compute, latency, size, count)) == 0
    assert not bounds.prefetch_is_stall_free(depth, compute, latency + 1, size)
    late = prefetching(depth, compute, latency + 1, size, count)
    assert bounds.prefetch_exposed(count, depth, compute, latency + 1, size) == (count - 1) // depth
    assert stalls_of_second_step(late) == (count - 1) // depth


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_prefetch_of_depth_d_is_stall_free_iff_the_bandwidth_suffices(depth: int) -> None:
    # S / B <= t_c, while D t_c >= a + S / B. At S / B = t_c the link never rests; one tick more and each
    # fetch queues one tick longer. With the latency just covered the first one, layer D, is in time, and
    # each layer after it waits one tick.
    compute, count = 1000, 40
    latency = (depth - 1) * compute
    assert bounds.prefetch_is_stall_free(depth, compute, latency, compute)
    assert stalls_of_second_step(prefetching(depth, compute, latency, compute, count)) == 0
    if depth == 1:
        return  # a + S / B <= t_c implies S / B <= t_c: there is nothing on the other side
    assert not bounds.prefetch_is_stall_free(depth, compute, latency - 1, compute + 1)
    narrow = prefetching(depth, compute, latency - 1, compute + 1, count)
    assert bounds.prefetch_exposed(count, depth, compute, latency - 1, compute + 1) == count - 1 - depth
    assert stalls_of_second_step(narrow) == count - 1 - depth


@given(
    depth=st.integers(1, 6),
    compute=st.integers(1, 300),
    latency=st.integers(0, 900),
    size=st.integers(1, 300),
    count=st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_prefetch_of_depth_d_waits_as_long_as_the_longest_path_says(
    depth: int, compute: int, latency: int, size: int, count: int
) -> None:
    count = max(count, depth)
    exposed = bounds.prefetch_exposed(count, depth, compute, latency, size)
    assert stalls_of_second_step(prefetching(depth, compute, latency, size, count)) == exposed
    assert exposed == 0 or not bounds.prefetch_is_stall_free(depth, compute, latency, size)


@given(
    depth=st.integers(0, 6),
    compute=st.integers(1, 300),
    latency=st.integers(0, 900),
    size=st.integers(1, 300),
    count=st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_a_step_that_finds_nothing_takes_as_long_as_the_longest_path_says(
    depth: int, compute: int, latency: int, size: int, count: int
) -> None:
    link = Link(0, 1, ONE, latency=latency)
    tiers = (Tier(LARGE), Tier(LARGE))
    steps = (Step(layers(count, compute)),)
    mode = ("layered", depth) if depth else ("demand",)
    case = Case(tiers, (link,), (size,) * count, count, steps, *mode)
    expected = bounds.looked_ahead(count, depth, compute, latency, size)
    assert run(case).makespan_ticks == expected
    if depth < 2:
        of_the_buffer = bounds.double_buffered(count, latency + size, compute)
        assert expected == (of_the_buffer if depth else count * (latency + size + compute))


def test_a_cold_step_waits_longer_than_the_steady_state_that_the_formula_is_about() -> None:
    # Without the first step the layers 0 … D-1 are not there: D t_c = 2000 would cover 400 + 600.
    step = Step(layers(10, 1000))
    case = Case((Tier(LARGE),) * 2, (Link(0, 1, ONE, latency=400),), (600,) * 10, 10, (step,), "layered", 2)
    assert bounds.prefetch_exposed(10, 2, 1000, 400, 600) == 0
    result = run(case)
    assert result.makespan_ticks - result.compute_ticks == 400 + 600


# --- preloading with a read buffer ----------------------------------------------------------------------


@pytest.mark.parametrize("buffered", range(1, 8))
@pytest.mark.parametrize(("transfer", "compute"), [(100, 40), (100, 100), (40, 100), (301, 100)])
def test_a_read_buffer_of_some_layers_takes_their_loading_away(
    buffered: int, transfer: int, compute: int
) -> None:
    # The layers in the buffer are those that a first step has read; then everything else is fetched ahead,
    # in order, from the start of the step on.
    warm = Step((Layer(tuple(range(buffered))),))
    case = Case(
        (Tier(LARGE),) * 2,
        (Link(0, 1, ONE),),
        (transfer,) * 7,
        7,
        (warm, Step(layers(7, compute))),
        "layered",
        7,
    )
    steps = run(case).records.steps
    took = int((steps.column("end") - steps.column("start"))[1])
    assert took == bounds.buffered_layers(7, transfer, compute, buffered)
    assert bounds.buffered_layers(7, transfer, compute, 0) == bounds.double_buffered(7, transfer, compute)
    # The law without start-up errs by less than one layer of either kind.
    exposed = bounds.cached_attention_exposed(7 * transfer, 7 * compute, 7, buffered)
    assert 0 <= took - 7 * compute - exposed <= max(transfer, compute)


# --- two tiers in parallel ------------------------------------------------------------------------------


@pytest.mark.parametrize("near_pages", range(13))
def test_two_tiers_read_in_place_work_in_parallel(near_pages: int) -> None:
    # max(x / B_h, (1 - x) / B_d), with B_h = 2 B_d: a page takes 100 ticks from the one and 200 from the
    # other; of 12 pages the best split is x = B_h / (B_h + B_d) = 2 / 3, so 8 of them, and 800 ticks.
    # A page as large as tier 0 keeps it full, so that the others start in the two tiers read in place.
    count, size = 12, 100
    far_pages = count - near_pages
    tiers = (
        Tier(count * size),
        Tier(max(near_pages * size, 1), direct=True),
        Tier(LARGE, direct=True),
    )
    links = (Link(0, 1, ONE), Link(0, 2, ONE // 2))
    sizes = (count * size, *([size] * count))
    step = Step((Layer(tuple(range(1, count + 1))),))
    result = run(Case(tiers, links, sizes, count + 1, (step,), fill=True))
    assert [tier.found for tier in result.tiers] == [0, near_pages, far_pages]
    assert result.makespan_ticks == bounds.two_tiers(near_pages * size, far_pages * size, ONE, ONE // 2)
    assert bounds.best_near_share(ONE, ONE // 2) == Fraction(8, 12)
    assert (result.makespan_ticks == 800) == (near_pages == 8)
    assert result.makespan_ticks >= 800


# --- FlexGen --------------------------------------------------------------------------------------------


def flexgen_block(ctog: int, gtoc: int, dtoc: int, ctod: int, comp: int) -> int:
    """Time of one FlexGen block over real links: first the load to the GPU, then everything else at once.

    Its cost model adds the load instead of overlapping it: T_gen = ctog + max(gtoc, dtoc, ctod, comp).
    """
    env = simpy.Environment()

    def link(name: str) -> KvsimLink:
        spec = {"name": name, "between": ("near", "far"), "bandwidth": units.exact_bandwidth(ONE)}
        return KvsimLink(env, LinkSpec.model_validate(spec))

    pcie, disk = link("pcie"), link("disk")

    def block() -> Generator[simpy.Event, Any, None]:
        yield pcie.transfer(ctog, "up")
        stores = pcie.transfer(gtoc, "down")
        loads = disk.transfer(dtoc, "up")
        spills = disk.transfer(ctod, "down")
        yield env.all_of([stores, loads, spills, env.timeout(comp)])

    env.run(env.process(block()))
    return int(env.now)


@pytest.mark.parametrize(
    "times",
    [
        (300, 50, 60, 70, 80),
        (300, 500, 60, 70, 80),
        (1, 2, 900, 4, 5),
        (1, 2, 3, 700, 5),
        (10, 20, 30, 40, 999),
    ],
)
def test_flexgen_generation_is_the_load_and_then_the_slowest_of_the_rest(
    times: tuple[int, int, int, int, int],
) -> None:
    assert flexgen_block(*times) == bounds.flexgen_generation(*times)


def test_flexgen_blocks_that_load_ahead_are_faster_than_its_model() -> None:
    # Its own comment, max(ctog, …), is a lower bound that its cost model does not use.
    assert bounds.max_law(300, 50, 60, 70, 80) == 300 < flexgen_block(300, 50, 60, 70, 80) == 380
