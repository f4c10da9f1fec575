"""The blocks that one tier holds: which, who needs them, and who has to leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, cast

from kvsim.policies import EvictionPolicy
from kvsim.sim.tier import Tier

if TYPE_CHECKING:
    from kvsim.sim.serving.moves import Move
    from kvsim.sim.serving.sequence import Sequence as Request

__all__ = ["Partition", "Store"]


class StoreView:
    """What the policy of a partition may look at: one tier, of which it is the whole world."""

    tier_count = 1

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_pinned: Callable[[int], bool] = store.stays
        """Whether the block must stay."""

    @property
    def step(self) -> int:
        """Requests that have arrived so far."""
        return self._store.clock()

    def tier_of(self, page: int) -> int:
        """0 if the block is here, else -1."""
        return 0 if page in self._store.pins else -1

    def bytes_of(self, page: int, tier: int) -> int:
        """Bytes of a block."""
        return self._store.block_bytes

    def group_of(self, page: int) -> int:
        """0: a block is of all layers."""
        return 0


class Partition:
    """A share of a tier, with a policy of its own."""

    __slots__ = ("capacity", "idle", "policy", "used")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        """Bytes."""
        self.used = 0
        """Bytes that were decided to be here, whether they are yet or not."""
        self.idle = 0
        """Blocks that nobody needs to stay."""
        self.policy: EvictionPolicy


class Store:
    """One tier as the requests see it. What is decided holds at once; the bytes follow.

    A block is *pinned* as long as a sequence uses it or it is on its way in or out.
    """

    def __init__(
        self,
        number: int,
        tier: Tier,
        block_bytes: int,
        keeps: bool,
        shares: dict[str, int],
        make_policy: Callable[[StoreView], EvictionPolicy],
        clock: Callable[[], int],
        spares: bool,
        marks: tuple[Fraction, Fraction] | None = None,
    ) -> None:
        """`spares`: whether blocks will ever be spared. `marks`: shares of the capacity, above the first of
        which blocks leave in the background, and at the second of which they stop."""
        self.number = number
        self.tier = tier
        self.block_bytes = block_bytes
        self.keeps = keeps
        """Whether a block that is brought further up from here leaves a copy."""
        self.clock = clock
        self.marks = marks
        self.pins: dict[int, int] = {}
        """The blocks that are here, each with the number of those who need it to stay."""
        self.coming: dict[int, Move | Request] = {}
        """Blocks whose contents are not here yet: the move that brings them, or the sequence that computes
        them."""
        self.spared: dict[int, int] = {}
        """Blocks that stay as long as others can leave, with the number of reasons."""
        self._sparing = True
        self.hope = 0
        """Bytes by which whoever was refused may be better off, summed up from the beginning: room that has
        become free, or could, and blocks that have come."""
        # a count is as good as a truth, and the lookup is done in C: policies ask this of all they pass
        self.stays = self._stays if spares else cast(Callable[[int], bool], self.pins.__getitem__)
        view = StoreView(self)
        self.partitions = {"": Partition(tier.capacity - sum(shares.values()))}
        self.partitions |= {tenant: Partition(size) for tenant, size in shares.items()}
        for partition in self.partitions.values():
            partition.policy = make_policy(view)
        self._shared = self.partitions[""]
        self._of: dict[int, Partition] | None = {} if shares else None
        self.found = 0
        self.evictions = 0
        self.discards = 0
        self.read_bytes = 0
        self.written_bytes = 0

    def partition_of(self, tenant: str) -> Partition:
        """The part of the tier that the tenant uses."""
        return self.partitions.get(tenant, self._shared)

    def _stays(self, block: int) -> bool:
        """Whether a block cannot be a victim now."""
        return self.pins[block] > 0 or (self._sparing and block in self.spared)

    def read(self, blocks: Sequence[int]) -> None:
        """Blocks that are here are used, in this order."""
        if self._of is None:
            self._shared.policy.accessed(blocks, 0)
            return
        for block in blocks:
            self._of[block].policy.accessed((block,), 0)

    def add(self, blocks: Sequence[int], partition: Partition, owner: Move | Request | None) -> None:
        """Blocks are decided to be here, pinned once; room has been made. `owner` brings or computes them."""
        self.pins.update(dict.fromkeys(blocks, 1))
        partition.policy.insert(blocks, 0)
        if owner is not None:
            self.coming.update(dict.fromkeys(blocks, owner))
        if self._of is not None:
            self._of.update(dict.fromkeys(blocks, partition))
        size = len(blocks) * self.block_bytes
        partition.used += size
        self.hope += size

    def furnish(self, blocks: Sequence[int], partition: Partition) -> None:
        """Blocks are here when the run starts, as far as there is room."""
        fresh = [block for block in blocks if block not in self.pins]
        fresh = fresh[: (partition.capacity - partition.used) // self.block_bytes]
        self.add(fresh, partition, None)
        self.unpin(fresh)

    def remove(self, blocks: Sequence[int]) -> None:
        """Blocks that nobody needs are not here any more."""
        for block in blocks:
            del self.pins[block]
            partition = self._shared if self._of is None else self._of.pop(block)
            partition.used -= self.block_bytes
            partition.idle -= 1
            partition.policy.removed(block, 0)

    def pin(self, blocks: Iterable[int]) -> None:
        """Blocks that are here must stay, once more."""
        pins, of = self.pins, self._of
        woken = 0
        for block in blocks:
            count = pins[block]
            pins[block] = count + 1
            if not count:
                woken += 1
                if of is not None:
                    of[block].idle -= 1
        if of is None:
            self._shared.idle -= woken

    def unpin(self, blocks: Iterable[int]) -> None:
        """Blocks that had to stay need not, once less."""
        pins, of = self.pins, self._of
        idle = 0
        for block in blocks:
            count = pins[block] - 1
            pins[block] = count
            if not count:
                idle += 1
                if of is not None:
                    of[block].idle += 1
        if of is None:
            self._shared.idle += idle
        self.hope += idle * self.block_bytes

    def spare(self, blocks: Iterable[int]) -> None:
        """Blocks, here or not, are to stay if others can leave, for one more reason."""
        spared = self.spared
        for block in blocks:
            spared[block] = spared.get(block, 0) + 1

    def expose(self, blocks: Iterable[int]) -> None:
        """One reason less to spare them."""
        spared = self.spared
        for block in blocks:
            count = spared[block] - 1
            if count:
                spared[block] = count
            else:
                del spared[block]

    def available(self, partition: Partition) -> int:
        """Bytes that have room, if all leaves that may."""
        return partition.capacity + partition.idle * self.block_bytes - partition.used

    def fits(self, partition: Partition, size: int) -> bool:
        """Whether so many bytes have room, if all leaves that may."""
        return size <= self.available(partition)

    def room_beside_spared(self, partition: Partition) -> int:
        """Blocks that have room, if all leaves that may and is not spared."""
        return self.available(partition) // self.block_bytes - self._sitting(partition)

    def _sitting(self, partition: Partition) -> int:
        """Blocks that are spared, and that nobody needs to stay."""
        pins, of = self.pins, self._of
        return sum(
            1 for block in self.spared if pins.get(block) == 0 and (of is None or of[block] is partition)
        )

    def vacate(self, partition: Partition, size: int) -> None:
        """So many bytes that belonged to no block are decided to be free."""
        partition.used -= size
        self.hope += size

    def give_back(self, partition: Partition, blocks: int) -> None:
        """So many blocks of room that had no number are free, by decision and in truth."""
        if blocks:
            size = blocks * self.block_bytes
            self.vacate(partition, size)
            self.tier.release(size)

    def make_room(self, partition: Partition, size: int) -> list[int]:
        """Remove what the policy names until so many bytes fit, which must be possible; what left."""
        excess = partition.used + size - partition.capacity
        if excess <= 0:
            return []
        return self.evict(partition, -(-excess // self.block_bytes))

    def surplus(self, partition: Partition) -> int:
        """Blocks that must leave, if it is above its high mark, to bring it to its low one, as far as they
        may and are not spared."""
        if self.marks is None or partition.used <= self.marks[0] * partition.capacity:
            return 0
        excess = partition.used - self.marks[1] * partition.capacity
        return min(ceil(excess / self.block_bytes), partition.idle - self._sitting(partition))

    def evict(self, partition: Partition, count: int) -> list[int]:
        """Remove so many blocks, as the policy names them; what left, in order."""
        gone = partition.policy.evict(0, count)
        if len(gone) < count:  # all that is left is spared
            self._sparing = False
            gone += partition.policy.evict(0, count - len(gone))
            self._sparing = True
        for block in gone:
            del self.pins[block]
            if self._of is not None:
                del self._of[block]
        partition.used -= len(gone) * self.block_bytes
        partition.idle -= len(gone)
        self.evictions += len(gone)
        return gone
