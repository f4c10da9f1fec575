"""The catalog: complete, sourced, and in agreement with what was published."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from kvsim.scenario.base import Spec
from kvsim.scenario.catalog import FP16, GpuSpec, LlmSpec, SchemeSpec
from kvsim.scenario.hierarchy import HierarchySpec, LinkSpec, TierSpec
from kvsim.scenario.loader import loads_mapping
from kvsim.scenario.references import CATALOGS, catalog
from kvsim.scenario.shipped import data_folder
from kvsim.scenario.tree import plain
from kvsim.units import service_ticks

# Fp16 KV bytes per token, from the published model configurations.
KV_BYTES = {
    "smollm2-135m": 23_040,
    "llama-3.2-1b": 32_768,
    "llama-2-7b": 524_288,
    "llama-2-70b": 327_680,
    "llama-3-70b": 327_680,
    "llama-3.1-8b": 131_072,
    "llama-3.1-405b": 516_096,
    "mistral-7b": 131_072,
    "mixtral-8x7b": 131_072,
    "qwen2.5-7b": 57_344,
    "qwen2.5-72b": 327_680,
    "qwen3-8b": 147_456,
    "qwen3-32b": 262_144,
    "deepseek-v3": 70_272,
    "opt-30b": 1_376_256,
}


SPECS: dict[str, type[Spec]] = {"llms": LlmSpec, "gpus": GpuSpec, "schemes": SchemeSpec}


def entries() -> Iterator[tuple[str, str]]:
    for kind in CATALOGS:
        for name in catalog(kind):
            yield kind, name


def entry(kind: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = plain(catalog(kind)[name])
    return found


def spec(kind: Any, name: str) -> Spec:
    made: Spec = SPECS[kind].model_validate(entry(kind, name))
    return made


class TestEveryEntry:
    def test_every_file_is_a_catalog(self) -> None:
        assert {path.stem for path in data_folder("models").glob("*.yaml")} == set(CATALOGS)

    @pytest.mark.parametrize(("kind", "name"), list(entries()))
    def test_says_where_it_comes_from(self, kind: str, name: str) -> None:
        assert len(entry(kind, name)["source"]) > 10

    @pytest.mark.parametrize(("kind", "name"), list(entries()))
    def test_says_what_is_measured_what_promised_and_what_neither(self, kind: str, name: str) -> None:
        said = r"measured|published|vendor (figure|range)|derived|computed|by definition|a choice"
        assert re.search(said, entry(kind, name)["source"])

    @pytest.mark.parametrize(("kind", "name"), list(entries()))
    def test_is_valid_and_plausible(self, kind: str, name: str) -> None:
        near = {"name": "near", "capacity": "1 GB"}
        data: dict[str, Any] = {
            "name": "catalog",
            "hierarchy": {"tiers": [near]},
            "workload": {"kind": "rag_burst"},
            "execution": {"compute_time": "1 us"},
        }
        if kind == "memories":
            data["hierarchy"]["tiers"].append({"name": "far", "capacity": "2 GB", "memory": name})
            data["hierarchy"]["links"] = [{"name": "l", "between": ["near", "far"], "bandwidth": "1 GB/s"}]
        elif kind == "links":
            data["hierarchy"]["tiers"].append({"name": "far", "capacity": "2 GB"})
            data["hierarchy"]["links"] = [{"name": "l", "between": ["near", "far"], "link": name}]
        else:
            data[{"llms": "model", "gpus": "gpu", "schemes": "scheme", "hierarchies": "hierarchy"}[kind]] = (
                name
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert loads_mapping(data).name == "catalog"


class TestModels:
    def test_all_are_checked_here(self) -> None:
        assert set(catalog("llms")) == set(KV_BYTES)

    @pytest.mark.parametrize(("name", "expected"), KV_BYTES.items())
    def test_kv_bytes_per_token_are_the_published_ones(self, name: str, expected: int) -> None:
        model = spec("llms", name)
        assert isinstance(model, LlmSpec)
        assert model.layers * FP16.bytes(model.kv_scalars_per_token_layer) == expected

    def test_a_mixture_of_experts_uses_some_of_its_parameters(self) -> None:
        model = spec("llms", "deepseek-v3")
        assert isinstance(model, LlmSpec)
        assert (model.parameters, model.active) == (671 * 10**9, 37 * 10**9)

    def test_a_dense_model_uses_all(self) -> None:
        model = spec("llms", "llama-3.1-8b")
        assert isinstance(model, LlmSpec)
        assert model.active == model.parameters == 8_030_000_000


class TestSchemes:
    def test_the_default_scheme_is_the_catalog_s_fp16(self) -> None:
        assert spec("schemes", "fp16") == FP16

    @pytest.mark.parametrize(
        ("name", "bits"),
        [("fp16", 16), ("fp8", 8), ("int8", 8), ("int4", 4), ("int2", 2), ("q8_0", 8.5), ("q4_0", 4.5)],
    )
    def test_bits(self, name: str, bits: float) -> None:
        scheme = spec("schemes", name)
        assert isinstance(scheme, SchemeSpec)
        assert scheme.bits == bits

    def test_footprints_are_in_proportion(self) -> None:
        """1040 MiB of fp16 are 552.5 MiB in Q8_0 and 292.5 MiB in Q4_0."""
        scalars = 520 << 20
        sizes = [spec("schemes", name) for name in ("fp16", "q8_0", "q4_0")]
        mib = [Fraction(s.bytes(scalars), 1 << 20) for s in sizes if isinstance(s, SchemeSpec)]
        assert mib == [1040, Fraction("552.5"), Fraction("292.5")]

    def test_bytes_round_down_but_not_to_nothing(self) -> None:
        quarter = SchemeSpec(name="int2", bits=2)
        assert [quarter.bytes(n) for n in (1, 3, 4, 7, 8)] == [1, 1, 1, 1, 2]

    def test_bits_are_taken_as_written(self) -> None:
        """0.1 * 80 / 8 is 1 exactly; the binary fraction nearest 0.1 is a little more, 2.3 a little less."""
        assert SchemeSpec(name="s", bits=2.3).bytes(80) == 23


class TestPcie5:
    """H100, cudaMemcpyAsync of 1000 blocks, blog.vllm.ai 2026-01-08: GiB/s at 4 KiB, 8 KiB … 16 MiB."""

    UP = (1.11, 2.32, 4.25, 7.51, 14.5, 22.8, 31.8, 39.5, 44.4, 48.1, 49.8, 50.7, 51.2)
    DOWN = (0.91, 2.25, 4.60, 8.22, 15.4, 21.6, 29.3, 37.1, 42.5, 46.2, 48.4, 50.1, 50.7)

    @staticmethod
    def gib_per_s(link: LinkSpec, size: int, bandwidth: int) -> float:
        return size / (link.setup + service_ticks(size, bandwidth)) * 10**12 / 2**30

    def link(self) -> LinkSpec:
        values = {"name": "pcie", "between": ("a", "b"), **entry("links", "pcie5-x16")}
        return LinkSpec.model_validate(values)

    @pytest.mark.parametrize(("index", "measured"), list(enumerate(UP)))
    def test_fits_the_measured_copies_to_the_device(self, index: int, measured: float) -> None:
        link = self.link()
        assert self.gib_per_s(link, 4096 << index, link.bandwidth) == pytest.approx(measured, rel=0.06)

    @pytest.mark.parametrize(("index", "measured"), list(enumerate(DOWN))[1:])
    def test_fits_the_measured_copies_to_the_host(self, index: int, measured: float) -> None:
        link = self.link()
        assert link.bandwidth_down is not None
        assert self.gib_per_s(link, 4096 << index, link.bandwidth_down) == pytest.approx(measured, rel=0.12)


class TestHierarchies:
    @staticmethod
    def load(name: str) -> HierarchySpec:
        work = {"kind": "dense_decode", "context_tokens": 4096, "steps": 2}
        data = {"name": "s", "model": "smollm2-135m", "gpu": "t4", "hierarchy": name, "workload": work}
        return loads_mapping(data).hierarchy

    @pytest.mark.parametrize(
        ("name", "gpu"),
        [
            ("t4-colab", "t4"),
            ("l4", "l4"),
            ("a100-80g", "a100-80-sxm"),
            ("h100-dram-nvme", "h100-sxm"),
            ("gh200", "gh200"),
            ("h100-cxl", "h100-sxm"),
            ("four-level", "h100-sxm"),
        ],
    )
    def test_the_first_tier_is_a_part_of_the_gpu_s_memory_and_the_others_are_slower(
        self, name: str, gpu: str
    ) -> None:
        card, tiers = spec("gpus", gpu), self.load(name).tiers
        assert isinstance(card, GpuSpec)
        assert tiers[0].read_bandwidth == card.bandwidth
        assert isinstance(tiers[0].capacity, int)
        assert tiers[0].capacity < card.memory
        assert entry("gpus", gpu)["host_link"] in str(entry("hierarchies", name)["links"])
        speeds = [tier.read_bandwidth or 0 for tier in tiers]
        assert speeds == sorted(speeds, reverse=True)

    def test_the_fourth_level_is_remote(self) -> None:
        hierarchy = self.load("four-level")
        assert [tier.name for tier in hierarchy.tiers] == ["hbm", "dram", "nvme", "remote"]
        assert [link.technology for link in hierarchy.links if "remote" in link.between] == ["rdma"]


class TestSpecs:
    def test_a_tier_says_where_its_figures_come_from(self) -> None:
        tier = {"name": "dram", "capacity": "1 GB", **entry("memories", "ddr5-4800-x8")}
        assert TierSpec.model_validate(tier).read_bandwidth == 8 * 38_400_000_000
