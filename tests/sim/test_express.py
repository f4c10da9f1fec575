"""Two events for a transfer with its route to itself; one per chunk and hop only while somebody competes.

And booking a route as a whole changes nothing but the number of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment

from kvsim.scenario.hierarchy import LinkSpec
from kvsim.sim import lane, shared
from kvsim.sim.lane import HopRow, Transfer
from kvsim.sim.link import Link
from kvsim.sim.records import TransferClass
from kvsim.sim.route import Route

DEMAND, PREFETCH = TransferClass.DEMAND, TransferClass.PREFETCH
SIZE = 10_000
ARBITRATIONS = ["fifo", "priority", "fair"]


@dataclass(frozen=True)
class Wish:
    """A transfer over some of the links, from one to another, and perhaps a change of mind about it."""

    at: int
    size: int
    cls: int
    first: int
    hops: int
    raised_after: int | None = None


def chain(
    env: Environment, arbitration: str, rates: list[int], chunk: int | None, **settings: Any
) -> list[Link]:
    """Links in a row."""
    plain = {"arbitration": arbitration, "chunk": None if chunk is None else f"{chunk} B", **settings}
    return [
        Link(
            env,
            LinkSpec.model_validate(
                {"name": f"l{i}", "between": (f"t{i}", f"t{i + 1}"), "bandwidth": f"{rate} B/s", **plain}
            ),
        )
        for i, rate in enumerate(rates)
    ]


def route(links: list[Link], chunk: int | None) -> Route:
    return Route(tuple(link.hop("up") for link in links), chunk)


def events(env: Environment) -> int:
    """Events scheduled so far, this question not counted."""
    asked: int = getattr(env, "asked", 0)
    env.asked = asked + 1  # type: ignore[attr-defined]
    return int(next(env._eid)) - asked


def send(env: Environment, road: Route, cls: TransferClass = DEMAND) -> Transfer:
    transfer = Transfer(env, 0, SIZE, cls, road)
    road.hops[0].lane.enter(transfer)
    return transfer


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("hops", [1, 2, 3, 5])
@pytest.mark.parametrize("chunks", [1, 10, 1000])
def test_alone_a_transfer_costs_at_most_two_events(arbitration: str, hops: int, chunks: int) -> None:
    env = Environment()
    chunk = SIZE // chunks
    links = chain(env, arbitration, [10**12 // (1 + i) for i in range(hops)], chunk, latency="3 ps")
    transfer = send(env, route(links, chunk))
    env.run()
    assert transfer.processed
    assert events(env) <= 2


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("chunks", [10, 1000])
def test_one_after_another_each_costs_at_most_two_events(arbitration: str, hops: int, chunks: int) -> None:
    env = Environment()
    chunk = SIZE // chunks
    road = route(chain(env, arbitration, [10**12] * hops, chunk), chunk)
    for _ in range(5):
        send(env, road)
        env.run()
    assert events(env) <= 2 * 5


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("chunks", [10, 1000])
def test_against_competition_it_costs_at_most_one_event_per_chunk_and_hop(
    arbitration: str, hops: int, chunks: int
) -> None:
    """Of a prefetch at whose every chunk, on every hop, a demand of a tenth of a chunk turns up.

    Each of those is a transfer too, with the two events of its own, and the process that sends them has one
    a round and two for its start and end. Passing the head and the tail of the prefetch on takes up to three
    a hop, whatever the chunks.
    """
    env = Environment()
    chunk = SIZE // chunks
    links = chain(env, arbitration, [10**12] * hops, chunk)

    def compete() -> Any:
        for _ in range(chunks):
            yield env.timeout(chunk)
            for link in links:
                link.transfer(max(1, chunk // 10))

    env.process(compete())
    prefetch = send(env, route(links, chunk), PREFETCH)
    env.run()
    assert prefetch.processed
    own = 2 * hops * chunks + chunks + 2
    assert events(env) - own <= (chunks + 3) * hops


def outcome(
    wishes: list[Wish], arbitration: str, rates: list[int], chunk: int | None, settings: dict[str, Any]
) -> tuple[list[tuple[int, int]], list[HopRow], list[list[int]]]:
    """Arrivals, rows of the `hops` table in the order of their transfers, and bytes by class."""
    env = Environment()
    links = chain(env, arbitration, rates, chunk, **settings)
    rows: list[HopRow] = []
    arrived: list[tuple[int, int]] = []
    for number, link in enumerate(links):
        link.up.number = number
        link.up.log = rows.append

    def ask(number: int, wish: Wish) -> Any:
        yield env.timeout(wish.at)
        road = route(links[wish.first : wish.first + wish.hops], chunk)
        transfer = Transfer(env, number, wish.size, wish.cls, road)
        road.hops[0].lane.enter(transfer)
        if wish.raised_after is not None:
            yield env.timeout(wish.raised_after)
            if not transfer.processed:
                transfer.cls = DEMAND
                for hop in road.hops[: transfer.index + 1]:
                    hop.lane.raise_class(transfer, DEMAND)
        if not transfer.processed:
            yield transfer
        arrived.append((number, int(env.now)))

    for number, wish in enumerate(wishes):
        env.process(ask(number, wish))
    env.run()
    return sorted(arrived), sorted(rows), [link.up.bytes_by_class for link in links]


wishes = st.lists(
    st.builds(
        Wish,
        at=st.integers(0, 3 * 10**6),
        size=st.integers(1000, 5000),
        cls=st.sampled_from(list(map(int, TransferClass))),
        first=st.integers(0, 2),
        hops=st.integers(1, 4),
        raised_after=st.one_of(st.none(), st.integers(1, 10**6)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    wishes,
    st.sampled_from(ARBITRATIONS),
    st.lists(st.integers(10**10, 10**11), min_size=3, max_size=4, unique=True),
    st.one_of(st.none(), st.integers(100, 2000)),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
    st.integers(1, 2),
)
def test_booking_a_whole_route_changes_nothing_but_the_events(
    asked: list[Wish], arbitration: str, rates: list[int], chunk: int | None, latency: int, setup: int,
    channels: int,
) -> None:  # fmt: skip
    settings = {"latency": f"{latency} ps", "setup": f"{setup} ps", "channels": channels}
    booked = outcome(asked, arbitration, rates, chunk, settings)
    with pytest.MonkeyPatch.context() as patch:
        for module in (lane, shared):
            patch.setattr(module, "book", lambda transfer: False)
        assert outcome(asked, arbitration, rates, chunk, settings) == booked
