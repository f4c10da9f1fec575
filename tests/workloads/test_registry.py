"""Workloads by kind, by `custom`, and what the check says before a run."""

from __future__ import annotations

from typing import Any

import pytest
from workloads.own import Countdown
from workloads.scenarios import scenario

from kvsim.errors import ScenarioError
from kvsim.policies import check_policies
from kvsim.registry import BadOption, BadReference
from kvsim.scenario.loader import loads
from kvsim.workloads import check_workload, make_workload, names


def custom(cls: str = "workloads.own:Countdown", **options: Any) -> dict[str, Any]:
    return {"kind": "custom", "workload_class": cls, "options": options}


def test_the_shipped_kinds_are_known() -> None:
    assert {"rag_burst", "dense_decode", "sparse_decode", "mooncake"} <= set(names())


def test_a_custom_workload_is_built_with_scenario_and_options() -> None:
    workload = make_workload(scenario(custom(pages=4)))
    assert isinstance(workload, Countdown)
    assert [int(step.layers[0].pages[0]) for step in workload.steps()] == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        ("nowhere:Countdown", "No module named 'nowhere'"),
        ("workloads.own:Missing", "no attribute 'Missing'"),
        ("kvsim.workloads.base:Step", "is no workload"),
        ("workloads.own:Halfway", "lacks initial_pages, page_scalars, total_steps"),
    ],
)
def test_a_custom_class_that_cannot_be_used_says_why(cls: str, reason: str) -> None:
    with pytest.raises(BadReference, match=reason):
        make_workload(scenario(custom(cls)))


def test_a_wrong_option_of_a_custom_class_is_refused() -> None:
    with pytest.raises(BadOption, match="sides: unknown option"):
        make_workload(scenario(custom(sides=3)))


def test_the_check_names_the_field_of_each_problem() -> None:
    assert list(check_workload(scenario(custom()))) == []
    [(path, message)] = check_workload(scenario(custom("nowhere:X")))
    assert path == ("workload", "workload_class")
    assert "No module named 'nowhere'" in message
    [(path, _)] = check_workload(scenario(custom(pages="many")))
    assert path == ("workload", "options", "pages")


def test_a_block_must_be_a_whole_number_of_scalars() -> None:
    def problems(size: str) -> list[Any]:
        return list(check_workload(scenario({"kind": "mooncake", "path": "any", "block_bytes": size})))

    assert problems("1000 B") == []
    [(path, message)] = problems("1001 B")
    assert path == ("workload", "block_bytes")
    assert message == "1001 bytes are no whole number of fp16 scalars; the next larger block has 1002 bytes"


def test_the_check_of_policies_names_the_field_of_each_problem() -> None:
    def problems(**policy: Any) -> list[tuple[tuple[str | int, ...], str]]:
        return list(check_policies(scenario({"kind": "rag_burst"}, policy=policy)))

    assert problems() == []
    found = problems(eviction="lur", prefetch={"name": "next_layer", "options": {"depth": 2}})
    assert [path for path, _ in found] == [("policy", "eviction"), ("policy", "prefetch", "options", "depth")]
    assert "did you mean 'lru'?" in found[0][1]
    assert found[1][1] == "unknown option (there are none)"


def test_a_placement_that_reads_two_tiers_at_once_needs_one_that_is_read_in_place() -> None:
    tiers = [{"name": name, "capacity": "1 GB"} for name in ("hbm", "dram")]
    link = {"name": "c2c", "between": ["hbm", "dram"], "bandwidth": "1 GB/s"}

    def problems(access: str) -> list[Any]:
        machine = {"tiers": [tiers[0], tiers[1] | {"access": access}], "links": [link]}
        policy = {"placement": "parallel"}
        return list(check_policies(scenario({"kind": "rag_burst"}, policy=policy, hierarchy=machine)))

    assert problems("direct") == []
    [(path, message)] = problems("stage")
    assert path == ("policy", "placement")
    assert message == "placement policy 'parallel' needs a tier below the first with `access: direct`"


def test_all_checks_report_together_with_line_and_field() -> None:
    text = """\
name: wrong
execution: {compute_time: 1 us}
hierarchy:
  tiers: [{name: hbm, capacity: 80 GB}]
  links: []
workload:
  kind: custom
  workload_class: nowhere:Workload
policy:
  eviction: {name: lru, options: {wait: 3}}
  prefetch: next-layer
"""
    with pytest.raises(ScenarioError) as caught:
        loads(text, checks=(check_policies, check_workload))
    found = {(problem.line, problem.field) for problem in caught.value.problems}
    assert found == {
        (8, "workload.workload_class"),
        (10, "policy.eviction.options.wait"),
        (11, "policy.prefetch"),
    }
