"""The questions asked of the tiny language models: facts planted far back, chains of facts, copies.

All are plain bytes behind one beginning-of-sequence token, so that a model needs no other vocabulary:

- a fact is ``@KQ=MV;`` on a line of its own: a name of two capitals and what it stands for, another name;
- a question is ``?KQ=`` and its answer ``MV;``, with as many question marks as links to follow: after
  ``??KQ=`` the answer is ``MV=RT;``, every link written out;
- a copy is a string of random small letters in square brackets, then the same again, which is the answer.

Between them stands text of the caller's. Chance: 1 / 676 for a name, to the power of the links for a chain,
1 / 26 for each letter of a copy. An answer counts as right when each of its tokens is the model's
likeliest given all before it, which is when greedy decoding would write exactly this answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOS", "VOCABULARY", "Answer", "Sample", "copying", "needle", "recall"]

BOS = 256
"""The token that begins every sequence."""
VOCABULARY = 257

_CAPITALS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


@dataclass(frozen=True)
class Answer:
    """One answer in a sample: its tokens, and how far back lies what it is taken from."""

    start: int
    stop: int
    distance: int
    """Tokens from the answer back to where it was stated; of a chain, the farthest of its links."""
    depth: float
    """Where in the sample it was stated: 0 at its beginning, 1 at its end; of a chain, its first link."""
    chance: float
    """Probability that a guess among well-formed answers is right."""


@dataclass(frozen=True)
class Sample:
    """A sequence of tokens, its answers, and the spans in it that nothing before them tells."""

    tokens: NDArray[np.int32]
    answers: tuple[Answer, ...]
    random: tuple[tuple[int, int], ...]


def recall(
    rng: np.random.Generator, text: bytes, length: int, facts: int, questions: int, hops: int = 1
) -> Sample:
    """Many facts spread over a sample of text, and questions about them, each anywhere behind its fact.

    `questions` of the facts are asked about, no fact twice; with `hops` above 1 a question
    follows 1 to `hops` links, as many as its chain has.
    """
    pairs = _pairs(rng, facts, chained=hops > 1)
    names = list(pairs)
    order = np.sort(rng.random(facts))
    pieces = [(float(at), _fact(name, pairs[name])) for at, name in zip(order, names, strict=True)]
    latest = dict(zip(names, order, strict=True))
    for index in rng.permutation(facts)[:questions]:
        chain = _chain(pairs, names[index], int(rng.integers(1, hops + 1)))
        behind = max(latest[name] for name in chain[:-1])
        pieces.append((float(rng.uniform(behind, 1.15)), _question(chain)))
    pieces.sort(key=lambda piece: piece[0])
    return _assemble(rng, text, length, [piece for _, piece in pieces])


def needle(
    rng: np.random.Generator, text: bytes, length: int, depth: float, distractors: int = 7, hops: int = 1
) -> Sample:
    """One fact at `depth` (0 to 1) of a sample of text, other facts anywhere, and the question at the end.

    With `hops` above 1 the other links of the chain are among the facts that lie anywhere.
    """
    while True:
        pairs = _pairs(rng, 1 + max(distractors, hops - 1), chained=hops > 1)
        chain = _chain(pairs, next(iter(pairs)), hops)
        if len(chain) == hops + 1:
            break
    question = _question(chain)
    spots = np.concatenate(([depth], rng.random(len(pairs) - 1)))
    order = np.argsort(spots, kind="stable")
    names = list(pairs)
    pieces = [_fact(names[i], pairs[names[i]]) for i in order]
    room = length - 1 - sum(len(piece.text) for piece in pieces) - len(question.text)
    marks = np.floor(spots[order] * room).astype(int)
    gaps = [int(gap) for gap in np.diff(np.concatenate(([0], marks, [room])))]
    return _laid_out(rng, text, [*pieces, question], [*gaps, 0])


def copying(rng: np.random.Generator, text: bytes, length: int, size: int, distance: int) -> Sample:
    """A random string of `size` letters, text, and at the end the string once more, `distance` behind.

    The distance is at least the string and its brackets, and at most what the sample has room for.
    """
    string = rng.choice(_LETTERS, size).tobytes()
    first = _Piece(b"\n[" + string + b"]", states=string, source=2, random=(2, 2 + size))
    second = _Piece(b"\n[" + string + b"]", asks=(string,), answer=(2, 2 + size), chance=26.0**-size)
    between = min(max(distance - len(first.text), 0), length - 1 - 2 * len(first.text))
    before = length - 1 - 2 * len(first.text) - between
    return _laid_out(rng, text, [first, second], [before, between, 0])


@dataclass(frozen=True)
class _Piece:
    """A planted line: what it states or asks, and the spans in it that are random or the answer."""

    text: bytes
    states: bytes = b""
    source: int = 0
    """Where in the line begins what an answer repeats."""
    asks: tuple[bytes, ...] = ()
    random: tuple[int, int] = (0, 0)
    answer: tuple[int, int] = (0, 0)
    chance: float = 0.0


def _pairs(rng: np.random.Generator, count: int, chained: bool) -> dict[bytes, bytes]:
    """Distinct names, each with what it stands for: one more or, where chained, half the time one of them."""
    codes = rng.permutation(26 * 26)[: 2 * count]
    names = [bytes((_CAPITALS[code // 26], _CAPITALS[code % 26])) for code in codes]
    pairs = {}
    for index, name in enumerate(names[:count]):
        other = int(rng.integers(count)) if chained and rng.random() < 0.5 else index
        pairs[name] = names[other] if other != index else names[count + index]
    return pairs


def _chain(pairs: dict[bytes, bytes], name: bytes, hops: int) -> list[bytes]:
    chain = [name]
    while len(chain) <= hops and chain[-1] in pairs:
        chain.append(pairs[chain[-1]])
    return chain


def _fact(name: bytes, value: bytes) -> _Piece:
    return _Piece(b"\n@" + name + b"=" + value + b";", states=name, source=5, random=(2, 7))


def _question(chain: Sequence[bytes]) -> _Piece:
    hops = len(chain) - 1
    asked = b"\n" + b"?" * hops + chain[0] + b"="
    answer = b"=".join(chain[1:])
    return _Piece(
        asked + answer + b";",
        asks=tuple(chain[:-1]),
        random=(1, 3 + hops),
        answer=(len(asked), len(asked) + len(answer)),
        chance=676.0**-hops,
    )


def _assemble(rng: np.random.Generator, text: bytes, length: int, pieces: list[_Piece]) -> Sample:
    """The pieces in order, text of random lengths between them."""
    room = length - 1 - sum(len(piece.text) for piece in pieces)
    if room < 0:
        raise ValueError(f"{len(pieces)} facts and questions do not fit into {length} tokens")
    cuts = np.sort(rng.integers(0, room + 1, len(pieces)))
    gaps = [int(gap) for gap in np.diff(np.concatenate(([0], cuts, [room])))]
    return _laid_out(rng, text, pieces, gaps)


def _laid_out(rng: np.random.Generator, text: bytes, pieces: list[_Piece], gaps: list[int]) -> Sample:
    """The sample: the pieces, a gap of text before each and one behind the last."""
    parts: list[bytes] = []
    stated: dict[bytes, int] = {}
    answers: list[Answer] = []
    random: list[tuple[int, int]] = []
    at, length = 1, 1 + sum(gaps) + sum(len(piece.text) for piece in pieces)
    for piece, gap in zip([*pieces, _Piece(b"")], gaps, strict=True):
        begin = int(rng.integers(0, len(text) - gap + 1)) if gap else 0
        parts += [text[begin : begin + gap], piece.text]
        at += gap
        if piece.random[1]:
            random.append((at + piece.random[0], at + piece.random[1]))
        if piece.states:
            stated[piece.states] = at + piece.source
        if piece.asks:
            start, stop = at + piece.answer[0], at + piece.answer[1]
            links = [start + 3 * link - stated[name] for link, name in enumerate(piece.asks)]
            depth = stated[piece.asks[0]] / length
            answers.append(Answer(start, stop, max(links), depth, piece.chance))
        at += len(piece.text)
    body = np.frombuffer(b"".join(parts), dtype=np.uint8)
    return Sample(np.concatenate(([BOS], body)).astype(np.int32), tuple(answers), tuple(random))
