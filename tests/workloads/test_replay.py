"""replay: how rows become steps, numbers and sizes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workloads.scenarios import SCALARS_PER_TOKEN_LAYER, scenario

from kvsim.errors import ScenarioError, TraceError
from kvsim.scenario.loader import load, loads
from kvsim.sim.engine import simulate
from kvsim.workloads import Workload, make_workload
from kvsim.workloads.page_trace import PageRow, write_pages

ROWS = [
    PageRow(1, 2, "b", 1, 0, 16, 64, 0.25),
    PageRow(1, 2, "a", 0, 0, 8, 32),
    PageRow(1, 2, 70, 1, 1, 16, 65, 0.5),
    PageRow(1, 5, "a", 1, 1, 8, 33),
]


def replay(
    folder: Path, rows: list[PageRow] = ROWS, parts: dict[str, Any] | None = None, **fields: Any
) -> Workload:
    path = folder / "t.csv"
    write_pages(path, rows)
    return make_workload(scenario({"kind": "replay", "path": str(path), **fields}, **(parts or {})))


def layers(workload: Workload) -> list[list[tuple[int, list[int]]]]:
    return [[(access.layer, access.pages.tolist()) for access in step.layers] for step in workload.steps()]


def test_rows_of_a_step_and_layer_are_one_access(tmp_path: Path) -> None:
    workload = replay(tmp_path)
    assert layers(workload) == [[(1, [0, 2]), (0, [1])], [(1, [1])]]
    assert layers(workload) == layers(workload)
    assert (workload.absent, workload.initial_pages, workload.total_steps) == ("appear", 0, 2)


def test_numbers_follow_first_appearance(tmp_path: Path) -> None:
    """Sizes and accesses must agree on the numbers, though a layer's rows need not stand together."""
    workload = replay(tmp_path)
    sizes = workload.page_scalars
    assert isinstance(sizes, np.ndarray)
    numbers: dict[int | str, int] = {"b": 0, "a": 1, 70: 2}
    assert sizes[numbers["b"]] == 32
    assert sizes[numbers[70]] == 33
    assert sizes[numbers["a"]] == 17


def test_attention_mass_reaches_the_access(tmp_path: Path) -> None:
    first, second = list(replay(tmp_path).steps())
    assert first.layers[0].mass is not None
    assert first.layers[0].mass.tolist() == [0.25, 0.5]
    assert first.layers[1].mass is None
    assert second.layers[0].mass is None


def test_ids_may_count_within_layer_and_head_group(tmp_path: Path) -> None:
    assert layers(replay(tmp_path, page_scope="layer"))[1] == [(1, [3])]


def test_without_bytes_the_model_and_the_tokens_tell_the_size(tmp_path: Path) -> None:
    workload = replay(tmp_path, [PageRow(1, 0, 1, tokens=4), PageRow(2, 0, 2), PageRow(3, 1, 1, tokens=5)])
    sizes = [5 * SCALARS_PER_TOKEN_LAYER, 16 * SCALARS_PER_TOKEN_LAYER]
    assert np.array_equal(workload.page_scalars, sizes)


def test_a_size_for_all_needs_no_first_pass(tmp_path: Path) -> None:
    workload = replay(tmp_path, page_bytes="1 kB")
    assert workload.page_scalars == 500
    assert workload.total_steps is None
    assert len(layers(workload)) == 2


def test_without_any_size_the_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"t\.csv:2: bytes: is missing, and so is a model"):
        replay(
            tmp_path, [PageRow(1, 0, 1)], {"model": None, "gpu": None, "execution": {"compute_time": "1 us"}}
        )


def test_a_page_twice_in_an_access_is_refused(tmp_path: Path) -> None:
    rows = [PageRow(1, 0, "x", bytes=8), PageRow(2, 0, "x", 1, bytes=8), PageRow(3, 0, "x", bytes=8)]
    with pytest.raises(TraceError, match=r"t\.csv:4: page: 'x' comes twice in step 0, layer 0"):
        list(replay(tmp_path, rows).steps())


def test_more_attention_than_there_is_is_refused(tmp_path: Path) -> None:
    rows = [PageRow(1, 3, page, bytes=8, mass=0.6) for page in range(2)]
    with pytest.raises(TraceError, match=r"t\.csv:3: mass: adds up to 1\.2 in step 3, layer 0"):
        list(replay(tmp_path, rows).steps())


def test_an_unreadable_trace_is_refused_before_the_run(tmp_path: Path) -> None:
    for fields in ({}, {"page_bytes": "1 kB"}):
        with pytest.raises(TraceError, match="cannot be read"):
            make_workload(scenario({"kind": "replay", "path": str(tmp_path / "none.csv"), **fields}))


def test_a_scenario_file_names_its_trace_relative_to_itself(tmp_path: Path) -> None:
    write_pages(tmp_path / "t.csv", ROWS)
    path = tmp_path / "s.yaml"
    path.write_text(
        "hierarchy: {tiers: [{name: t, capacity: 1 kB}]}\nexecution: {compute_time: 1 us}\n"
        "workload: {kind: replay, path: t.csv}\n"
    )
    result = simulate(load(path))
    assert len(result.records.steps.array()) == 2
    with pytest.raises(ScenarioError, match="no such file"):
        load(path, ["workload.path=gone.csv"])
    with pytest.raises(ScenarioError, match="no trace is given"):
        load(path, ["workload.path="])


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl.gz", "t.oracleGeneral"])
@pytest.mark.parametrize("kind", ["chat_continuation", "zipf"])
def test_a_replayed_workload_runs_as_the_workload_itself(tmp_path: Path, kind: str, name: str) -> None:
    start = (
        "name: x\nhierarchy: kv-hierarchy-lab\nexecution: {compute_time: 1 us, overlap: serial}\nworkload: "
    )
    source = loads(f"{start}{{kind: {kind}, length: 200}}\n")
    workload = make_workload(source)
    scalars = workload.page_scalars
    assert isinstance(scalars, np.ndarray)
    pages = [int(step.layers[0].pages[0]) for step in workload.steps()]
    rows = [PageRow(0, step, page, bytes=2 * int(scalars[page])) for step, page in enumerate(pages)]
    write_pages(tmp_path / name, rows)
    replayed = simulate(loads(f"{start}{{kind: replay, path: {tmp_path / name}}}\n"))
    assert np.array_equal(replayed.records.steps.array(), simulate(source).records.steps.array())
