"""The naive simulator: a simpy resource for every lane, a SimPy process for every transfer on every lane.

It shares no code with kvsim and takes no short cut: the fast engine must give the same times, to the tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import simpy
from oracle.decisions import Announced, Birth, Bookkeeper, Cls, Decision, Drop, Move
from oracle.description import Case, Layer
from oracle.lanes import Crossing, Lane, Process, Task
from oracle.outcome import Arrival, Outcome
from oracle.roads import alone, hops, lane_facts, parts


class Naive:
    """One run of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.env = simpy.Environment()
        self.out = Outcome(lane_bytes=dict.fromkeys(lane_facts(case), 0))
        self.books = Bookkeeper(case, self._decided)
        self.lanes = {
            name: Lane(self.env, facts.channels, priority=facts.priority, chunk=facts.chunk)
            for name, facts in lane_facts(case).items()
        }
        self.free = [tier.capacity - used for tier, used in zip(case.tiers, self.books.used, strict=True)]
        self.after: dict[Task, list[Callable[[], None]]] = {}
        """Called once a task has committed, in order."""
        self.rooms: list[list[tuple[int, Task]]] = [[] for _ in case.tiers]
        """Requests for room of every tier, oldest first."""
        self.pending: dict[int, Task] = {}
        """Of every page, its newest task that has not committed."""
        self.waiting: dict[tuple[int, int], list[Task]] = {}
        self.flying: dict[tuple[int, int], list[Task]] = {}
        self.queued: list[Task] = []
        """All that the scheduler was ever given, in order."""
        self.ready: list[Task] = []
        """Where neighbours travel together: what may go once the decisions of this moment are complete."""
        self.alone_times: list[int] = []
        """In serial mode, the moves that the step has yet to sit through."""
        self.origin: Task | int = -1
        """What the transfers submitted now are in the wake of: an arrival, or the step at a time."""

    def run(self) -> Outcome:
        """Simulate to the end and check that nothing is left over."""
        self.env.process(self._steps())
        self.env.run()
        self._check()
        out, books = self.out, self.books
        out.residency, out.found, out.absent = books.nearest, books.found, books.absent
        out.evictions, out.discards = books.evictions, books.discards
        out.races = sum(lane.races for lane in self.lanes.values())
        return out

    def _check(self) -> None:
        assert not any(self.books.pins)
        if self.case.mode in ("serial", "ideal"):
            return
        assert not self.pending
        assert not self.ready
        assert not any(self.rooms)
        assert not any(self.waiting.values())
        assert not any(self.flying.values())
        for tier, free in zip(self.case.tiers, self.free, strict=True):
            assert 0 <= free <= tier.capacity
        used = [tier.capacity - free for tier, free in zip(self.case.tiers, self.free, strict=True)]
        assert used == self.books.used

    # --- decisions become tasks -------------------------------------------------------------------

    def _decided(self, decision: Decision) -> None:
        if self.case.mode == "ideal":
            return
        if self.case.mode == "serial":
            if isinstance(decision, Move):
                self._alone(decision.page, decision.source, decision.target)
            return
        if isinstance(decision, Drop):
            self._drop(decision)
        elif isinstance(decision, Birth):
            self._birth(decision)
        else:
            self._move(decision)

    def _alone(self, page: int, source: int, target: int, *, direct: bool = False) -> None:
        size = min(self.case.size(page, source), self.case.size(page, target))
        route = hops(self.case, source, target, direct=direct)
        for hop in route:
            self.out.lane_bytes[hop.lane] += size
        self.alone_times.append(alone(route, size, *parts(self.case, source, target, size)))

    def _drop(self, drop: Drop) -> None:
        def release() -> None:
            self._give_back(drop.tier, self.case.size(drop.page, drop.tier))

        before = self.pending.get(drop.page)
        if before is None:
            release()
        else:
            self.after.setdefault(before, []).append(release)

    def _birth(self, birth: Birth) -> None:
        task = Task(self.env, birth.page, 0, Cls.DEMAND)
        task.target = birth.tier
        task.travels = False
        self._follow(task)  # a page that was discarded on its way may be there anew before it has arrived
        self.pending[birth.page] = task
        self._ask_room(birth.tier, self.case.size(birth.page, birth.tier), task)

    def _move(self, move: Move) -> None:
        page, source, target = move.page, move.source, move.target
        size = min(self.case.size(page, source), self.case.size(page, target))
        task = Task(self.env, page, size, move.cls)
        task.source, task.target, task.keep = source, target, move.keep
        self._follow(task)
        self.pending[page] = task
        self._ask_room(target, self.case.size(page, target), task)

    def _read_in_place(self, page: int) -> Task:
        source = self.books.nearest[page]
        size = min(self.case.size(page, source), self.case.size(page, 0))
        task = Task(self.env, page, size, Cls.DEMAND)
        task.source, task.target, task.direct = source, 0, True
        task.has_room = True
        self._follow(task)
        self._try(task)
        return task

    def _follow(self, task: Task) -> None:
        """The task may start once its page's last task has committed."""

        def settled() -> None:
            task.settled = True
            self._try(task)

        before = self.pending.get(task.page)
        if before is None:
            task.settled = True
        else:
            task.before = before
            if task.cls == Cls.DEMAND:
                self._hurry([before])
            self.after.setdefault(before, []).append(settled)

    # --- room -------------------------------------------------------------------------------------

    def _ask_room(self, tier: int, size: int, task: Task) -> None:
        self.rooms[tier].append((size, task))
        self._grant(tier)

    def _give_back(self, tier: int, size: int) -> None:
        self.free[tier] += size
        self._grant(tier)

    def _grant(self, tier: int) -> None:
        while self.rooms[tier] and self.rooms[tier][0][0] <= self.free[tier]:
            size, task = self.rooms[tier].pop(0)
            self.free[tier] -= size
            task.has_room = True
            self._try(task)

    # --- the scheduler ----------------------------------------------------------------------------

    def _try(self, task: Task) -> None:
        if not (task.has_room and task.settled) or task.granted >= 0:
            return
        task.granted = int(self.env.now)
        if not task.travels:
            self._commit(task)
            return
        if self.case.coalesce > 1:
            self.ready.append(task)
        else:
            self._queue(task)

    def _flush(self) -> None:
        """The decisions of this moment are complete: send off what they made ready, neighbours together."""
        ready, self.ready = self.ready, []
        trains: list[Task] = []
        for task in ready:
            if trains and self._neighbours(trains[-1], task):
                trains[-1].train.append(task)
                task.leader = trains[-1]
            else:
                trains.append(task)
        for task in trains:
            self._queue(task)

    def _neighbours(self, leader: Task, task: Task) -> bool:
        """Whether the task may travel with the leader: the next page, going the same way as urgently."""
        last = [leader, *leader.train][-1]
        alike = (task.source, task.target, task.direct, task.cls) == (
            leader.source, leader.target, leader.direct, leader.cls,
        )  # fmt: skip
        return alike and task.page == last.page + 1 and len(leader.train) + 2 <= self.case.coalesce

    def _queue(self, task: Task) -> None:
        pair = task.way
        self.queued.append(task)
        self.waiting.setdefault(pair, []).append(task)
        self._launch(pair)

    def _launch(self, pair: tuple[int, int]) -> None:
        flying = self.flying.setdefault(pair, [])
        while able := [task for task in self.waiting.get(pair, []) if self._may_go(task, flying)]:
            task = min(able, key=lambda waiting: waiting.cls)
            self.waiting[pair].remove(task)
            flying.append(task)
            task.launched = task.cls
            self.env.process(self._travel(task, self.origin))

    def _may_go(self, task: Task, flying: list[Task]) -> bool:
        """Whether the task is within the limit in flight, and its class within its own."""
        limit, of_class = self.case.max_in_flight, self.case.class_in_flight[task.cls]
        alike = [other for other in flying if other.launched == task.cls]
        return (limit is None or len(flying) < limit) and (of_class is None or len(alike) < of_class)

    def _hurry(self, tasks: list[Task]) -> None:
        """The tasks are awaited now, and so are the earlier ones of their pages that they wait for.

        What only its old class held back goes, in the order of the queue.
        """
        wanted: list[Task] = []
        for task in tasks:
            waiting: Task | None = task
            while waiting is not None and not waiting.committed:
                waiting.hurry(Cls.DEMAND)
                wanted.append(waiting.leader or waiting)
                waiting = waiting.before
        for task in self.queued:
            if task in wanted:
                self._launch(task.way)

    def _travel(self, task: Task, origin: Task | int) -> Process:
        """Lane after lane: the next is reached by the first part, and by and by by the rest."""
        route = hops(self.case, task.source, task.target, direct=task.direct)
        part, last = parts(self.case, task.source, task.target, task.bytes)
        tail = None
        for number, hop in enumerate(route):
            lane = self.lanes[hop.lane]
            lane.reached(origin if number == 0 else task, task.cls)
            self.out.lane_bytes[hop.lane] += task.bytes
            crossing = Crossing(lane, hop, task, part, last, tail)
            self.env.process(crossing.run())
            tail = self.env.event() if part < task.bytes else None
            if tail is not None and number < len(route) - 1:
                self.env.process(self._follow_up(crossing, tail))
            yield crossing.first_out if number < len(route) - 1 else crossing.all_out
            yield self.env.timeout(hop.delay)
        with self._wake_of(task):
            self._arrive(task)

    def _follow_up(self, crossing: Crossing, tail: simpy.Event) -> Process:
        """The last part reaches the next lane."""
        yield crossing.all_out
        yield self.env.timeout(crossing.hop.delay)
        tail.succeed()

    @contextmanager
    def _wake_of(self, origin: Task | int) -> Iterator[None]:
        before = self.origin
        self.origin = origin
        yield
        self.origin = before

    def _arrive(self, task: Task) -> None:
        pair = task.way
        self.flying[pair].remove(task)
        self._launch(pair)
        now = int(self.env.now)
        self.out.arrivals.append(
            Arrival(
                task.page, 1 + len(task.train), task.source, -1 if task.direct else task.target, task.bytes,
                task.cls, task.issued, task.requested, task.granted, now,
            )
        )  # fmt: skip
        for each in [task, *task.train]:
            self._commit(each)
        self._flush()

    def _commit(self, task: Task) -> None:
        if task.travels and not task.direct and not task.keep:
            self._give_back(task.source, self.case.size(task.page, task.source))
        task.committed = True
        if self.pending.get(task.page) is task:
            del self.pending[task.page]
        for callback in self.after.pop(task, []):
            callback()
        task.done.succeed()

    # --- the steps --------------------------------------------------------------------------------

    def _steps(self) -> Process:
        for number, step in enumerate(self.case.steps):
            if step.arrival is not None and step.arrival > self.env.now:
                yield self.env.timeout(step.arrival - self.env.now)
            start = int(self.env.now)
            compute = 0
            announced: list[Announced] = []
            for index, layer in enumerate(step.layers):
                yield from self._fetch(number, index, layer, announced)
                begin = int(self.env.now)
                if self.case.mode == "layered":
                    self._fetch_ahead(step.layers, index, announced)
                yield self.env.timeout(self._compute(layer, announced[index]))
                compute += int(self.env.now) - begin
                self.out.computes.append((number, index, begin, int(self.env.now)))
                self.books.unpin(layer)
                yield from self._create(number, index, layer)
            yield from self._migrate(number, len(step.layers) - 1)
            self.out.steps.append((start, int(self.env.now), compute))
        self.out.end = int(self.env.now)

    def _compute(self, layer: Layer, seen: Announced) -> int:
        compute = layer.compute + (layer.absent_each or 0) * seen.absent
        latency = self.case.tiers[0].read_latency + self.case.tiers[0].codec_latency
        if self.case.mode == "serial":
            return compute + seen.hits * latency
        return compute + (latency if seen.hits and self.case.mode != "ideal" else 0)

    def _fetch(self, step: int, index: int, layer: Layer, announced: list[Announced]) -> Process:
        """Announce the layer unless that was done ahead, and wait for its pages."""
        own = int(self.env.now)
        if index == len(announced):
            with self._wake_of(own):
                announced.append(self.books.announce(layer, Cls.DEMAND))
                self._flush()
        with self._wake_of(own):
            self._hurry(self._moving(layer))
        if self.case.mode == "serial":
            for page in announced[index].direct:
                self._alone(page, self.books.nearest[page], 0, direct=True)
            yield from self._one_by_one()
        elif self.case.mode != "ideal":
            awaited = self._read_all_in_place(announced[index].direct, own) + self._moving(layer)
            yield self.env.all_of([task.done for task in awaited])
        self._stalled(step, index, own)

    def _moving(self, layer: Layer) -> list[Task]:
        """Of the layer's pages that belong in tier 0, the tasks that still have to bring them there."""
        return [
            self.pending[page]
            for page in layer.pages
            if page in self.pending and self.books.nearest[page] == 0
        ]

    def _read_all_in_place(self, pages: tuple[int, ...], now: int) -> list[Task]:
        with self._wake_of(now):
            tasks = [self._read_in_place(page) for page in pages]
            self._flush()
            return tasks

    def _fetch_ahead(self, layers: tuple[Layer, ...], running: int, announced: list[Announced]) -> None:
        while len(announced) < len(layers) and len(announced) <= running + self.case.depth:
            layer = layers[len(announced)]
            if not layer.foreseen or not self.books.may_announce(layer, layers[running : len(announced)]):
                return
            with self._wake_of(int(self.env.now)):
                announced.append(self.books.announce(layer, Cls.PREFETCH))
                self._flush()

    def _create(self, step: int, index: int, layer: Layer) -> Process:
        """The layer's new pages are born, the watermarks looked at; the step waits for the births' room."""
        before = int(self.env.now)
        births = []
        with self._wake_of(before):
            for page in layer.created:
                self.books.birth(page, 0)
                if page in self.pending:
                    births.append(self.pending[page])
            self.books.watermarks()
            self._flush()
        if self.case.mode == "serial":
            yield from self._one_by_one()
        else:
            yield self.env.all_of([task.done for task in births])
        self._stalled(step, index, before)

    def _migrate(self, step: int, last: int) -> Process:
        """What is wanted elsewhere moves; only a serial machine's step waits for it."""
        if step >= len(self.case.wishes):
            return
        before = int(self.env.now)
        with self._wake_of(before):
            for page, tier in self.case.wishes[step]:
                self.books.wish(page, tier)
            self.books.watermarks()
            self._flush()
        if self.case.mode == "serial":
            yield from self._one_by_one()
        self._stalled(step, last, before)

    def _one_by_one(self) -> Process:
        for duration in self.alone_times:
            yield self.env.timeout(duration)
        self.alone_times.clear()

    def _stalled(self, step: int, layer: int, since: int) -> None:
        if self.env.now == since:
            return
        if self.out.stalls and self.out.stalls[-1][:2] == (step, layer) and self.out.stalls[-1][3] == since:
            since = self.out.stalls.pop()[2]  # a layer without compute waits for its pages and births in one
        self.out.stalls.append((step, layer, since, int(self.env.now)))


def simulate(case: Case) -> Outcome:
    """Run the case. Raises NoRoom if a page that must go somewhere cannot."""
    return Naive(case).run()
