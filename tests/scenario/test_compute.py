"""The roofline, against arithmetic by hand on round numbers and against published figures."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.loader import load, loads_mapping
from kvsim.scenario.scenario import Scenario

# 4 layers of 1000 parameters; 2 query heads of 8 scalars, 1 KV head: 16 scalars, 32 bytes a token and layer.
MODEL = {"name": "m", "layers": 4, "hidden": 16, "heads": 2, "kv_heads": 1, "head_dim": 8, "parameters": 4000}
GPU = {
    "name": "g",
    "memory": "1 GB",
    "bandwidth": "1 GB/s",  # a byte takes 1000 ticks
    "flops": "10 GFLOP/s",  # an operation takes 100 ticks
    "l2": "1 MB",
    "host_link": "x",
    "power_w": 1,
}


def scenario(**execution: Any) -> Scenario:
    return loads_mapping(
        {
            "name": "c",
            "model": MODEL,
            "gpu": GPU,
            "hierarchy": {"tiers": [{"name": "hbm", "capacity": "1 GB"}]},
            "workload": {"kind": "rag_burst"},
            "execution": {"flops_efficiency": 1, "bandwidth_efficiency": 1, **execution},
        }
    )


class TestOneLayer:
    def test_of_one_short_sequence_is_bound_by_streaming_the_weights(self) -> None:
        """2 * 1000 bytes of weights and 10 * 32 of KV are 2320 bytes, 2.32 us; the 2 * 1000 + 4 * 10 * 16
        operations take 0.264 us."""
        assert ComputeModel(scenario()).layer_ticks(1, 10) == 2_320_000

    def test_of_a_large_batch_is_bound_by_arithmetic(self) -> None:
        """100 * (2000 + 4 * 10 * 16) operations at 100 ticks: 26.4 ms; bytes 2000 + 100 * 320: 34 us. At a
        hundredth of the bandwidth efficiency the bytes take 3.4 ms, still less than with the arithmetic at
        a hundredth."""
        assert ComputeModel(scenario(flops_efficiency=0.01)).layer_ticks(100, 10) == 100 * 2640 * 10_000

    def test_efficiencies_are_taken_as_written(self) -> None:
        """0.3 is no binary fraction: 2320 bytes * 1000 / 0.3 are 7,733,333.3… ticks, rounded up."""
        assert ComputeModel(scenario(bandwidth_efficiency=0.3)).layer_ticks(1, 10) == 7_733_334

    def test_streams_the_cache_in_its_scheme(self) -> None:
        """int4 takes 8 bytes a token and layer: 2080 bytes."""
        small = scenario().model_copy(update={"scheme": load("quickstart", ["scheme=int4"]).scheme})
        assert ComputeModel(small).layer_ticks(1, 10) == 2_080_000

    def test_a_mixture_of_experts_streams_what_is_active(self) -> None:
        base = scenario()
        assert base.model is not None
        sparse = base.model_copy(update={"model": base.model.model_copy(update={"active_parameters": 400})})
        assert ComputeModel(sparse).layer_ticks(1, 0) == 200_000


class TestGivenTime:
    def test_wins_over_the_roofline(self) -> None:
        model = ComputeModel(scenario(compute_time="7 us"))
        assert model.layer_ticks(1, 10) == model.layer_ticks(64, 10**6) == 7_000_000

    def test_is_the_time_of_one_layer_of_a_whole_model(self) -> None:
        model = ComputeModel(scenario(compute_time="7 us"))
        assert model.prefill_ticks(100, 0) == 4 * 7_000_000
        assert model.decode_ticks(100, 3) == 3 * 4 * 7_000_000

    def test_needs_no_model(self) -> None:
        bare = scenario(compute_time="7 us").model_copy(update={"model": None, "gpu": None})
        assert ComputeModel(bare).prefill_ticks(100, 0) == 7_000_000

    def test_nothing_to_compute_from_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="needs"):
            ComputeModel(scenario().model_copy(update={"gpu": None}))


class TestPrefill:
    def test_of_no_tokens_takes_no_time(self) -> None:
        assert ComputeModel(scenario()).prefill_ticks(0, 50) == 0

    def test_counts_causal_attention_and_the_cached_context(self) -> None:
        """10 tokens after 5: each attends to the 5 and to those up to itself, 50 + 55 pairs of 4 * 16
        operations; 10 * 2000 for the weights. 26,720 operations a layer, at a hundredth of the rate."""
        model = ComputeModel(scenario(flops_efficiency=0.01))
        assert model.prefill_ticks(10, 5) == 4 * 26_720 * 10_000

    def test_of_few_tokens_is_bound_by_streaming(self) -> None:
        """2000 bytes of weights and 6 * 32 of KV in each of 4 layers."""
        assert ComputeModel(scenario()).prefill_ticks(1, 5) == 4 * 2192 * 1000

    @pytest.mark.parametrize(("tokens", "published_ms"), [(10_000, 265), (50_000, 2290), (100_000, 6844)])
    def test_agrees_with_recomputing_on_an_h100(self, tokens: int, published_ms: float) -> None:
        """blog.vllm.ai, 2026-01-08, Llama-3.1-8B on one H100: 600 to 665 TFLOP/s are reached, and the
        embeddings (0.53 of 8.03 billion parameters) cost nothing."""
        h100 = load(
            "long_context_decode", ["model.active_parameters=7.5e9", "execution.flops_efficiency=0.64"]
        )
        assert ComputeModel(h100).prefill_ticks(tokens, 0) / 10**9 == pytest.approx(published_ms, rel=0.06)


class TestDecode:
    def by_steps(self, model: ComputeModel, context: int, tokens: int) -> list[int]:
        return [4 * model.layer_ticks(1, context + step) for step in range(tokens)]

    def test_of_no_tokens_takes_no_time(self) -> None:
        assert ComputeModel(scenario()).decode_ticks(100, 0) == 0

    def test_of_one_token_is_one_pass_of_all_layers(self) -> None:
        assert ComputeModel(scenario()).decode_ticks(10, 1) == 4 * 2_320_000

    def test_grows_with_the_context(self) -> None:
        """Contexts 10, 11 and 12: 4 * (3 * 2000 + 33 * 32) bytes at 1000 ticks."""
        assert ComputeModel(scenario()).decode_ticks(10, 3) == 4 * 7056 * 1000

    @given(
        context=st.integers(0, 300),
        tokens=st.integers(1, 60),
        flops=st.sampled_from([0.0101, 0.013, 0.05, 0.1, 0.2, 1.0]),
        bandwidth=st.sampled_from([0.05, 0.1, 0.3, 1.0]),
    )
    def test_is_the_sum_of_its_steps_wherever_the_roofline_bends(
        self, context: int, tokens: int, flops: float, bandwidth: float
    ) -> None:
        model = ComputeModel(scenario(flops_efficiency=flops, bandwidth_efficiency=bandwidth))
        byte, flop = 1000 / Fraction(str(bandwidth)), 100 / Fraction(str(flops))
        exact = sum(
            max((2000 + 32 * c) * byte, (2000 + 64 * c) * flop) for c in range(context, context + tokens)
        )
        assert model.decode_ticks(context, tokens) == ceil(4 * exact)
        steps = sum(self.by_steps(model, context, tokens))
        assert 0 <= steps - model.decode_ticks(context, tokens) <= 4 * tokens  # each layer rounds up once
