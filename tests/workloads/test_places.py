"""Workloads tell the layer and head group of every page, as far as they know it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workloads.scenarios import scenario

from kvsim.errors import TraceError
from kvsim.sim.engine import Simulation, simulate
from kvsim.workloads import Workload, make_workload
from kvsim.workloads.base import LayerAccess, Pages, Step, places_of
from kvsim.workloads.page_trace import PageRow, write_pages

MIXED = {
    "name": "bytes",
    "bits": 8.0,
    "mixed": [
        {"name": "wide", "bits": 16.0, "layers": 1},
        {"name": "half", "bits": 4.0, "head_groups": 1},
    ],
}


@pytest.mark.parametrize(
    "work",
    [
        {"kind": "rag_burst", "length": 40},
        {"kind": "mixed_locality", "pages": 13, "length": 40},
        {"kind": "dense_decode", "context_tokens": 40, "steps": 20, "batch": 2},
        {"kind": "sparse_decode", "context_tokens": 90, "steps": 40, "batch": 3, "page_tokens": 8},
    ],
    ids=lambda work: work["kind"],
)
def test_a_page_is_of_the_layer_that_reads_it(work: dict[str, Any]) -> None:
    workload = make_workload(scenario(work))
    layers, groups = places_of(workload, "page_layers"), places_of(workload, "page_head_groups")
    assert layers is not None
    assert groups is not None
    assert len(layers) == len(groups)
    for step in workload.steps():
        for access in step.layers:
            assert set(layers[access.pages]) <= {access.layer}
            assert set(layers[access.created]) <= {access.layer}


def test_page_i_of_a_pattern_is_of_layer_i_mod_16_and_head_group_i_mod_8() -> None:
    workload = make_workload(scenario({"kind": "rag_burst", "pages": 40}))
    assert places_of(workload, "page_layers") is not None
    assert np.array_equal(workload.page_layers, np.arange(40) % 16)  # type: ignore[attr-defined]
    assert np.array_equal(workload.page_head_groups, np.arange(40) % 8)  # type: ignore[attr-defined]


def test_a_decode_tells_of_every_page_that_will_be_born() -> None:
    """3 layers, 2 sequences of 2 full pages; a token in each of 20 steps completes one page more."""
    workload = make_workload(
        scenario({"kind": "dense_decode", "context_tokens": 40, "steps": 20, "batch": 2})
    )
    layers = places_of(workload, "page_layers")
    assert layers is not None
    assert layers.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [0, 0, 1, 1, 2, 2]


def test_zipf_and_mooncake_do_not_tell(tmp_path: Path) -> None:
    zipf = make_workload(scenario({"kind": "zipf", "pages": 3}))
    assert places_of(zipf, "page_layers") is None
    assert places_of(zipf, "page_head_groups") is None


def replay(folder: Path, rows: list[PageRow], name: str = "t.jsonl", **fields: Any) -> Workload:
    write_pages(folder / name, rows)
    work = {"kind": "replay", "path": str(folder / name), **fields}
    return make_workload(scenario(work, scheme=MIXED))


ROWS = [
    PageRow(1, 0, "a", 1, 1, bytes=10),
    PageRow(2, 0, "b", 0, 1, bytes=10),
    PageRow(3, 0, "c", 2, 0, bytes=10),
    PageRow(4, 1, "a", 1, 1, bytes=10),
]


@pytest.mark.parametrize("fields", [{}, {"page_bytes": "10 B"}])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_trace_tells_by_its_columns(tmp_path: Path, name: str, fields: dict[str, str]) -> None:
    """Pages a, b, c: wide by its layer, half by its head group, neither; of one size or of their own."""
    workload = replay(tmp_path, ROWS, name, **fields)
    result = simulate(scenario({"kind": "replay"}, scheme=MIXED), workload)
    assert result.tiers[0].resident_bytes == 20 + 5 + 10


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        (PageRow(9, 2, "d", None, 0, bytes=1), "layer", "is missing, and the scheme has rules by layer"),
        (
            PageRow(9, 2, "d", 0, None, bytes=1),
            "head_group",
            "is missing, and the scheme has rules by head gro",
        ),
        (
            PageRow(9, 2, "d", 0, "k", bytes=1),
            "head_group",
            "must be a number from 0 for rules by it, not 'k'",
        ),
        (
            PageRow(9, 2, "a", 2, 1, bytes=1),
            "layer",
            "page 'a' was of layer 1, and the scheme has rules by layer",
        ),
    ],
)
def test_a_trace_that_does_not_tell_is_refused_at_its_line(
    tmp_path: Path, row: PageRow, field: str, message: str
) -> None:
    workload = replay(tmp_path, [*ROWS, row])
    with pytest.raises(TraceError) as caught:
        simulate(scenario({"kind": "replay"}, scheme=MIXED), workload)
    problem = caught.value.problem
    assert (problem.line, problem.field) == (5, field)
    assert message in problem.message


def test_ids_that_count_within_a_layer_are_pages_of_their_own(tmp_path: Path) -> None:
    rows = [PageRow(1, 0, 7, 0, 0, bytes=10), PageRow(2, 0, 7, 1, 0, bytes=10)]
    workload = replay(tmp_path, rows, page_scope="layer")
    result = simulate(scenario({"kind": "replay"}, scheme=MIXED), workload)
    assert result.tiers[0].resident_bytes == 10 + 20


def groups(work: dict[str, Any], pages: int) -> list[int]:
    """Group of each of the pages, as a policy of the run sees it."""
    given = scenario(work)
    residency = Simulation(given, make_workload(given)).residency
    return [residency.group_of(page) for page in range(pages)]


def test_a_group_is_a_layer_and_head_group() -> None:
    """A pattern's page i is of layer i mod 16 and head group i mod 8: 16 x 8 groups, of which 16 are used."""
    assert groups({"kind": "rag_burst", "pages": 40}, 20) == [i % 16 * 8 + i % 8 for i in range(20)]


def test_a_decode_has_a_group_a_layer_and_pages_nobody_knows_are_of_group_0() -> None:
    """Of 3 layers each has 2 full pages at the start, and one more is born, in the 8th of 8 steps."""
    work = {"kind": "dense_decode", "context_tokens": 40, "steps": 8}
    assert groups(work, 12) == [0, 0, 1, 1, 2, 2, 0, 1, 2, 0, 0, 0]


@pytest.mark.parametrize(
    ("layer", "head_group", "told"),
    [(2, 1, [0, 5]), (2, None, [0, 2]), (None, 1, [0, 1]), (2, "left", [0, 2]), (None, None, [0, 0])],
)
def test_a_trace_need_not_tell_where_pages_are(
    tmp_path: Path, layer: int | None, head_group: int | str | None, told: list[int]
) -> None:
    """Two pages, the first of layer 0 and head group 0; with two head groups layer 2 begins with 4."""
    first = PageRow(1, 0, 0, None if layer is None else 0, None if head_group is None else 0, 16, 64)
    path = tmp_path / "t.jsonl"
    write_pages(path, [first, PageRow(1, 0, 1, layer, head_group, 16, 64)])
    assert groups({"kind": "replay", "path": str(path)}, 2) == told


def test_nobody_is_asked_where_pages_are_unless_a_policy_wants_to_know(tmp_path: Path) -> None:
    class Secret:
        """Pages 0, 1, 2 in a loop, two of which fit."""

        name = "secret"
        absent = "appear"
        initial_pages = 0
        page_scalars = 8
        total_steps = None

        def steps(self) -> Iterator[Step]:
            yield from (Step([LayerAccess(np.array([at % 3]), 10)]) for at in range(9))

        @property
        def page_layers(self) -> Pages:
            raise AssertionError("asked")

    tiers = [{"name": "near", "capacity": "2 pages"}, {"name": "far", "capacity": "1 GB"}]
    wires = [{"name": "wire", "between": ("near", "far"), "bandwidth": "1 GB/s"}]
    parts = {"hierarchy": {"tiers": tiers, "links": wires}}
    work = {"kind": "custom", "workload_class": "x:Y"}
    assert simulate(scenario(work, **parts), Secret()).steps == 9  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="asked"):
        simulate(scenario(work, **parts, policy={"eviction": "window"}), Secret())  # type: ignore[arg-type]
