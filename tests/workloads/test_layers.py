"""layers: which pages each layer reads and creates, what it computes, and the arithmetic of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads.scenarios import scenario

from kvsim.analysis.metrics import Summary, summarise
from kvsim.errors import ScenarioError
from kvsim.scenario.checks import cross_check
from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.geometry import context_runs, initial_pages
from kvsim.scenario.loader import load
from kvsim.sim.engine import simulate
from kvsim.workloads import Workload, make_workload

MIB = 2**20
GIB_S = 2**30 / 1e12
"""Bytes a picosecond."""
SECOND = 10**12


def layers(**fields: Any) -> Workload:
    return make_workload(scenario({"kind": "layers", "page_bytes": "2 MiB", **fields}))


def reads(workload: Workload) -> list[list[list[int]]]:
    return [[layer.pages.tolist() for layer in step.layers] for step in workload.steps()]


def created(workload: Workload) -> list[list[list[int]]]:
    return [[layer.created.tolist() for layer in step.layers] for step in workload.steps()]


def ticks(workload: Workload) -> list[list[int]]:
    return [[layer.compute_ticks for layer in step.layers] for step in workload.steps()]


class TestPages:
    def test_all_are_read_again_unless_said_otherwise(self) -> None:
        workload = layers(layers=2, reads=3, steps=2)
        assert reads(workload) == [[[0, 1, 2], [3, 4, 5]]] * 2
        assert (workload.initial_pages, workload.total_steps) == (6, 2)

    def test_the_others_are_read_once(self) -> None:
        """Of each layer: one page read again, then two for each of two steps."""
        workload = layers(layers=2, reads=3, again=1, steps=2)
        assert reads(workload) == [[[0, 1, 2], [5, 6, 7]], [[0, 3, 4], [5, 8, 9]]]
        assert workload.initial_pages == 10

    def test_idle_pages_come_first_and_are_not_read(self) -> None:
        workload = layers(layers=2, reads=1, idle=3)
        assert reads(workload) == [[[6], [7]]]
        assert workload.initial_pages == 8

    def test_cached_steps_are_spread_evenly_and_the_rest_finds_nothing(self) -> None:
        """Half of four steps find pages 0 and 1; the others' are born, from 2 on."""
        workload = layers(reads=1, again=0, steps=4, cached=0.5)
        assert workload.initial_pages == 2
        assert reads(workload) == [[[2]], [[0]], [[3]], [[1]]]
        assert workload.absent == "compute"

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.7, 0.9, 1.0])
    def test_every_tenth_is_exact(self, share: float) -> None:
        workload = layers(reads=1, again=0, steps=100, cached=share)
        assert workload.initial_pages == round(100 * share)
        found = [page < workload.initial_pages for ((page,),) in reads(workload)]
        assert sum(found[:10]) == round(10 * share)

    def test_created_pages_are_new_ones_after_those_computed(self) -> None:
        workload = layers(layers=2, reads=2, again=1, steps=2, cached=0.0, creates=1)
        assert workload.initial_pages == 2
        assert reads(workload) == [[[0, 2], [1, 4]], [[0, 6], [1, 8]]]
        assert created(workload) == [[[3], [5]], [[7], [9]]]

    @given(
        count=st.integers(1, 3),
        read=st.integers(0, 4),
        again=st.integers(0, 4),
        share=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        creates=st.integers(0, 2),
        idle=st.integers(0, 2),
        steps=st.integers(1, 6),
    )
    def test_every_page_but_idle_ones_is_met_in_its_layer(
        self, count: int, read: int, again: int, share: float, creates: int, idle: int, steps: int
    ) -> None:
        shape = {"layers": count, "reads": read, "again": min(again, read), "cached": share}
        workload = layers(**shape, creates=creates, idle=idle, steps=steps)
        homes: Any = workload
        places = homes.page_layers
        met: set[int] = set()
        for step in workload.steps():
            for access in step.layers:
                pages = [*access.pages.tolist(), *access.created.tolist()]
                assert len(set(pages)) == len(pages)
                assert np.all(places[pages] == access.layer)
                met.update(pages)
        assert met == set(range(count * idle, len(places)))
        assert len(homes.page_head_groups) == len(places)

    def test_what_the_checks_reckon_with_is_what_the_workload_has(self) -> None:
        made = scenario({"kind": "layers", "page_bytes": "1 MiB", "layers": 3, "reads": 2, "idle": 4})
        assert initial_pages(made) == make_workload(made).initial_pages == 18
        assert context_runs(made) == [(12, (MIB,)), (6, (MIB,))]


class TestCompute:
    def test_a_given_time_is_that_of_each_layer(self) -> None:
        given = scenario(
            {"kind": "layers", "page_bytes": "1 MiB", "layers": 3, "new_tokens": 7},
            execution={"compute_time": "2 us"},
        )
        assert ticks(make_workload(given)) == [[2 * 10**6] * 3]

    def test_layers_share_a_prefill_to_the_tick(self) -> None:
        """100 tokens after three pages of 16 in each layer."""
        spec = {"kind": "layers", "page_bytes": "1 MiB", "layers": 7, "reads": 3}
        workload = make_workload(scenario({**spec, "page_tokens": 16, "new_tokens": 100}))
        (step,) = ticks(workload)
        assert sum(step) == ComputeModel(scenario(spec)).prefill_ticks(100, 48)
        assert max(step) - min(step) <= 1

    def test_pages_found_nowhere_are_computed_and_no_context(self) -> None:
        spec = {"kind": "layers", "page_bytes": "1 MiB", "reads": 4, "again": 1, "page_tokens": 16}
        model = ComputeModel(scenario(spec))
        workload = make_workload(scenario({**spec, "steps": 2, "cached": 0.5, "new_tokens": 5}))
        assert ticks(workload) == [[model.prefill_ticks(5 + 48, 16)], [model.prefill_ticks(5, 64)]]

    def test_without_tokens_nothing_is_computed(self) -> None:
        assert ticks(layers(reads=4)) == [[0]]

    def test_steps_arrive_at_their_interval(self) -> None:
        arrivals = [step.arrival_ticks for step in layers(steps=3, interval="2 s").steps()]
        assert arrivals == [0, 2 * SECOND, 4 * SECOND]
        assert [step.arrival_ticks for step in layers(steps=2).steps()] == [None, None]


class TestChecks:
    @pytest.mark.parametrize(
        ("fields", "path", "message"),
        [
            ({"reads": 2, "again": 3}, "again", "of 2 pages (`reads`), 3 cannot be read again"),
            ({"page_bytes": "1001 B"}, "page_bytes", "1001 bytes are no whole number of fp16 scalars"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, fields: dict[str, Any], path: str, message: str) -> None:
        made = scenario({"kind": "layers", "page_bytes": "2 MiB", **fields})
        assert cross_check(made) == [(("workload", path), message)]

    def test_pages_need_room(self) -> None:
        with pytest.raises(ScenarioError, match="a layer reads 1000 pages"):
            load("copy_blocks", ["hierarchy.tiers.hbm.capacity=999 pages"])


def run(name: str, *overrides: str) -> Summary:
    return summarise(simulate(load(name, list(overrides))))


class TestArithmetic:
    """What runs take, from the parameters of their link alone."""

    @pytest.mark.parametrize("kib", [4, 128, 16384])
    def test_a_thousand_copies_to_the_device(self, kib: int) -> None:
        """Set-up and service each, and 100 ns until the host's memory answers."""
        each = 3.27e6 + kib * 1024 / (52.5 * GIB_S)
        measured = run("copy_blocks", f"workload.page_bytes={kib} KiB").makespan_s
        assert measured == pytest.approx((1000 * each + 100e3) / SECOND, rel=1e-7)

    def test_a_thousand_copies_to_the_host(self) -> None:
        ways = ["policy.placement=fill", "workload.idle=1000", "workload.reads=0", "workload.creates=1000"]
        summary = run("copy_blocks", *ways)
        each = 3.27e6 + 2 * MIB / (50.6 * GIB_S)
        assert summary.makespan_s == pytest.approx((1000 * each + 100e3) / SECOND, rel=1e-7)
        assert summary.links["pcie up"].bytes == 0

    def test_both_directions_share_the_bus(self) -> None:
        """Every page that comes sends one away; the bus sets the pace but for the set-up times."""
        summary = run("copy_blocks", "policy.placement=fill", "workload.idle=1000")
        assert summary.links["pcie up"].bytes == summary.links["pcie down"].bytes == 2000 * MIB
        assert 0.93 < 4000 * MIB / summary.makespan_s / 2**30 / 83.4 < 1

    def test_unbuffered_layers_wait_for_what_loading_takes_beyond_computing(self) -> None:
        """40 loads one after another, and the compute of the last layer."""
        summary = run("layer_preload", "workload.steps=1")
        load_s = 20.48e6 / 25e9
        assert summary.makespan_s == pytest.approx(40 * load_s + summary.compute_s / 40, rel=1e-7)

    def test_weights_come_again_at_every_layer_and_leave_for_free(self) -> None:
        summary = run("weight_streaming", "workload.steps=2")
        assert summary.bytes_by_class["demand"] == summary.bytes_by_class["total"] == 2 * 48 * 986_500_300
        load_s = 986_500_300 / (12.9 * 2**30)
        assert summary.makespan_s == pytest.approx(2 * 48 * (0.221 + load_s), rel=1e-7)
