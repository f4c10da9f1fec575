"""Models read from `config.json`: the shapes of published ones, how families differ, what is refused."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from scenario.published_configs import CONFIGS, shape, written

from kvsim.errors import KvsimError, ScenarioError, ScenarioWarning
from kvsim.scenario.catalog import LlmSpec
from kvsim.scenario.loader import dump, load, loads
from kvsim.scenario.model_file import read_model
from kvsim.scenario.references import catalog, entry

SMALL = shape(4, 256, 8, 2, 512)
"""Four layers, eight query and two KV heads of 32."""


def without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reader(config: dict[str, Any] | str) -> LlmSpec:
        return read_model(written(tmp_path / "tiny", config)).spec

    return reader


class TestPublished:
    def test_every_model_of_the_catalog_is_here(self) -> None:
        assert set(CONFIGS) == set(catalog("llms"))

    @pytest.mark.parametrize("name", CONFIGS)
    def test_the_shape_is_the_catalog_s(self, name: str, read: Any) -> None:
        model, known = read(CONFIGS[name]), LlmSpec.model_validate(entry("llms", name))
        for field in ("layers", "hidden", "heads", "kv_heads", "head_dim", "mla"):
            assert getattr(model, field) == getattr(known, field), field

    @pytest.mark.parametrize("name", CONFIGS)
    def test_parameters_are_the_published_ones_within_two_percent(self, name: str, read: Any) -> None:
        model, known = read(CONFIGS[name]), entry("llms", name)
        assert model.parameters == pytest.approx(known["parameters"], rel=0.02)
        assert model.active == pytest.approx(known.get("active_parameters", known["parameters"]), rel=0.02)

    @pytest.mark.parametrize(
        ("name", "bits"), [("llama-2-7b", 16), ("qwen3-8b", 16), ("deepseek-v3", 8), ("opt-30b", 16)]
    )
    def test_weights_take_what_the_file_says(self, name: str, bits: int, tmp_path: Path) -> None:
        assert read_model(written(tmp_path, CONFIGS[name])).weight_bits == bits


class TestParameters:
    def test_a_small_model_by_hand(self, read: Any) -> None:
        """Embeddings 2 x 32,000 x 256; a layer: q and o 256 x 256, k and v 256 x 64, three of 256 x 512."""
        layer = 2 * 256 * 256 + 2 * 256 * 64 + 3 * 256 * 512
        assert read(SMALL).parameters == 2 * 32_000 * 256 + 4 * layer

    def test_one_matrix_for_input_and_output_counts_once(self, read: Any) -> None:
        tied = read({**SMALL, "tie_word_embeddings": True})
        assert read(SMALL).parameters - tied.parameters == 32_000 * 256

    def test_experts_are_all_held_and_some_used(self, read: Any) -> None:
        """Qwen's: 8 experts of width 64, 2 used, one always used of 128, a router; in layers 1 and 3."""
        experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
        config = {**SMALL, **experts, "shared_expert_intermediate_size": 128, "decoder_sparse_step": 2}
        attention, dense, expert = 2 * 256 * 256 + 2 * 256 * 64, 3 * 256 * 512, 3 * 256 * 64
        always = 2 * 32_000 * 256 + 4 * attention + 2 * dense + 2 * (256 * 8 + 3 * 256 * 128)
        model = read(config)
        assert model.parameters == always + 2 * 8 * expert
        assert model.active == always + 2 * 2 * expert
        kept_dense = read({**config, "mlp_only_layers": [3]})
        assert model.parameters - kept_dense.parameters == 256 * 8 + 3 * 256 * 128 + 8 * expert - dense

    @pytest.mark.parametrize(
        ("more", "bits"),
        [
            ({"torch_dtype": "float32"}, 32),
            ({"torch_dtype": None, "dtype": "bfloat16"}, 16),
            ({"torch_dtype": None}, 16),
            ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, 4),
            ({"quantization_config": {"quant_method": "mxfp4"}}, Fraction(17, 4)),
            ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, 4),
            ({"quantization_config": {"quant_method": "other"}}, 16),
        ],
    )
    def test_bits_of_a_weight(self, more: dict[str, Any], bits: Fraction, tmp_path: Path) -> None:
        assert read_model(written(tmp_path, {**SMALL, **more})).weight_bits == bits


class TestShapes:
    def test_a_missing_head_dim_is_the_share_of_a_head(self, read: Any) -> None:
        assert read(SMALL).head_dim == 32

    def test_a_head_dim_of_its_own_wins(self, read: Any) -> None:
        assert read({**SMALL, "head_dim": 128}).kv_scalars_per_token_layer == 2 * 2 * 128

    def test_without_kv_heads_every_head_has_its_own(self, read: Any) -> None:
        assert read(without(SMALL, "num_key_value_heads")).kv_heads == 8

    def test_falcon_says_multi_query(self, read: Any) -> None:
        falcon = {"model_type": "falcon", "multi_query": True, "num_kv_heads": 71, "vocab_size": 65_024}
        shape = {"num_hidden_layers": 32, "hidden_size": 4544, "num_attention_heads": 71}
        model = read({**falcon, **shape})
        assert (model.kv_heads, model.head_dim) == (1, 64)
        assert model.parameters == pytest.approx(6.92e9, rel=0.02)  # tiiuae/falcon-7b: "7B"

    def test_the_language_model_of_several_parts_is_taken(self, read: Any) -> None:
        vision = {"hidden_size": 1, "num_hidden_layers": 1}
        whole = {"model_type": "llava", "text_config": SMALL, "vision_config": vision, "hidden_size": 9}
        assert without(read(whole).model_dump(), "source") == without(read(SMALL).model_dump(), "source")

    def test_a_latent_takes_the_place_of_keys_and_values(self, read: Any) -> None:
        latent = {"kv_lora_rank": 64, "qk_rope_head_dim": 16, "qk_nope_head_dim": 32, "v_head_dim": 32}
        model = read({**SMALL, **latent})
        assert model.kv_scalars_per_token_layer == 80

    def test_is_called_like_its_folder(self, read: Any) -> None:
        assert read(SMALL).name == "tiny"

    @pytest.mark.parametrize(
        ("more", "layers"),
        [
            ({"sliding_window": 64}, "0-3"),
            ({"sliding_window": None}, None),
            ({"sliding_window": 64, "use_sliding_window": False}, None),
            ({"sliding_window": 64, "use_sliding_window": True, "max_window_layers": 3}, "3"),
            ({"sliding_window": 64, "use_sliding_window": True, "max_window_layers": 0}, "0-3"),
            ({"sliding_window": 64, "use_sliding_window": True, "max_window_layers": 4}, None),
            ({"sliding_window": 64, "sliding_window_pattern": 2}, "0, 2"),
            ({"sliding_window": 64, "model_type": "gemma2"}, "0, 2"),
            ({"sliding_window": 64, "model_type": "gemma3_text"}, "0-3"),
            ({"sliding_window": 64, "layer_types": ["full_attention"] * 4}, None),
            (
                {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"] * 2},
                "0, 2",
            ),
        ],
    )
    def test_layers_with_a_window(self, more: dict[str, Any], layers: str | None, read: Any) -> None:
        model = read({**SMALL, **more})
        assert model.sliding_window == (None if layers is None else 64)
        assert (None if layers is None else str(model.sliding_layers)) == layers


class TestRefused:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (without(SMALL, "num_hidden_layers"), "`num_hidden_layers` is missing"),
            (without(SMALL, "hidden_size", "vocab_size"), "`hidden_size`, `vocab_size` are missing"),
            ({**SMALL, "hidden_size": 250}, "`head_dim` is missing, and 250 scalars cannot be split"),
            ({**SMALL, "hidden_size": "256"}, "`hidden_size` must be a whole number, 1 or more, not '256'"),
            ({**SMALL, "hidden_size": True}, "`hidden_size` must be a whole number, 1 or more, not 'True'"),
            ({**SMALL, "is_encoder_decoder": True}, "`is_encoder_decoder` is set; only models of which"),
            ({**SMALL, "layer_types": ["linear_attention"] * 4}, "`layer_types` has 'linear_attention'"),
            ({**SMALL, "layer_types": ["full_attention"]}, "`layer_types` must be a list of 4 texts"),
            ({**SMALL, "layer_types": ["sliding_attention"] * 4}, "`sliding_window` is missing"),
            ({**SMALL, "kv_lora_rank": 8}, "`qk_rope_head_dim`, `qk_nope_head_dim`, `v_head_dim` are"),
            ("{", "is not JSON: "),
            ("[1]", "is no model configuration: not a mapping of keys to values"),
            ("[" * 100_000, "is not JSON that can be read"),
            ("\udcff", "is not JSON that can be read"),
        ],
    )  # fmt: skip
    def test_in_one_line_that_begins_with_the_file(
        self, config: dict[str, Any] | str, message: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "config.json"
        if isinstance(config, str):
            path.write_bytes(config.encode("utf-8", "surrogateescape"))
        else:
            written(tmp_path, config)
        with pytest.raises(ScenarioError) as caught:
            read_model(path)
        assert str(caught.value).startswith(f"{path}: {message}")
        assert "\n" not in str(caught.value)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ScenarioError, match="no such file"):
            read_model(tmp_path / "config.json")


SCENARIO = """\
model: models/config.json
gpu: h100-sxm
hierarchy:
  tiers: [{name: hbm, capacity: 1 GiB}, {name: dram, capacity: 64 GiB}]
  links: [{name: pcie, between: [hbm, dram], link: pcie5-x16}]
workload: {kind: dense_decode, context_tokens: 1024, steps: 10}
"""


class TestInAScenario:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        written(tmp_path / "models", SMALL)
        path = tmp_path / "mine.yaml"
        path.write_text(SCENARIO, encoding="utf-8")
        return path

    def test_a_path_is_relative_to_the_scenario(self, file: Path) -> None:
        model = load(file).model
        assert model is not None
        assert (model.name, model.layers, model.kv_heads) == ("models", 4, 2)

    def test_an_override_s_is_relative_to_the_current_directory(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written(file.parent / "other", {**SMALL, "num_hidden_layers": 7})
        monkeypatch.chdir(file.parent / "other")
        model = load(file, ["model=config.json"]).model
        assert model is not None
        assert model.layers == 7

    def test_own_keys_refine_it_and_another_name_replaces_it(self, file: Path) -> None:
        refined = load(file, ["model.kv_heads=8"]).model
        assert refined is not None
        assert (refined.kv_heads, refined.layers) == (8, 4)
        replaced = load(file, ["model.kv_heads=8", "model.preset=llama-2-7b"]).model
        assert replaced is not None
        assert (replaced.kv_heads, replaced.layers, replaced.hidden) == (8, 32, 4096)

    def test_the_scenario_written_out_needs_no_file(self, file: Path, tmp_path: Path) -> None:
        written(tmp_path / "models", {**SMALL, "sliding_window": 4096, "sliding_window_pattern": 3})
        scenario = load(file)
        (tmp_path / "models" / "config.json").unlink()
        assert loads(dump(scenario)) == scenario

    def test_a_problem_is_said_where_the_path_stands(self, file: Path) -> None:
        written(file.parent / "models", without(SMALL, "hidden_size"))
        with pytest.raises(ScenarioError) as caught:
            load(file)
        assert str(caught.value) == f"{file}:1:8: model: 'models/config.json': `hidden_size` is missing"

    def test_an_unknown_name_is_still_one(self, file: Path) -> None:
        with pytest.raises(ScenarioError, match="unknown model 'llama'"):
            load(file, ["model=llama"])

    @pytest.mark.parametrize(("window", "warned"), [(1033, True), (1034, False)])
    def test_a_window_shorter_than_the_context_is_warned_of(
        self, file: Path, window: int, warned: bool
    ) -> None:
        """1,024 tokens and 10 steps: the last attends to 1,034 with its own."""
        written(file.parent / "models", {**SMALL, "sliding_window": window})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            load(file)
        texts = [str(each.message) for each in caught if each.category is ScenarioWarning]
        assert len(texts) == warned
        assert all("window of 1033 tokens of layers 0-3 is not modelled" in text for text in texts)


class TestWindowFields:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"sliding_window": 64}, "`sliding_window` needs `sliding_layers` too"),
            ({"sliding_layers": "0-1"}, "`sliding_layers` needs `sliding_window` too"),
            ({"sliding_window": 64, "sliding_layers": 32}, "there is no layer 32: the model has 0 to 31"),
        ],
    )
    def test_must_fit_together(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            LlmSpec.model_validate({**entry("llms", "llama-3.1-8b"), **fields})


def test_an_entry_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(KvsimError, match=r"unknown model 'lama-2-7b'; did you mean 'llama-2-7b'\?"):
        entry("llms", "lama-2-7b")
