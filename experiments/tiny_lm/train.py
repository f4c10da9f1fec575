"""Trains a tiny language model: `python experiments/tiny_lm/train.py small --out runs/tiny-lm/small`.

One process, one seed, one thread by default; the batch and learning rate of a step depend on the seed and
the step alone, so that a run that is stopped and started again goes on from its checkpoint as if nothing had
happened.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from data import corpus
from model import Decoder, Shape, save

from kvsim.lm.tasks import BOS, Sample, copying, needle, recall
from kvsim.randomness import stream

SHAPES = {
    "small": Shape(128, 4, 4, 2, 448),
    "base": Shape(192, 6, 6, 2, 640),
    "test": Shape(32, 2, 2, 1, 64, head_dim=16),
}


@dataclass(frozen=True)
class Phase:
    """A part of the curriculum: its share of the tokens, the context, and what fills it."""

    share: float
    length: int
    batch: int
    """Tokens in a batch."""
    recall: float
    copying: float
    facts: int
    """Facts in a recall sample, at most."""


CURRICULUM = (
    Phase(0.12, 64, 2048, recall=0.45, copying=0.35, facts=4),
    Phase(0.12, 128, 2048, recall=0.45, copying=0.20, facts=8),
    Phase(0.14, 256, 2048, recall=0.40, copying=0.15, facts=14),
    Phase(0.20, 512, 2048, recall=0.30, copying=0.10, facts=20),
    Phase(0.37, 1024, 4096, recall=0.30, copying=0.10, facts=24),
    Phase(0.05, 2048, 4096, recall=0.30, copying=0.10, facts=32),
)
"""Short and dense first, so that the attention that recall needs forms early; then ever farther apart."""


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on."""

    size: str
    seed: int = 6
    tokens: int = 22_000_000
    rate: float = 3e-3
    warm_up: int = 100
    decay: float = 0.1
    answer_weight: float = 5.0
    bfloat16: bool = True

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return sum(self._steps_of(phase) for phase in CURRICULUM)

    def _steps_of(self, phase: Phase) -> int:
        return max(1, round(phase.share * self.tokens / phase.batch))

    def at(self, step: int) -> tuple[Phase, int]:
        """The part of the curriculum that a step is in, and the tokens seen before it."""
        seen = 0
        for phase in CURRICULUM:
            steps = self._steps_of(phase)
            if step < steps or phase is CURRICULUM[-1]:
                return phase, seen + step * phase.batch
            step, seen = step - steps, seen + steps * phase.batch
        raise AssertionError("a curriculum has parts")

    def rate_at(self, step: int) -> float:
        """Learning rate: a linear rise, then a cosine down to a twentieth over the tokens."""
        along = min(1.0, self.at(step)[1] / self.tokens)
        return self.rate * min(1.0, (step + 1) / self.warm_up) * (0.525 + 0.475 * math.cos(math.pi * along))


def passage(rng: np.random.Generator, text: bytes, length: int) -> Sample:
    """A stretch of text, nothing planted."""
    begin = int(rng.integers(0, len(text) - length + 2))
    body = np.frombuffer(text[begin : begin + length - 1], dtype=np.uint8)
    return Sample(np.concatenate(([BOS], body)).astype(np.int32), (), ())


def drawn(rng: np.random.Generator, text: bytes, phase: Phase) -> Sample:
    """One sample of a phase's mixture."""
    length, kind = phase.length, rng.random()
    if kind < phase.recall:
        facts = int(rng.integers(phase.facts // 2, phase.facts + 1))
        hops = 2 if rng.random() < 0.3 else 1
        return recall(rng, text, length, facts, facts * 9 // 10 if hops == 1 else facts // 2, hops)
    if kind < phase.recall + phase.copying:
        size = int(rng.integers(8, min(64, length // 3)))
        return copying(rng, text, length, size, int(rng.integers(size + 3, length)))
    return passage(rng, text, length)


def batch_of(recipe: Recipe, step: int, text: bytes) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and their weights: answers weigh more, what nothing tells weighs nothing."""
    (phase, _), rng = recipe.at(step), stream(recipe.seed, "batch", step)
    samples = [drawn(rng, text, phase) for _ in range(phase.batch // phase.length)]
    tokens = np.stack([sample.tokens for sample in samples])
    weights = np.ones(tokens.shape, np.float32)
    for row, sample in zip(weights, samples, strict=True):
        for start, stop in sample.random:
            row[start:stop] = 0.0
        for answer in sample.answers:
            row[answer.start : answer.stop] = recipe.answer_weight
    whole = torch.from_numpy(tokens.astype(np.int64))
    return whole[:, :-1], whole[:, 1:], torch.from_numpy(weights[:, 1:])


def optimiser_of(model: Decoder, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; norms and the embedding are not decayed."""
    decayed = [p for name, p in model.named_parameters() if p.dim() == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or "embed" in name]
    groups = [{"params": decayed, "weight_decay": recipe.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), fused=True)


def train_step(model: Decoder, optimiser: torch.optim.AdamW, recipe: Recipe, step: int, text: bytes) -> float:
    """One step; the loss it found."""
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate_at(step)
    inputs, targets, weights = batch_of(recipe, step, text)
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
        logits = model(inputs).float()
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    loss = (losses * weights.flatten()).sum() / weights.sum()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def right(model: Decoder, samples: list[Sample], bfloat16: bool = False) -> list[bool]:
    """Of each answer whether every token of it is the likeliest; samples of one length."""
    found = []
    for begin in range(0, len(samples), 8):
        group = samples[begin : begin + 8]
        tokens = torch.from_numpy(np.stack([sample.tokens for sample in group]).astype(np.int64))
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            best = model(tokens).argmax(-1)
        for row, sample in enumerate(group):
            for answer in sample.answers:
                told = best[row, answer.start - 1 : answer.stop - 1]
                found.append(bool((told == tokens[row, answer.start : answer.stop]).all()))
    return found


@torch.no_grad()
def nats_per_byte(model: Decoder, text: bytes, length: int = 1024, most: int = 1 << 30) -> float:
    """Mean loss over consecutive windows of a text, each begun anew."""
    data = np.frombuffer(text, np.uint8).astype(np.int64)
    windows = [data[begin : begin + length - 1] for begin in range(0, min(len(data), most), length - 1)]
    total, count = 0.0, 0
    for window in windows:
        tokens = torch.from_numpy(np.concatenate(([BOS], window)))[None]
        logits = model(tokens)[0, :-1].float()
        total += float(F.cross_entropy(logits, tokens[0, 1:], reduction="sum"))
        count += len(window)
    return total / count


def measured(model: Decoder, recipe: Recipe, step: int, held_out: bytes) -> dict[str, float]:
    """What the log shows of a model: held-out loss, and the share of right answers."""
    (phase, _), rng = recipe.at(step), stream(recipe.seed, "watch")
    here = [recall(rng, held_out, phase.length, phase.facts, phase.facts * 9 // 10) for _ in range(8)]
    far = [needle(rng, held_out, 1024, rng.uniform(0, 0.45)) for _ in range(16)]
    chains = [needle(rng, held_out, phase.length, rng.random(), hops=2) for _ in range(16)]
    copies = [copying(rng, held_out, phase.length, 16, phase.length) for _ in range(16)]
    named = {"recall": here, "far": far, "chain": chains, "copy": copies}
    shares = {name: float(np.mean(right(model, samples, recipe.bfloat16))) for name, samples in named.items()}
    return {"held_out": nats_per_byte(model, held_out, most=16_000)} | shares


def train(
    recipe: Recipe, texts: tuple[bytes, bytes], out: Path, until: int | None = None, every: int = 300
) -> Decoder:
    """Trains on the first text to the end, or until a step; a checkpoint in `out` is gone on from."""
    torch.manual_seed(recipe.seed)
    torch.set_flush_denormal(True)
    text, held_out = texts
    model = Decoder(SHAPES[recipe.size])
    optimiser, checkpoint = optimiser_of(model, recipe), out / "checkpoint.pt"
    step, spent, rows = 0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent, rows = state["step"], state["spent"], state["rows"]
    losses: list[float] = []
    last = recipe.steps if until is None else min(until, recipe.steps)
    while step < last:
        begun = time.perf_counter()
        losses.append(train_step(model, optimiser, recipe, step, text))
        step += 1
        spent += time.perf_counter() - begun
        if step % every == 0 or step == last:
            row = {"step": step, "tokens": recipe.at(step)[1], "context": recipe.at(step - 1)[0].length}
            row |= {"loss": float(np.mean(losses)), **measured(model, recipe, step - 1, held_out)}
            rows.append(row | {"seconds": spent})
            print(" ".join(f"{name} {value:.5g}" for name, value in rows[-1].items()), flush=True)
            losses = []
            out.mkdir(parents=True, exist_ok=True)
            kept = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
            torch.save(kept | {"spent": spent, "rows": rows}, out / "checkpoint.new")
            os.replace(out / "checkpoint.new", checkpoint)
    write(model, rows, out)
    return model


def write(model: Decoder, rows: list[dict[str, float]], out: Path) -> None:
    """The model, and what was seen of it on the way."""
    save(model, out)
    with (out / "training.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            [{k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]
        )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Trains a tiny language model.")
    parser.add_argument("size", choices=list(SHAPES))
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoint, weights, config, curves"
    )
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=22_000_000)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--until", type=int, help="stop at this step; a later run goes on from it")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    recipe = Recipe(options.size, options.seed, options.tokens, options.rate)
    train(recipe, corpus(), options.out, options.until)


if __name__ == "__main__":
    main()
