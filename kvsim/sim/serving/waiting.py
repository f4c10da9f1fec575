"""Who is admitted next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice

from kvsim.scenario.serving import ServingSpec
from kvsim.sim.serving.sequence import Sequence

__all__ = ["Queue", "TenantQueue", "make_queue"]


class Queue:
    """Sequences in order of arrival; one that was preempted is before those that came after it."""

    def __init__(self) -> None:
        self._line: deque[Sequence] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def push(self, sequence: Sequence) -> None:
        """It waits now."""
        line = self._line
        if line and sequence.number < line[-1].number:
            later = [other for other in line if other.number > sequence.number]
            for _ in later:
                line.pop()
            line.append(sequence)
            line.extend(later)
        else:
            line.append(sequence)

    def first(self) -> Sequence | None:
        """Who is next; None: nobody may be admitted, whatever is free."""
        return self._line[0] if self._line else None

    def take(self, sequence: Sequence) -> None:
        """The first one is admitted."""
        self._line.popleft()

    def left(self, sequence: Sequence) -> None:
        """An admitted one has ended, or was preempted."""

    def served(self, sequence: Sequence, tokens: int) -> None:
        """So many tokens have been computed for it."""

    def head(self, count: int) -> Iterator[Sequence]:
        """The next few, as things are."""
        return islice(self._line, count)


class TenantQueue(Queue):
    """Sequences by tenant: some have priority, some must not have too many, some have had their share.

    `fair` is the virtual token counter: each tenant is charged what is computed for it over its weight, the
    least charged is next, and who has been away starts no lower than the least charged of those who wait.

    Source: Y. Sheng et al., "Fairness in serving large language models", OSDI 2024.
    """

    def __init__(self, spec: ServingSpec) -> None:
        super().__init__()
        self._order = spec.order
        self._specs = spec.tenants
        self._lines: dict[str, list[tuple[int, int, Sequence]]] = {}
        self._running: dict[str, int] = {}
        self._charged: dict[str, float] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, sequence: Sequence) -> None:
        tenant = sequence.tenant
        line = self._lines.setdefault(tenant, [])
        if not line:
            waiting = [self._charged.get(other, 0.0) for other, line in self._lines.items() if line]
            self._charged[tenant] = max(self._charged.get(tenant, 0.0), min(waiting, default=0.0))
        urgency = -sequence.request.priority if self._order == "priority" else 0
        heappush(line, (urgency, sequence.number, sequence))
        self._count += 1

    def first(self) -> Sequence | None:
        best: tuple[float, int] | None = None
        chosen: Sequence | None = None
        for tenant, line in self._lines.items():
            if not line or self._full(tenant):
                continue
            urgency, number, sequence = line[0]
            key = (self._charged[tenant] if self._order == "fair" else urgency, number)
            if best is None or key < best:
                best, chosen = key, sequence
        return chosen

    def take(self, sequence: Sequence) -> None:
        heappop(self._lines[sequence.tenant])
        self._count -= 1
        self._running[sequence.tenant] = self._running.get(sequence.tenant, 0) + 1

    def left(self, sequence: Sequence) -> None:
        self._running[sequence.tenant] -= 1

    def served(self, sequence: Sequence, tokens: int) -> None:
        spec = self._specs.get(sequence.tenant)
        self._charged[sequence.tenant] += tokens / (spec.weight if spec else 1.0)

    def head(self, count: int) -> Iterator[Sequence]:
        waiting = (entry for line in self._lines.values() for entry in line)
        return iter([entry[2] for entry in sorted(waiting, key=lambda entry: entry[:2])[:count]])

    def _full(self, tenant: str) -> bool:
        spec = self._specs.get(tenant)
        most = spec.max_sequences if spec else None
        return most is not None and self._running.get(tenant, 0) >= most


def make_queue(spec: ServingSpec) -> Queue:
    """The queue of one instance."""
    return Queue() if spec.order == "arrival" and not spec.tenants else TenantQueue(spec)
