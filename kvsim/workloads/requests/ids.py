"""Identities in a trace: blocks, sessions, hashes; as numbers."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import Any, NoReturn

from kvsim.workloads.requests.fields import kind, number
from kvsim.workloads.requests.lines import BadLine

__all__ = ["Blocks", "Ids", "Numbering", "TokenBlocks"]


class Numbering:
    """Dense numbers for anything, in order of first appearance; memory grows with what is distinct."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def __call__(self, identity: Hashable) -> int:
        return self._numbers.setdefault(identity, len(self._numbers))


class Ids:
    """Ids of one kind: whole numbers stay as they are; texts, such as hashes, are numbered densely.

    Which of the two a file has, the first one tells.
    """

    def __init__(self) -> None:
        self._texts: Numbering | None = None
        self._decided = False

    def of(self, ids: Sequence[Any]) -> list[Any]:
        """The numbers of ids that are numbers or texts; others stay as they are."""
        self._decide(ids, isinstance(ids[0], str) if ids else False)
        if self._texts is None:
            return ids if isinstance(ids, list) else list(ids)
        return [self._texts(each) if isinstance(each, str) else each for each in ids]

    def of_cell(self, cell: str) -> list[Any]:
        """The same for a cell of csv with ids between spaces or semicolons."""
        texts = cell.replace(";", " ").split()
        self._decide(texts, bool(texts) and not texts[0].removeprefix("-").isdecimal())
        if self._texts is not None:
            return self.of(texts)
        try:
            return list(map(int, texts))
        except ValueError:
            return [number(text) for text in texts]

    def _decide(self, ids: Sequence[Any], texts: bool) -> None:
        if not self._decided and ids:
            self._decided = True
            self._texts = Numbering() if texts else None


class Blocks:
    """Checks the blocks of prompts, of so many tokens each."""

    def __init__(self, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self._ids = Ids()

    def of(self, ids: Any, field: str, tokens: int) -> list[int]:
        """The blocks of a prompt of so many tokens, from a list in JSON."""
        return self._checked(self._ids.of(ids) if type(ids) is list else ids, field, tokens)

    def of_cell(self, cell: str, field: str, tokens: int) -> list[int]:
        """The same from a cell of csv."""
        return self._checked(self._ids.of_cell(cell), field, tokens)

    def output_of_cell(self, cell: str, field: str, prompt: Sequence[int]) -> list[int]:
        """Blocks that come besides those of the prompt, as many as there are."""
        ids = self._ids.of_cell(cell)
        _refuse_unusable([*prompt, *ids], field, len(prompt))
        return ids

    def _checked(self, ids: Any, field: str, tokens: int) -> list[int]:
        expected = -(-tokens // self.block_tokens)
        if not (
            type(ids) is list
            and set(map(type, ids)) == {int}
            and min(ids) >= 0
            and len(set(ids)) == len(ids) == expected
        ):
            self._refuse(ids, field, tokens, expected)
        return ids

    def _refuse(self, ids: Any, field: str, tokens: int, expected: int) -> NoReturn:
        """Find what is wrong with ids of which something is."""
        if type(ids) is not list:
            raise BadLine(field, f"must be a list of block ids, not {kind(ids)}", "wrong type")
        _refuse_unusable(ids, field, 0, repeated=False)
        if len(ids) != expected:
            text = f"has {len(ids)} ids, but {tokens} tokens are {expected} blocks of {self.block_tokens}"
            raise BadLine(field, text, "wrong number of blocks")
        _refuse_unusable(ids, field, 0)
        raise AssertionError(ids)


def _refuse_unusable(ids: Sequence[Any], field: str, first: int, *, repeated: bool = True) -> None:
    """Refuse ids from the first on that are no whole number, negative, or there before."""
    seen: set[Any] = set(ids[:first])
    for index, block in enumerate(ids[first:]):
        place = f"{field}[{index}]"
        if type(block) is not int:
            raise BadLine(place, f"must be a whole number, not {kind(block)}", "wrong type")
        if block < 0:
            raise BadLine(place, f"must not be negative: {block}", "out of range")
        if repeated and block in seen:
            raise BadLine(place, f"block {block} comes twice in one request", "a block comes twice")
        seen.add(block)


class TokenBlocks:
    """Numbers blocks of token ids by all tokens up to their end: prompts that begin alike share blocks.

    Numbers are dense, in order of first appearance. Memory grows with the distinct blocks (about 150 bytes
    each), not with their tokens.
    """

    def __init__(self, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self._numbers = Numbering()

    def split(self, prompt: list[int], output: list[int]) -> tuple[list[int], list[int]]:
        """Blocks of a prompt, and those of prompt and output that are not among them (see Request)."""
        blocks = self._of(prompt)
        if not output:
            return blocks, []
        full = len(prompt) // self.block_tokens
        return blocks, self._of(prompt + output)[full:]

    def _of(self, tokens: list[int]) -> list[int]:
        digest, numbers = b"", []
        data, size = array("q", tokens).tobytes(), 8 * self.block_tokens
        for start in range(0, len(data), size):
            digest = blake2b(digest + data[start : start + size], digest_size=16).digest()
            numbers.append(self._numbers(digest))
        return numbers
