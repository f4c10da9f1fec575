"""What a Hugging Face causal language model attends to, as a page trace of one sequence.

The model computes with its own eager attention, wrapped in a function of transformers' attention interface
that notes what falls on each cached token. Pages, steps and masses are those of `kvsim.lm.trace`; a page
that a mask hides from every query of a step, such as one that has left a sliding window, is not read in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import KvsimError
from kvsim.lm.pages import PageNumbers
from kvsim.workloads.page_trace import PageRow

__all__ = ["CHUNK", "capture"]

CHUNK: Final = 512
"""Prompt tokens fed at a time: the weights of a layer take query heads x chunk x length scalars."""

_NAME = "kvsim_capture"
"""Of the attention function, in transformers' registries; outside of a capture it is eager attention."""

_DIGITS = 8
"""Of a mass: what weights in float32 are good for."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One layer's attention in one step, over K cached tokens, of which the chunk's own are the last."""

    layer: int
    keys: int
    """Address of the keys: a layer with the keys of another one shares its pages."""
    mass: NDArray[np.float64]
    """[query heads, K]: the mean over queries."""
    seen: NDArray[np.bool_]
    """[K]: whether the mask lets some query see the token."""


_calls: ContextVar[list[_Call]] = ContextVar("calls of the attention function in the running step")


def capture(
    model: Any,
    token_ids: Sequence[int],
    *,
    tokens: int = 0,
    page_tokens: int = 16,
    chunk: int = CHUNK,
    head_groups: int | None = None,
) -> Iterator[PageRow]:
    """The rows of a page trace: what the model reads to take in a prompt and to go on for some tokens.

    `model` is a loaded causal language model of transformers, such as a LlamaForCausalLM. Each `chunk` of the
    prompt `token_ids` is a step, and so is each of `tokens` likeliest next ones, be they an end or not. The
    KV heads of a layer are split into `head_groups`, which have pages of their own (default: each KV head).
    The masses of a step and layer add up to 1, also where the model lets attention fall on no token; `bytes`
    are those of a whole page as the model caches it, in its data type. While rows are taken the model is in
    evaluation mode.

    Raises KvsimError for an argument or a token out of range, and for a model whose attention gives no
    weights or whose KV cache has no pages.
    """
    for name, value, least in (("tokens", tokens, 0), ("page_tokens", page_tokens, 1), ("chunk", chunk, 1)):
        if value < least:
            raise KvsimError(f"{name} must be {least} or more, not {value}")
    _check_tokens(model, token_ids, tokens)
    pager = _Pager(page_tokens, head_groups)
    return pager.rows(_steps(model, token_ids, tokens, chunk))


def _check_tokens(model: Any, token_ids: Sequence[int], more: int) -> None:
    if not token_ids:
        raise KvsimError("the prompt has no tokens")
    config = model.config.get_text_config()
    vocabulary = getattr(config, "vocab_size", None)
    if vocabulary is not None and not 0 <= min(token_ids) <= max(token_ids) < vocabulary:
        raise KvsimError(f"tokens of the prompt must be 0 to {vocabulary - 1}, the model's vocabulary")
    most = getattr(config, "max_position_embeddings", None)
    if most is not None and len(token_ids) + more > most:
        raise KvsimError(
            f"the model is made for {most} tokens, the prompt has {len(token_ids)} and {more} are to follow"
        )


# -- the model runs ----------------------------------------------------------------------


def _steps(
    model: Any, token_ids: Sequence[int], more: int, chunk: int
) -> Iterator[tuple[list[_Call], Any, int]]:
    """Of each step what its layers attended to, the cache at its end, and the tokens of the sequence then."""
    torch: Any = import_module("torch")
    cache, end = None, 0
    ahead = [list(token_ids[first : first + chunk]) for first in range(0, len(token_ids), chunk)]
    with _swapped(model):
        while ahead:
            fed = torch.tensor([ahead.pop(0)], device=model.device)
            calls: list[_Call] = []
            running = _calls.set(calls)
            try:
                with torch.inference_mode():
                    output = model(input_ids=fed, past_key_values=cache, use_cache=True)
            finally:
                _calls.reset(running)
            cache = getattr(output, "past_key_values", None)
            end += fed.shape[1]
            yield calls, cache, end
            if not ahead and more:
                more -= 1
                ahead.append([int(output.logits[0, -1].argmax())])


@contextmanager
def _swapped(model: Any) -> Iterator[None]:
    """The model computes in evaluation mode, with the attention function that takes notes."""
    attention: Any = import_module("transformers.modeling_utils")
    masks: Any = import_module("transformers.masking_utils")
    attention.AttentionInterface.register(_NAME, _attention)
    masks.AttentionMaskInterface.register(_NAME, masks.eager_mask)
    before, training = model.config._attn_implementation, model.training
    try:
        model.set_attn_implementation(_NAME)
        if model.config._attn_implementation != _NAME:
            raise KvsimError(
                f"{type(model).__name__} computes attention in code of its own, not by transformers' "
                "attention interface: it gives no weights"
            )
        model.eval()
        yield
    finally:
        model.set_attn_implementation(before)
        model.train(training)


def _attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, **options: Any
) -> tuple[Any, Any]:
    """The eager attention of the module's own model; its weights are noted while a capture runs."""
    output, weights = _eager_of(module)(module, query, key, value, attention_mask, **options)
    calls = _calls.get(None)
    if calls is not None:
        layer = getattr(module, "layer_idx", None)
        if layer is None or weights is None or weights.dim() != 4:
            raise KvsimError(f"{type(module).__name__} gives no weights of its attention")
        torch: Any = import_module("torch")
        mass = weights[0].mean(dim=1, dtype=torch.float32).cpu().numpy().astype(np.float64)
        calls.append(_Call(layer, key.data_ptr(), mass, _seen(attention_mask, mass.shape[1])))
    return output, weights


def _eager_of(module: Any) -> Any:
    """The function beside the module's class that computes attention step by step."""
    for cls in type(module).__mro__:
        found = getattr(sys.modules.get(cls.__module__), "eager_attention_forward", None)
        if found is not None:
            return found
    raise KvsimError(f"{type(module).__name__} has no eager attention: nothing else gives weights")


def _seen(mask: Any, tokens: int) -> NDArray[np.bool_]:
    """[tokens]: what a mask [1, heads or 1, queries, tokens or more] lets some query see; None hides none."""
    if mask is None:
        return np.ones(tokens, dtype=np.bool_)
    torch: Any = import_module("torch")
    shown = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    seen: NDArray[np.bool_] = shown[0, ..., :tokens].flatten(0, 1).any(dim=0).cpu().numpy()
    return seen


# -- pages -------------------------------------------------------------------------------


class _Pager:
    """Numbers the pages of a cache in order of birth, and spreads attention over them."""

    def __init__(self, page_tokens: int, head_groups: int | None) -> None:
        self._page_tokens = page_tokens
        self._head_groups = head_groups
        self._numbers: PageNumbers | None = None
        self._page_bytes: dict[int, int] = {}
        """Of each layer that has pages of its own."""

    def rows(self, steps: Iterator[tuple[list[_Call], Any, int]]) -> Iterator[PageRow]:
        """A row for each page that a layer reads in a step."""
        line = 0
        for step, (calls, cache, end) in enumerate(steps):
            owners = _owners(calls, cache)
            if self._numbers is None:
                self._numbers = self._first_numbers(list(dict.fromkeys(owners)), cache)
            for owner in dict.fromkeys(owners):
                self._numbers.grow(owner, end)
            for call, owner in zip(calls, owners, strict=True):
                for page, mass in self._read(self._numbers, call, owner, end):
                    line += 1
                    group = self._numbers.place(page)[1]
                    held = self._numbers.tokens_of(page, end)
                    size = self._page_bytes[owner]
                    yield PageRow(line, step, page, call.layer, group, held, size, mass)

    def _first_numbers(self, owners: list[int], cache: Any) -> PageNumbers:
        stored = {owner: cache.layers[owner] for owner in owners}
        heads = {int(layer.keys.shape[1]) for layer in stored.values()}
        if self._head_groups is None and len(heads) > 1:
            counts = " and ".join(str(count) for count in sorted(heads))
            raise KvsimError(f"layers have {counts} KV heads: give one number of head groups for all")
        groups = max(heads) if self._head_groups is None else self._head_groups
        for count in sorted(heads):
            if groups < 1 or count % groups:
                raise KvsimError(f"{count} KV heads cannot be split into {groups} head groups")
        for owner, layer in stored.items():
            parts = (layer.keys, layer.values)
            token_bytes = sum(int(part.shape[1] * part.shape[3]) * part.itemsize for part in parts)
            self._page_bytes[owner] = self._page_tokens * token_bytes // groups
        return PageNumbers(owners, groups, self._page_tokens, 0)

    def _read(self, numbers: PageNumbers, call: _Call, owner: int, end: int) -> Iterator[tuple[int, float]]:
        """Pages that the layer reads, in order of their numbers, each with its share of the attention."""
        grid = numbers.of(owner, end)
        groups, size = numbers.groups, self._page_tokens
        heads, tokens = call.mass.shape
        if tokens > end or heads % groups:
            raise KvsimError(f"layer {call.layer} attends with {heads} heads to {tokens} tokens of {end}")
        by_token = np.zeros((groups, grid.shape[1] * size))
        by_token[:, end - tokens : end] = call.mass.reshape(groups, -1, tokens).sum(axis=1)
        seen = np.zeros(grid.shape[1] * size, dtype=np.bool_)
        seen[end - tokens : end] = call.seen
        mass = by_token.reshape(groups, -1, size).sum(axis=2)
        total = mass.sum()
        if not 0 < total < np.inf:
            raise KvsimError(f"the attention of layer {call.layer} adds up to {total}")
        read = np.flatnonzero(np.tile(seen.reshape(-1, size).any(axis=1), groups))
        pages, shares = grid.ravel()[read], (mass / total).ravel()[read]
        for index in np.argsort(pages).tolist():
            yield int(pages[index]), float(f"{shares[index]:.{_DIGITS}g}")


def _owners(calls: list[_Call], cache: Any) -> list[int]:
    """For each call the layer whose cached keys and values it reads: its own, or those of one before it."""
    if not calls:
        raise KvsimError("no layer of the model attends to cached tokens: there are no pages")
    stored = getattr(cache, "layers", ())
    owner_of: dict[int, int] = {}
    owners: list[int] = []
    for call in calls:
        own = call.layer < len(stored) and getattr(stored[call.layer], "keys", None) is not None
        if own:
            owner_of[call.keys] = call.layer
        if call.keys not in owner_of:
            raise KvsimError(f"layer {call.layer} has no keys and values in the model's cache")
        owners.append(owner_of[call.keys])
    if len({call.layer for call in calls}) < len(calls):
        raise KvsimError("a layer of the model attends more than once in a step")
    return owners
