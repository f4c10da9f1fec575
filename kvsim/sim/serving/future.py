"""What prompts will ask for, for policies that must know: from a first pass over the workload."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

__all__ = ["RequestFuture"]


class RequestFuture:
    """The blocks of all prompts in order of the workload, each follow-up after the request before it.

    That is the order of admissions where nobody overtakes; where somebody does, it is a forecast.
    """

    def __init__(self, prompts: Iterable[Sequence[int]]) -> None:
        self._reads: list[int] = []
        for blocks in prompts:
            self._reads += blocks
        self._ahead: dict[int, deque[int]] = {}
        """The positions of the reads of a block that are still to come."""
        for position, block in enumerate(self._reads):
            self._ahead.setdefault(block, deque()).append(position)
        self._at = 0

    @property
    def never(self) -> int:
        """A position after every read."""
        return len(self._reads)

    def next_read(self, page: int) -> int:
        """Position of the next read of a block; `never` if there is none."""
        ahead = self._ahead.get(page)
        return ahead[0] if ahead else self.never

    def coming(self, count: int) -> Sequence[int]:
        """The blocks of the next reads."""
        return list(islice(self._reads, self._at, self._at + count))

    def passed(self, blocks: Iterable[int]) -> None:
        """These blocks are being read."""
        for block in blocks:
            self._ahead[block].popleft()
            self._at += 1
