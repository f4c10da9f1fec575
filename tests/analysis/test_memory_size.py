"""Memory of weights and KV caches: published figures, arithmetic by hand, and what fits against trying it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario.published_configs import CONFIGS, written
from scenario.test_catalog import KV_BYTES

from kvsim.analysis.memory_size import (
    all_heads_bytes,
    attention,
    kv_bytes,
    largest_batch,
    largest_context,
    memory_size,
    weights_bytes,
)
from kvsim.scenario.catalog import FP16, LlmSpec, SchemeRule, SchemeSpec
from kvsim.scenario.model_file import read_model
from kvsim.scenario.number_set import parse_numbers
from kvsim.scenario.references import entry


def catalog_model(name: str) -> LlmSpec:
    return LlmSpec.model_validate(entry("llms", name))


def scheme(name: str) -> SchemeSpec:
    return SchemeSpec.model_validate(entry("schemes", name))


def sliding(window: int, layers: str) -> LlmSpec:
    """Four layers that keep 2 x 2 x 8 = 32 scalars of a token, 64 bytes in fp16; some with a window."""
    shape = {"layers": 4, "hidden": 32, "heads": 4, "kv_heads": 2, "head_dim": 8, "parameters": 1000}
    window_of = {"sliding_window": window, "sliding_layers": parse_numbers(layers)}
    return LlmSpec.model_validate({"name": "tiny", **shape, **window_of})


class TestPublished:
    @pytest.mark.parametrize("name", CONFIGS)
    def test_kv_bytes_of_a_token_for_the_config_of_each_model(self, name: str, tmp_path: Path) -> None:
        model = read_model(written(tmp_path, CONFIGS[name])).spec
        assert kv_bytes(model, FP16, 1) == kv_bytes(catalog_model(name), FP16, 1) == KV_BYTES[name]

    @pytest.mark.parametrize(("tokens", "gigabytes"), [(4_000, 10.49), (128_000, 335.5)])
    def test_llama_2_70b_with_all_heads_and_an_eighth_with_its_own(
        self, tokens: int, gigabytes: float
    ) -> None:
        """2 x 80 x 64 x 128 x 4,000 x 2 bytes = 10,485,760,000."""
        model = catalog_model("llama-2-70b")
        whole = all_heads_bytes(model, FP16, tokens)
        assert whole == 2 * 80 * 64 * 128 * tokens * 2
        assert float(whole / 10**9) == pytest.approx(gigabytes, rel=5e-4)
        assert kv_bytes(model, FP16, tokens) * 8 == whole

    @pytest.mark.parametrize(("name", "mib"), [("fp16", "1040"), ("q8_0", "552.5"), ("q4_0", "292.5")])
    def test_footprints_are_in_proportion(self, name: str, mib: str) -> None:
        """8,320 tokens of Llama-3.1-8B: 128 KiB each in fp16, 16, 8.5 and 4.5 bits a scalar."""
        used = kv_bytes(catalog_model("llama-3.1-8b"), scheme(name), 8_320)
        assert used / 2**20 == Fraction(mib)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("llama-2-7b", "MHA"), ("llama-2-70b", "GQA"), ("deepseek-v3", "MLA"), ("opt-30b", "MHA")],
    )
    def test_how_heads_share(self, name: str, kind: str) -> None:
        assert attention(catalog_model(name)) == kind

    def test_one_kv_head_for_all_is_mqa(self) -> None:
        """Falcon-7B: 32 layers of one KV head of 64, 8,192 bytes a token; all 71 heads take 71 times that."""
        falcon = catalog_model("llama-2-7b").model_copy(update={"heads": 71, "kv_heads": 1, "head_dim": 64})
        assert attention(falcon) == "MQA"
        assert kv_bytes(falcon, FP16, 1) == 32 * 2 * 64 * 2
        assert all_heads_bytes(falcon, FP16, 1) == 71 * 8_192

    def test_weights_of_llama_3_1_8b_in_fp16_and_in_fp8(self) -> None:
        model = catalog_model("llama-3.1-8b")
        assert (weights_bytes(model), weights_bytes(model, Fraction(8))) == (16_060_000_000, 8_030_000_000)


class TestSlidingLayers:
    def test_keep_at_most_the_window(self) -> None:
        """Three of four layers keep 10 tokens: of 25 tokens 64 x (25 + 3 x 10) bytes."""
        model = sliding(10, "1-3")
        assert kv_bytes(model, FP16, 7) == 64 * 4 * 7
        assert kv_bytes(model, FP16, 25, batch=2) == 2 * 64 * (25 + 3 * 10)

    def test_without_any_other_layer_any_context_fits_where_the_windows_do(self) -> None:
        model = sliding(10, "0-3")
        assert largest_context(model, FP16, 1, 64 * 4 * 10) is None
        assert largest_context(model, FP16, 1, 64 * 4 * 10 - 1) == 9

    def test_a_token_past_the_window_grows_only_the_other_layers(self) -> None:
        size = memory_size(sliding(10, "1-3"), FP16)
        assert [size.token_bytes, size.later_token_bytes] == [256, 64]

    def test_formats_by_layer_count_for_their_layers(self) -> None:
        """Layer 0 in fp16, 64 bytes; three windows of 10 tokens in int4, 16 bytes."""
        rule = SchemeRule(name="fp16", bits=16.0, layers=parse_numbers(0))
        mixed = SchemeSpec(name="int4", bits=4.0, mixed=(rule,))
        assert kv_bytes(sliding(10, "1-3"), mixed, 25) == 64 * 25 + 3 * 16 * 10


class TestWhatFits:
    @given(
        layers=st.sampled_from(["0-0", "3-3", "1-3", "0-2"]),
        window=st.integers(1, 200),
        name=st.sampled_from(["fp16", "q8_0", "q4_0", "int2"]),
        batch=st.integers(1, 5),
        room=st.integers(-10, 10**6),
    )
    def test_the_largest_context_fits_and_one_token_more_does_not(
        self, layers: str, window: int, name: str, batch: int, room: int
    ) -> None:
        model, format = sliding(window, layers), scheme(name)
        tokens = largest_context(model, format, batch, room)
        assert tokens is not None
        assert kv_bytes(model, format, tokens, batch) <= max(0, room)
        assert kv_bytes(model, format, tokens + 1, batch) > room

    @given(tokens=st.integers(1, 500), room=st.integers(-10, 10**6))
    def test_the_largest_batch_fits_and_one_sequence_more_does_not(self, tokens: int, room: int) -> None:
        model = sliding(100, "1-1")
        batch = largest_batch(model, FP16, tokens, room)
        assert batch * kv_bytes(model, FP16, tokens) <= max(0, room)
        assert (batch + 1) * kv_bytes(model, FP16, tokens) > room

    def test_is_what_the_memory_leaves_after_the_weights(self) -> None:
        """80 GB less 16.06 GB are 63.94 GB, 487,823 tokens of 131,072 bytes; 121 sequences of 4,000."""
        size = memory_size(catalog_model("llama-3.1-8b"), FP16, context_tokens=4_000, memory_bytes=80 * 10**9)
        assert size.left_bytes == 63_940_000_000
        assert (size.largest_context, size.largest_batch) == (63_940_000_000 // 131_072, 121)

    def test_nothing_fits_beside_weights_that_do_not(self) -> None:
        size = memory_size(catalog_model("llama-2-70b"), FP16, context_tokens=4_000, memory_bytes=80 * 10**9)
        assert (size.left_bytes, size.largest_context, size.largest_batch) == (-60_000_000_000, 0, 0)
