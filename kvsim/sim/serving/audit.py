"""The books of a run of requests: time, tokens, bytes, space and blocks, each summed twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kvsim.errors import AuditError
from kvsim.sim.books import lanes_balance, room_is_kept
from kvsim.sim.serving.instance import Instance
from kvsim.sim.serving.moves import Mover
from kvsim.sim.serving.records import ServingRecords
from kvsim.sim.serving.sequence import PHASES
from kvsim.sim.serving.store import Store
from kvsim.sim.topology import Topology

__all__ = ["Books", "audit"]


@dataclass(frozen=True, slots=True)
class Books:
    """The live objects of a finished run that keep accounts."""

    topology: Topology
    stores: Sequence[Store]
    instances: Sequence[Instance]
    mover: Mover
    records: ServingRecords
    arrived: int


def audit(books: Books) -> None:
    """Raise AuditError with every account that does not balance."""
    accounts = (_requests, _time, _tokens, _bytes, _space, _blocks)
    findings = tuple(finding for account in accounts for finding in account(books))
    if findings:
        raise AuditError(findings)


def _requests(books: Books) -> Iterator[str]:
    """Everybody who came has ended, and nothing is left of them."""
    ended = np.sort(books.records.requests.column("request"))
    if not np.array_equal(ended, np.arange(books.arrived)):
        yield f"requests: {books.arrived} arrived, {len(ended)} ended"
    for instance in books.instances:
        left = (
            len(instance.queue),
            len(instance.admitted),
            len(instance.growth.parked),
            instance.tokens_due,
        )
        if any(left):
            yield (
                f"requests: instance {instance.number} still has {left[0]} queued, {left[1]} admitted, "
                f"{left[2]} without room, {left[3]} tokens to compute"
            )


def _time(books: Books) -> Iterator[str]:
    """Latency = queueing + exposed + compute, for every request; iterations do not overlap."""
    requests = books.records.requests
    span = requests.column("end") - requests.column("arrival")
    parts = np.array([requests.column(phase) for phase in PHASES])
    spent = parts.sum(axis=0)
    if (parts < 0).any():
        yield "time: a request has spent less than no time on something"
    for row in np.flatnonzero(span != spent)[:3]:
        number = requests.column("request")[row]
        yield f"time: request {number} lasts {span[row]} ticks, its parts {spent[row]}"
    iterations = books.records.iterations
    start, end = iterations.column("start"), iterations.column("end")
    for instance in books.instances:
        of = iterations.column("instance") == instance.number
        if (start[of][1:] < end[of][:-1]).any():
            yield f"time: iterations of instance {instance.number} overlap"
        if int((end[of] - start[of]).sum()) != instance.busy:
            yield f"time: instance {instance.number} was busy for other than its iterations"


def _tokens(books: Books) -> Iterator[str]:
    """What iterations computed is what requests were given; prompts are reused, loaded or computed."""
    requests, iterations = books.records.requests, books.records.iterations
    computed, asked = int(iterations.column("prompt").sum()), int(requests.column("computed").sum())
    if computed != asked:
        yield f"tokens: iterations computed {computed} of prompts, requests were given {asked}"
    calm = requests.column("preemptions") == 0
    parts = requests.column("reused") + requests.column("loaded") + requests.column("computed")
    wrong = np.flatnonzero(calm & (parts != requests.column("input")))
    for row in wrong[:3]:
        number, tokens = requests.column("request")[row], requests.column("input")[row]
        yield f"tokens: of the {tokens} of the prompt of request {number}, {parts[row]} are accounted for"
    decoded = int((iterations.column("iterations") * iterations.column("decoding")).sum())
    gaps = len(books.records.gaps.array())
    gapped = int(iterations.column("gapped").sum())
    output = requests.column("output")
    later = int(np.maximum(output - 1, 0).sum())
    if decoded + gaps - gapped != later:
        yield f"tokens: {later} were generated after first ones, {decoded + gaps - gapped} have a time"


def _bytes(books: Books) -> Iterator[str]:
    """What enters a lane leaves it, and is what its transfers carried; nothing is on its way."""
    yield from lanes_balance(books.topology.lanes, books.records.hops)
    if books.mover.under_way:
        yield f"bytes: {books.mover.under_way} moves are still under way"


def _space(books: Books) -> Iterator[str]:
    """Room in use = room taken - room given back = what the blocks there need, never above capacity."""
    for store in books.stores:
        tier = store.tier
        needed = len(store.pins) * store.block_bytes
        in_use = tier.capacity - tier.free
        decided = sum(partition.used for partition in store.partitions.values())
        if not needed == in_use == tier.taken - tier.released == decided:
            yield (
                f"space: tier {tier.name} has {in_use} bytes in use, {decided} were decided to be there, "
                f"its blocks need {needed}"
            )
        yield from room_is_kept(tier, books.records.space)
        for name, partition in store.partitions.items():
            if partition.used > partition.capacity:
                yield f"space: {name or 'the shared part'} has too much of tier {tier.name}"


def _blocks(books: Books) -> Iterator[str]:
    """Nothing is left pinned, spared or on its way, and the policies know what is where."""
    for store in books.stores:
        name = store.tier.name
        pinned = sum(count > 0 for count in store.pins.values())
        if pinned or store.coming or store.spared:
            left = f"{pinned} blocks pinned, {len(store.coming)} on their way, {len(store.spared)} spared"
            yield f"blocks: tier {name} still has {left}"
        believed = [sorted(partition.policy.contents(0)) for partition in store.partitions.values()]
        if sorted(block for blocks in believed for block in blocks) != sorted(store.pins):
            yield f"blocks: the policy of tier {name} believes other blocks there than are"
        idle = sum(partition.idle for partition in store.partitions.values())
        if idle != len(store.pins) - pinned:
            yield f"blocks: {idle} of tier {name} count as idle, {len(store.pins) - pinned} are"
