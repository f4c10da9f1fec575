from __future__ import annotations

import numpy as np
import pytest
from analysis.synthetic import busy_run
from hypothesis import given
from hypothesis import strategies as st

from kvsim.analysis.queueing import littles_law, queueing

SECOND = 10**12


def test_three_known_visits_have_the_mean_number_counted_by_hand() -> None:
    # Present: 1 in [0, 2), 2 in [2, 3), 1 in [3, 4), 0 in [4, 6), 1 in [6, 8): 2 + 2 + 1 + 2 = 7 over 10.
    law = queueing(np.array([0, 2, 6]) * SECOND, np.array([3, 4, 8]) * SECOND, 10 * SECOND)
    assert law.mean_in_system == 0.7
    assert law.arrival_rate_per_s == 0.3
    assert law.mean_sojourn_s == 7 / 3


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**14)), min_size=1, max_size=60))
def test_the_integral_of_the_number_present_is_the_sum_of_the_sojourns(visits: list[tuple[int, int]]) -> None:
    arrival = np.array([start for start, _ in visits])
    departure = arrival + np.array([stay for _, stay in visits])
    law = queueing(arrival, departure, 0)
    assert law.area_ticks == law.sojourn_ticks


def test_littles_law_holds_on_every_lane_of_a_run() -> None:
    laws = littles_law(busy_run(3_000))
    assert {name for name, law in laws.items() if law.count} == {"pcie up", "pcie down", "nvme"}
    for law in laws.values():
        assert law.mean_in_system == pytest.approx(law.arrival_rate_per_s * law.mean_sojourn_s, rel=1e-12)


def test_the_window_holds_departures_after_the_last_step() -> None:
    assert queueing(np.array([5]), np.array([20]), 10).window_ticks == 20
