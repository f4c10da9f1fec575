"""To load blocks, or to compute them again: whatever takes less time as things are."""

from __future__ import annotations

from collections.abc import Iterable

from kvsim.scenario.iteration import IterationCost, pairs
from kvsim.sim.route import Route
from kvsim.sim.serving.cache import Choose
from kvsim.sim.serving.sequence import Sequence
from kvsim.sim.serving.store import Store

__all__ = ["cheaper", "never"]


def never(_level: int, _start: int, _stop: int) -> bool:
    """Compute them again."""
    return False


def cheaper(
    admitted: Iterable[Sequence],
    routes: list[Route],
    path: list[Store],
    cost: IterationCost,
    block_tokens: int,
    coalesce: int,
) -> Choose:
    """Load what would be there before it would be computed.

    A load takes what it would alone, after all that its links have to do already; computing takes what one
    iteration of prompts would, after what those who are `admitted` still have to compute of theirs.
    """

    def choose(level: int, start: int, stop: int) -> bool:
        tokens, seen = (stop - start) * block_tokens, start * block_tokens
        new, read, attended = tokens, seen + tokens, pairs(tokens, seen)
        for sequence in admitted:
            for first, last in sequence.todo:
                new += last - first
                read += last
                attended += pairs(last - first, first)
        computing = cost.mixed(0, 0, new, read, attended) // cost.unit
        size = min(path[level].block_bytes, path[0].block_bytes)
        return _loading(routes[level], stop - start, size, coalesce) <= computing

    return choose


def _loading(route: Route, blocks: int, size: int, coalesce: int) -> int:
    """Ticks until so many blocks are across: the first transfer alone, the others behind it on the slowest
    hop, all after what is there already."""
    most = min(blocks, coalesce)
    transfers = -(-blocks // coalesce)
    rest = (blocks - most) * size
    behind = max((transfers - 1) * hop.setup + hop.ticks(rest) for hop in route.hops) if rest else 0
    queueing = max(hop.lane.backlog() for hop in route.hops)
    return route.alone(most * size)[-1][3] + behind + queueing
