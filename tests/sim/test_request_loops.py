"""What arrives when a request of a closed loop has ended."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kvsim.sim.serving.loops import Loops
from kvsim.workloads.requests import Request


def turn(name: int, follow_up: Request | None = None, forks: Sequence[Request] = ()) -> Request:
    """A request that is known by its arrival."""
    return Request(name, 1, 0, follow_up=follow_up, forks=forks)


def arrivals_as_they_end(first: Request, order: Sequence[int]) -> list[list[int]]:
    """Which requests arrive as those named end in that order; each must have arrived before it ends."""
    here: dict[int, Request] = {first.arrival_ticks: first}
    log: list[list[int]] = []

    def arrive(delay: int, request: Request) -> None:
        assert delay == request.arrival_ticks
        here[delay] = request
        log[-1].append(delay)

    loops = Loops(arrive)
    for name in order:
        log.append([])
        loops.ended(here.pop(name))
    assert not here
    return log


def test_each_turn_arrives_when_the_one_before_has_ended() -> None:
    assert arrivals_as_they_end(turn(1, turn(2, turn(3))), [1, 2, 3]) == [[2], [3], []]


@pytest.mark.parametrize(
    ("order", "log"),
    [
        ([1, 2, 3, 4, 5], [[2, 4], [3], [], [5], []]),
        ([1, 4, 2, 3, 5], [[2, 4], [], [3], [5], []]),
        ([1, 2, 4, 3, 5], [[2, 4], [3], [], [5], []]),
    ],
)
def test_a_follow_up_waits_for_all_forks_and_their_follow_ups(order: list[int], log: list[list[int]]) -> None:
    forks = [turn(2, turn(3)), turn(4)]
    assert arrivals_as_they_end(turn(1, turn(5), forks), order) == log


def test_forks_may_be_forked_and_end_without_a_follow_up() -> None:
    inner = turn(2, forks=[turn(3), turn(4)])  # nothing follows the inner fork
    first = turn(1, turn(6), [inner, turn(5)])
    assert arrivals_as_they_end(first, [1, 5, 2, 4, 3, 6]) == [[2, 5], [], [3, 4], [], [6], []]
