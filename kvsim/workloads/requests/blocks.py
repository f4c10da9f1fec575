"""Blocks of made-up prompts: numbers that stand for whole prefixes, without a table of all prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

__all__ = ["BlockNumbers", "Text"]

_NAMED = 1 << 62
"""Numbers of blocks that go by name begin here; those given in turn stay below."""
_LONGEST = 1 << 32


class BlockNumbers:
    """Numbers for blocks. Several that share out the numbers, a lane each, never give the same one."""

    def __init__(self, lane: int = 0, lanes: int = 1) -> None:
        self._next, self._lane, self._lanes = lane, lane, lanes

    def take(self, count: int) -> range:
        """So many that were never given before."""
        first = self._next
        self._next += count * self._lanes
        return range(first, self._next, self._lanes)

    def named(self, *path: int) -> Callable[[int], range]:
        """What gives the blocks of a text that others have too: the same path, the same blocks.

        A path tells all of the text up to there. Its blocks are numbered from a hash of 62 bits on; among
        10 million paths of 100 blocks, two that share a number are to be expected once in 460 workloads.
        """
        key = blake2b(repr((self._lane, path)).encode(), digest_size=8).digest()
        first = _NAMED + int.from_bytes(key, "big") % (_NAMED - _LONGEST)
        return lambda count: range(first, first + count)


class Text:
    """What a prompt says up to now, in blocks; it only grows.

    Full blocks keep their numbers for good. The last, partial one gets a number of its own each time it is
    asked for, since it will be another block once it has been filled up.
    """

    def __init__(
        self, numbers: BlockNumbers, block_tokens: int, full: Iterable[int] = (), tokens: int = 0
    ) -> None:
        self._numbers, self._block_tokens = numbers, block_tokens
        self._full = list(full)
        self.tokens = tokens
        """Its length."""

    def fork(self) -> Text:
        """The same text, which goes on in another way."""
        return Text(self._numbers, self._block_tokens, self._full, self.tokens)

    def add(self, tokens: int, numbers: Callable[[int], Iterable[int]] | None = None) -> None:
        """Go on with so many tokens; `numbers` gives the blocks that end in them. Default: new ones."""
        self.tokens += tokens
        ended = self.tokens // self._block_tokens - len(self._full)
        if ended:
            self._full.extend((numbers or self._numbers.take)(ended))

    def blocks(self) -> list[int]:
        """All blocks, for a prompt that ends here."""
        if self.tokens % self._block_tokens:
            return [*self._full, *self._numbers.take(1)]
        return self._full.copy()

    def full_since(self, tokens: int) -> Sequence[int]:
        """The blocks that have become full since it had so many tokens."""
        return self._full[tokens // self._block_tokens :]
