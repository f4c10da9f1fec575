from __future__ import annotations

import numpy as np
from analysis.synthetic import busy_run, make_run

from kvsim.analysis.occupancy import occupancy


def test_changes_of_one_instant_are_taken_together() -> None:
    run = make_run(space=[(0, 0, 100), (0, 0, 50), (5, 0, -30), (5, 0, 30), (5, 1, 10), (9, 0, -50)])
    hbm, dram, nvme = occupancy(run)
    assert (hbm.times.tolist(), hbm.used_bytes.tolist()) == ([0, 5, 9], [150, 150, 100])
    assert (dram.times.tolist(), dram.used_bytes.tolist()) == ([0, 5], [0, 10])
    assert (nvme.times.tolist(), nvme.used_bytes.tolist()) == ([0], [0])


def test_rows_out_of_order_give_the_same_curve() -> None:
    run = make_run(space=[(9, 0, -50), (0, 0, 150)])
    assert occupancy(run)[0].used_bytes.tolist() == [150, 100]


def test_the_last_level_is_what_the_tier_holds_at_the_end() -> None:
    run = busy_run(1_000)
    for tier, curve in zip(run.tiers, occupancy(run), strict=True):
        assert curve.used_bytes[-1] == tier.resident_bytes
        assert np.all(np.diff(curve.times) > 0)


def test_without_event_records_a_tier_stays_at_its_start() -> None:
    run = busy_run(100, keep_events=False)
    assert [curve.used_bytes.tolist() for curve in occupancy(run)] == [
        [tier.initial_bytes] for tier in run.tiers
    ]
