"""To load blocks, or to compute them again: whatever takes less time as things are."""

from __future__ import annotations

from simpy import Environment

from kvsim.scenario.iteration import IterationCost, pairs
from kvsim.sim.route import Route
from kvsim.sim.serving.cache import Choose
from kvsim.sim.serving.store import Store

__all__ = ["cheaper", "never"]


def never(_level: int, _start: int, _stop: int) -> bool:
    """Compute them again."""
    return False


def cheaper(
    env: Environment,
    routes: list[Route],
    path: list[Store],
    cost: IterationCost,
    block_tokens: int,
    coalesce: int,
) -> Choose:
    """Load what would be there before it would be computed.

    A load takes what it would alone, after all that its links have to do already; computing takes what a
    piece of a prompt does that has the GPU for itself.
    """

    def choose(level: int, start: int, stop: int) -> bool:
        blocks = stop - start
        tokens, seen = blocks * block_tokens, start * block_tokens
        computing = cost.mixed(0, 0, tokens, seen + tokens, pairs(tokens, seen)) // cost.unit
        size = min(path[level].block_bytes, path[0].block_bytes)
        route = routes[level]
        transfers = -(-blocks // coalesce)
        alone = route.alone(blocks * size)[-1][3]
        setups = (transfers - 1) * max(hop.setup for hop in route.hops)
        queueing = max(hop.lane.backlog() for hop in route.hops)
        return alone + setups + queueing <= computing

    return choose
