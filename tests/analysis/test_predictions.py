"""What the forms say of a scenario, by hand, and where a simulation is exactly that."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from kvsim.analysis import bounds
from kvsim.analysis.predictions import FORMS, outline, predicted_s
from kvsim.scenario import loader
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.study.measure import Task, measure

US = 1_000_000
"""Ticks of a microsecond."""


def scenario(changes: dict[str, str] | None = None) -> Scenario:
    """Four layers of two pages of 1 MB, 10 us each over a link of 100 GB/s, and 50 us of compute."""
    data: dict[str, Any] = {
        "name": "mine",
        "hierarchy": {
            "tiers": [{"name": "gpu", "capacity": "64 pages"}, {"name": "host", "capacity": "64 pages"}],
            "links": [{"name": "near", "between": ["gpu", "host"], "bandwidth": "100 GB/s"}],
        },
        "workload": {"kind": "layers", "layers": 4, "page_bytes": "1 MB", "reads": 2},
        "policy": {"placement": "last"},
        "execution": {"overlap": "layered", "compute_time": "50 us"},
    }
    return loader.loads_mapping(data, [f"{key}={value}" for key, value in (changes or {}).items()])


LATENCY = {"hierarchy.links.near.latency": "100 us"}
SMALL = {"hierarchy.tiers.gpu.capacity": "4 pages"}
DISK = {
    "hierarchy.tiers": "[{name: gpu, capacity: 64 pages}, {name: host, capacity: 1 pages},"
    " {name: disk, capacity: 64 pages}]",
    "hierarchy.links": "[{name: near, between: [gpu, host], bandwidth: 100 GB/s, chunk: 250 kB},"
    " {name: far, between: [host, disk], bandwidth: 50 GB/s, chunk: 250 kB}]",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # A layer loads for 20 us: 4 x 70, 4 x max(50, 20), 20 + 3 x 50 + 50, that, 4 x (20 + 50), the third.
        ({}, (280, 200, 220, 220, 280, 220)),
        # A load is there after 120 us. Two layers ahead: the first begins at 120, the next two, asked for
        # then, at 240 and 290, the last, asked for at 240, at 360, and 50 of compute.
        (LATENCY | {"execution.depth": "2"}, (680, 200, 530, 530, 680, 410)),
        # Each layer sends two pages away, on the other lane: 4 x (20 + 20 + 50), stores behind compute.
        (SMALL, (360, 200, 220, 220, 280, 220)),
        # On the same lane, with 10 us of compute: 4 x 50, 4 x (20 + 20), 20 + 3 x 20 + 10, that,
        # 4 x (20 + 20).
        (
            SMALL | {"hierarchy.links.near.duplex": "half", "execution.compute_time": "10 us"},
            (200, 160, 90, 90, 160, 90),
        ),
        # 40 us from the disk and 20 from the host, in 8 chunks 40 + 20 / 8. The third is 60 + 3 x 60 + 50,
        # the fourth 42.5 + 3 x 50 + 50, FlexGen's 4 x (20 + max(40, 50)).
        (DISK, (440, 200, 290, Fraction(485, 2), 280, Fraction(485, 2))),
        # Nothing ahead: the last form is 4 x (42.5 + 50).
        (DISK | {"execution.overlap": "demand"}, (440, 200, 290, Fraction(485, 2), 280, 370)),
    ],
)
def test_forms_by_hand(changes: dict[str, str], expected: tuple[bounds.Time, ...]) -> None:
    found = outline(scenario(changes))
    assert found is not None
    assert tuple(getattr(found, form) / Fraction(US) for form in FORMS) == expected


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("changes", [{}, LATENCY, DISK], ids=["near", "far", "disk"])
def test_a_step_that_meets_the_assumptions_takes_what_the_form_says(
    changes: dict[str, str], depth: int
) -> None:
    made = scenario(changes | {"execution.depth": str(depth)})
    assert simulate(made).makespan_ticks / 10**12 == predicted_s(made)["looked_ahead"]


@pytest.mark.parametrize(
    "changes",
    [
        {"workload": "{kind: zipf, pages: 8, length: 4}"},  # pages are nowhere when it starts
        {"hierarchy.tiers.host.scheme": "int8", "workload.page_bytes": "2 MB"},
        {"hierarchy": "{tiers: [{name: gpu, capacity: 64 pages}]}"},
    ],
    ids=["pages appear", "formats differ", "one tier"],
)
def test_where_the_forms_do_not_apply_they_say_nothing(changes: dict[str, str]) -> None:
    assert predicted_s(scenario(changes)) == dict.fromkeys(FORMS)


def test_a_study_measures_them_like_figures_of_the_run() -> None:
    made = scenario()
    [run] = measure([Task("key", made, ("makespan_s", "predicted_s.additive", "predicted_s.max"))])
    assert run.error is None
    assert run.metrics == {
        "makespan_s": 220e-6,
        "predicted_s.additive": pytest.approx(280e-6),
        "predicted_s.max": pytest.approx(200e-6),
    }
