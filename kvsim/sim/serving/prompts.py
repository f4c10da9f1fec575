"""Pieces of prompts that are computed in an iteration: which, what they take, and when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Numbers

from kvsim.scenario.iteration import pairs
from kvsim.scenario.serving import BatchSpec
from kvsim.sim.serving.sequence import Parts, Sequence

__all__ = ["choose", "end_with_parts", "work"]


def choose(prompts: Iterable[Sequence], spec: BatchSpec, left: int) -> list[Sequence]:
    """Who computes how much of a prompt (`chunk`), of so many tokens that are left."""
    chosen: list[Sequence] = []
    for sequence in prompts:
        if spec.chunked:
            tokens = min(sequence.owes, left)
        else:
            tokens = sequence.owes if sequence.owes <= left or not chosen else 0
        if tokens <= 0:
            break
        sequence.chunk = tokens
        left -= tokens
        chosen.append(sequence)
    return chosen


def work(chosen: Iterable[Sequence]) -> tuple[int, int, int]:
    """Of these pieces the tokens computed, the tokens whose keys and values are read, and the pairs of tokens
    that attend."""
    new = read = attended = 0
    for sequence in chosen:
        rest, end = sequence.chunk, 0
        new += rest
        for start, stop in reversed(sequence.todo):
            tokens = min(rest, stop - start)
            attended += pairs(tokens, start)
            end = start + tokens
            rest -= tokens
            if not rest:
                break
        read += end
    return new, read, attended


def end_with_parts(start: int, ticks: int, waiting: Numbers[Parts]) -> int:
    """When an iteration of so many ticks ends in which a group of layers is computed once its parts are
    there."""
    groups = len(waiting[0].ticks)
    end = start
    for group in range(groups):
        end = max(end, *(parts.ticks[group] for parts in waiting))
        end += ticks * (group + 1) // groups - ticks * group // groups
    return end
