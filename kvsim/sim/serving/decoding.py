"""The sequences of an instance that decode: how far they are, and when something is due for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from kvsim.sim.serving.sequence import Sequence

__all__ = ["Decoders"]


class Decoders:
    """Counts iterations that decode. A sequence is told how far it has come when it leaves, not before."""

    def __init__(self) -> None:
        self.iterations = 0
        """Iterations that are over."""
        self.context = 0
        """Tokens in the caches of all that decode."""
        self.fresh: list[Sequence] = []
        """Those that have not been in an iteration since they came."""
        self._members: dict[Sequence, None] = {}
        self._due: list[tuple[int, int, int, int, Sequence]] = []
        """Heap of reminders: when, last tokens before growth, order of admission, stamp, whose."""
        self._growing: list[tuple[Sequence, int]] = []
        """Who needs room for the next token, with the stamp."""

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, sequence: Sequence) -> bool:
        return sequence in self._members

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self._members)

    def join(self, sequence: Sequence) -> None:
        """From the next iteration on the sequence decodes."""
        here = self.iterations
        sequence.decoding_since = here
        sequence.finish = here + sequence.request.output_tokens - sequence.generated
        self._members[sequence] = None
        self.context += sequence.context
        self.fresh.append(sequence)
        if sequence.room_tokens > sequence.context:
            self.remind(sequence)
        else:
            self._growing.append((sequence, sequence.stamp))

    def leave(self, sequence: Sequence, now: int) -> None:
        """It does not decode any more, for now or for good."""
        self.count(sequence, now)
        sequence.stamp += 1
        del self._members[sequence]
        self.context -= sequence.context
        if sequence in self.fresh:
            self.fresh.remove(sequence)

    def count(self, sequence: Sequence, now: int) -> None:
        """Tell the sequence how far it has come; its last token, if it has a new one, is of this tick."""
        passed = self.iterations - sequence.decoding_since
        if passed:
            sequence.last_token = now
        sequence.generated += passed
        sequence.context += passed
        sequence.decoding_since = self.iterations

    def remind(self, sequence: Sequence) -> None:
        """Come back to the sequence when it has its last token, or needs room for the next."""
        full = sequence.decoding_since + sequence.room_tokens - sequence.context
        last = sequence.finish
        sequence.stamp += 1
        when, kind = (last, 0) if last <= full else (full, 1)
        heappush(self._due, (when, kind, sequence.order, sequence.stamp, sequence))

    def until_due(self) -> int:
        """Iterations until something is due for one of them; there must be one."""
        due = self._due
        while due[0][4].stamp != due[0][3]:
            heappop(due)
        return due[0][0] - self.iterations

    def passed(self, iterations: int) -> Iterator[Sequence]:
        """So many iterations are over: who has the last token; who needs room for the next is `growing`."""
        self.iterations += iterations
        self.context += iterations * len(self._members)
        due, here = self._due, self.iterations
        while due and due[0][0] <= here:
            _, _, _, stamp, sequence = heappop(due)
            if sequence.stamp == stamp:
                if sequence.finish == here:
                    yield sequence
                else:
                    self._growing.append((sequence, stamp))

    def growing(self) -> Iterator[Sequence]:
        """Who needs room for the next token, unless it has given way to another meanwhile."""
        growing, self._growing = self._growing, []
        for sequence, stamp in growing:
            if sequence.stamp == stamp:
                yield sequence
