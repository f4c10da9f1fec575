"""What is captured from transformers' models, against their own full attention matrices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvsim.analysis.metrics import summarise
from kvsim.errors import KvsimError
from kvsim.lm.cache import KvCache, LayerRead
from kvsim.lm.capture import capture
from kvsim.lm.decoder import Decoder
from kvsim.lm.trace import page_rows
from kvsim.lm.weights import LmShape, random_weights
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.sim.result import RunResult
from kvsim.workloads.page_trace import read_pages, write_pages

torch: Any = pytest.importorskip("torch", reason="needs torch")
transformers: Any = pytest.importorskip("transformers", reason="needs transformers")
pytestmark = pytest.mark.torch

PROMPT = np.random.default_rng(1).integers(0, 97, 21).tolist()
PAGE = 4
SHAPE = {
    "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip
GPT2 = {
    "vocab_size": 97, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64,
    "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
GEMMA3N = SHAPE | {
    "num_hidden_layers": 4, "head_dim": 8, "num_kv_shared_layers": 2, "vocab_size_per_layer_input": 97,
    "layer_types": ["sliding_attention", "full_attention"] * 2, "sliding_window": 8, "laurel_rank": 4,
    "hidden_size_per_layer_input": 8, "activation_sparsity_pattern": None,
}  # fmt: skip
GPT_OSS = SHAPE | {
    "head_dim": 8, "sliding_window": 8, "num_local_experts": 2, "num_experts_per_tok": 1,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
}  # fmt: skip


def model(kind: str, settings: dict[str, Any], seed: int = 3, **more: Any) -> Any:
    """A model of random weights, sharper than at the start of a training, so that attention is uneven."""
    torch.manual_seed(seed)
    config = transformers.CONFIG_MAPPING[kind](**settings)
    made = transformers.AutoModelForCausalLM.from_config(config, **more).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() == 2:
                parameter.mul_(12)
    return made


def llama(**more: Any) -> Any:
    return model("llama", SHAPE, **more)


MODELS: dict[str, tuple[str, dict[str, Any], int]] = {
    "grouped queries": ("llama", SHAPE, 2),
    "a KV head for each query head": ("gpt2", GPT2, 4),
    "sliding window": ("mistral", SHAPE | {"sliding_window": 8}, 2),
    "sliding and full layers, and a sink": ("gpt_oss", GPT_OSS, 2),
}
"""Kind, configuration, and KV heads."""


def naive(
    whole: Any, steps: Sequence[range], heads: int, queries: int
) -> dict[tuple[int, int, int, int], float]:
    """Mass by step, layer, head group and index of the page, added up one weight after another.

    From attention matrices [layer][1, query heads, T, T]; what is 0 is not read.
    """
    found: dict[tuple[int, int, int, int], float] = defaultdict(float)
    for layer, matrix in enumerate(whole):
        weights = matrix[0].detach().double().numpy()
        for step, span in enumerate(steps):
            for head in range(heads):
                for row in weights[head, span.start : span.stop]:
                    for position in np.flatnonzero(row).tolist():
                        key = step, layer, head // queries, position // PAGE
                        found[key] += row[position] / (heads * len(span))
    return found


def continued(eager: Any, prompt: Sequence[int], more: int) -> list[int]:
    """The prompt and its likeliest continuation, each time computed anew, without a cache."""
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(more):
            tokens.append(int(eager(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens


def numbered(layers: int, groups: int, steps: Sequence[range]) -> dict[int, tuple[int, int, int]]:
    """Layer, head group and index of each page, numbered in order of birth."""
    places: dict[int, tuple[int, int, int]] = {}
    before = 0
    for span in steps:
        now = -(-span.stop // PAGE)
        for layer in range(layers):
            for group in range(groups):
                for index in range(before, now):
                    places[len(places)] = layer, group, index
        before = now
    return places


@pytest.mark.parametrize("name", MODELS)
def test_masses_are_those_of_the_full_attention_matrices(name: str) -> None:
    kind, settings, groups = MODELS[name]
    steps = [
        range(6),
        range(6, 12),
        range(12, 18),
        range(18, 21),
        *(range(t, t + 1) for t in (21, 22, 23)),
    ]
    rows = list(capture(model(kind, settings), PROMPT, tokens=3, page_tokens=PAGE, chunk=6))

    eager = model(kind, settings, attn_implementation="eager")
    tokens = continued(eager, PROMPT, 3)
    with torch.no_grad():
        whole = eager(torch.tensor([tokens]), output_attentions=True, use_cache=False).attentions
    expected = naive(whole, steps, 4, 4 // groups)
    for step, layer in {key[:2] for key in expected}:  # a sink of gpt_oss takes a part that is on no page
        keys = [key for key in expected if key[:2] == (step, layer)]
        total = sum(expected[key] for key in keys)
        assert total == pytest.approx(1, abs=1e-5) or kind == "gpt_oss"
        expected |= {key: expected[key] / total for key in keys}

    places = numbered(2, groups, steps)
    assert [(places[int(row.page)][:2]) for row in rows] == [(row.layer, row.head_group) for row in rows]
    found = {(row.step, *places[int(row.page)]): row.mass for row in rows}
    assert len(found) == len(rows)
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_numpy_decoder_reads_the_same_from_the_same_weights() -> None:
    shape = LmShape(32, 3, 4, 2, 8, 48, vocab_size=97, max_position_embeddings=64)
    weights = random_weights(shape, seed=6, scale=1.0)
    fields = {field: getattr(shape, field) for field in LmShape.__dataclass_fields__}
    made = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE | fields, tie_word_embeddings=True))
    tensors = {name: torch.from_numpy(tensor) for name, tensor in weights.tensors.items()}
    made.load_state_dict(tensors, strict=False)
    made.tie_weights()

    reads: list[LayerRead] = []
    cache, decoder = KvCache(shape, page_tokens=PAGE, observe=reads.append), Decoder(weights)
    likeliest = decoder.run(np.array([PROMPT]), cache, chunk=6)[0, -1].argmax()
    for _ in range(8):
        likeliest = decoder.feed(np.array([[likeliest]]), cache)[0, -1].argmax()
    right = list(page_rows(reads, cache.pages))

    found = list(capture(made, PROMPT, tokens=8, page_tokens=PAGE, chunk=6))
    for field in ("line", "step", "page", "layer", "head_group", "tokens"):
        assert [getattr(row, field) for row in found] == [getattr(row, field) for row in right]
    # the decoder counts 2 bytes a scalar, the model of transformers is in float32
    assert [row.bytes for row in found] == [2 * (row.bytes or 0) for row in right]
    assert [row.mass for row in found] == pytest.approx([row.mass for row in right], abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_mass_of_a_step_and_layer_adds_up_to_one(name: str, tmp_path: Path) -> None:
    kind, settings, _ = MODELS[name]
    path = tmp_path / "x.csv.gz"
    write_pages(path, capture(model(kind, settings), PROMPT, tokens=5, page_tokens=2, chunk=8))
    accesses = [list(rows) for _, rows in groupby(read_pages(path), lambda row: (row.step, row.layer))]
    assert len(accesses) == (3 + 5) * 2
    assert all(abs(sum(row.mass or 0 for row in rows) - 1) < 1e-6 for rows in accesses)


def test_a_chunk_has_the_mean_mass_of_its_tokens() -> None:
    def by_page(chunk: int) -> dict[Any, list[float]]:
        masses: dict[Any, list[float]] = defaultdict(list)
        for row in capture(llama(), PROMPT[:20], page_tokens=20, chunk=chunk, head_groups=2):
            masses[row.layer, row.head_group].append(row.mass or 0)
        return masses

    whole, single = by_page(20), by_page(1)
    assert {key: len(masses) for key, masses in single.items()} == dict.fromkeys(whole, 20)
    for key, (mass,) in whole.items():
        assert np.mean(single[key]) == pytest.approx(mass, abs=1e-6)


def test_one_head_group_has_what_several_have_together() -> None:
    def by_index(groups: int | None) -> dict[Any, float]:
        masses: dict[Any, float] = defaultdict(float)
        rows = list(capture(llama(), PROMPT, page_tokens=PAGE, chunk=99, head_groups=groups))
        index = {page: number % 6 for number, page in enumerate(sorted({int(row.page) for row in rows}))}
        for row in rows:  # 21 tokens are six pages
            masses[row.layer, index[int(row.page)]] += row.mass or 0
        return masses

    assert by_index(1) == pytest.approx(by_index(None), abs=1e-6)


def test_bytes_are_those_of_the_cache_and_tokens_those_in_the_page() -> None:
    rows = list(capture(llama(dtype=torch.bfloat16), PROMPT, page_tokens=PAGE))
    assert {row.bytes for row in rows} == {4 * 2 * 8 * 2}  # tokens x keys and values x scalars x bytes
    assert [row.tokens for row in rows if row.layer == 1 and row.head_group == 1] == [4] * 5 + [1]
    assert {row.bytes for row in capture(llama(), PROMPT, page_tokens=PAGE, head_groups=1)} == {
        4 * 2 * 16 * 4
    }


def test_pages_that_have_left_a_sliding_window_are_not_read() -> None:
    sliding = model("mistral", SHAPE | {"sliding_window": 8})
    rows = list(capture(sliding, PROMPT, tokens=1, page_tokens=PAGE, head_groups=1, chunk=21))
    indices = [row.page for row in rows if row.step == 1 and row.layer == 0]
    assert indices == [3, 4, 5]  # token 21 sees tokens 14 to 21, of pages 12–15, 16–19 and 20–23


def test_layers_that_share_keys_share_pages() -> None:
    rows = list(capture(model("gemma3n_text", GEMMA3N), PROMPT, tokens=2, page_tokens=PAGE, chunk=8))
    pages = {layer: {row.page for row in rows if row.layer == layer} for layer in range(4)}
    assert pages[0].isdisjoint(pages[1])
    assert pages[2] == pages[0]  # the last one of its kind that has keys of its own
    assert pages[3] == pages[1]


def test_the_model_is_given_back_as_it_was() -> None:
    made = llama().train()
    before = made.config._attn_implementation
    rows = capture(made, PROMPT)
    next(rows)
    assert made.config._attn_implementation != before
    rows.close()  # type: ignore[attr-defined]
    assert (made.config._attn_implementation, made.training) == (before, True)


def replayed(path: Path) -> RunResult:
    """Under a policy that keeps what has received most attention."""
    scenario = Scenario.model_validate(
        {
            "name": "replay",
            "hierarchy": {
                "tiers": [{"name": "hbm", "capacity": "8 kB"}, {"name": "dram", "capacity": "1 MB"}],
                "links": [{"name": "pcie", "between": ("hbm", "dram"), "bandwidth": "1 GB/s"}],
            },
            "workload": {"kind": "replay", "path": str(path)},
            "policy": {"eviction": "h2o"},
            "execution": {"compute_time": "1 us"},
        }
    )
    return simulate(scenario)


def test_an_importance_policy_goes_by_the_masses_of_a_replayed_trace(tmp_path: Path) -> None:
    rows = list(capture(llama(), PROMPT, tokens=20, page_tokens=2, chunk=PAGE))
    with_mass, without = tmp_path / "with.jsonl", tmp_path / "without.jsonl"
    write_pages(with_mass, rows)
    write_pages(without, (replace(row, mass=None) for row in rows))
    result = replayed(with_mass)
    summary = summarise(result)
    assert (summary.accesses, summary.steps) == (len(rows), 6 + 20)
    assert 0 < summary.hit_rate < 1
    assert (replayed(without).residency != result.residency).any()


BLOOM = {"vocab_size": 97, "hidden_size": 32, "n_layer": 1, "n_head": 4}
MAMBA = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 1}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("bloom", BLOOM, "BloomForCausalLM computes attention in code of its own, .* gives no weights"),
        ("mamba", MAMBA, "no layer of the model attends to cached tokens"),
    ],
)
def test_models_without_attention_weights_are_refused(
    kind: str, settings: dict[str, Any], message: str
) -> None:
    made = model(kind, settings)
    with pytest.raises(KvsimError, match=message):
        list(capture(made, PROMPT))


def test_an_attention_that_gives_no_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    modeling_llama: Any = import_module("transformers.models.llama.modeling_llama")
    eager = modeling_llama.eager_attention_forward
    monkeypatch.setattr(modeling_llama, "eager_attention_forward", lambda *a, **k: (eager(*a, **k)[0], None))
    with pytest.raises(KvsimError, match="LlamaAttention gives no weights"):
        list(capture(llama(), PROMPT))
    monkeypatch.setattr(modeling_llama.LlamaAttention, "__module__", "math")  # which has none
    with pytest.raises(KvsimError, match="LlamaAttention has no eager attention"):
        list(capture(llama(), PROMPT))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_ids": []}, "the prompt has no tokens"),
        ({"token_ids": [5, 97]}, "must be 0 to 96"),
        ({"token_ids": [5, -1]}, "must be 0 to 96"),
        ({"tokens": 44}, "made for 64 tokens, the prompt has 21 and 44"),
        ({"tokens": -1}, "tokens must be 0 or more"),
        ({"page_tokens": 0}, "page_tokens must be 1 or more"),
        ({"chunk": 0}, "chunk must be 1 or more"),
        ({"head_groups": 3}, "2 KV heads cannot be split into 3"),
        ({"head_groups": 0}, "2 KV heads cannot be split into 0"),
    ],
)
def test_what_cannot_be_captured_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(KvsimError, match=message):
        list(capture(llama(), **{"token_ids": PROMPT} | changes))
