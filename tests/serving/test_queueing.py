"""A machine that serves one request after another is a queue, and theory says how long one waits there.

An iteration takes 1 us whatever is in it, so a request that says n tokens is served for n us; lengths around
hundreds make that nearly continuous. Requests come at random; what is measured is compared with the formula
within three standard errors, from the means of batches of one long run.
"""

from __future__ import annotations

from collections.abc import Callable
from math import perm, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from serving import rig
from serving.rig import US, Given, rows, serve

from kvsim.scenario.scenario import Scenario
from kvsim.sim.serving.result import ServingResult
from kvsim.workloads.requests import Request

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Lengths = Callable[[np.random.Generator, int], Counts]
MEAN = 200
"""Mean number of tokens that a request says, and so of microseconds that it is served."""


def machine(sequences: int) -> Scenario:
    """Room for all there is, and so many at once."""
    return rig.scenario(
        [{"name": "hbm", "capacity": "100000 pages"}],
        serving={"batch": {"max_sequences": sequences, "max_tokens": 1000}},
        execution={"records": "summary"},
    )


def batch_means(values: Floats, batches: int = 20) -> tuple[float, float]:
    """The mean and its standard error, from the means of consecutive batches."""
    length = len(values) // batches
    means = values[: length * batches].reshape(batches, length).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / sqrt(batches))


def assert_near(values: Floats, theory: float) -> None:
    mean, error = batch_means(values)
    assert error < 0.12 * theory  # else it would mean little
    assert abs(mean - theory) < 3 * error, f"{mean:.4f} against {theory:.4f}, standard error {error:.4f}"


def constant(_rng: np.random.Generator, count: int) -> Counts:
    return np.full(count, MEAN)


def geometric(rng: np.random.Generator, count: int) -> Counts:
    return rng.geometric(1 / MEAN, count)


def two_kinds(rng: np.random.Generator, count: int) -> Counts:
    """Four in five are short, one in five long: (.8 x .5 + .2 x 3) MEAN = MEAN."""
    return np.where(rng.random(count) < 0.8, MEAN // 2, 3 * MEAN)


@pytest.mark.parametrize(
    ("lengths", "second_moment"),
    [
        (constant, 1.0),  # M/D/1
        (geometric, 2 - 1 / MEAN),  # variance (1 - p) / p^2
        (two_kinds, 2.0),  # .8 x .25 + .2 x 9
    ],
)
@pytest.mark.parametrize("load", [0.4, 0.6])
def test_one_at_a_time_waits_as_pollaczek_and_khinchine_say(
    lengths: Lengths, second_moment: float, load: float
) -> None:
    # Wq = lambda E[S^2] / (2 (1 - rho)); in mean services: rho E[S^2] / (2 (1 - rho)) with E[S] = 1.
    rng = np.random.default_rng((7, round(10 * load)))
    count = 9000
    arrivals = np.cumsum(rng.exponential(MEAN * US / load, count)).astype(np.int64)
    said = lengths(rng, count)
    asked = [Request(at, 1, n) for at, n in zip(arrivals.tolist(), said.tolist(), strict=True)]
    result = serve(machine(1), Given(asked, 10**6))
    times = np.array(rows(result, "arrival", "admitted", "end"), dtype=np.int64)
    # who has been admitted is served, and it takes what was said
    assert ((times[:, 2] - times[:, 1]) == said * US).all()
    waits = (times[500:, 1] - times[500:, 0]) / (MEAN * US)
    assert_near(waits, load * second_moment / (2 * (1 - load)))


def loop(users: int, turns: int, think: int) -> tuple[list[Request], Counts, Counts]:
    """Users who think, ask, and think again: their requests, thoughts and lengths, by user and turn."""
    rng = np.random.default_rng((8, users))
    thoughts = np.maximum(1, rng.exponential(think * US, (users, turns))).astype(np.int64)
    said = rng.geometric(1 / MEAN, (users, turns))
    heads = []
    for user in range(users):
        following: Request | None = None
        for turn in reversed(range(turns)):
            thought, length = int(thoughts[user, turn]), int(said[user, turn])
            following = Request(thought, 1, length, session=user, follow_up=following)
        assert following is not None
        heads.append(following)
    return sorted(heads, key=lambda request: request.arrival_ticks), thoughts, said


def by_user(result: ServingResult, users: int, turns: int) -> tuple[Counts, Counts]:
    """Arrivals and ends, by user and turn."""
    table = np.array(sorted(rows(result, "session", "arrival", "end")), dtype=np.int64)
    times = table.reshape(users, turns, 3)
    return times[:, :, 1], times[:, :, 2]


@pytest.mark.parametrize(("users", "think"), [(3, 400), (8, 1200)])
def test_users_who_think_keep_a_server_as_busy_as_machines_a_repairman(users: int, think: int) -> None:
    # M/M/1//N: p0 = 1 / sum over k of N! / (N - k)! (S / Z)^k, throughput (1 - p0) / S.
    turns = 12000 // users
    asked, thoughts, said = loop(users, turns, think)
    result = serve(machine(1), Given(asked, 10**6))
    arrivals, ends = by_user(result, users, turns)

    # The interactive response time law, exactly, for each user: the time of n turns is n (R + Z), R = 1 / X
    # - Z
    assert (ends[:, -1] == (ends - arrivals).sum(axis=1) + thoughts.sum(axis=1)).all()
    # The utilization law: busy is throughput times service
    assert result.busy_ticks == (int(said.sum()) * US,)

    ratio = MEAN / think
    idle = 1 / sum(perm(users, k) * ratio**k for k in range(users + 1))
    # turns that end in equal spans, while everybody is there, each in mean services
    last = int(ends[:, -1].min())
    spans = np.linspace(last // 20, last, 401)
    counts = np.histogram(ends, spans)[0] / ((spans[1] - spans[0]) / (MEAN * US))
    assert_near(counts, 1 - idle)


def test_littles_law_in_the_batch() -> None:
    # The sequences in the running iterations, summed over time, are the times that requests spend there:
    # the left side is what iterations say, the right side what requests say.
    rng = np.random.default_rng(9)
    count = 2000
    arrivals = np.cumsum(rng.exponential(20 * US, count)).astype(np.int64)
    said = rng.geometric(1 / MEAN, count)
    asked = [Request(at, 1, n) for at, n in zip(arrivals.tolist(), said.tolist(), strict=True)]
    result = serve(machine(12), Given(asked, 10**6))
    iterations = {name: result.records.iterations.column(name) for name in result.records.iterations.columns}
    # each prompt is one token and computed in one iteration, so tokens of prompts count the others
    there = iterations["decoding"] + iterations["prompt"]
    area = int((there * (iterations["end"] - iterations["start"])).sum())
    assert there.max() == 12
    times = np.array(rows(result, "arrival", "admitted", "end", "compute", "slots", "turn"), dtype=np.int64)
    assert area == times[:, 3].sum() == (times[:, 2] - times[:, 1]).sum()
    # and those who queue, summed over time: what happens at arrivals and admissions, against what phases say
    queue = np.concatenate(
        [np.stack([times[:, 0], np.ones(count)]), np.stack([times[:, 1], -np.ones(count)])], 1
    )
    queue = queue[:, np.argsort(queue[0], kind="stable")]
    waiting = np.cumsum(queue[1])[:-1] @ np.diff(queue[0])
    assert waiting == times[:, 4:].sum() > 0


def test_a_full_server_says_as_many_tokens_as_it_has_places() -> None:
    # Everybody is there at the start, and a place that gets free is taken by the next: with requests of equal
    # length n on c places, request k ends n (k // c + 1) after the start.
    asked = [Request(0, 1, 30) for _ in range(20)]
    result = serve(machine(4), Given(asked, 10**6))
    assert rows(result, "end") == [(30 * (k // 4 + 1) * US,) for k in range(20)]
