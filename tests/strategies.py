"""Hypothesis strategies: small random hierarchies with random things to read from them, always valid.

Numbers that shape the order of events (speeds, latencies, compute times, sizes) get an odd part of their
own from `Odd`, so that events that have nothing to do with each other practically never share a tick:
which of those comes first is nobody's promise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from hypothesis import strategies as st
from oracle.description import Case, Layer, Link, Mode, Step, Tier

Draw = Any
"""What hypothesis hands to a composite strategy."""

# Kept between examples: hypothesis takes longer to build one of these than to draw from it.
_integers = cache(st.integers)
_booleans = cache(st.booleans)


@cache
def _any_of(*values: object) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@cache
def _some_of(*values: int) -> st.SearchStrategy[list[int]]:
    """One to six of the values, each at most once."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=6, unique=True)


@dataclass
class Odd:
    """Numbers without a common pattern: each is the wanted magnitude plus a part that no other has."""

    count: int = 0

    def near(self, value: int) -> int:
        """A number within 10 % of the value (10,000 or more), different each time."""
        self.count += 1
        return value + (self.count * 7919 * 104729 + 12553 * self.count**2) % (value // 10) | 1


def _speed(draw: Draw, odd: Odd) -> int:
    return odd.near(draw(_any_of(3 * 10**8, 10**9, 4 * 10**9)))


def _delay(draw: Draw, odd: Odd) -> int:
    """Nothing, or about as long as a page takes."""
    value = draw(_any_of(0, 0, 10**5, 10**6, 10**7))
    return odd.near(value) if value else 0


def _sizes(draw: Draw, pages: int) -> tuple[int, ...]:
    """Scalars of every page: all the same, or all different."""
    if draw(_booleans()):
        return (1000,) * pages
    order = draw(st.permutations(range(pages)))
    return tuple(501 + 97 * number for number in order)


@dataclass
class _Universe:
    """Page numbers given out: those there at the start, those nobody has seen, those created on the way."""

    initial: int
    known: list[int]
    total: int

    def create(self, count: int) -> tuple[int, ...]:
        new = tuple(range(self.total, self.total + count))
        self.total += count
        return new


def _layer(draw: Draw, odd: Odd, pages: _Universe, *, absent_costs: bool) -> Layer:
    chosen = draw(_some_of(*pages.known))
    compute = draw(_any_of(0, 10**5, 10**6, 10**7))
    return Layer(
        pages=tuple(chosen),
        compute=odd.near(compute) if compute else 0,
        ordered=draw(_integers(0, 3)) == 0,
        created=pages.create(draw(_any_of(0, 0, 0, 1, 2))),
        absent_each=odd.near(10**6) if absent_costs and draw(_booleans()) else None,
        foreseen=draw(_integers(0, 5)) > 0,
    )


def _steps(draw: Draw, odd: Odd, pages: _Universe, *, absent_costs: bool) -> tuple[Step, ...]:
    steps: list[Step] = []
    clock = 0
    for _ in range(draw(_integers(1, 8))):
        layers = tuple(
            _layer(draw, odd, pages, absent_costs=absent_costs) for _ in range(draw(_integers(1, 4)))
        )
        # A page that a step creates is read from the next step on.
        pages.known.extend(page for layer in layers for page in layer.created)
        arrival = None
        if draw(_integers(0, 3)) == 0:
            clock = arrival = odd.near(clock + draw(_any_of(10**5, 10**7)))
        steps.append(Step(layers, arrival))
    return tuple(steps)


def _links(draw: Draw, odd: Odd, tiers: int, size: int, *, busy: bool) -> tuple[Link, ...]:
    """A random tree, now and then with one link more."""
    ends = [(draw(_integers(0, far - 1)), far) for far in range(1, tiers)]
    spare = [(near, far) for far in range(2, tiers) for near in range(far) if (near, far) not in ends]
    if spare and draw(_integers(0, 4)) == 0:
        ends.append(draw(st.sampled_from(spare)))
    chunked = draw(_booleans())
    links = [_link(draw, odd, near, far, size if chunked else None) for near, far in ends]
    return tuple(_contested(draw, link, size) if busy else link for link in links)


def _contested(draw: Draw, link: Link, size: int) -> Link:
    """The same link, most often with priorities and chunks, and both directions in each other's way."""
    return replace(
        link,
        half=link.half or draw(_booleans()),
        chunk=link.chunk if draw(_integers(0, 3)) == 0 else max(1, size // draw(_any_of(3, 5, 9))),
        priority=draw(_any_of(True, True, True, False)),
    )


def _link(draw: Draw, odd: Odd, near: int, far: int, size: int | None) -> Link:
    bandwidth = _speed(draw, odd)
    # Channels that could together exceed the link's bandwidth would have to share it.
    channels = draw(_any_of(1, 1, 1, 2, 3))
    return Link(
        near,
        far,
        bandwidth,
        bandwidth_down=_speed(draw, odd) if draw(_booleans()) else None,
        latency=_delay(draw, odd),
        setup=_delay(draw, odd),
        half=draw(_booleans()),
        channels=channels,
        channel_bandwidth=odd.near(8 * 10**7) if channels > 1 else None,
        chunk=None if size is None else max(1, size // draw(_integers(1, 9))),
    )


def _tier(draw: Draw, odd: Odd, number: int, capacity: int) -> Tier:
    ports = draw(_any_of(None, None, None, 1, 2))
    speeds = ports is not None or draw(_integers(0, 3)) == 0
    kind = draw(_any_of("exclusive", "exclusive", "inclusive", "direct", "stage")) if number else "exclusive"
    marks = draw(_any_of(*[(None, None)] * 3, (0.75, 0.5), (1.0, 0.25), (0.5, 0.5)))
    return Tier(
        capacity,
        read_latency=_delay(draw, odd),
        write_latency=_delay(draw, odd),
        read_bandwidth=_speed(draw, odd) if speeds else None,
        write_bandwidth=_speed(draw, odd) if speeds else None,
        ports=ports,
        direct=kind == "direct",
        stage=kind == "stage",
        inclusive=kind == "inclusive",
        bits=draw(_any_of(8, 8, 8, 4) if number else _any_of(8)),
        high=marks[0],
        low=marks[1],
    )


def _with_codec(draw: Draw, odd: Odd, tier: Tier) -> Tier:
    """The same tier with a codec, or half of one, for its format."""
    compress, decompress = (_speed(draw, odd) if draw(_booleans()) else None for _ in range(2))
    return replace(tier, compress=compress, decompress=decompress, codec_latency=_delay(draw, odd))


def _capacities(draw: Draw, tiers: int, needed: int, universe: int, largest: int) -> list[int]:
    """Room for the largest layer in tier 0, for all pages in the last, for anything in between.

    An inclusive tier must not be smaller than the one above it, and in the last one the copies of what is
    in tier 0 must leave room for a layer that is not there yet.
    """
    first = needed + draw(_integers(0, 4 * largest))
    middle = [draw(_integers(largest // 3, 12 * largest)) for _ in range(tiers - 2)]
    last = draw(st.sampled_from([universe, universe + 2 * first])) + largest
    return [first, *middle, last]


@st.composite
def cases(
    draw: Draw,
    mode: Mode = "demand",
    *,
    absent_costs: bool = True,
    absent: Literal["appear", "compute"] | None = None,
    busy: bool = False,
) -> Case:
    """A valid case of that mode; without `absent_costs` its compute times do not depend on residency.

    In `busy` ones links may go by class, tiers have codecs, and neighbours travel together.
    """
    odd = Odd()
    initial = draw(_integers(1, 14))
    unseen = draw(_integers(0, 3))
    pages = _Universe(initial, list(range(initial + unseen)), initial + unseen)
    steps = _steps(draw, odd, pages, absent_costs=absent_costs)
    scalars = _sizes(draw, pages.total)
    largest = max(scalars)
    needed = max(
        sum(scalars[page] for page in group)
        for step in steps
        for layer in step.layers
        for group in (layer.pages, layer.created)
    )
    count = draw(_integers(2, 4))
    capacities = _capacities(draw, count, needed, sum(scalars[:initial]), largest)
    tiers = [_tier(draw, odd, number, capacity) for number, capacity in enumerate(capacities)]
    if busy:
        tiers = [_with_codec(draw, odd, tier) for tier in tiers]
    fill = draw(_booleans())
    return Case(
        tiers=tuple(_valid(tiers, largest)),
        links=_links(draw, odd, count, largest, busy=busy),
        scalars=scalars,
        initial=initial,
        steps=steps,
        mode=mode,
        depth=draw(_any_of(1, 1, 2, 3)),
        absent=absent or draw(_any_of("appear", "compute")),
        fill=fill,
        max_in_flight=draw(_any_of(None, None, 1, 2)),
        class_in_flight=tuple(draw(_any_of(None, None, None, 1, 2)) for _ in range(4))
        if busy
        else (None,) * 4,
        coalesce=draw(_any_of(1, 1, 2, 4)) if busy else 1,
        wishes=_wishes(draw, len(steps), pages.total, count) if draw(_integers(0, 2)) == 0 else (),
    )


def _wishes(draw: Draw, steps: int, pages: int, tiers: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For every step some pages, whether they exist or not, and where they are wanted after it."""
    wish = st.tuples(_integers(0, pages - 1), _integers(0, tiers - 1))
    return tuple(tuple(draw(st.lists(wish, max_size=3))) for _ in range(steps))


def _valid(tiers: list[Tier], largest: int) -> list[Tier]:
    """The same tiers, inclusive ones large enough for what they have to keep."""
    result = [tiers[0]]
    for number, tier in enumerate(tiers[1:], start=1):
        capacity = tier.capacity
        if tier.inclusive:
            capacity = max(capacity, result[number - 1].capacity)
        if number == len(tiers) - 1:
            capacity = max(capacity, (2 if tier.inclusive else 1) * tiers[0].capacity + largest)
        result.append(replace(tier, capacity=capacity))
    return result
