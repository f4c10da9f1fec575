"""A request on its way through an instance, and what its time is spent on."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Numbers
from enum import IntEnum
from typing import TYPE_CHECKING

from kvsim.workloads.requests import Request

if TYPE_CHECKING:
    from kvsim.sim.serving.instance import Instance
    from kvsim.sim.serving.leaving import Leaving
    from kvsim.sim.serving.moves import Move
    from kvsim.sim.serving.store import Partition

__all__ = ["PHASES", "Parts", "Phase", "Sequence"]


class Phase(IntEnum):
    """What a request's time is spent on: it queues, it is exposed to transfers, or it is computed."""

    TURN = 0
    """Queueing: for the iteration that runs to end, before anybody is admitted."""
    SLOTS = 1
    """Queueing: as many sequences as may be are admitted already, of all or of its tenant."""
    MEMORY = 2
    """Queueing: its blocks do not fit beside those of the admitted."""
    PREFIX = 3
    """Queueing: another request computes or loads blocks that it shares."""
    BATCH = 4
    """Queueing: it is ready, but not in the iteration that runs."""
    PREEMPTED = 5
    """Queueing: it had to give way, and has not been admitted again."""
    ROOM = 6
    """Exposed: room it was promised is not free yet, because something is being written back."""
    LOAD = 7
    """Exposed: its blocks are being loaded."""
    STALL = 8
    """Exposed: its iteration waits for parts of layers, its own or those of others in it."""
    HANDOVER = 9
    """Exposed: what a prompt's instance computed is on its way to the one that decodes."""
    OVERHEAD = 10
    """Exposed: lookups, launches and synchronisation of a load."""
    COMPUTE = 11
    """It is in the iteration that runs."""


PHASES = tuple(phase.name.lower() for phase in Phase)
TURN, SLOTS, MEMORY, PREFIX, BATCH, PREEMPTED, ROOM, LOAD, STALL, HANDOVER, OVERHEAD, COMPUTE = map(
    int, Phase
)


class Sequence:
    """What an instance knows of a request that it serves."""

    __slots__ = (
        "admitted",
        "arrival",
        "blocks",
        "carried",
        "chunk",
        "computed",
        "context",
        "decoding_since",
        "dependents",
        "due",
        "finish",
        "first_token",
        "found",
        "generated",
        "held",
        "instance",
        "last_token",
        "leaning",
        "loaded_tokens",
        "loading",
        "loads",
        "missing",
        "number",
        "order",
        "output_blocks",
        "owes",
        "partition",
        "parts",
        "pending",
        "phase",
        "phases",
        "preemptions",
        "private",
        "queued",
        "request",
        "reused_tokens",
        "room",
        "room_tokens",
        "sender",
        "sent",
        "since",
        "stalls",
        "stamp",
        "swapped",
        "tenant",
        "todo",
    )

    def __init__(
        self, number: int, request: Request, now: int, blocks: Numbers[int], output: Numbers[int]
    ) -> None:
        self.number = number
        self.request = request
        self.tenant = request.tenant
        self.blocks = blocks
        """Its prompt's blocks, as they are numbered here."""
        self.output_blocks = output
        """Those of its output."""
        self.arrival = self.since = now
        self.phase = TURN
        self.phases = [0] * len(Phase)
        """Ticks by phase, up to `since`."""
        self.queued: tuple[int, ...] = ()
        """The clocks of its instance's queue when it came there."""
        self.stalls = 0
        """Its instance's stalls when it was last put in an iteration."""
        self.instance: Instance
        self.admitted = -1
        self.order = 0
        """Its place in the order of admissions."""
        self.preemptions = 0

        self.due = 0
        """Tokens that its instance expects to compute for it."""
        self.todo: list[tuple[int, int]] = []
        """Runs of tokens that are still to be computed, the last one first."""
        self.owes = 0
        """Tokens in `todo`."""
        self.chunk = 0
        """Of these, those in the running iteration."""
        self.missing: list[tuple[int, int]] = []
        """Blocks that it is to compute, the last one first: position of their end, and number."""
        self.computed = 0
        """Tokens computed so far, those computed again included."""
        self.reused_tokens = 0
        """Tokens of its prompt found in the first tier, at its first admission."""
        self.loaded_tokens = 0
        """Tokens of its prompt loaded from further down, likewise."""
        self.found: list[int] = []
        """Blocks found at its first admission, by level."""

        self.generated = 0
        """Tokens generated, up to `decoding_since`."""
        self.carried = 0
        """Tokens it had generated when it was last admitted."""
        self.first_token = -1
        self.last_token = -1
        self.decoding_since = 0
        """Iterations of its instance when it began to decode, or went on to, or left."""
        self.context = 0
        """Tokens in its cache then."""
        self.finish = 0
        """Iterations of its instance when it will have its last token."""
        self.stamp = 0
        """Number of the reminder of it that counts."""

        self.partition: Partition
        """The part of the first tier that it uses."""
        self.held: Numbers[int] = ()
        """Blocks that it pins there."""
        self.private = 0
        """Blocks of room that it has besides."""
        self.room_tokens = 0
        """Tokens that all this room takes."""
        self.room = 0
        """Bytes that it waits for, as a tenant of the first tier."""
        self.swapped = 0
        """Blocks of room that it has in the next tier."""
        self.sender: Leaving | None = None
        """Of a sequence that is handed over: who still has what it needs."""
        self.sent: tuple[Numbers[int], int] = ((), 0)
        """Of such a sequence: the blocks and the number of other blocks that it has there."""

        self.pending = False
        """Whether it waits for room, or for its loads to be started."""
        self.loads: list[Move] = []
        """Moves to be started when it has room."""
        self.loading = 0
        """Loads, its own and others', that it waits for."""
        self.leaning = 0
        """Sequences that it waits for, because they compute blocks it shares."""
        self.dependents: list[tuple[int, Sequence]] = []
        """Sequences that wait for it, each with the position up to which it must have computed."""
        self.parts: Parts | None = None
        """The parts of layers that it waits for while it is computed."""

    @property
    def stands_still(self) -> bool:
        """Whether it waits for nothing and nobody waits for it, so that it can be preempted."""
        coming = self.pending or self.loading or self.leaning or self.dependents
        return not coming and (self.parts is None or -1 not in self.parts.ticks)

    def enter(self, phase: int, now: int) -> None:
        """From now on its time is spent on something else."""
        self.phases[self.phase] += now - self.since
        self.phase = phase
        self.since = now


class Parts:
    """Groups of layers that are loaded one after another while a sequence is computed."""

    __slots__ = ("left", "moves", "ticks", "watcher")

    def __init__(self, groups: int, moves: int) -> None:
        self.moves = moves
        self.left = [moves] * groups
        """Of each group, the moves that have not brought it."""
        self.ticks = [-1] * groups
        """When each group was there; -1: it is not."""
        self.watcher: Callable[[], None] | None = None
        """Told of every group that is there, by an iteration that waits for it."""
