"""The parts of published `config.json` files that tell the shape of a model, by name in the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LLAMA: dict[str, Any] = {"model_type": "llama", "vocab_size": 32_000, "torch_dtype": "bfloat16"}


def shape(
    layers: int, hidden: int, heads: int, kv_heads: int, intermediate: int, **more: Any
) -> dict[str, Any]:
    """What configurations of the Llama kind have in common."""
    return {
        **LLAMA,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": intermediate,
        "tie_word_embeddings": False,
        **more,
    }


DEEPSEEK = shape(
    61, 7168, 128, 128, 18_432,
    model_type="deepseek_v3", vocab_size=129_280, moe_intermediate_size=2048, n_routed_experts=256,
    n_shared_experts=1, num_experts_per_tok=8, first_k_dense_replace=3, moe_layer_freq=1, q_lora_rank=1536,
    kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, num_nextn_predict_layers=1,
    quantization_config={"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
)  # fmt: skip

CONFIGS: dict[str, dict[str, Any]] = {
    "smollm2-135m": shape(30, 576, 9, 3, 1536, vocab_size=49_152, tie_word_embeddings=True),
    "llama-3.2-1b": shape(
        16, 2048, 32, 8, 8192, vocab_size=128_256, tie_word_embeddings=True, head_dim=64
    ),
    "llama-2-7b": shape(32, 4096, 32, 32, 11_008, torch_dtype="float16"),
    "llama-2-70b": shape(80, 8192, 64, 8, 28_672, torch_dtype="float16"),
    "llama-3-70b": shape(80, 8192, 64, 8, 28_672, vocab_size=128_256),
    "llama-3.1-8b": shape(32, 4096, 32, 8, 14_336, vocab_size=128_256),
    "llama-3.1-405b": shape(126, 16_384, 128, 8, 53_248, vocab_size=128_256),
    "mistral-7b": shape(32, 4096, 32, 8, 14_336, model_type="mistral", sliding_window=4096),
    "mixtral-8x7b": shape(
        32, 4096, 32, 8, 14_336,
        model_type="mixtral", sliding_window=None, num_local_experts=8, num_experts_per_tok=2,
    ),
    "qwen2.5-7b": shape(
        28, 3584, 28, 4, 18_944,
        model_type="qwen2", vocab_size=152_064, use_sliding_window=False, sliding_window=131_072,
        max_window_layers=28,
    ),
    "qwen2.5-72b": shape(
        80, 8192, 64, 8, 29_568,
        model_type="qwen2", vocab_size=152_064, use_sliding_window=False, sliding_window=131_072,
        max_window_layers=80,
    ),
    "qwen3-8b": shape(36, 4096, 32, 8, 12_288, model_type="qwen3", vocab_size=151_936, head_dim=128),
    "qwen3-32b": shape(64, 5120, 64, 8, 25_600, model_type="qwen3", vocab_size=151_936, head_dim=128),
    "deepseek-v3": DEEPSEEK,
    "opt-30b": {
        "model_type": "opt",
        "num_hidden_layers": 48,
        "hidden_size": 7168,
        "num_attention_heads": 56,
        "ffn_dim": 28_672,
        "vocab_size": 50_272,
        "word_embed_proj_dim": 7168,
        "max_position_embeddings": 2048,
        "torch_dtype": "float16",
    },
}  # fmt: skip


def written(folder: Path, config: dict[str, Any] | str, name: str = "config.json") -> Path:
    """The configuration, or a text in place of one, as a file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return path
