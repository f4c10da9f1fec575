"""What the tiny models can do: `python evaluate.py models/tiny-lm` writes evaluation.csv and curves.svg.

Held-out perplexity beside the n-gram's on the same bytes, and the share of right answers by distance, on
samples that no training saw (their filler is the held-out text, their seed another), with Wilson intervals.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from curves import curves
from data import corpus
from model import Decoder, load
from ngram import NGram
from train import nats_per_byte, right

from kvsim.lm.estimates import wilson
from kvsim.lm.tasks import Sample, copying, needle
from kvsim.randomness import stream

SEED = 1906
DISTANCES = (64, 128, 256, 512, 768, 900, 1536, 1800)
Maker = Callable[[np.random.Generator, bytes, int, int], Sample]


def fact(rng: np.random.Generator, text: bytes, length: int, distance: int) -> Sample:
    """One fact among eight, at least `distance` tokens before its answer and at most an eighth more."""
    return needle(rng, text, length, _depth(length, distance))


def chain(rng: np.random.Generator, text: bytes, length: int, distance: int) -> Sample:
    """Two links, the first at that distance, the second anywhere; answered with both."""
    return needle(rng, text, length, _depth(length, distance), hops=2)


def copy(rng: np.random.Generator, text: bytes, length: int, distance: int) -> Sample:
    """A string of 16 letters at that distance."""
    return copying(rng, text, length, 16, distance)


def _depth(length: int, distance: int) -> float:
    return max(0.0, 1 - distance / (length - 1 - 8 * 8 - 14))


TASKS: dict[str, tuple[Maker, int]] = {"fact": (fact, 200), "chain": (chain, 50), "copy": (copy, 50)}


def recalled(model: Decoder, held_out: bytes) -> list[dict[str, object]]:
    """A row for each task and distance."""
    rows: list[dict[str, object]] = []
    for task, (make, trials) in TASKS.items():
        for distance in DISTANCES:
            length = 1024 if distance < 1000 else 2048
            rng = stream(SEED, task, distance)
            samples = [make(rng, held_out, length, distance) for _ in range(trials)]
            hits = sum(right(model, samples))
            low, high = wilson(hits, trials)
            row: dict[str, object] = {"measure": task, "distance": distance, "context": length}
            row |= {"value": hits / trials, "low": f"{low:.4f}", "high": f"{high:.4f}", "trials": trials}
            rows.append(row | {"chance": f"{samples[0].answers[0].chance:.3g}"})
    return rows


def perplexities(model: Decoder, training: bytes, held_out: bytes) -> list[dict[str, object]]:
    """The model's over windows of its context, each begun anew; the n-gram's over the text in one piece."""
    rows = []
    for name, length in (("perplexity", 1024), ("perplexity", 2048)):
        nats = nats_per_byte(model, held_out, length)
        rows.append({"measure": name, "context": length, "value": f"{math.exp(nats):.4f}"})
    for order in (3, 4, 5, 6):
        nats = NGram(training, order).nats_per_byte(held_out)
        rows.append(
            {"measure": f"perplexity {order}-gram", "context": order - 1, "value": f"{math.exp(nats):.4f}"}
        )
    return [row | {"trials": len(held_out)} for row in rows]


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures the tiny language models.")
    parser.add_argument("folder", type=Path, help="with the models' folders and heldout.txt.gz in it")
    parser.add_argument("--sizes", nargs="+", default=["small", "base"])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    held_out = gzip.decompress((options.folder / "heldout.txt.gz").read_bytes())
    training, _ = corpus()
    for size in options.sizes:
        model = load(options.folder / size)
        rows = perplexities(model, training, held_out) + recalled(model, held_out)
        columns = ("measure", "distance", "context", "value", "low", "high", "chance", "trials")
        with (options.folder / size / "evaluation.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(size, *rows, sep="\n", flush=True)
    shown = sorted(path.parent.name for path in options.folder.glob("*/training.csv"))[::-1]
    (options.folder / "curves.svg").write_text(curves(options.folder, shown), encoding="utf-8")


if __name__ == "__main__":
    main()
