"""How many parameters a transformer has, from the shapes that its configuration tells.

Matrices are counted: embeddings, attention, feed-forward, experts and their routers. Norms and biases, less
than a thousandth of the whole, are not; neither are layers that only help training (multi-token prediction).
"""

from dataclasses import dataclass

from kvsim.scenario.entries import Entries

__all__ = ["count_parameters"]

_NO_GATE = frozenset(("bloom", "falcon", "gpt2", "gpt_bigcode", "gpt_neox", "gptj", "mpt", "nemotron")) | {
    "opt", "phi", "starcoder2"
}  # fmt: skip
"""Families whose feed-forward part is two matrices; three, with a gate, elsewhere."""
_TIED = frozenset(
    ("bloom", "cohere", "cohere2", "falcon", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt2")
) | {"gpt_bigcode", "mpt", "opt", "starcoder2"}
"""Families that use one matrix for input and output tokens unless the configuration says otherwise."""
_LEARNED_POSITIONS = frozenset(("gpt2", "gpt_bigcode", "opt"))


def count_parameters(
    keys: Entries, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int | None
) -> tuple[int, int]:
    """All parameters, and those used for one token."""
    each = head_dim or hidden // heads
    attention = _latent(keys, hidden, heads) if keys.get("kv_lora_rank") else 0
    attention = attention or 2 * hidden * (heads + kv_heads) * each
    shared = _embeddings(keys, hidden) + layers * attention
    used = total = shared
    experts = _experts(keys, hidden)
    for layer in range(layers):
        if experts is not None and experts.are_in(layer):
            total += experts.total
            used += experts.used
        else:
            dense = _matrices(keys) * hidden * _width(keys, hidden)
            total += dense
            used += dense
    return total, used


def _family(keys: Entries) -> str:
    return str(keys.get("model_type"))


def _embeddings(keys: Entries, hidden: int) -> int:
    """Those of tokens, of input and output, and those of positions where they are learned."""
    family = _family(keys)
    tied = keys.get("tie_word_embeddings")
    width = keys.find("word_embed_proj_dim") or hidden
    count = keys.need("vocab_size") * width * (1 if (family in _TIED if tied is None else tied) else 2)
    if width != hidden:
        count += 2 * width * hidden
    if family in _LEARNED_POSITIONS:
        count += keys.need("max_position_embeddings", "n_positions") * hidden
    return count


def _latent(keys: Entries, hidden: int, heads: int) -> int:
    """Multi-head latent attention: down to the latents, up to the heads, and the output."""
    latent, rope = keys.need("kv_lora_rank"), keys.need("qk_rope_head_dim")
    plain, value = keys.need("qk_nope_head_dim"), keys.need("v_head_dim")
    query = keys.find("q_lora_rank")
    queries = heads * (plain + rope)
    count = hidden * queries if query is None else query * (hidden + queries)
    return count + hidden * (latent + rope) + latent * heads * (plain + value) + heads * value * hidden


def _matrices(keys: Entries) -> int:
    return 2 if _family(keys) in _NO_GATE else 3


def _width(keys: Entries, hidden: int) -> int:
    names = ("intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner")
    return (keys.find(*names) or 4 * hidden) if _matrices(keys) == 2 else keys.need(*names)


@dataclass(frozen=True, slots=True)
class _Experts:
    """The feed-forward part of a layer that is a mixture of experts."""

    total: int
    used: int
    first: int
    every: int
    offset: int
    not_in: tuple[int, ...]

    def are_in(self, layer: int) -> bool:
        """Whether the layer has experts."""
        return layer >= self.first and (layer + self.offset) % self.every == 0 and layer not in self.not_in


def _experts(keys: Entries, hidden: int) -> _Experts | None:
    count = keys.find("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", least=0)
    if count is None or count < 2:
        return None
    width = keys.need("moe_intermediate_size", "intermediate_size")
    shared = (keys.find("n_shared_experts", least=0) or 0) * width
    shared += keys.find("shared_expert_intermediate_size", "shared_intermediate_size", least=0) or 0
    chosen = keys.need("num_experts_per_tok", "experts_per_token", "moe_topk")
    matrices = _matrices(keys) * hidden
    always = matrices * shared + hidden * count  # the router looks at every expert
    step = keys.find("decoder_sparse_step")
    return _Experts(
        total=always + matrices * width * count,
        used=always + matrices * width * min(chosen, count),
        first=keys.find("first_k_dense_replace", least=0) or 0,
        every=step or keys.find("moe_layer_freq") or 1,
        offset=0 if step is None else 1,  # Qwen counts layers from 1 there, DeepSeek from 0
        not_in=tuple(keys.get("mlp_only_layers") or ()),
    )
