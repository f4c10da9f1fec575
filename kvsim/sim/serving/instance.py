"""One GPU that serves: iterations of a batch, and who is in it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from simpy import Environment, Event

from kvsim.scenario.iteration import DecodeRun, IterationCost
from kvsim.scenario.serving import BatchSpec
from kvsim.sim.serving.admission import Admission
from kvsim.sim.serving.decoding import Decoders
from kvsim.sim.serving.growth import Growth
from kvsim.sim.serving.leaving import Leaving
from kvsim.sim.serving.prompts import choose, end_with_parts, work
from kvsim.sim.serving.records import ServingRecords
from kvsim.sim.serving.sequence import BATCH, COMPUTE, MEMORY, PREEMPTED, SLOTS, STALL, TURN, Parts, Sequence
from kvsim.sim.serving.store import Store
from kvsim.sim.serving.waiting import Queue

__all__ = ["Instance"]

LATE = 2
"""Priority of the events at which an iteration of the first instance ends, those of the others follow: what
else happens at that tick has happened before."""
LAST = 1 << 20
"""Priority of those at which the next one begins, if something else happens at that tick."""


class Instance:
    """Runs iterations back to back as long as there is something to compute.

    Whoever can be admitted is, whoever is ready joins, when an iteration begins. Iterations in a row that
    only decode, with the same sequences, are passed in one go, to be cut short at the end of the running one
    when something happens that the next might see.
    """

    def __init__(
        self,
        env: Environment,
        number: int,
        spec: BatchSpec,
        cost: IterationCost,
        queue: Queue,
        records: ServingRecords,
        stride: int,
    ) -> None:
        self.env = env
        self.number = number
        self.spec = spec
        self.queue = queue
        self.admission: Admission
        self.growth: Growth
        self.leaving: Leaving
        """These three are set when the machine is built."""
        self.ended: Callable[[Sequence], None]
        """Told of every sequence that is done here; set when the machine is built."""
        self.look_ahead: Callable[[Queue], None] | None = None
        """Told of the queue when somebody has been admitted, or might have been."""
        self.drain: Callable[[list[Store]], None] | None = None
        """Empties tiers that are above their marks; set where there are marks."""
        self.only_prompts = False
        """Whether sequences leave with their first token."""
        self.admitted: list[Sequence] = []
        """In order of admission."""
        self.tokens_due = 0
        """Tokens that are still to be computed for those who have come here, decoding aside."""
        self.busy = 0
        """Ticks spent in iterations."""
        self.stalls = 0
        """Of these, ticks in which parts of layers were waited for."""
        self._cost = cost
        self._records = records
        self._stride = stride
        """Iterations that are passed in one go, at most."""
        self._decoders = Decoders()
        self._prefilling: list[tuple[int, Sequence]] = []
        """Sequences whose prompts can be computed, in order of admission."""
        self._joining: list[Sequence] = []
        """Sequences that go on to decode."""
        self._orders = 0
        # the running iterations
        self._running = False
        self._serial = 0
        """Number of the event that ends them; an earlier event means nothing."""
        self._steps = 0
        self._start = 0
        self._exact = 0
        """Where they begin, in parts of a tick."""
        self._length = 0
        """Of a single one: parts of a tick that it computes."""
        self._run: DecodeRun | None = None
        """Of several, that only decode."""
        self._chunks: list[Sequence] = []
        """Sequences whose prompts are computed in it."""
        self._new = 0
        """Tokens of them."""
        self._active = 0
        """Sequences that decode in it."""
        self._gapped: list[Sequence] = []
        """Of these, those whose last token is older than its beginning."""
        # the queue
        self._refused = TURN
        """Why nobody else was admitted."""
        self._clocks = [0, 0, 0]
        """Ticks that somebody who was always in the queue would have spent there, by reason."""
        self._clocked = 0

    @property
    def now(self) -> int:
        """The running tick."""
        now: int = self.env.now  # type: ignore[assignment]  # the clock counts integer ticks
        return now

    # --- what happens to it

    def enqueue(self, sequence: Sequence) -> None:
        """A sequence wants to be admitted."""
        sequence.instance = self
        self._tick()
        sequence.queued = tuple(self._clocks)
        sequence.due = sequence.request.input_tokens if sequence.sender is None else 0
        self.tokens_due += sequence.due
        self.queue.push(sequence)
        if not self._waits_behind(sequence):
            self.poke()

    def _waits_behind(self, sequence: Sequence) -> bool:
        """Whether a newcomer can change nothing: somebody who was refused is before it."""
        refused = self._running and self._refused != TURN
        return refused and self.look_ahead is None and self.queue.first() is not sequence

    def ready(self, sequence: Sequence) -> None:
        """All that an admitted sequence waited for is there."""
        sequence.enter(BATCH, self.now)
        if sequence.owes:
            insort(self._prefilling, (sequence.order, sequence))
        else:
            self._joining.append(sequence)
        self.poke()

    def expel(self, sequence: Sequence) -> None:
        """An admitted sequence that waits for nothing is to be preempted, between two iterations."""
        self._settle(sequence)
        if sequence in self._decoders:
            self._decoders.leave(sequence, self.now)
        elif sequence in self._joining:
            self._joining.remove(sequence)
        elif sequence.owes:
            self._prefilling.remove((sequence.order, sequence))

    def poke(self) -> None:
        """Something has happened that the next iteration might see."""
        if not self._running:
            self._running = True
            self._exact = self.now * self._cost.unit
            self._end_at(self.now)
        elif self._steps > 1:
            self._cut_short()

    def freed(self) -> None:
        """Blocks that had to stay need not any more: there may be room for those who lack it."""
        if self._refused == MEMORY or self.growth.parked or self.drain is not None:
            self.poke()

    # --- one iteration after another

    def _end_at(self, tick: int) -> None:
        self._serial = serial = self._serial + 1
        self._call(lambda _event: self._boundary(serial), LATE, tick - self.now)

    def _call(self, callback: Callable[[Event], None], priority: int, delay: int) -> None:
        event = Event(self.env)
        event._ok = True
        event._value = None
        event.callbacks = [callback]
        self.env.schedule(event, priority + self.number, delay)  # type: ignore[arg-type]  # any will do

    def _boundary(self, serial: int) -> None:
        if serial != self._serial:
            return
        if self._steps:
            self._close()
        if self.env.peek() > self.now:
            self._next()
        else:
            self._call(lambda _event: self._next(), LAST, 0)

    def _next(self) -> None:
        """Between two iterations, when all else has happened that happens at this tick."""
        self.growth.retry()
        self._admit()
        if self.drain is not None:
            self.drain(self.admission.path)
        self._open()

    def _end_of(self, steps: int) -> int:
        """The tick at which the first of the running iterations are over."""
        assert self._run is not None
        return -(-(self._exact + self._run.total(steps)) // self._cost.unit)

    def _cut_short(self) -> None:
        """Let them end with the one that runs."""
        assert self._run is not None
        now = self.now
        # the first that is over now or later; ends are rounded up, so the one before may do, too
        steps = max(1, self._run.reaching((now - 1) * self._cost.unit + 1 - self._exact))
        if steps < self._steps:
            self._steps = steps
            self._end_at(self._end_of(steps))

    def _close(self) -> None:
        """The running iterations are over."""
        now, start, steps, run = self.now, self._start, self._steps, self._run
        stalled = 0
        if run is not None:
            first_end = now if steps == 1 else self._end_of(1)
            self._exact += run.total(steps)
        else:
            first_end = now
            self._exact += self._length
            stalled = now + self._exact // -self._cost.unit
            if stalled:
                self._exact = now * self._cost.unit
        self.busy += now - start
        self.stalls += stalled
        self._records.iterations.add(
            (
                self.number,
                start,
                now,
                steps,
                self._active,
                self._decoders.context if self._active else 0,
                self._new,
                stalled,
                len(self._gapped),
            )
        )
        for sequence in self._gapped:
            self._records.gaps.add((sequence.number, first_end - sequence.last_token))
        self._gapped.clear()
        self._steps = 0
        if self._active:
            for sequence in self._decoders.passed(steps):
                self._settle(sequence)
                self._decoders.leave(sequence, now)
                self._end(sequence)
        chunks, self._chunks = self._chunks, []
        for sequence in chunks:
            self._computed(sequence)
        self._grow()

    def _computed(self, sequence: Sequence) -> None:
        """A piece of a prompt is computed."""
        tokens, sequence.chunk = sequence.chunk, 0
        self.tokens_due -= tokens
        self.queue.served(sequence, tokens)
        self.admission.computed(sequence, tokens)
        if sequence.owes:
            return
        self._prefilling.remove((sequence.order, sequence))
        self._settle(sequence)
        output = sequence.request.output_tokens
        if sequence.first_token < 0:
            sequence.first_token = self.now
        if sequence.generated < output:
            if sequence.generated:
                self._records.gaps.add((sequence.number, self.now - sequence.last_token))
            sequence.generated += 1
            sequence.last_token = self.now
        if sequence.generated == output or self.only_prompts:
            self._end(sequence)
        else:
            self._decoders.join(sequence)

    def _grow(self) -> None:
        """Who needs room for the next token gets some, or leaves the batch."""
        for sequence in self._decoders.growing():
            why = self.growth.grow(sequence)
            if why == COMPUTE:
                self._decoders.remind(sequence)
            else:
                self._settle(sequence)
                self._decoders.leave(sequence, self.now)
                self.growth.set_aside(sequence, why)

    def _settle(self, sequence: Sequence) -> None:
        """Book the time of a sequence that may have been in iterations, without the stalls of these."""
        now = self.now
        if sequence.phase == COMPUTE:
            stalled = self.stalls - sequence.stalls
            sequence.phases[STALL] += stalled
            sequence.phases[COMPUTE] -= stalled
        sequence.enter(BATCH, now)

    def _end(self, sequence: Sequence) -> None:
        self.admitted.remove(sequence)
        self.queue.left(sequence)
        self.queue.served(sequence, sequence.generated)
        self.ended(sequence)

    # --- who gets in

    def _admit(self) -> None:
        self._tick()
        self._refused = TURN
        queue = self.queue
        while len(queue):
            sequence = queue.first() if len(self.admitted) < self.spec.max_sequences else None
            if sequence is None:
                self._refused = SLOTS
                break
            if not self.admission.admits(sequence):
                self._refused = MEMORY
                break
            queue.take(sequence)
            self._enroll(sequence)
        if self.look_ahead is not None:
            self.look_ahead(queue)

    def _enroll(self, sequence: Sequence) -> None:
        now = self.now
        self._orders += 1
        sequence.order = self._orders
        self.admitted.append(sequence)
        if sequence.admitted < 0:
            sequence.admitted = now
        if sequence.phase == PREEMPTED:
            sequence.enter(BATCH, now)
        else:
            for phase, before in enumerate(sequence.queued):
                sequence.phases[phase] += self._clocks[phase] - before
            sequence.phase, sequence.since = BATCH, now
        self.admission.begin(sequence)

    def _tick(self) -> None:
        """Charge the time since the last time to what kept the queue waiting."""
        now = self.now
        self._clocks[self._refused] += now - self._clocked
        self._clocked = now

    # --- what is computed next

    def _open(self) -> None:
        """Begin what is next, if there is anything to compute."""
        while self._joining:
            self._decoders.join(self._joining.pop(0))
        self._grow()
        chosen = self._choose() if self._prefilling else []
        resting = bool(chosen) and self.spec.first == "prefill"
        if resting:
            self._rest()
        self._active = 0 if resting else len(self._decoders)
        self._running = bool(chosen) or self._active > 0
        if not self._running:
            return
        self._start = self.now
        if self._active and self._decoders.fresh:
            self._welcome()
        if chosen:
            self._open_mixed(chosen)
        else:
            self._open_decode()

    def _welcome(self) -> None:
        """Those who are new in the batch are computed from now on."""
        now = self._start
        for sequence in self._decoders.fresh:
            self._put_in(sequence)
            if sequence.last_token != now:
                self._gapped.append(sequence)
        self._decoders.fresh.clear()

    def _put_in(self, sequence: Sequence) -> None:
        if sequence.phase != COMPUTE:
            sequence.enter(COMPUTE, self._start)
            sequence.stalls = self.stalls

    def _rest(self) -> None:
        """Those who decode make way for prompts: their tokens count, as if they left and came back."""
        for sequence in self._decoders:
            if sequence.phase == COMPUTE:
                self._settle(sequence)
                self._decoders.count(sequence, self.now)
                self._decoders.fresh.append(sequence)

    def _choose(self) -> list[Sequence]:
        """Pieces of prompts for the next iteration, in order of admission."""
        left = self.spec.max_tokens - (len(self._decoders) if self.spec.first == "decode" else 0)
        return choose((sequence for _, sequence in self._prefilling), self.spec, left)

    def _open_decode(self) -> None:
        """As many iterations as pass before anybody has the last token or needs room."""
        for _, sequence in self._prefilling:
            if sequence.phase == COMPUTE:
                self._settle(sequence)
        self._run = self._cost.decode(self._active, self._decoders.context)
        self._steps = min(self._decoders.until_due(), 1 if self.growth.parked else self._stride)
        self._new = 0
        self._end_at(self._end_of(self._steps))

    def _open_mixed(self, chosen: list[Sequence]) -> None:
        """One iteration, with pieces of prompts."""
        for _, sequence in self._prefilling:
            if sequence.chunk:
                self._put_in(sequence)
            elif sequence.phase == COMPUTE:
                self._settle(sequence)
        self._run = None
        self._chunks = chosen
        self._steps = 1
        self._new, read, attended = work(chosen)
        context = self._decoders.context if self._active else 0
        self._length = self._cost.mixed(self._active, context, self._new, read, attended)
        waiting = [sequence.parts for sequence in chosen if sequence.parts is not None]
        if any(-1 in parts.ticks for parts in waiting):
            self._await_parts(waiting)
        else:
            self._end_at(self._mixed_end())

    def _mixed_end(self) -> int:
        return -(-(self._exact + self._length) // self._cost.unit)

    def _await_parts(self, waiting: list[Parts]) -> None:
        """A group of layers is computed when those of its parts that are loaded are there."""
        self._serial += 1  # nothing ends it before

        def look() -> None:
            if any(-1 in parts.ticks for parts in waiting):
                return
            for parts in waiting:
                parts.watcher = None
            self._end_at(end_with_parts(self._start, self._mixed_end() - self._start, waiting))

        for parts in waiting:
            parts.watcher = look
