"""Hypothesis strategies: small random machines that serve, and requests for them, always valid.

As in `strategies`, numbers that shape the order of events have odd parts of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from hypothesis import strategies as st
from serving import rig
from strategies import Odd

from kvsim.policies.registry import EVICTION
from kvsim.scenario.scenario import Scenario
from kvsim.workloads.requests import Request

Draw = Any
"""What hypothesis hands to a composite strategy."""
BLOCK_BYTES = 1000
POLICIES = tuple(name for name in EVICTION.names() if not EVICTION.get(name).needs_future)
TENANTS = ("a", "b")

_integers = cache(st.integers)
_booleans = cache(st.booleans)


@lru_cache(maxsize=None, typed=True)  # 1 is not 1.0
def _any_of(*values: object) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@dataclass(frozen=True)
class Shape:
    """A machine and what it is asked."""

    scenario: Scenario
    requests: tuple[Request, ...]
    """Those that are no follow-ups, in order of arrival."""
    block_tokens: int

    @property
    def workload(self) -> rig.Given:
        """Its requests as a workload."""
        return rig.Given(self.requests, self.block_tokens, BLOCK_BYTES)

    @property
    def all_requests(self) -> list[Request]:
        """Follow-ups and forks included."""
        return list(every(self.requests))


def every(heads: Iterable[Request]) -> Iterator[Request]:
    """Requests, and all that comes after them."""
    for request in heads:
        yield request
        yield from every(request.forks)
        yield from every([] if request.follow_up is None else [request.follow_up])


@st.composite
def requests(
    draw: Draw, odd: Odd, block_tokens: int, *, most: int, alone: bool, tight: bool
) -> list[Request]:
    """Up to so many conversations over a few texts; some prompts are of unknown text.

    `alone`: each arrives long after all before it have ended. `tight`: many come at once and say much.
    """
    texts = rig.Texts(block_tokens)
    # of two texts the second begins like the first
    length = draw(_integers(1, 5 * block_tokens))
    branch = draw(_integers(0, length))
    documents = [[0] * length, [0] * branch + [1] * (length - branch), [2] * length]
    clock = 0
    heads = []
    for number in range(most if tight else draw(_any_of(1, 2, 3, most, most))):
        gap = 10**12 if alone else draw(_any_of(0, 0, 10**5, 10**6, 0 if tight else 10**7))
        clock = odd.near(clock + gap) if gap else clock
        tenant = draw(_any_of("", *TENANTS))
        session = draw(_any_of(None, number))
        document = draw(_any_of(*range(len(documents))))
        whole = len(documents[document])
        cut = draw(_any_of(whole, whole, whole, draw(_integers(0, whole))))
        prompt: list[Any] = documents[document][:cut]
        arrival = clock
        before: Request | None = None
        for turn in range(1 if alone else draw(_any_of(1, 1, 2, 3))):
            tail = draw(_integers(0 if prompt else 1, 2 * block_tokens))
            own = draw(_booleans())
            prompt = prompt + [(number, turn, k) if own else 0 for k in range(tail)]
            said = draw(_integers(4 if tight else 0, 2 * block_tokens + 4))
            output = [("out", number, turn, k) for k in range(said)]
            priority = draw(_integers(0, 2))
            made = texts.request(arrival, prompt, output, tenant=tenant, session=session, priority=priority)
            if draw(_integers(0, 6)) == 0:
                made.blocks, made.output_blocks = (), ()
            if before is None:
                heads.append(made)
            else:
                before.follow_up = made
            before = made
            prompt = prompt + output
            for fork in range(0 if alone else draw(_any_of(0, 0, 0, 0, 2))):
                aside = texts.request(odd.near(10**5), [*prompt, (number, fork)], [("fork", number)] * fork)
                made.forks = (*made.forks, aside)
            arrival = odd.near(draw(_any_of(10**5, 10**7))) if draw(_booleans()) else 0
    return heads


def most_blocks(asked: Iterable[Request], block_tokens: int) -> int:
    """Blocks that the largest of the requests needs at its end."""
    return max(-(-(one.input_tokens + one.output_tokens) // block_tokens) for one in every(asked))


def _speed(draw: Draw, odd: Odd) -> str:
    return rig.rate(odd.near(draw(_any_of(3 * 10**8, 10**9, 4 * 10**9))))


def _delay(draw: Draw, odd: Odd) -> str:
    value = draw(_any_of(0, 0, 10**5, 10**6))
    return rig.time(odd.near(value) if value else 0)


def _tier(draw: Draw, odd: Odd, number: int, blocks: int) -> dict[str, Any]:
    bits = draw(_any_of(16.0, 16.0, 16.0, 8.0, 4.0)) if number else 16.0
    tier: dict[str, Any] = {
        "name": f"tier{number}",
        "capacity": f"{blocks} pages",
        "inclusive": bool(number) and draw(_booleans()),
        "read_latency": _delay(draw, odd),
        "scheme": {"name": f"scheme{number}", "bits": bits},
    }
    if draw(_integers(0, 4)) == 0:
        tier["ports"] = draw(_any_of(1, 2))
    if draw(_integers(0, 4)) == 0:
        tier |= {"high_watermark": 0.75, "low_watermark": draw(_any_of(0.75, 0.25))}
    if bits < 16.0 and draw(_booleans()):
        tier["scheme"] |= {"compress": _speed(draw, odd), "decompress": _speed(draw, odd)}
    return tier


def _link(draw: Draw, odd: Odd, near: int, far: int, bused: bool) -> dict[str, Any]:
    return {
        "name": f"link{far}",
        "between": (f"tier{near}", f"tier{far}"),
        "bandwidth": _speed(draw, odd),
        "latency": _delay(draw, odd),
        "setup": _delay(draw, odd),
        "duplex": draw(_any_of("full", "full", "half")),
        "arbitration": draw(_any_of("fifo", "fifo", "priority", "fair")),
        "chunk": draw(_any_of(None, None, "300 B")),
        "bus": "bus" if bused and draw(_booleans()) else None,
    }


def _warm(draw: Draw, tiers: int) -> dict[str, Any] | None:
    if draw(_integers(0, 2)) == 0:
        return None
    tier = draw(_any_of(0, *[min(1, tiers - 1)] * 3, tiers - 1))
    return {"tier": f"tier{tier}", "share": draw(_any_of(1.0, 0.5))}


def _serving(draw: Draw, odd: Odd, tiers: int, shares: dict[str, float]) -> dict[str, Any]:
    instances = draw(_any_of(1, 1, 1, 2, 3))
    prefill = draw(_integers(0, instances - 1)) if tiers > 1 else 0
    limits = {
        name: {"weight": draw(_any_of(1.0, 2.0)), "max_sequences": draw(_any_of(None, 1, 2))}
        | ({"cache_share": shares[name]} if name in shares else {})
        for name in TENANTS
    }
    match = draw(_any_of("prefix", "prefix", "prefix", "any", "any", "none"))
    return {
        "order": draw(_any_of("arrival", "arrival", "priority", "fair")),
        "batch": {
            "max_tokens": draw(_any_of(1, 2, 3, 5, 8, 64)),
            "max_sequences": draw(_any_of(1, 2, 3, 16)),
            "chunked": draw(_booleans()),
            "first": draw(_any_of("decode", "prefill")),
            "preemption": draw(_any_of("recompute", "swap")),
            "growth_blocks": draw(_any_of(1, 1, 2, 5)),
            "overhead": _delay(draw, odd),
        },
        "reuse": {
            "match": match,
            "lookup": "in_turn" if tiers == 1 and draw(_integers(0, 3)) == 0 else "together",
            "load": draw(_any_of("always", "always", "always", "never", "cheaper", "cheaper")),
            "loading": draw(_any_of("whole", "layerwise", "blocking")),
            "warm": _warm(draw, tiers),
            "layer_groups": draw(_any_of(None, 1, 2, 3)),
            "write": draw(_any_of("back", "back", "through", "none")),
            "overhead": _delay(draw, odd),
            "pin": draw(_any_of("0 s", "0 s", "3.1 us", "1 s")),
            "lookahead": draw(_any_of(0, 0, 1, 3)),
            "lookahead_tier": draw(_any_of(None, *(f"tier{k}" for k in range(tiers)))),
        },
        "tenants": limits if shares or draw(_booleans()) else {},
        "isolate_tenants": draw(_booleans()),
        "instances": {
            "count": instances,
            "shared_from": draw(_any_of(None, *(f"tier{k}" for k in range(1, tiers)))),
            "routing": draw(_any_of("round_robin", "least_loaded", "cache_aware")),
            "prefill": prefill,
        },
    }


@st.composite
def shapes(
    draw: Draw,
    *,
    policies: tuple[str, ...] = POLICIES,
    most: int = 7,
    alone: bool = False,
    tight: bool = False,
) -> Shape:
    """Any machine, however it serves, and any requests that it has room for one by one.

    `alone`: two tiers, a plain link, one instance, and nobody is there when a request comes. `tight`: the
    first tier has room for hardly more than one of them, and many are admitted.
    """
    odd = Odd()
    block_tokens = draw(_any_of(1, 2, 4))
    asked = draw(requests(odd, block_tokens, most=most, alone=alone, tight=tight))
    shares = {} if alone or tight else dict(draw(_any_of((), (), (("a", 0.5),), (("a", 0.25), ("b", 0.25)))))
    needed = most_blocks(asked, block_tokens)
    for share in (*shares.values(), *([1 - sum(shares.values())] if shares else [])):
        needed = max(needed, int(most_blocks(asked, block_tokens) / share + 1))
    count = 2 if alone else draw(_integers(1, 4))
    extra = draw(_any_of(0, 1) if tight else _any_of(0, 0, 1, 2, 6))
    blocks = [needed + extra, *(draw(_any_of(1, 5, 24, 24)) for _ in range(count - 1))]
    bused = not alone and draw(_integers(0, 3)) == 0
    links = [_link(draw, odd, draw(_integers(0, far - 1)), far, bused) for far in range(1, count)]
    serving = _serving(draw, odd, count, shares)
    if alone:
        links[0]["arbitration"] = "fifo"
        serving["instances"] = {}
        serving["reuse"] |= {"load": "always", "pin": "0 s", "lookahead": 0}
    if tight:
        serving["batch"] |= {"max_tokens": 64, "max_sequences": 16}
    roofline = draw(_booleans())
    scenario = rig.scenario(
        [_tier(draw, odd, number, size) for number, size in enumerate(blocks)],
        links,
        serving=serving,
        execution={
            "dma": {"coalesce": draw(_any_of(1, 2, 4))},
            **({} if roofline else {"compute_time": rig.time(odd.near(10**6))}),
        },
        eviction=draw(_any_of(*policies)),
        buses=[{"name": "bus", "bandwidth": "1234567890 B/s"}] if bused else [],
        roofline=roofline,
    )
    return Shape(scenario, tuple(asked), block_tokens)
