"""Where slots are taken from: one address space, first fit, or a pool of blocks."""

from __future__ import annotations

from bisect import bisect_left

__all__ = ["AddressSpace", "BlockPool"]

_UNLIMITED = 1 << 62


class AddressSpace:
    """Slots 0 … capacity - 1, of which neighbours are taken at the lowest address where they fit."""

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = _UNLIMITED if capacity is None else capacity
        self._starts = [0] if self._capacity else []
        self._sizes = [self._capacity] if self._capacity else []
        self.taken = 0
        """Slots in use."""

    @property
    def extent(self) -> int:
        """Slots up to the last one in use: what the pool would have to have for this moment."""
        if self._starts and self._starts[-1] + self._sizes[-1] == self._capacity:
            return self._starts[-1]
        return self._capacity

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Start and size of all that is free, by address; no two touch."""
        return list(zip(self._starts, self._sizes, strict=True))

    @property
    def free(self) -> int:
        """Slots not in use."""
        return self._capacity - self.taken

    def take(self, size: int) -> int | None:
        """The address of so many slots (1 or more), now taken; None if there is no gap for them."""
        for index, gap in enumerate(self._sizes):
            if gap >= size:
                start = self._starts[index]
                if gap == size:
                    del self._starts[index], self._sizes[index]
                else:
                    self._starts[index] += size
                    self._sizes[index] -= size
                self.taken += size
                return start
        return None

    def give(self, start: int, size: int) -> None:
        """Free slots that were taken; gaps that touch become one."""
        index = bisect_left(self._starts, start)
        self._starts.insert(index, start)
        self._sizes.insert(index, size)
        self._join(index)
        self._join(index - 1)
        self.taken -= size

    def _join(self, first: int) -> None:
        """Make one gap of that one and the next, if both are there and touch."""
        if not 0 <= first < len(self._starts) - 1:
            return
        if self._starts[first] + self._sizes[first] == self._starts[first + 1]:
            self._sizes[first] += self._sizes[first + 1]
            del self._starts[first + 1], self._sizes[first + 1]


class BlockPool:
    """Slots of which any will do: only their number counts."""

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = _UNLIMITED if capacity is None else capacity
        self.taken = 0
        """Slots in use."""

    @property
    def extent(self) -> int:
        """What the pool would have to have for this moment: the slots in use."""
        return self.taken

    @property
    def free(self) -> int:
        """Slots not in use."""
        return self._capacity - self.taken

    def take(self, size: int) -> int | None:
        """Take so many; their address, 0, means nothing. None if there are not so many."""
        if size > self.free:
            return None
        self.taken += size
        return 0

    def give(self, start: int, size: int) -> None:
        """Free so many."""
        self.taken -= size
