"""`kvsim size` and `kvsim catalog` as users call them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scenario.published_configs import CONFIGS, written

from kvsim.scenario.references import CATALOGS, catalog

Invoke = Callable[..., Any]


def flat(text: str) -> str:
    """The words, however the lines are broken."""
    return " ".join(text.split())


class TestSize:
    def test_says_weights_kv_and_what_fits(self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        told = invoke("size", "llama-3.1-8b", "--context", "4000", "--batch", "2", "--gpu", "h100-sxm").out
        told = flat(told)
        assert "32 query and 8 KV heads of 128 (GQA)" in told
        assert "16,060,000,000" in told
        assert "524,288,000" in told  # 4,000 x 131,072
        assert (
            "Largest context of each of 2 sequences: 243,911 tokens." in told
        )  # half of 487,823, rounded down
        assert "Largest batch of 4,000 tokens each: 121." in told

    def test_says_the_old_formula_and_why_it_differs(self, invoke: Invoke) -> None:
        told = flat(invoke("size", "llama-2-70b", "--context", "128000", "--all-heads").out)
        assert "335.5 GB" in told
        assert "8 times what the model keeps: 8 query heads share a KV head (GQA)" in told

    @pytest.mark.parametrize(
        ("model", "why"),
        [("llama-2-7b", "of its own (MHA)"), ("deepseek-v3", "one latent of 576 scalars stands for all")],
    )
    def test_says_why_for_other_kinds_of_attention(self, model: str, why: str, invoke: Invoke) -> None:
        assert why in flat(invoke("size", model, "--all-heads").out)

    def test_prints_json_in_bytes(self, invoke: Invoke) -> None:
        arguments = ("--context", "4000", "--scheme", "q4_0", "--memory", "80GB", "--all-heads", "--json")
        data = json.loads(invoke("size", "llama-2-7b", *arguments).out)
        per_token = 2 * 32 * 32 * 128 * 4.5 / 8
        assert data["kv_bytes_per_token"] == per_token == data["all_heads_bytes"] / 4000
        assert data["kv_bytes_per_sequence"] == data["kv_bytes_per_batch"] == 4000 * per_token
        assert data["largest_context_tokens"] == (80 * 10**9 - 13_480_000_000) // per_token
        assert (data["attention"], data["scheme"], data["weights_bytes"]) == ("MHA", "q4_0", 13_480_000_000)

    def test_takes_a_config_and_counts_its_windows(self, invoke: Invoke, tmp_path: Path) -> None:
        """Mistral-7B v0.1: all 32 layers keep 4,096 tokens, 512 MiB however long the context."""
        path = written(tmp_path, CONFIGS["mistral-7b"])
        arguments = ("--context", "1000000", "--gpu", "l4")
        data = json.loads(invoke("size", str(path), *arguments, "--json").out)
        assert data["kv_bytes_per_sequence"] == 4096 * 131_072
        assert (data["largest_context_tokens"], data["kv_bytes_per_token_past_window"]) == (None, 0)
        told = flat(invoke("size", str(path), *arguments).out)
        assert "32 of them with a window of 4,096 tokens" in told
        assert "Largest context of a sequence: any length." in told

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("llama-2-7",), "unknown model 'llama-2-7'; did you mean 'llama-2-7b'?"),
            (("missing/config.json",), "missing/config.json: no such file"),
            (("llama-2-7b", "--scheme", "q4"), "unknown scheme 'q4'; did you mean 'q4_0'?"),
            (("llama-2-7b", "--gpu", "h100"), "unknown GPU 'h100'; did you mean 'h100-sxm'?"),
            (("llama-2-7b", "--memory", "80"), "--memory: '80' has no unit"),
            (("llama-2-7b", "--memory", "80GB", "--gpu", "t4"), "give --memory or --gpu, not both"),
        ],
    )
    def test_bad_input_is_one_line(self, arguments: tuple[str, ...], reason: str, invoke: Invoke) -> None:
        outcome = invoke("size", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert reason in outcome.err
        assert outcome.err.count("\n") == 1


class TestCatalog:
    def test_says_what_there_is(self, invoke: Invoke) -> None:
        counts = json.loads(invoke("catalog", "--json").out)
        assert counts == {kind: len(catalog(kind)) for kind in CATALOGS}
        told = invoke("catalog").out
        assert all(kind in told for kind in CATALOGS)

    @pytest.mark.parametrize("kind", CATALOGS)
    def test_lists_every_entry_of_a_kind_uncut(
        self, kind: Any, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        told = invoke("catalog", kind).out
        assert [name for name in catalog(kind) if f"{name} " not in told] == []
        assert "…" not in told

    @pytest.mark.parametrize("kind", CATALOGS)
    def test_tells_an_entry_with_its_source(self, kind: Any, invoke: Invoke) -> None:
        for name, node in catalog(kind).items():
            source = str(node.value["source"].value)
            told = flat(invoke("catalog", kind, name).out)
            assert flat(source) in told
            assert json.loads(invoke("catalog", kind, name, "--json").out)["source"] == source

    def test_shows_main_figures(self, invoke: Invoke) -> None:
        told = flat(invoke("catalog", "gpus").out)
        assert "h100-sxm 80 GB 3350 GB/s 989 TFLOP/s 50 MB pcie5-x16 700" in told
        told = flat(invoke("catalog", "llms").out)
        assert "deepseek-v3 61 7168 MLA 128 671 70,272" in told

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("gpu",), "unknown kind of entry 'gpu'; did you mean 'gpus'? (known: gpus, llms"),
            (("links", "pcie5"), "unknown link 'pcie5'; did you mean 'pcie5-x16'?"),
        ],
    )
    def test_unknown_names_are_one_line(
        self, arguments: tuple[str, ...], reason: str, invoke: Invoke
    ) -> None:
        outcome = invoke("catalog", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert reason in outcome.err
        assert outcome.err.count("\n") == 1
