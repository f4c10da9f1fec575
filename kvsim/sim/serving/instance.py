"""One GPU that serves: iterations of a batch, and who is in it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from heapq import heappop, heappush

from simpy import Environment, Event

from kvsim.scenario.iteration import DecodeRun, IterationCost, pairs
from kvsim.scenario.serving import BatchSpec
from kvsim.sim.serving.admission import Admission
from kvsim.sim.serving.growth import Growth
from kvsim.sim.serving.leaving import Leaving
from kvsim.sim.serving.records import ServingRecords
from kvsim.sim.serving.sequence import BATCH, COMPUTE, MEMORY, PREEMPTED, SLOTS, STALL, TURN, Sequence
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
        self.iterations = 0
        """Iterations that decoded, and are over."""
        self.busy = 0
        """Ticks spent in iterations."""
        self.stalls = 0
        """Of these, ticks in which parts of layers were waited for."""
        self._cost = cost
        self._records = records
        self._stride = stride
        """Iterations that are passed in one go, at most."""
        self._decoders: dict[Sequence, None] = {}
        self._context = 0
        """Tokens in their caches."""
        self._due: list[tuple[int, int, int, int, Sequence]] = []
        """Heap of reminders: when, last tokens before growth, order of admission, stamp, whose."""
        self._prefilling: list[tuple[int, Sequence]] = []
        """Sequences whose prompts can be computed, in order of admission."""
        self._joining: list[Sequence] = []
        """Sequences that go on to decode."""
        self._fresh: list[Sequence] = []
        """Of the decoding ones, those that have not been in an iteration since they came."""
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
        self._growing: list[tuple[Sequence, int]] = []
        """Sequences that need room for their next token, each with its stamp."""
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
        self.poke()

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
            self._leave(sequence)
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
                self._context if self._active else 0,
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
            self.iterations += steps
            self._context += self._active * steps
        if self._active:
            self._end_those_due()
        chunks, self._chunks = self._chunks, []
        for sequence in chunks:
            self._computed(sequence)
        if self._growing:
            self._grow_all()

    def _end_those_due(self) -> None:
        """Who has the last token ends; who needs room for the next is noted."""
        due, here = self._due, self.iterations
        while due and due[0][0] <= here:
            _, _, _, stamp, sequence = heappop(due)
            if sequence.stamp != stamp:
                continue
            if sequence.finish == here:
                self._settle(sequence)
                self._leave(sequence)
                self._end(sequence)
            else:
                self._growing.append((sequence, stamp))

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
            self._join(sequence)

    def _join(self, sequence: Sequence) -> None:
        """From the next iteration on the sequence decodes."""
        here = self.iterations
        sequence.decoding_since = here
        sequence.finish = here + sequence.request.output_tokens - sequence.generated
        self._decoders[sequence] = None
        self._context += sequence.context
        self._fresh.append(sequence)
        if sequence.room_tokens > sequence.context:
            self._remind(sequence)
        else:
            self._growing.append((sequence, sequence.stamp))

    def _grow_all(self) -> None:
        """Who needs room for the next token gets some, unless it has given way to another meanwhile."""
        growing, self._growing = self._growing, []
        for sequence, stamp in growing:
            if sequence.stamp == stamp:
                self._grow(sequence)

    def _grow(self, sequence: Sequence) -> None:
        why = self.growth.grow(sequence)
        if why == COMPUTE:
            self._remind(sequence)
        else:
            self._settle(sequence)
            self._leave(sequence)
            self.growth.set_aside(sequence, why)

    def _remind(self, sequence: Sequence) -> None:
        """Come back to the sequence when it has its last token, or needs room for the next."""
        full = sequence.decoding_since + sequence.room_tokens - sequence.context
        last = sequence.finish
        sequence.stamp += 1
        when, kind = (last, 0) if last <= full else (full, 1)
        heappush(self._due, (when, kind, sequence.order, sequence.stamp, sequence))

    def _leave(self, sequence: Sequence) -> None:
        """The sequence does not decode any more, for now or for good."""
        passed = self.iterations - sequence.decoding_since
        if passed:
            sequence.last_token = self.now
        sequence.generated += passed
        sequence.context += passed
        sequence.decoding_since = self.iterations
        sequence.stamp += 1
        del self._decoders[sequence]
        self._context -= sequence.context
        if sequence in self._fresh:
            self._fresh.remove(sequence)

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
            self._join(self._joining.pop(0))
        if self._growing:
            self._grow_all()
        chosen = self._choose() if self._prefilling else []
        resting = bool(chosen) and self.spec.first == "prefill"
        if resting:
            self._rest()
        self._active = 0 if resting else len(self._decoders)
        self._running = bool(chosen) or self._active > 0
        if not self._running:
            return
        self._start = self.now
        if self._active and self._fresh:
            self._welcome()
        if chosen:
            self._open_mixed(chosen)
        else:
            self._open_decode()

    def _welcome(self) -> None:
        """Those who are new in the batch are computed from now on."""
        now = self._start
        for sequence in self._fresh:
            self._put_in(sequence)
            if sequence.last_token != now:
                self._gapped.append(sequence)
        self._fresh.clear()

    def _put_in(self, sequence: Sequence) -> None:
        if sequence.phase != COMPUTE:
            sequence.enter(COMPUTE, self._start)
            sequence.stalls = self.stalls

    def _rest(self) -> None:
        """Those who decode make way for prompts."""
        now = self.now
        for sequence in self._decoders:
            if sequence.phase == COMPUTE:
                self._settle(sequence)
                if self.iterations > sequence.decoding_since:
                    self._pause(sequence, now)
                self._fresh.append(sequence)

    def _pause(self, sequence: Sequence, now: int) -> None:
        """Its tokens so far are counted, as if it left and came back."""
        passed = self.iterations - sequence.decoding_since
        sequence.last_token = now
        sequence.generated += passed
        sequence.context += passed
        sequence.decoding_since = self.iterations

    def _choose(self) -> list[Sequence]:
        """Prompts, or pieces of them, for the next iteration, in order of admission."""
        spec = self.spec
        left = spec.max_tokens - (len(self._decoders) if spec.first == "decode" else 0)
        chosen: list[Sequence] = []
        for _, sequence in self._prefilling:
            if spec.chunked:
                tokens = min(sequence.owes, left)
            else:
                tokens = sequence.owes if sequence.owes <= left or not chosen else 0
            if tokens <= 0:
                break
            sequence.chunk = tokens
            left -= tokens
            chosen.append(sequence)
        return chosen

    def _open_decode(self) -> None:
        """As many iterations as pass before anybody has the last token or needs room."""
        for _, sequence in self._prefilling:
            if sequence.phase == COMPUTE:
                self._settle(sequence)
        count = self._active
        self._run = self._cost.decode(count, self._context)
        due = self._due
        while due[0][4].stamp != due[0][3]:
            heappop(due)
        self._steps = min(due[0][0] - self.iterations, 1 if self.growth.parked else self._stride)
        self._new = 0
        self._end_at(self._end_of(self._steps))

    def _open_mixed(self, chosen: list[Sequence]) -> None:
        """One iteration, with pieces of prompts."""
        new = read = attended = missing = 0
        for _, sequence in self._prefilling:
            if sequence.chunk:
                self._put_in(sequence)
            elif sequence.phase == COMPUTE:
                self._settle(sequence)
        for sequence in chosen:
            rest, end = sequence.chunk, 0
            new += rest
            for start, stop in reversed(sequence.todo):
                tokens = min(rest, stop - start)
                attended += pairs(tokens, start)
                end = start + tokens
                rest -= tokens
                if not rest:
                    break
            read += end
            if sequence.parts is not None:
                missing += sequence.parts.ticks.count(-1)
        self._run = None
        self._chunks = chosen
        self._new = new
        self._steps = 1
        context = self._context if self._active else 0
        self._length = self._cost.mixed(self._active, context, new, read, attended)
        if missing:
            self._await_parts(chosen)
        else:
            self._end_at(self._mixed_end())

    def _mixed_end(self) -> int:
        return -(-(self._exact + self._length) // self._cost.unit)

    def _await_parts(self, chosen: list[Sequence]) -> None:
        """A group of layers is computed when those of its parts that are loaded are there."""
        self._serial += 1  # nothing ends it before
        waiting = [sequence.parts for sequence in chosen if sequence.parts is not None]

        def look() -> None:
            if any(tick < 0 for parts in waiting for tick in parts.ticks):
                return
            ticks = self._mixed_end() - self._start
            groups = len(waiting[0].ticks)
            end = self._start
            for group in range(groups):
                end = max(end, *(parts.ticks[group] for parts in waiting))
                end += ticks * (group + 1) // groups - ticks * group // groups
            for parts in waiting:
                parts.watcher = None
            self._end_at(end)

        for parts in waiting:
            parts.watcher = look
