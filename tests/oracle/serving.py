"""Serving as plainly as it can be written down: every iteration is stepped, every transfer is a process.

What it knows of the rules of `kvsim.sim.serving`: one instance, in order of arrival; prompts in pieces or
whole, decoding or prompts first; a first tier and one below it or none; lru, prefixes, whole loads, blocks
that others compute or load; writing back, through or not at all; growth, and giving way to be computed again.
Room is a `simpy.Container` of blocks, a link two `simpy.Resource`s, and all that takes time is a process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any, Literal

import simpy

Process = Generator[simpy.Event, Any, None]
LATE = 2
"""Priority of what happens when all else at a tick has happened."""


class NoRoom(Exception):
    """A request can never have what it needs."""


@dataclass(frozen=True)
class Asked:
    """A request: tokens, and the blocks of its prompt; none where nothing is known of it."""

    arrival: int
    prompt: int
    output: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Roofline:
    """Picoseconds of an iteration: the larger of streaming and computing, and some overhead."""

    weights: Fraction
    """To stream them."""
    cached: Fraction = Fraction(0)
    """To stream what is cached of one token."""
    token: Fraction = Fraction(0)
    """To apply the weights to one token."""
    pair: Fraction = Fraction(0)
    """To attend from one token to another."""
    overhead: int = 0


@dataclass(frozen=True)
class Case:
    """Everything a run depends on. Sizes of tiers in blocks, times in picoseconds."""

    requests: tuple[Asked, ...]
    block_tokens: int
    roofline: Roofline
    first: int
    """Blocks of the first tier."""
    below: int | None = None
    """Those of the one below; None: there is none."""
    keeps: bool = False
    """Whether a block that is loaded stays below, too."""
    transfer: int = 0
    """Time of a block on the link, in either direction."""
    setup: int = 0
    latency: int = 0
    coalesce: int = 1
    write: Literal["back", "through", "none"] = "back"
    max_tokens: int = 64
    max_sequences: int = 16
    chunked: bool = True
    prompts_first: bool = False
    growth: int = 1


class Room(simpy.Container):
    """Blocks of room that are free, for whoever came first."""

    def give(self, blocks: int) -> simpy.Event:
        """They are free, and belong at once to who waits for them."""
        event = self.put(blocks)
        self._trigger_get(None)
        return event


@dataclass(eq=False)
class Tier:
    """Blocks by what was decided, the one used longest ago first, each with those who need it; and the room
    they take, which follows."""

    capacity: int
    room: Room
    blocks: OrderedDict[int, int] = field(default_factory=OrderedDict)
    used: int = 0
    there: dict[int, simpy.Event] = field(default_factory=dict)
    """When the contents of a block have come."""

    def most(self) -> int:
        """Blocks that could have room."""
        return self.capacity - self.used + sum(not needed for needed in self.blocks.values())

    def oldest(self, count: int) -> list[int]:
        """Blocks that leave to make room."""
        gone = [block for block, needed in self.blocks.items() if not needed][: max(0, count)]
        for block in gone:
            del self.blocks[block]
        self.used -= len(gone)
        return gone

    def take_in(self, block: int, there: simpy.Event) -> None:
        """It is decided that a block is here, where somebody needs it; it comes later."""
        self.blocks[block] = 1
        self.used += 1
        self.there[block] = there

    def need(self, blocks: Iterable[int], change: int) -> None:
        for block in blocks:
            self.blocks[block] += change

    def read(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            self.blocks.move_to_end(block)


@dataclass(eq=False)
class Sequence:
    """A request that is served."""

    number: int
    asked: Asked
    admitted: int = -1
    first_token: int = -1
    end: int = -1
    found: tuple[int, int] = (0, 0)
    computed: int = 0
    preemptions: int = 0
    generated: int = 0
    held: list[int] = field(default_factory=list)
    """Blocks that it needs."""
    own: int = 0
    """Room without a number."""
    room: int = 0
    """Tokens that have room."""
    fresh: list[tuple[int, int]] = field(default_factory=list)
    """Blocks that it computes, and where they end."""
    at: int = 0
    """Tokens that are cached."""
    goal: int = 0
    """Tokens that have to be cached before it decodes."""
    waits: list[simpy.Event] = field(default_factory=list)
    """What it waits for: room, what it loads, what others load or compute."""
    leans: list[int] = field(default_factory=list)
    """The blocks that others load or compute."""


class Server:
    """One instance."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.env = env = simpy.Environment()
        sizes = [case.first] if case.below is None else [case.first, case.below]
        self.tiers = [Tier(size, Room(env, size, init=size)) for size in sizes]
        self.down, self.up = simpy.Resource(env), simpy.Resource(env)
        self.sequences = [Sequence(number, asked) for number, asked in enumerate(case.requests)]
        self.queue: list[Sequence] = []
        self.batch: list[Sequence] = []
        """Everybody admitted, in order."""
        self.prompts: list[Sequence] = []
        """Who can be computed, of those."""
        self.decoding: list[Sequence] = []
        self.joining: list[Sequence] = []
        self.parked: list[Sequence] = []
        """Who decodes, is alone, and waits for something on its way out."""
        self.moving = 0
        self.knock = env.event()
        self.iterations = 0

    def run(self) -> None:
        """Serve everybody."""
        self.env.process(self._arrivals())
        self.env.process(self._instance())
        self.env.run()

    @property
    def now(self) -> int:
        return int(self.env.now)

    def _late(self) -> simpy.Event:
        event = self.env.event()
        event._ok, event._value = True, None
        self.env.schedule(event, LATE)  # type: ignore[arg-type]
        return event

    def _at_end(self, tick: int) -> simpy.Event:
        event = self.env.event()
        event._ok, event._value = True, None
        self.env.schedule(event, LATE, tick - self.now)  # type: ignore[arg-type]
        return event

    def _call(self) -> None:
        if not self.knock.triggered:
            self.knock.succeed()

    def _arrivals(self) -> Process:
        for sequence in self.sequences:
            yield self.env.timeout(max(0, sequence.asked.arrival - self.now))
            self.queue.append(sequence)
            self._call()

    # --- iterations

    def _instance(self) -> Process:
        exact = Fraction(0)
        while True:
            yield self._late()  # what came of the end of the last iteration has happened
            for sequence in list(self.parked):
                self.parked.remove(sequence)
                self._grow(sequence)
            self._admit()
            yield self._late()
            for sequence in self.joining:
                self.decoding.append(sequence)
            joined, self.joining = self.joining, []
            for sequence in joined:
                if sequence in self.decoding and sequence.at >= sequence.room:
                    self._grow(sequence)
            pieces = self._pieces()
            active = [] if self.case.prompts_first and pieces else list(self.decoding)
            if not pieces and not active:
                yield self.knock
                self.knock = self.env.event()
                exact = Fraction(self.now)
                continue
            self.iterations += 1
            exact += self._length(active, pieces)
            yield self._at_end(ceil(exact))
            self._count(active, pieces)

    def _pieces(self) -> list[tuple[Sequence, int]]:
        case = self.case
        left = case.max_tokens - (0 if case.prompts_first else len(self.decoding))
        pieces: list[tuple[Sequence, int]] = []
        for sequence in sorted(self.prompts, key=self.batch.index):
            owed = sequence.goal - sequence.at
            tokens = min(owed, left) if case.chunked else owed if owed <= left or not pieces else 0
            if tokens <= 0:
                break
            pieces.append((sequence, tokens))
            left -= tokens
        return pieces

    def _length(self, active: list[Sequence], pieces: list[tuple[Sequence, int]]) -> Fraction:
        roofline = self.case.roofline
        contexts = sum(sequence.at for sequence in active)
        streamed = roofline.weights + contexts * roofline.cached
        computed = len(active) * roofline.token + contexts * roofline.pair
        for sequence, tokens in pieces:
            streamed += (sequence.at + tokens) * roofline.cached
            attended = sum(sequence.at + position for position in range(1, tokens + 1))
            computed += tokens * roofline.token + attended * roofline.pair
        return max(streamed, computed) + roofline.overhead

    def _count(self, active: list[Sequence], pieces: list[tuple[Sequence, int]]) -> None:
        """An iteration is over."""
        for sequence in active:
            sequence.at += 1
            sequence.generated += 1
        for sequence in sorted(active, key=self.batch.index):
            if sequence.generated == sequence.asked.output:
                self.decoding.remove(sequence)
                self._finish(sequence)
        ready: list[Sequence] = []
        for sequence, tokens in pieces:
            self._computed(sequence, tokens)
            if sequence.at == sequence.goal:
                ready += self._has_prompt(sequence)
        growing = sorted((sequence for sequence in active if sequence.end < 0), key=self.batch.index) + ready
        for sequence in growing:
            if sequence in self.decoding and sequence.at >= sequence.room:
                self._grow(sequence)

    def _computed(self, sequence: Sequence, tokens: int) -> None:
        sequence.at += tokens
        sequence.computed += tokens
        done = [block for block, end in sequence.fresh if end <= sequence.at]
        sequence.fresh = [(block, end) for block, end in sequence.fresh if end > sequence.at]
        for block in done:
            self.tiers[0].there[block].succeed()
        if self.case.write == "through" and len(self.tiers) > 1:
            copied = [block for block in done if block not in self.tiers[1].blocks]
            copied = copied[max(0, len(copied) - self.tiers[1].most()) :]
            if copied:
                self.tiers[0].need(copied, +1)
                self._push_down(copied, stays=True)

    def _has_prompt(self, sequence: Sequence) -> list[Sequence]:
        self.prompts.remove(sequence)
        if sequence.first_token < 0:
            sequence.first_token = self.now
        if sequence.generated < sequence.asked.output:
            sequence.generated += 1
        if sequence.generated == sequence.asked.output:
            self._finish(sequence)
            return []
        self.decoding.append(sequence)
        return [sequence]

    def _finish(self, sequence: Sequence) -> None:
        sequence.end = self.now
        self.batch.remove(sequence)
        self.tiers[0].need(sequence.held, -1)
        self._give_back(sequence)

    def _give_back(self, sequence: Sequence) -> None:
        if sequence.own:
            self.tiers[0].used -= sequence.own
            self.tiers[0].room.give(sequence.own)
            sequence.own = 0

    # --- getting in

    def _admit(self) -> None:
        while self.queue and len(self.batch) < self.case.max_sequences and self._admits(self.queue[0]):
            self.queue.pop(0)

    def _admits(self, sequence: Sequence) -> bool:
        first, blocks = self.tiers[0], sequence.asked.blocks
        cached = sequence.asked.prompt + sequence.generated
        needed = max(len(blocks), ceil(cached / self.case.block_tokens))
        if needed > first.capacity:
            raise NoRoom
        levels = self._levels(blocks)
        here = [block for block in blocks if block in first.blocks]
        first.need(here, +1)
        size = needed - len(here)
        if size > first.most():
            first.need(here, -1)
            return False
        below = [block for block, level in zip(blocks, levels, strict=False) if level == 1]
        if below:
            self.tiers[1].need(below, +1)
            for run in _runs(levels):
                self.tiers[1].read(reversed([blocks[position] for position in run]))
        self._demote(first.oldest(first.used + size - first.capacity))
        self._plan(sequence, levels, needed)
        room = first.room.get(size) if size else None
        fresh = [block for block in blocks if block not in first.blocks and block not in below]
        ends = {
            block: min((k + 1) * self.case.block_tokens, sequence.asked.prompt)
            for k, block in enumerate(blocks)
        }
        sequence.fresh = [(block, ends[block]) for block in fresh]
        for block in reversed(fresh):
            first.take_in(block, self.env.event())
        loads = [self._load([blocks[position] for position in run]) for run in reversed(_runs(levels))][::-1]
        first.read(reversed(here))
        first.used += needed - len(blocks)
        sequence.held, sequence.own = list(blocks), needed - len(blocks)
        self.batch.append(sequence)
        sequence.leans = [block for block in here if not first.there[block].triggered]
        waits = [first.there[block] for block in sequence.leans]
        sequence.waits = [*waits, *(load.there for load in loads), *([] if room is None else [room])]
        self.env.process(self._prepare(sequence, room, loads))
        return True

    def _levels(self, blocks: Iterable[int]) -> list[int]:
        """Tiers of the blocks up to the first that is in none."""
        levels: list[int] = []
        for block in blocks:
            level = next((k for k, tier in enumerate(self.tiers) if block in tier.blocks), None)
            if level is None:
                break
            levels.append(level)
        return levels

    def _plan(self, sequence: Sequence, levels: list[int], needed: int) -> None:
        asked = sequence.asked
        cached = min(len(levels) * self.case.block_tokens, asked.prompt)
        sequence.goal = asked.prompt + sequence.generated
        sequence.at = min(cached, sequence.goal - 1)
        sequence.room = needed * self.case.block_tokens
        if sequence.admitted < 0:
            sequence.admitted = self.now
            sequence.found = (levels.count(0), levels.count(1))

    def _prepare(self, sequence: Sequence, room: simpy.Event | None, loads: list[Load]) -> Process:
        """Wait for room, then load; wait for what others bring or compute."""
        time = sequence.preemptions
        if room is not None and not room.triggered:
            yield room
        for load in loads:
            self.env.process(self._bring(load))
        yield self.env.all_of(sequence.waits)
        if sequence.preemptions == time:  # else it had to give way before it noticed
            self.prompts.append(sequence)
            self._call()

    def _stands_still(self, sequence: Sequence) -> bool:
        """Whether it waits for nothing, and nobody for it."""
        fresh = {block for block, _ in sequence.fresh}
        wanted = any(fresh.intersection(other.leans) for other in self.batch if self._waits(other))
        return not wanted and not self._waits(sequence)

    def _waits(self, sequence: Sequence) -> bool:
        return any(not event.triggered for event in sequence.waits)

    # --- moves

    def _load(self, run: list[int]) -> Load:
        """Blocks below are decided to be in the first tier; there they stay if somebody needs them."""
        below = self.tiers[1]
        late = [below.there[block] for block in run if not below.there[block].triggered]
        kept = self.case.keeps or self.case.write == "through" or bool(late)
        kept = kept or any(below.blocks[block] > 1 for block in run)
        if not kept:
            for block in run:
                del below.blocks[block]
            below.used -= len(run)
        there = self.env.event()
        for block in reversed(run):
            self.tiers[0].take_in(block, there)
        return Load(run, kept, late, there)

    def _bring(self, load: Load) -> Process:
        self.moving += 1
        yield self.env.all_of(load.late)
        yield from self._cross(self.up, len(load.blocks))
        self.moving -= 1
        load.there.succeed()
        if load.kept:
            self.tiers[1].need(load.blocks, -1)
        else:
            yield self.tiers[1].room.give(len(load.blocks))
        self._call()

    def _demote(self, gone: list[int]) -> None:
        """Blocks have been pushed out of the first tier."""
        below = self.tiers[1] if len(self.tiers) > 1 else None
        leaving = [block for block in gone if below is not None and block not in below.blocks]
        if below is not None and self.case.write != "none":
            leaving = leaving[max(0, len(leaving) - below.most()) :]
        else:
            leaving = []
        if len(gone) > len(leaving):
            self.tiers[0].room.give(len(gone) - len(leaving))
        if leaving:
            self._push_down(leaving, stays=False)

    def _push_down(self, blocks: list[int], *, stays: bool) -> None:
        """Blocks that have left the first tier, or stay, go below, where the oldest are gone for good."""
        below = self.tiers[1]
        gone = below.oldest(below.used + len(blocks) - below.capacity)
        if gone:
            below.room.give(len(gone))
        late = [self.tiers[0].there[block] for block in blocks if not self.tiers[0].there[block].triggered]
        there = self.env.event()
        for block in blocks:
            below.take_in(block, there)
        self.moving += 1
        self.env.process(self._write(blocks, below.room.get(len(blocks)), late, there, stays))

    def _write(
        self, blocks: list[int], room: simpy.Event, late: list[simpy.Event], there: simpy.Event, stays: bool
    ) -> Process:
        yield room
        yield self.env.all_of(late)
        yield from self._cross(self.down, len(blocks))
        self.moving -= 1
        there.succeed()
        self.tiers[1].need(blocks, -1)
        if stays:
            self.tiers[0].need(blocks, -1)
        else:
            self.tiers[0].room.give(len(blocks))
        self._call()

    def _cross(self, lane: simpy.Resource, blocks: int) -> Process:
        """Several transfers, one behind the other, and the last one's latency."""
        parts = [min(self.case.coalesce, blocks - k) for k in range(0, blocks, self.case.coalesce)]
        requests = [lane.request() for _ in parts]
        for part, request in zip(parts, requests, strict=True):
            yield request
            yield self.env.timeout(self.case.setup + part * self.case.transfer)
            lane.release(request)
        yield self.env.timeout(self.case.latency)

    # --- growing, and giving way

    def _grow(self, sequence: Sequence) -> None:
        """Take more room, now or later; or give way."""
        first = self.tiers[0]
        most = sequence.asked.prompt + sequence.asked.output - 1
        blocks = min(self.case.growth, ceil((most - sequence.room) / self.case.block_tokens))
        while blocks > first.most():
            still = [other for other in self.batch if self._stands_still(other)]
            if still[-1] is not sequence:
                self._preempt(still[-1])
            elif len(self.batch) > 1:
                self._preempt(sequence)
                return
            elif self.moving:
                if sequence in self.decoding:
                    self.decoding.remove(sequence)
                self.parked.append(sequence)
                return
            else:
                raise NoRoom
        self._demote(first.oldest(first.used + blocks - first.capacity))
        first.used += blocks
        sequence.own += blocks
        sequence.room += blocks * self.case.block_tokens
        room = first.room.get(blocks)
        if room.triggered:
            if sequence not in self.decoding:
                self.joining.append(sequence)
            return
        if sequence in self.decoding:
            self.decoding.remove(sequence)
        sequence.waits = [room]
        self.env.process(self._await(sequence, room))

    def _await(self, sequence: Sequence, room: simpy.Event) -> Process:
        yield room
        self.joining.append(sequence)
        self._call()

    def _preempt(self, sequence: Sequence) -> None:
        for group in (self.batch, self.prompts, self.decoding, self.joining, self.parked):
            if sequence in group:
                group.remove(sequence)
        first = self.tiers[0]
        never = [block for block, _ in sequence.fresh]
        for block in never:
            del first.blocks[block]
        first.used -= len(never)
        if never:
            first.room.give(len(never))
        sequence.fresh = []
        first.need([block for block in sequence.held if block not in never], -1)
        self._give_back(sequence)
        sequence.preemptions += 1
        self.queue = sorted([*self.queue, sequence], key=lambda other: other.number)
        self._call()


@dataclass(frozen=True)
class Load:
    """Blocks on their way up."""

    blocks: list[int]
    kept: bool
    """Whether they stay below, too."""
    late: list[simpy.Event]
    """What has to be there before they can go."""
    there: simpy.Event


def _runs(levels: list[int]) -> list[list[int]]:
    """Positions of blocks in a row that are in the tier below."""
    runs: list[list[int]] = []
    for position, level in enumerate(levels):
        if level == 1 and position and levels[position - 1] == 1:
            runs[-1].append(position)
        elif level == 1:
            runs.append([position])
    return runs


def simulate(case: Case) -> list[Sequence]:
    """Every request with what became of it. Raises NoRoom where one can never have what it needs."""
    server = Server(case)
    server.run()
    return server.sequences
