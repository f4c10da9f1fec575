"""Specs are frozen, strict, and survive dumping; sizes that follow from them; doubts about them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scenario.yaml_files import VALID, only, spoiled, valid

from kvsim.errors import ScenarioWarning
from kvsim.scenario import geometry
from kvsim.scenario.base import Spec
from kvsim.scenario.checks import cross_check
from kvsim.scenario.hierarchy import HierarchySpec, TierSpec
from kvsim.scenario.loader import dump, load, loads
from kvsim.scenario.policy import PolicyRef, PolicySpec
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import RagBurst
from kvsim.units import PageCount


class TestSpecs:
    def test_are_frozen(self) -> None:
        scenario = valid()
        with pytest.raises(ValidationError):
            scenario.seed = 4  # type: ignore[misc]

    def test_can_be_built_in_python_from_text_quantities(self) -> None:
        tier = TierSpec.model_validate({"name": "hbm", "capacity": "10 pages", "read_latency": "3 us"})
        assert (tier.capacity, tier.read_latency, tier.write_bandwidth) == (PageCount(10), 3_000_000, None)

    def test_round_trip_through_their_own_dump(self) -> None:
        scenario = valid()
        assert Scenario.model_validate(scenario.model_dump()) == scenario
        assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario

    def test_a_tier_is_found_by_name(self) -> None:
        hierarchy = valid().hierarchy
        assert hierarchy.tier_index("dram") == 1
        with pytest.raises(KeyError):
            hierarchy.tier_index("nvme")

    def test_every_field_of_every_spec_is_documented(self) -> None:
        def below(kind: type[Spec]) -> list[type[Spec]]:
            return [kind, *(spec for child in kind.__subclasses__() for spec in below(child))]

        for spec in below(Spec):
            assert spec.__doc__
            for name, field in spec.model_fields.items():
                assert field.description, f"{spec.__name__}.{name}"

    def test_a_hierarchy_has_a_tier(self) -> None:
        with pytest.raises(ValidationError):
            HierarchySpec(tiers=())


class TestPolicyRef:
    def test_a_plain_name_is_a_policy_without_options(self) -> None:
        policy = PolicySpec.model_validate({"eviction": "sieve"})
        assert policy.eviction == PolicyRef(name="sieve")
        assert policy.model_dump()["eviction"] == "sieve"

    def test_options_are_kept(self) -> None:
        policy = PolicySpec.model_validate({"prefetch": {"name": "markov", "options": {"top": 2}}})
        assert PolicySpec.model_validate(policy.model_dump()) == policy

    def test_an_option_that_is_empty_stays_empty(self) -> None:
        text = VALID + "policy: {eviction: {name: x, options: {window: null, deep: {a: null}}}}\n"
        scenario = loads(text)
        assert scenario.policy.eviction.options == {"window": None, "deep": {"a": None}}


class TestDump:
    TEXTS = st.text(max_size=12) | st.sampled_from(
        ["1e9", "010", "yes", "null", "0x1F", ".5", "-", "5.", "~", "a: b"]
    )
    OPTIONS = st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | TEXTS,
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=3,
    )

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(
        name=TEXTS.filter(bool),
        description=TEXTS,
        seed=st.integers(0, 2**70),
        options=OPTIONS,
        capacity=st.integers(10**4, 2**62) | st.integers(1, 10**6).map(PageCount),
        latency=st.integers(0, 10**15),
        efficiency=st.floats(1e-9, 1),
        depth=st.integers(1, 10**6),
    )
    def test_loads_back_as_the_same_whatever_is_in_it(
        self,
        name: str,
        description: str,
        seed: int,
        options: dict[str, Any],
        capacity: int | PageCount,
        latency: int,
        efficiency: float,
        depth: int,
    ) -> None:
        base = valid()
        tier = base.hierarchy.tiers[0].model_copy(
            update={
                "capacity": capacity,
                "read_latency": latency,
                "high_watermark": 0.9,
                "low_watermark": 0.25,
            }
        )
        execution = base.execution.model_copy(update={"flops_efficiency": efficiency, "depth": depth})
        scenario = base.model_copy(
            update={
                "name": name,
                "description": description,
                "seed": seed,
                "hierarchy": base.hierarchy.model_copy(update={"tiers": (tier, *base.hierarchy.tiers[1:])}),
                "policy": PolicySpec(eviction=PolicyRef(name=name, options=options)),
                "execution": execution,
            }
        )
        assert loads(dump(scenario)) == scenario

    def test_leaves_pyyaml_as_it_was(self) -> None:
        import yaml

        dump(valid())
        assert yaml.safe_dump("1e9") == "1e9\n...\n"


class TestGeometry:
    DECODE = """\
name: d
model: llama-3.1-8b
gpu: h100-sxm
hierarchy: h100-dram-nvme
workload: {kind: sparse_decode, context_tokens: 10000, steps: 8, batch: 3, page_tokens: 64}
"""

    def test_a_decode_page_holds_keys_and_values_of_one_layer(self) -> None:
        """64 tokens * 2 * 8 heads * 128 scalars, in fp16 2 bytes each."""
        scenario = loads(self.DECODE)
        assert geometry.page_scalars(scenario) == 64 * 2048
        assert geometry.page_bytes(scenario, 0) == 256 << 10

    def test_bytes_follow_the_tier_s_scheme(self) -> None:
        scenario = loads(self.DECODE, ["hierarchy.tiers.nvme.scheme=q4_0", "scheme=fp8"])
        sizes = [geometry.page_bytes(scenario, tier) for tier in range(3)]
        assert sizes == [128 << 10, 128 << 10, 64 * 2048 * 9 // 16]

    def test_a_sparse_layer_reads_sinks_window_and_top_k_of_every_sequence(self) -> None:
        """64, 512 and 1024 tokens are 1, 8 and 16 pages; three sequences."""
        assert geometry.layer_pages(loads(self.DECODE)) == 3 * 25

    def test_a_sparse_layer_reads_no_more_than_there_is(self) -> None:
        """(640 + 7) // 64 = 10 full pages."""
        assert geometry.layer_pages(loads(self.DECODE, ["workload.context_tokens=640"])) == 3 * 10

    def test_a_dense_layer_reads_all_full_pages_of_the_last_step(self) -> None:
        changes = ["workload.kind=dense_decode", "workload.context_tokens=128", "workload.steps=65"]
        scenario = loads(self.DECODE, changes)
        assert geometry.layer_pages(scenario) == (128 + 64) // 16  # of the default page size
        assert geometry.initial_pages(scenario) == 32 * 128 // 16

    def test_a_mooncake_block_holds_all_layers(self, tmp_path: Path) -> None:
        trace = tmp_path / "t"
        trace.write_text("")
        scenario = load("mooncake", [f"workload.path={trace}"])
        assert geometry.page_bytes(scenario, 0) == 512 * 131_072
        given_size = load("mooncake", [f"workload.path={trace}", "workload.block_bytes=1 MB", "scheme=q4_0"])
        assert geometry.page_bytes(given_size, 0) == 10**6

    def test_a_capacity_in_pages_counts_the_largest_page(self) -> None:
        """2304 + 64 scalars of 2 bytes."""
        scenario = valid(("64 KiB", "5 pages"))
        assert geometry.capacity_bytes(scenario, 0) == 5 * 4736

    def test_custom_workloads_keep_their_sizes_to_themselves(self) -> None:
        scenario = valid(("kind: rag_burst\n  length: 60", "kind: custom\n  workload_class: a.b:C"))
        assert geometry.page_scalars(scenario) is None
        assert geometry.layer_pages(scenario) is None

    def test_a_custom_class_is_named_with_its_module(self) -> None:
        text = spoiled(("kind: rag_burst\n  length: 60", "kind: custom\n  workload_class: C"))
        assert only(text).message == "'C' does not have the form module:Class"


class TestCrossCheck:
    def test_of_a_scenario_built_in_python(self) -> None:
        scenario = Scenario(
            name="p",
            hierarchy=HierarchySpec.model_validate({"tiers": [{"name": "a", "capacity": "1 B"}]}),
            workload=RagBurst(),
        )
        assert [path for path, _ in cross_check(scenario)] == [
            ("execution", "compute_time"),
            ("hierarchy", "tiers", 0, "capacity"),
        ]

    def test_finds_nothing_in_what_loads(self) -> None:
        assert cross_check(valid()) == []


class TestDoubts:
    @pytest.mark.parametrize(
        ("link", "bandwidth"),
        [
            ("pcie", "129 GB/s"),
            ("pcie5-x16", "64.1 GB/s"),
            ("PCIe Gen4 x16", "33 GB/s"),
            ("pcie5-x4", "17 GB/s"),
            ("gpu-nvlink", "901 GB/s"),
            ("nvlink-c2c", "451 GB/s"),
        ],
    )
    def test_more_than_hardware_carries_gives_a_warning_with_its_place(
        self, link: str, bandwidth: str
    ) -> None:
        text = spoiled(("name: pcie", f"name: {link}"), ("16 GB/s", bandwidth))
        with pytest.warns(ScenarioWarning, match=r"s.yaml:12:18: .*bandwidth: .* is more than .* can carry"):
            loads(text, file="s.yaml")

    def test_the_technology_says_what_a_link_is(self) -> None:
        with pytest.warns(ScenarioWarning, match="PCIe 3 x16"):
            valid(("name: pcie", "name: x\n      technology: pcie3-x16"), ("16 GB/s", "17 GB/s"))

    def test_both_directions_are_looked_at(self) -> None:
        with pytest.warns(ScenarioWarning, match="bandwidth_down"):
            valid(("16 GB/s", "16 GB/s\n      bandwidth_down: 200 GB/s"))

    @pytest.mark.parametrize(
        ("link", "bandwidth"), [("pcie", "128 GB/s"), ("pcie7-x16", "250 GB/s"), ("anything", "9 TB/s")]
    )
    def test_the_rest_is_believed(self, link: str, bandwidth: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert valid(("name: pcie", f"name: {link}"), ("16 GB/s", bandwidth)).seed == 3
