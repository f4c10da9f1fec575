"""When requests arrive: each process against its law, and what it leaves alone."""

from __future__ import annotations

from itertools import count, islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.scenario.requests import ArrivalSpec
from kvsim.workloads.requests import Request
from kvsim.workloads.requests.arrivals import TICKS_PER_S, arriving, limited

N = 20_000


def arrivals(*times: int) -> list[Request]:
    return [Request(time, 1, number) for number, time in enumerate(times)]


def times(requests: list[Request], seed: int = 0, **spec: Any) -> list[int]:
    """Arrival times under a spec; the requests stay in order."""
    found = list(arriving(requests, ArrivalSpec.model_validate(spec), seed, "test"))
    assert [each.output_tokens for each in found] == [each.output_tokens for each in requests]
    return [each.arrival_ticks for each in found]


def gaps(**spec: Any) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Seconds between the arrivals of N requests."""
    return np.diff([0, *times(arrivals(*[0] * N), **spec)]) / TICKS_PER_S


def test_recorded_times_are_handed_on_as_they_are() -> None:
    given = arrivals(3, 3, 10)
    assert list(arriving(given, ArrivalSpec(), 0, "test")) == given


@pytest.mark.parametrize(
    ("speedup", "expected"),
    [(2.0, [0, 2, 3, 2**61]), (0.1, [0, 30, 50, 10 * 2**62]), (3.0, [0, 1, 2, 2**62 // 3])],
)
def test_speedup_divides_recorded_times_and_rounds_to_the_nearest_tick(
    speedup: float, expected: list[int]
) -> None:
    # halves up: 3 / 2 and 5 / 2 are 2 and 3; 2**62 = 3 k + 1
    assert times(arrivals(0, 3, 5, 2**62), speedup=speedup) == expected


def test_jitter_delays_each_by_less_and_keeps_the_order() -> None:
    recorded = [0] * 500 + [40] * 500 + [1000] * 500
    found = times(arrivals(*recorded), jitter="100 ps")
    assert found == sorted(found)
    assert all(late - time >= 0 for time, late in zip(recorded, found, strict=True))
    of_the_last = [late - 1000 for late in found[1000:]]
    assert max(of_the_last) < 100
    # 500 draws from 0 … 99: mean 49.5, its standard error (100² − 1) / 12 / 500 to the half: 1.29
    assert np.mean(of_the_last) == pytest.approx(49.5, abs=4 * 1.29)


def test_poisson_gaps_are_exponential() -> None:
    found = gaps(process="poisson", rate=4.0)
    assert found.mean() == pytest.approx(0.25, abs=4 * 0.25 / N**0.5)
    # P(gap > t) = exp(-4 t)
    for t in (0.1, 0.25, 0.7):
        p = np.exp(-4 * t)
        assert (found > t).mean() == pytest.approx(p, abs=4 * (p * (1 - p) / N) ** 0.5)


@pytest.mark.parametrize("variation", [0.3, 1.0, 3.0])
def test_gamma_gaps_have_the_mean_and_variation_asked_for(variation: float) -> None:
    found = gaps(process="gamma", rate=5.0, variation=variation)
    assert found.mean() == pytest.approx(0.2, abs=4 * 0.2 * variation / N**0.5)
    # the variance of a sample's variance of a gamma: (kurtosis + 2) σ⁴ / N with kurtosis 6 cv²
    error = ((6 * variation**2 + 2) / N) ** 0.5 / 2
    assert found.std() / 0.2 == pytest.approx(variation, rel=4 * error)


def test_bursts_come_together_at_the_average_rate() -> None:
    found = times(arrivals(*[0] * N), process="bursts", rate=8.0, burst=4)
    starts = found[::4]
    assert [found[index::4] for index in range(4)] == [starts] * 4
    between = np.diff([0, *starts]) / TICKS_PER_S
    assert between.mean() == pytest.approx(0.5, abs=4 * 0.5 / (N / 4) ** 0.5)


def test_together_is_at_the_start() -> None:
    assert times(arrivals(5, 6, 7), process="together") == [0, 0, 0]


def test_a_process_without_its_rate_says_so() -> None:
    with pytest.raises(ValueError, match="'gamma' need a rate"):
        times(arrivals(1), process="gamma")


@pytest.mark.parametrize("process", ["poisson", "gamma", "bursts", "together", "trace"])
def test_think_times_stay_and_what_is_given_is_not_changed(process: str) -> None:
    turn = Request(77, 2, 0)
    first = Request(0, 1, 0, follow_up=turn)
    spec = ArrivalSpec.model_validate({"process": process, "rate": 1.0, "speedup": 2.0, "jitter": "1 s"})
    [found] = arriving([first], spec, 0, "test")
    assert found.follow_up is turn
    assert (first.arrival_ticks, turn.arrival_ticks) == (0, 77)


def test_the_same_seed_and_name_give_the_same_times() -> None:
    spec = ArrivalSpec(process="poisson", rate=1.0)

    def made(seed: int, *names: str) -> list[int]:
        return [each.arrival_ticks for each in arriving(arrivals(0, 0), spec, seed, *names)]

    assert made(1, "a") == made(1, "a")
    assert len({tuple(made(1, "a")), tuple(made(2, "a")), tuple(made(1, "b"))}) == 3


def test_an_endless_workload_is_timed_as_it_comes() -> None:
    endless = (Request(0, 1, number) for number in count())
    found = list(islice(arriving(endless, ArrivalSpec(process="poisson", rate=1.0), 0, "test"), 3000))
    assert all(one.arrival_ticks <= next_.arrival_ticks for one, next_ in pairwise(found))


def loop(turns: int) -> Request:
    rest: Request | None = None
    for number in reversed(range(turns)):
        rest = Request(number, number + 1, 0, follow_up=rest)
    assert rest is not None
    return rest


def turns_of(request: Request | None) -> list[int]:
    found = []
    while request is not None:
        found.append(request.input_tokens)
        request = request.follow_up
    return found


@given(st.lists(st.integers(1, 5), max_size=6), st.integers(1, 20))
def test_a_limit_counts_follow_ups_and_cuts_the_last_loop(lengths: list[int], most: int) -> None:
    found = [turns_of(each) for each in limited([loop(turns) for turns in lengths], most)]
    whole = [(number, turn + 1) for number, turns in enumerate(lengths) for turn in range(turns)]
    assert [(number, turn) for number, turns in enumerate(found) for turn in turns] == whole[:most]


def test_a_limit_changes_no_request_and_none_takes_all() -> None:
    given = [loop(3)]
    assert [turns_of(each) for each in limited(given, 2)] == [[1, 2]]
    assert turns_of(given[0]) == [1, 2, 3]
    assert list(limited(given, None)) == given
