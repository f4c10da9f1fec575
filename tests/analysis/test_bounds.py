"""Closed forms against published figures, and runs between their bounds.

`tests/sim/test_closed_forms.py` holds the forms against simulations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from analysis.synthetic import make_run, step_row
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle import bridge
from oracle.description import Case, Layer, Link, Step, Tier
from sim.test_any_machine import machines, outcome
from strategies import cases

from kvsim.analysis import bounds
from kvsim.analysis.run_bounds import RunBounds, run_bounds
from kvsim.errors import SimulationError
from kvsim.scenario.scenario import Scenario
from kvsim.units import TICKS_PER_SECOND

thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
GIB = 1 << 30
LARGE = 10**12

# --- the forms ------------------------------------------------------------------------------------------


def test_the_two_laws() -> None:
    assert bounds.additive_law(3, Fraction(1, 2), 4) == Fraction(15, 2)
    assert bounds.max_law(3, Fraction(1, 2), 4) == 4
    assert (bounds.additive_law(), bounds.max_law()) == (0, 0)


def test_throughput_against_hit_rate_follows_the_additive_law() -> None:
    # vLLM's offloading (blog.vllm.ai, 2026-01-08), thousands of tokens a second at hit rates 0, .1 … 1.
    measured = [42.3, 46.5, 51.8, 56.6, 64.3, 73.9, 89.1, 116.1, 158.6, 218.3, 388.6]

    def throughput(law: Callable[..., bounds.Time], hit_rate: Fraction) -> float:
        recomputed, loaded = (1 - hit_rate) / Fraction(measured[0]), hit_rate / Fraction(measured[-1])
        return float(1 / law(recomputed, loaded))

    rates = [Fraction(tenths, 10) for tenths in range(11)]
    additive = [
        throughput(bounds.additive_law, rate) / was for rate, was in zip(rates, measured, strict=True)
    ]
    perfect = [throughput(bounds.max_law, rate) / was for rate, was in zip(rates, measured, strict=True)]
    assert max(abs(ratio - 1) for ratio in additive) == pytest.approx(0.071, abs=0.0005)
    assert max(perfect) == perfect[9] == pytest.approx(1.94, abs=0.005)


def test_chunks_by_hand() -> None:
    # a = 2, S / B = 12, T_c = 24: K = 3 has chunks of 2 + 4 and 8, so 6 + 2 x 8 + 8.
    assert bounds.chunked(3, 2, 12, 24) == 30
    # K = 5 does not divide: 2 + 2.4 and 4.8, so 4.4 + 4 x 4.8 + 4.8.
    assert bounds.chunked(5, 2, 12, 24) == Fraction(284, 10)
    # Transfers are the slower stage beyond (24 - 12) / 2 = 6 chunks; there 2 + 2 + 6 x 4 = 28 is the least.
    assert bounds.best_chunks(2, 12, 24, 100) == 6
    assert bounds.best_chunks(2, 12, 24, 4) == 4
    # With transfers slower from the start the least of a K + T_c / K is at sqrt(18 / 2) = 3.
    assert bounds.best_chunks(2, 30, 18, 100) == 3
    # Set-up that costs nothing is paid as often as may be.
    assert bounds.best_chunks(0, 12, 24, 64) == 64


@given(st.integers(0, 50), st.integers(0, 500), st.integers(0, 500), st.integers(1, 60))
def test_the_best_number_of_chunks_is_the_best_of_all(a: int, transfer: int, consume: int, most: int) -> None:
    def time(chunks: int) -> bounds.Time:
        return bounds.chunked(chunks, a, transfer, consume)

    assert time(bounds.best_chunks(a, transfer, consume, most)) == min(map(time, range(1, most + 1)))


def test_depth_one_is_the_double_buffer_whose_first_layer_is_there() -> None:
    # 9 layers, 100 to fetch, 70 to compute: (100 - 70) for each but the first.
    assert bounds.prefetch_exposed(9, 1, 70, 10, 90) == 8 * 30
    assert bounds.double_buffered(9, 100, 70) - 100 - 9 * 70 == 8 * 30


def test_two_tiers_at_the_best_share_go_at_the_sum_of_their_bandwidths() -> None:
    # 3 GB/s and 1 GB/s: three quarters near, 4 bytes a nanosecond.
    assert bounds.best_near_share(3 * 10**9, 10**9) == Fraction(3, 4)
    assert bounds.two_tiers(3000, 1000, 3 * 10**9, 10**9) == 10**6
    assert bounds.two_tiers(4000, 0, 3 * 10**9, 10**9) == Fraction(4 * 10**6, 3)


def test_service_is_exact() -> None:
    assert bounds.service(1000, 3 * 10**9, setup=7) == 7 + Fraction(10**6, 3)


def seconds(amount: float, rate: float) -> Fraction:
    """Ticks of an amount of bytes or operations at a rate a second."""
    return Fraction(amount) / Fraction(rate) * TICKS_PER_SECOND


def test_flexgen_gives_its_published_throughput() -> None:
    # OPT-30B on a T4, prompt 512, 32 new tokens, 144 sequences, weights 20 % on the GPU, cache and
    # activations on the host; bandwidths and rates as its cost model has them for a T4.
    prompt, new, sequences, hidden, wide = 512, 32, 144, 7168, 28672
    weights = 8 * hidden**2 + 4 * hidden * wide  # bytes a layer, and half the operations a token times 2
    mean_length = prompt + new / 2
    host_flops = 0.0123e12 * (1 - 0.0328 * 0.4150375)  # less for batches under 64: log2(64 / 48)
    prefill = bounds.flexgen_prefill(
        ctog=seconds(weights * 0.8 + 2 * prompt * hidden * sequences, 12.89 * GIB),
        gtoc=seconds(4 * (prompt + 1) * hidden * sequences, 0.97 * GIB)
        + seconds(2 * prompt * hidden * sequences, 4.82 * GIB),
        dtoc=0,
        ctod=0,
        comp=seconds(sequences * prompt * weights, 21.24e12)
        + seconds(4 * sequences * prompt**2 * hidden, 9.97e12),
    )
    generation = bounds.flexgen_generation(
        ctog=seconds(weights * 0.8 + 2 * hidden * sequences, 12.89 * GIB),
        gtoc=seconds(2 * hidden * sequences, 4.82 * GIB),
        dtoc=0,
        ctod=0,
        comp=seconds(sequences * weights, 4.3e12) + seconds(4 * sequences * mean_length * hidden, host_flops),
    )
    assert float(prefill) / TICKS_PER_SECOND == pytest.approx(4.389, abs=0.0005)
    assert float(generation) / TICKS_PER_SECOND == pytest.approx(0.2924, abs=0.00005)
    found = bounds.flexgen_throughput(prefill, generation, layers=48, new_tokens=new, sequences=sequences)
    assert found == pytest.approx(7.14, abs=0.005)
    assert found == pytest.approx(7.32, rel=0.1)  # measured


def test_cached_attention_with_a_buffer_follows_from_the_figure_without() -> None:
    # LLaMA-13B: preloading without a buffer leaves 65 % of load + prefill, so load : prefill = 65 : 35. With
    # 15 of 40 layers in the buffer 65 x 25 / 40 = 40.6 are left: 59 % less, and published are 61 %.
    load, prefill = 65, 35
    assert bounds.cached_attention_exposed(load, prefill) == 30
    left = prefill + bounds.cached_attention_exposed(load, prefill, 40, 15)
    assert left == Fraction(325, 8)
    assert 1 - left / (load + prefill) == pytest.approx(0.61, abs=0.05)
    # 30 of the 65 parts must be in a buffer for nothing to be exposed: 19 of the 40 layers.
    assert [bounds.cached_attention_exposed(load, prefill, 40, n) > 0 for n in (18, 19, 40, 50)] == [
        True,
        False,
        False,
        False,
    ]
    # 10 GB/s for the 3 ms that loading takes longer.
    assert bounds.cached_attention_buffer(8 * 10**9, 5 * 10**9, 10**10) == 30 * 10**6
    assert bounds.cached_attention_buffer(5, 8, 10**10) == 0


@pytest.mark.parametrize(("tflops", "gigabytes"), [(2496, 5.86), (7920, 18.6)], ids=["8 A800", "8 H800"])
def test_mooncakes_second_equation_gives_its_two_figures(tflops: int, gigabytes: float) -> None:
    found = bounds.mooncake_bandwidth(tflops * 10**12, 8192, hidden=8192, gqa=8)
    assert float(found) / 1e9 == pytest.approx(gigabytes, rel=0.002)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: bounds.pipeline(0, 1, 1), "at least 1 piece, not 0"),
        (lambda: bounds.chunked(0, 1, 1, 1), "at least 1 piece, not 0"),
        (lambda: bounds.best_chunks(1, 1, 1, 0), "at least 1 chunk, not 0"),
        (lambda: bounds.prefetch_is_stall_free(0, 1, 1, 1), "at least 1 layer ahead, not 0"),
        (lambda: bounds.prefetch_exposed(4, 0, 1, 1, 1), "at least 1 layer ahead, not 0"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        call()


# --- runs between their bounds --------------------------------------------------------------------------


def two_layers(mode: Any = "demand", **changes: Any) -> RunBounds:
    """Three pages of 100 ticks on one link; 70 ticks of compute after the first two and after the third."""
    step = Step((Layer((0, 1), 70), Layer((2,), 70)))
    link = Link(0, 1, 10**12, latency=5)
    case = Case((Tier(LARGE), Tier(LARGE)), (link,), (100,) * 3, 3, (step,), mode)
    return run_bounds(bridge.run(replace(case, **changes)))


def test_bounds_of_a_run_by_hand() -> None:
    # Pages arrive at 105 and 205, compute until 275, the third at 380, compute until 450.
    found = two_layers()
    assert found.makespan_ticks == 450
    assert (found.transfer_ticks, found.compute_ticks, found.idle_ticks) == (3 * 105, 140, 0)
    assert found.additive_ticks == 3 * 105 + 140  # the two pages shared one latency: 5 less
    assert found.lane_ticks == (("link0 up", 300), ("link0 down", 0))
    assert (found.busiest_lane, found.max_ticks) == ("link0 up", 300)
    # Without the queue behind the first page: 105 + 70 + 105 + 70.
    assert found.critical_ticks == found.lower_ticks == 350
    assert found.overlapped == (455 - 450) / (455 - 300)


def test_modes_move_a_run_from_one_law_towards_the_other() -> None:
    serial, layered, ideal = (two_layers(mode) for mode in ("serial", "layered", "ideal"))
    assert (serial.makespan_ticks, serial.overlapped) == (serial.additive_ticks, 0.0)
    assert layered.makespan_ticks == 205 + 105 + 70  # the third page comes while the first layer computes
    assert ideal.makespan_ticks == ideal.additive_ticks == ideal.max_ticks == 140
    assert (ideal.overlapped, ideal.busiest_lane) == (1.0, "")


def test_waiting_for_arrivals_belongs_to_every_bound() -> None:
    step = Step((Layer((0,), 70),))
    steps = (step, Step((Layer((0,), 70),), arrival=1000))
    found = two_layers(steps=steps)
    # 105 + 70, idle until 1000, a hit of 70.
    assert (found.makespan_ticks, found.idle_ticks) == (1070, 825)
    assert found.additive_ticks == found.max_ticks + 105 == 825 + 140 + 105


def test_what_outlasts_the_last_step_is_no_bound_of_it() -> None:
    # Room for one page: the first leaves while the second is fetched and for 400 ticks after the end.
    link = Link(0, 1, 10**12, bandwidth_down=10**12 // 9)
    tiers = (Tier(200, high=0.5, low=0.5), Tier(LARGE))
    steps = (Step((Layer((0,), 50),)), Step((Layer((1,), 50),)))
    found = two_layers(links=(link,), tiers=tiers, steps=steps)
    assert found.makespan_ticks == 300
    lanes = dict(found.lane_ticks)
    assert lanes["link0 up"] == 200
    assert lanes["link0 down"] <= 300 < found.transfer_ticks


def test_bounds_go_out_in_seconds() -> None:
    told = two_layers().summary()
    assert (told.additive_law_s, told.max_law_s, told.critical_s) == (455e-12, 300e-12, 350e-12)
    assert (told.additive_law_ratio, told.max_law_ratio, told.critical_ratio) == (450 / 455, 1.5, 450 / 350)
    assert (told.transfer_s, told.overlapped) == (315e-12, 5 / 155)


def test_the_bound_without_contention_is_told_where_it_is_one() -> None:
    assert two_layers("layered").summary().critical_s is None, "what comes late was on its way all the same"
    chunked = two_layers(links=(Link(0, 1, 10**12, latency=5, chunk=50),)).summary()
    assert chunked.critical_s is chunked.critical_ratio is None


def test_the_max_law_is_called_after_what_takes_longest() -> None:
    # Three transfers of 100 ticks against 140 of compute; with 300 of compute it is as long as the lane.
    assert two_layers().longest == "link0 up"
    equal = Step((Layer((0, 1), 150), Layer((2,), 150)))
    assert two_layers(steps=(equal,)).longest == "compute"
    assert two_layers("ideal").longest == "compute"


def test_a_run_without_events_has_no_bounds() -> None:
    with pytest.raises(ValueError, match="records: all"):
        run_bounds(make_run(steps=[step_row(0, 0, 10)], keep_events=False))


def test_an_empty_run_is_as_fast_as_can_be() -> None:
    empty = run_bounds(make_run())
    assert (empty.lower_ticks, empty.additive_ticks, empty.overlapped) == (0, 0, 1.0)
    assert empty.summary().max_law_ratio == 1.0


def test_chunks_on_two_lanes_at_once_count_once() -> None:
    # 2 chunks of 100 over two hops: 100 + 100 + 100, of which the middle is on both lanes.
    links = (Link(0, 1, 10**12, chunk=100), Link(1, 2, 10**12, chunk=100))
    step = Step((Layer((0,), 70),))
    found = two_layers(tiers=(Tier(LARGE),) * 3, links=links, scalars=(200,), initial=1, steps=(step,))
    assert found.transfer_ticks == 300
    assert sorted(dict(found.lane_ticks).values()) == [0, 0, 200, 200]


def bounds_of(case: Case) -> RunBounds:
    """Of a run that has room for its pages."""
    try:
        return run_bounds(bridge.run(case))
    except SimulationError as error:
        assume("no room" not in str(error))
        raise


@pytest.mark.parametrize("mode", ["serial", "ideal"])
@given(data=st.data())
@thorough
def test_where_nothing_overlaps_the_additive_law_is_exact(mode: Any, data: st.DataObject) -> None:
    found = bounds_of(data.draw(cases(mode)))
    assert found.lower_ticks <= found.makespan_ticks == found.additive_ticks


@pytest.mark.parametrize("mode", ["demand", "layered"])
@given(data=st.data())
@thorough
def test_a_run_lies_between_its_bounds(mode: Any, data: st.DataObject) -> None:
    found = bounds_of(data.draw(cases(mode)))
    assert found.lower_ticks <= found.makespan_ticks <= found.additive_ticks
    assert 0 <= found.overlapped <= 1


@given(machines())
@thorough
def test_any_machine_lies_between_its_bounds(machine: tuple[Case, Scenario]) -> None:
    found = run_bounds(outcome(*machine))
    assert found.lower_ticks <= found.makespan_ticks <= found.additive_ticks


@given(cases("demand"))
@thorough
def test_no_number_of_lanes_beats_the_critical_bound(case: Case) -> None:
    narrow = [replace(link, bandwidth_down=None, half=False, chunk=None) for link in case.links]
    wide = [
        replace(
            link,
            channels=64,
            bandwidth=64 * link.bandwidth,
            channel_bandwidth=link.channel_bandwidth or link.bandwidth,
        )
        for link in narrow
    ]
    contended = bounds_of(replace(case, links=tuple(narrow)))
    free = bounds_of(replace(case, links=tuple(wide), max_in_flight=None))
    # The free run itself may be the longer one: what comes earlier to a tier's ports may come in worse order.
    assert contended.critical_ticks <= free.makespan_ticks
