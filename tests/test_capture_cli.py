"""`kvsim capture`: what it writes, what it refuses, and that it then leaves nothing behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., Any]

MODEL = {
    "model_type": "llama", "vocab_size": 258, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 64, "bos_token_id": 256, "eos_token_id": 257,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small Llama of random weights that reads bytes, as its makers would save it."""
    torch: Any = pytest.importorskip("torch", reason="needs torch")
    transformers: Any = pytest.importorskip("transformers", reason="needs transformers")
    tokenizers: Any = pytest.importorskip("tokenizers", reason="needs tokenizers")
    transformers.utils.logging.disable_progress_bar()
    path = tmp_path / "model"
    torch.manual_seed(2)
    shape = {key: value for key, value in MODEL.items() if key != "model_type"}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape)).save_pretrained(path)
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A trace in a folder of its own, in which nothing else may stay behind."""
    path = tmp_path / "out" / "x.csv.gz"
    path.parent.mkdir()
    return path


@pytest.mark.torch
def test_a_prompt_is_read_in_chunks_and_carried_on_token_by_token(
    invoke: Invoke, folder: Path, out: Path, tmp_path: Path
) -> None:
    """11 tokens: two pages of 4 in the first chunk of 8, then three; 12 and 13 tokens: three and four."""
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("hello world", encoding="utf-8")
    options = ("--tokens", "2", "--page-tokens", "4", "--chunk", "8")
    outcome = invoke("capture", folder, "--prompt", prompt, "--out", out, *options)
    rows = (2 + 3 + 3 + 4) * 2 * 2  # of two layers and two KV heads
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"wrote {out}: {rows} rows\n")
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert f"{rows} " in " ".join(invoke("trace", "info", out).out.split())

    first = out.read_bytes()
    invoke("capture", folder, "--text", "hello world", "--out", out, *options)
    assert out.read_bytes() == first
    invoke("capture", folder, "--text", "hello world", "--out", out, *options, "--head-groups", "1")
    assert out.read_bytes() != first


@pytest.mark.torch
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text", "x" * 65), "made for 64 tokens"),
        (("--text", ""), "the prompt has no tokens"),
        (("--text", "x", "--tokens", "1", "--head-groups", "3"), "2 KV heads cannot be split into 3"),
        (("--text", "x", "--device", "nonsense"), "device nonsense: "),
    ],
)
def test_what_the_model_cannot_do_is_told_in_one_line(
    invoke: Invoke, folder: Path, out: Path, options: tuple[str, ...], message: str
) -> None:
    outcome = invoke("capture", folder, "--out", out, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(out.parent.iterdir())


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def another_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}), encoding="utf-8")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def one_layer_more(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(MODEL | {"num_hidden_layers": 3}), encoding="utf-8")


def another_width(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(MODEL | {"intermediate_size": 64}), encoding="utf-8")


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_config, "{folder}"),
        (another_kind, "AutoModelForCausalLM"),
        (no_weights, "{folder}: Error no file named "),
        (cut_weights, "{folder}: "),
        (one_layer_more, "{folder}: its weights lack 9 tensors, such as model.layers.2."),
        (another_width, "{folder}: "),
        (no_tokenizer, "{folder}: no tokenizer: "),
    ],
)
def test_a_model_that_cannot_be_loaded_is_told_in_one_line(
    invoke: Invoke, folder: Path, out: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(folder)
    outcome = invoke("capture", folder, "--text", "x", "--out", out)
    assert (outcome.code, outcome.out) == (2, "")
    assert message.format(folder=folder) in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(out.parent.iterdir())


@pytest.mark.torch
@pytest.mark.parametrize("name", ["no/such/model", "./model", "x.gguf"])
def test_what_names_no_model_is_refused(
    invoke: Invoke, out: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers", reason="needs transformers")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.gguf").touch()
    outcome = invoke("capture", name, "--text", "x", "--out", out)
    message = f"error: {name} is neither a folder nor the name of a model on the hub\n"
    assert (outcome.code, outcome.err) == (2, message)


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_the_missing_extra_is_named(
    invoke: Invoke, out: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    outcome = invoke("capture", "some/model", "--text", "x", "--out", out)
    assert outcome.code == 2
    assert "pip install 'kvsim[capture]'" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give the prompt as --prompt FILE or as --text TEXT"),
        (("--text", "x", "--prompt", "p"), "give the prompt as --prompt FILE or as --text TEXT"),
        (("--prompt", "absent"), "absent cannot be read: No such file or directory"),
        (("--prompt", "latin"), "latin is not UTF-8: "),
        (("--text", "x", "--head-groups", "0"), "--head-groups must be kv or a number from 1, not '0'"),
        (("--text", "x", "--head-groups", "two"), "--head-groups must be kv or a number from 1, not 'two'"),
        (("--text", "x", "--out", "x.txt"), "its name does not tell the format"),
        (("--text", "x", "--out", "absent/x.csv"), "No such file or directory"),
    ],
)
def test_options_are_checked_before_anything_is_loaded(
    invoke: Invoke,
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    outcome = invoke("capture", "some/model", "--out", "x.csv", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["latin"]
