"""Which cache to choose: what the eviction benchmark has measured, and what a machine makes of it.

Answers are those that real language models gave with such a cache (the study `eviction_benchmark`); time and
memory are simulated for the model, GPU and context that are asked about. Nothing else is known: what has not
been measured is not advised.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from kvsim.analysis.memory_size import memory_size
from kvsim.analysis.metrics import summarise
from kvsim.errors import KvsimError, nearest
from kvsim.scenario.catalog import GpuSpec, LlmSpec, SchemeSpec
from kvsim.scenario.loader import loads_mapping
from kvsim.scenario.references import entry
from kvsim.scenario.shipped import data_folder
from kvsim.scenario.tiny import TINY_FORMATS
from kvsim.sim.engine import simulate

__all__ = ["LOSSES", "USES", "Advice", "Evidence", "Need", "Option", "advise"]

USES: Final[dict[str, tuple[str, ...]]] = {
    "dialogue": ("text", "recall_late"),
    "documents": ("recall", "multi_hop"),
    "copying": ("copy", "text"),
    "anything": ("text", "recall", "multi_hop", "copy"),
}
"""Kinds of work, and the tasks of the benchmark that stand for each: a dialogue leans on what was said last,
documents are searched anywhere, copying (of code, of names) repeats what was said once."""

LOSSES: Final[dict[str, float]] = {"none": 0.0, "little": 0.02, "some": 0.1}
"""Quality that may be lost, by name: a share of the right answers, or of the perplexity more."""

_LOSSLESS: Final = ("full",)
"""Strategies that lose nothing whatever is asked."""
_USABLE: Final = 0.9
"""Share of a GPU's memory for weights and cache; the rest is activations and the runtime (assumed)."""
_HOST_MEMORY: Final = "512 GB"
_PAGE_TOKENS: Final = 256
_STEPS: Final = 6
_BENCHMARK_PAGE_TOKENS: Final = 16
"""Tokens of a page of the benchmark."""
_EXACT_TOKENS: Final = {"int2_exact": 36, "int2_token": 31}
"""Tokens, the first and the newest, that a strategy of the benchmark leaves in fp16."""


@dataclass(frozen=True, slots=True)
class Need:
    """What is asked."""

    use: str
    """One of `USES`."""
    gpu: str
    model: str
    context_tokens: int
    batch: int = 1
    loss: float = LOSSES["little"]
    """Most that may be lost: a share of right answers, or of perplexity."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured row: a task, answered with a full cache and with this one."""

    task: str
    lm: str
    context_tokens: int
    metric: str
    """`correct` or, of text, `perplexity`."""
    full: float
    measured: float
    loss: float
    """Share of right answers lost, or of perplexity added; 0 where it is no worse."""


@dataclass(frozen=True, slots=True)
class Option:
    """A cache that could be chosen."""

    strategy: str
    budget: float
    """Share of the full cache's bytes that it may take, or of its tokens that it reads."""
    evidence: tuple[Evidence, ...]
    token_time_s: float
    """Median decode step, simulated."""
    kv_bytes: int
    """Bytes of keys and values that it keeps, all sequences, by its budget and scheme; what low rank, joined
    tokens or shared layers save is not reckoned."""
    in_hbm: bool
    """Whether they fit beside the weights."""

    @property
    def loss(self) -> float:
        """The worst of what was measured."""
        return max(row.loss for row in self.evidence)


@dataclass(frozen=True, slots=True)
class Advice:
    """Options that lose no more than allowed, the fastest first; of equals the one that keeps fewer bytes.
    Left out are those that are no faster and no smaller than another one, which loses less."""

    need: Need
    options: tuple[Option, ...]
    too_lossy: tuple[Option, ...]
    """Others, the least lossy first."""
    weights_bytes: int
    free_bytes: int
    """What the GPU has left for keys and values."""


def advise(need: Need, results: Path | None = None) -> Advice:
    """What was measured and simulated for a need; `results`: those of the benchmark (default: the shipped).

    Raises KvsimError for an unknown use, GPU or model, or where the weights do not fit the GPU.
    """
    if need.use not in USES:
        close = nearest(need.use, USES)
        hint = f"; did you mean {close!r}?" if close else ""
        raise KvsimError(f"unknown use {need.use!r}{hint} (known: {', '.join(USES)})")
    gpu = GpuSpec.model_validate(entry("gpus", need.gpu))
    model = LlmSpec.model_validate(entry("llms", need.model))
    weights = 2 * model.parameters
    free = int(_USABLE * gpu.memory) - weights
    if free <= 0:
        raise KvsimError(
            f"the weights of {need.model} take {weights / 1e9:.1f} GB in fp16; {need.gpu} has "
            f"{_USABLE * gpu.memory / 1e9:.1f} GB for them and the cache"
        )
    measured = _measured(str(results or data_folder("reports") / "eviction_benchmark" / "results.csv"))
    found = [
        _option(need, gpu, model, free, strategy, budget, evidence)
        for (strategy, budget), evidence in _evidence(measured, USES[need.use]).items()
    ]
    good = [option for option in found if _is_good(option, need.loss)]
    return Advice(
        need,
        tuple(_ranked(good)),
        tuple(
            sorted(
                (one for one in found if not _is_good(one, need.loss)),
                key=lambda one: (one.loss, one.strategy),
            )
        ),
        weights,
        free,
    )


def _ranked(options: Iterable[Option]) -> list[Option]:
    """The fastest first, without those that an earlier one stands for: it is no larger and loses less, or is
    alike and rests on more rows or is simpler."""
    order = {
        (one.token_time_s, one.kv_bytes, one.loss, -len(one.evidence), -one.budget, one.strategy): one
        for one in options
    }
    found: dict[tuple[float, int, float], Option] = {}
    for key, option in sorted(order.items()):
        better = any(size <= option.kv_bytes and loss < option.loss for _, size, loss in found)
        if not better:
            found.setdefault(key[:3], option)
    return list(found.values())


def _is_good(option: Option, most: float) -> bool:
    """Whether it loses no more; to have lost nothing in some samples is not to lose nothing."""
    return option.strategy in _LOSSLESS if most == 0 else option.loss <= most


@cache
def _measured(path: str) -> tuple[Mapping[str, str], ...]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return tuple(row for row in csv.DictReader(file) if not row.get("error"))
    except OSError as error:
        raise KvsimError(f"{path}: the results of the benchmark cannot be read: {error.strerror}") from None


def _evidence(
    rows: Iterable[Mapping[str, str]], tasks: Sequence[str]
) -> dict[tuple[str, float], tuple[Evidence, ...]]:
    """By strategy and budget: every model's row of each task, at the longest context measured in all."""
    of_tasks = [row for row in rows if row["task"] in tasks]
    longest = min(max(int(row["context"]) for row in of_tasks if row["task"] == task) for task in tasks)
    there = [row for row in of_tasks if int(row["context"]) == longest]
    full = {(row["lm"], row["task"]): row for row in there if row["strategy"] == "full"}
    found: dict[tuple[str, float], list[Evidence]] = {}
    for row in there:
        key = row["strategy"], float(row["budget"])
        found.setdefault(key, []).append(_compared(row, full[row["lm"], row["task"]]))
    return {
        key: tuple(evidence)
        for key, evidence in found.items()
        if {row.task for row in evidence} == set(tasks)
    }


def _compared(row: Mapping[str, str], full: Mapping[str, str]) -> Evidence:
    metric = "perplexity" if row["task"] == "text" else "correct"
    here, whole = float(row[f"answers.{metric}"]), float(full[f"answers.{metric}"])
    lost = here / whole - 1 if metric == "perplexity" else 1 - here / whole
    return Evidence(row["task"], row["lm"], int(row["context"]), metric, whole, here, max(0.0, lost))


def _option(
    need: Need,
    gpu: GpuSpec,
    model: LlmSpec,
    free: int,
    strategy: str,
    budget: float,
    evidence: tuple[Evidence, ...],
) -> Option:
    scheme = SchemeSpec.model_validate(entry("schemes", _scheme_of(strategy)))
    selected = _selected_share(strategy, evidence)
    exact = _EXACT_TOKENS.get(strategy, 0) / evidence[0].context_tokens
    share = min(1.0, budget * 16 / scheme.bits if budget < 1 else 1.0) + exact * (16 / scheme.bits - 1)
    kept = round(need.context_tokens * share)  # a token in fp16 takes the bytes of several in the scheme
    size = memory_size(model, scheme, context_tokens=kept, batch=need.batch)
    assert size.batch_bytes is not None
    summary = summarise(simulate(loads_mapping(_scenario(need, gpu, free, scheme.name, kept, selected))))
    return Option(
        strategy,
        budget if selected is None else selected,
        evidence,
        summary.step_latency_s["p50"],
        size.batch_bytes,
        size.batch_bytes <= free,
    )


def _scheme_of(strategy: str) -> str:
    """The storage format that a strategy's name tells, such as h2o_int4; fp16 if none."""
    parts = strategy.split("_")
    return next((name for name in TINY_FORMATS if name == strategy or name in parts), "fp16")


def _selected_share(strategy: str, evidence: Sequence[Evidence]) -> float | None:
    """Of a strategy that selects pages and keeps all: the share that it reads."""
    name, _, pages = strategy.partition("_")
    if name != "quest" or not pages.isdecimal():
        return None
    return min(1.0, int(pages) * _BENCHMARK_PAGE_TOKENS / evidence[0].context_tokens)


def _scenario(
    need: Need, gpu: GpuSpec, free: int, scheme: str, kept: int, selected: float | None
) -> dict[str, Any]:
    """A few decode steps on that machine; what does not fit HBM is in host memory."""
    workload: dict[str, Any] = {
        "kind": "dense_decode",
        "context_tokens": max(kept, 1),
        "steps": _STEPS,
        "batch": need.batch,
        "page_tokens": _PAGE_TOKENS,
    }
    if selected is not None:
        chosen = {"sink_tokens": 0, "recent_tokens": _PAGE_TOKENS, "top_k_tokens": round(selected * kept)}
        workload |= {"kind": "sparse_decode", **chosen}
    return {
        "name": "advice",
        "model": need.model,
        "gpu": need.gpu,
        "scheme": scheme,
        "hierarchy": {
            "tiers": [
                {"name": "hbm", "capacity": f"{free} B"},
                {"name": "dram", "memory": "ddr5-4800-x8", "capacity": _HOST_MEMORY},
            ],
            "links": [
                {
                    "name": "host",
                    "between": ["hbm", "dram"],
                    "link": gpu.host_link,
                    "chunk": "1 MiB",
                    "arbitration": "priority",
                }
            ],
        },
        "workload": workload,
        "policy": {"placement": "static_split" if selected is None else "adaptive"},
        "execution": {"overlap": "layered", "records": "summary"},
    }
