"""What `kvsim size` prints: weights, KV cache, and what fits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.analysis.memory_size import MemorySize, attention
from kvsim.reporting.tables import compact_table
from kvsim.reporting.text import significant

_DECIMAL = ((10**15, "PB"), (10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "B"))
_BINARY = ((1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))

_WIDTH = 100


def print_size(console: Console, size: MemorySize, all_heads: bool) -> None:
    """Print the figures as a table and a few sentences."""
    width = min(console.width, _WIDTH)
    console.print(Text(size.model.name, style="bold"), width=width)
    console.print(Text(_about(size), style="dim"), width=width)
    console.print()
    console.print(_table(size, all_heads))
    lines = [*_fit(size), *([_why(size)] if all_heads else [])]
    if lines:
        console.print()
    for line in lines:
        console.print(Text(line), width=width)


def size_data(size: MemorySize, all_heads: bool) -> dict[str, Any]:
    """The same as plain data; sizes in bytes. A `largest_context_tokens` of null means no limit."""
    model = size.model
    data: dict[str, Any] = {
        "model": model.model_dump(mode="json", exclude_none=True),
        "attention": attention(model),
        "scheme": size.scheme.name,
        "parameters": model.parameters,
        "weight_format": size.weight_format,
        "weights_bytes": size.weights_bytes,
        "kv_bytes_per_token_layer": _plain(size.layer_bytes),
        "kv_bytes_per_token": _plain(size.token_bytes),
    }
    if size.sliding:
        data["kv_bytes_per_token_past_window"] = _plain(size.later_token_bytes)
    data["batch"] = size.batch
    if size.context_tokens is not None:
        data["context_tokens"] = size.context_tokens
        data["kv_bytes_per_sequence"] = size.sequence_bytes
        data["kv_bytes_per_batch"] = size.batch_bytes
    if all_heads:
        data["all_heads_bytes"] = size.all_heads_bytes
    if size.memory_bytes is not None:
        data["memory_bytes"] = size.memory_bytes
        data["left_bytes"] = size.left_bytes
        data["largest_context_tokens"] = size.largest_context
        if size.largest_batch is not None:
            data["largest_batch"] = size.largest_batch
    return data


def _plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


def _about(size: MemorySize) -> str:
    """The shape, in a line."""
    model, kind = size.model, attention(size.model)
    if kind == "MLA":
        kept = f"a latent of {model.mla} scalars (MLA)"
    else:
        heads = "1 KV head" if model.kv_heads == 1 else f"{model.kv_heads} KV heads"
        kept = f"{model.heads} query and {heads} of {model.head_dim} ({kind})"
    layers = f"{model.layers} layers"
    if size.sliding:
        layers += f", {size.sliding} of them with a window of {model.sliding_window:,} tokens"
    return f"{layers} · {kept} · {_amount(model.parameters)} parameters · KV in {size.scheme.name}"


def _amount(parameters: int) -> str:
    billions = Fraction(parameters, 10**9)
    return f"{significant(float(billions))}B" if billions >= 1 else f"{significant(float(billions * 1000))}M"


def _table(size: MemorySize, all_heads: bool) -> Table:
    table = compact_table("memory", "", "bytes", "", "")

    def add(name: str, amount: int | Fraction | None) -> None:
        if amount is not None:
            value = Fraction(amount)
            table.add_row(name, _exact(value), _unit(value, _DECIMAL), _unit(value, _BINARY))

    tokens, batch = size.context_tokens, size.batch
    add(f"weights ({size.weight_format})", size.weights_bytes)
    add("KV of a token in a layer", size.layer_bytes)
    add("KV of a token", size.token_bytes)
    if size.sliding:
        add("  past the window", size.later_token_bytes)
    if tokens is not None:
        add(f"KV of {tokens:,} tokens", size.sequence_bytes)
        if batch > 1:
            add(f"KV of {batch:,} such sequences", size.batch_bytes)
        add("weights and KV", size.weights_bytes + (size.batch_bytes or 0))
    if all_heads:
        add(f"KV if all {size.model.heads} heads had their own", size.all_heads_bytes)
    return table


def _exact(value: Fraction) -> str:
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):,.2f}"


def _unit(value: Fraction, units: tuple[tuple[int, str], ...]) -> str:
    """Four significant digits."""
    scale, name = next((unit for unit in units if value >= unit[0]), units[-1])
    return f"{float(value / scale):.4g} {name}"


def _fit(size: MemorySize) -> list[str]:
    left, memory = size.left_bytes, size.memory_bytes
    if left is None or memory is None:
        return []
    room = _unit(Fraction(memory), _DECIMAL)
    if left < 0:
        return [f"The weights alone need {_unit(Fraction(-left), _DECIMAL)} more than {room}."]
    rest = f"{room} leave {_unit(Fraction(left), _DECIMAL)} after the weights"
    lines = [f"{rest}; activations and the runtime, not counted here, take some of it."]
    sequences = "a sequence" if size.batch == 1 else f"each of {size.batch:,} sequences"
    longest = "any length" if size.unlimited else f"{size.largest_context or 0:,} tokens"
    lines.append(f"Largest context of {sequences}: {longest}.")
    if size.largest_batch is not None:
        lines.append(f"Largest batch of {size.context_tokens:,} tokens each: {size.largest_batch:,}.")
    return lines


def _ratio(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else significant(float(value))


def _why(size: MemorySize) -> str:
    """Why the formula for multi-head attention gives another figure than the model's own."""
    model, kind = size.model, attention(size.model)
    kept = size.token_bytes if size.context_tokens is None else Fraction(size.batch_bytes or 1)
    times = Fraction(size.all_heads_bytes) / kept
    ratio = _ratio(times)
    formula = "2 × layers × heads × head_dim × tokens × batch × bytes"
    reasons = {
        "MHA": [],
        "GQA": [f"{_ratio(Fraction(model.heads, model.kv_heads))} query heads share a KV head (GQA)"],
        "MQA": ["all query heads share one KV head (MQA)"],
        "MLA": [f"one latent of {model.mla} scalars stands for all heads' keys and values (MLA)"],
    }[kind]
    if size.sliding and size.context_tokens is not None:
        reasons.append(f"{size.sliding} of {model.layers} layers keep a window only")
    if not reasons:
        return f"{formula} is what the model keeps: each query head has keys and values of its own (MHA)."
    return f"{formula} is {ratio} times what the model keeps: {'; '.join(reasons)}."
