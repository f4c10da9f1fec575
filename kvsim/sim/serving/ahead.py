"""The scheduler's look ahead: what those at the head of the queue need is spared and brought nearer.

Source: B. Gao et al., "Cost-efficient large language model serving for multi-turn conversations with
CachedAttention", USENIX ATC 2024: scheduler-aware fetching and eviction.
"""

from __future__ import annotations

from collections.abc import Sequence as Numbers

from kvsim.sim.serving.cache import BlockCache
from kvsim.sim.serving.sequence import Sequence
from kvsim.sim.serving.store import Store
from kvsim.sim.serving.waiting import Queue

__all__ = ["LookAhead"]


class LookAhead:
    """Of one instance."""

    def __init__(self, cache: BlockCache, path: list[Store], depth: int, level: int) -> None:
        self._cache = cache
        self._path = path
        self._depth = depth
        self._level = level
        """Where blocks are brought to."""
        self._watched: dict[Sequence, Numbers[int]] = {}
        self._lacking: dict[Sequence, None] = {}
        """Those who had no room for all that is to be brought."""

    def __call__(self, queue: Queue) -> None:
        """Who is near the head of the queue may have changed."""
        head = [sequence for sequence in queue.head(self._depth) if sequence.sender is None]
        if len(head) == len(self._watched) and all(sequence in self._watched for sequence in head):
            return
        near = dict.fromkeys(head)
        for sequence in [other for other in self._watched if other not in near]:
            for store in self._path:
                store.expose(self._watched[sequence])
            del self._watched[sequence]
            self._lacking.pop(sequence, None)
        for sequence in head:
            if sequence not in self._watched:
                self._watch(sequence)
            if sequence in self._lacking:
                self._bring(sequence)

    def _watch(self, sequence: Sequence) -> None:
        blocks = self._watched[sequence] = sequence.blocks
        for store in self._path:
            store.spare(blocks)
        self._lacking[sequence] = None

    def _bring(self, sequence: Sequence) -> None:
        blocks = sequence.blocks
        if self._cache.prefetch(self._path, self._level, blocks, sequence.tenant, sequence.number):
            del self._lacking[sequence]
