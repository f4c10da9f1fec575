"""A link is a queue, and queueing theory says how long one waits there.

Every test sends random traffic over a bare link in several independent replications and compares their mean
with the formula, within three standard errors. One byte takes one tick, so a size is its service time; sizes
are around a million bytes, which makes rounding to whole bytes negligible.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import factorial, sqrt
from typing import Any

import numpy as np
import pytest
import simpy
from numpy.typing import NDArray

from kvsim import units
from kvsim.scenario.hierarchy import LinkSpec
from kvsim.sim.link import Link
from kvsim.sim.records import TransferClass

ONE = 10**12
"""Bytes a second: one byte a tick."""
MEAN = 10**6
"""Mean size in bytes, so the mean service time in ticks."""

Process = Generator[simpy.Event, Any, None]
Floats = NDArray[np.float64]
Sizes = NDArray[np.int64]


@dataclass(frozen=True)
class Traffic:
    """Transfers of one class: the gaps between their arrivals, in ticks, and their sizes."""

    gaps: Sizes
    sizes: Sizes
    cls: TransferClass = TransferClass.DEMAND


def link_spec(**settings: Any) -> LinkSpec:
    return LinkSpec.model_validate(
        {"name": "link", "between": ("near", "far"), "bandwidth": units.exact_bandwidth(ONE), **settings}
    )


def poisson(rng: np.random.Generator, count: int, load: float) -> Sizes:
    """Gaps between arrivals that keep a server busy for that share of the time."""
    return np.maximum(1, rng.exponential(MEAN / load, count)).astype(np.int64)


def exponential(rng: np.random.Generator, count: int) -> Sizes:
    return np.maximum(1, rng.exponential(MEAN, count)).astype(np.int64)


def send(spec: LinkSpec, *flows: Traffic) -> list[Sizes]:
    """Columns queued, start and end of the transfers of every flow, in order of arrival."""
    env = simpy.Environment()
    link = Link(env, spec)
    results: list[list[Any]] = [[] for _ in flows]

    def source(flow: Traffic, events: list[Any]) -> Process:
        for gap, size in zip(flow.gaps.tolist(), flow.sizes.tolist(), strict=True):
            yield env.timeout(gap)
            events.append(link.transfer(size, cls=flow.cls))

    for flow, events in zip(flows, results, strict=True):
        env.process(source(flow, events))
    env.run()
    return [
        np.array([(event.value.queued, event.value.start, event.value.end) for event in events])
        for events in results
    ]


def waits(table: Sizes, skip: int = 500) -> Floats:
    """Time from arrival to start, in mean service times, after the link has warmed up."""
    return (table[skip:, 1] - table[skip:, 0]) / MEAN


def sojourns(table: Sizes, skip: int = 500) -> Floats:
    """Time from arrival to end, in mean service times, after the link has warmed up."""
    return (table[skip:, 2] - table[skip:, 0]) / MEAN


def assert_mean(replications: list[float], theory: float) -> None:
    """The mean of independent replications lies within three standard errors of the theory, and those
    are small enough for that to mean something."""
    mean = float(np.mean(replications))
    error = float(np.std(replications, ddof=1)) / sqrt(len(replications))
    assert error < 0.05 * theory
    assert abs(mean - theory) < 3 * error, f"{mean:.4f} against {theory:.4f}, standard error {error:.4f}"


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_poisson_arrivals_of_exponential_sizes_wait_as_in_mm1(load: float) -> None:
    # Wq = rho / (mu - lambda) = rho / (1 - rho) mean service times.
    means = []
    for seed in range(12):
        rng = np.random.default_rng((1, seed))
        count = 6000
        (table,) = send(link_spec(), Traffic(poisson(rng, count, load), exponential(rng, count)))
        means.append(float(waits(table).mean()))
    assert_mean(means, load / (1 - load))


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_equal_sizes_wait_half_as_long_as_in_md1(load: float) -> None:
    # Lq = rho^2 / (2 (1 - rho)), and Wq = Lq / lambda = rho / (2 (1 - rho)) by Little's law.
    means = []
    for seed in range(12):
        rng = np.random.default_rng((2, seed))
        sizes = np.full(5000, MEAN, dtype=np.int64)
        (table,) = send(link_spec(), Traffic(poisson(rng, 5000, load), sizes))
        means.append(float(waits(table).mean()))
    assert_mean(means, load / (2 * (1 - load)))


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival finds all servers of an M/M/c queue busy; load per server."""
    offered = servers * load
    busy = offered**servers / factorial(servers) / (1 - load)
    return busy / (sum(offered**k / factorial(k) for k in range(servers)) + busy)


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_are_the_servers_of_an_mmc_queue(channels: int) -> None:
    # Wq = C(c, c rho) / (c mu - lambda); with channels of a c-th of the bandwidth a service takes c times
    # as long, so in units of MEAN ticks mu = 1 / c, lambda = rho and Wq = C / (1 - rho).
    load = 0.75
    spec = link_spec(channels=channels, channel_bandwidth=units.exact_bandwidth(ONE // channels))
    means = []
    for seed in range(12):
        rng = np.random.default_rng((3, seed))
        (table,) = send(spec, Traffic(poisson(rng, 6000, load), exponential(rng, 6000)))
        means.append(float(waits(table).mean()))
    assert_mean(means, erlang_c(channels, load) / (1 - load))


def hyperexponential(rng: np.random.Generator, count: int) -> Sizes:
    """Four in five are small, one in five is large, both exponential."""
    # Mean .8 x .5 + .2 x 3 = 1; second moment 2 (.8 x .5^2 + .2 x 3^2) = 4, twice that of the exponential.
    mean = np.where(rng.random(count) < 0.8, 0.5, 3.0) * MEAN
    return np.maximum(1, rng.exponential(mean)).astype(np.int64)


def constant(rng: np.random.Generator, count: int) -> Sizes:
    return np.full(count, MEAN, dtype=np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [constant, exponential, hyperexponential])
def test_fair_sharing_depends_on_the_mean_size_alone(sizes: Any) -> None:
    # M/G/1 processor sharing: mean sojourn S / (1 - rho), whatever the distribution of sizes.
    load = 0.6
    means = []
    for seed in range(20):
        rng = np.random.default_rng((4, seed))
        flow = Traffic(poisson(rng, 2500, load), sizes(rng, 2500))
        (table,) = send(link_spec(arbitration="fair"), flow)
        means.append(float(sojourns(table).mean()))
    assert_mean(means, 1 / (1 - load))


def test_first_come_first_served_does_depend_on_the_variation_of_sizes() -> None:
    # Pollaczek-Khinchine: Wq = lambda E[S^2] / (2 (1 - rho)), here with E[S^2] = 4.
    load = 0.6
    means = []
    for seed in range(16):
        rng = np.random.default_rng((5, seed))
        flow = Traffic(poisson(rng, 6000, load), hyperexponential(rng, 6000))
        (table,) = send(link_spec(), flow)
        means.append(float(waits(table).mean()))
    assert_mean(means, load * 4 / (2 * (1 - load)))


@pytest.mark.slow
def test_two_priorities_wait_as_cobham_says() -> None:
    # Non-preemptive, exponential service of mean 1: W0 = lambda E[S^2] / 2 = rho;
    # urgent W1 = W0 / (1 - rho1), other W2 = W0 / ((1 - rho1) (1 - rho)).
    urgent, other = 0.3, 0.4
    means: tuple[list[float], list[float]] = ([], [])
    for seed in range(12):
        rng = np.random.default_rng((6, seed))
        flows = (
            Traffic(poisson(rng, 3000, urgent), exponential(rng, 3000)),
            Traffic(poisson(rng, 4000, other), exponential(rng, 4000), TransferClass.PREFETCH),
        )
        for kept, table in zip(means, send(link_spec(arbitration="priority"), *flows), strict=True):
            kept.append(float(waits(table).mean()))
    load = urgent + other
    assert_mean(means[0], load / (1 - urgent))
    assert_mean(means[1], load / ((1 - urgent) * (1 - load)))


@pytest.mark.parametrize("arbitration", ["fifo", "fair", "priority"])
def test_littles_law_and_conservation_of_work(arbitration: str) -> None:
    # L T = sum of the sojourns, exactly, on a path that begins and ends empty. The left side is what the
    # processes live through, the right side what the link says about each transfer.
    rng = np.random.default_rng(7)
    env = simpy.Environment()
    link = Link(env, link_spec(arbitration=arbitration))
    present = since = area = busy = sojourn = 0

    def count(change: int) -> None:
        nonlocal present, since, area, busy
        area += present * (int(env.now) - since)
        busy += (int(env.now) - since) * (present > 0)
        present, since = present + change, int(env.now)

    def customer(size: int, cls: TransferClass) -> Process:
        nonlocal sojourn
        count(+1)
        transfer = yield link.transfer(size, cls=cls)
        count(-1)
        sojourn += transfer.end - transfer.queued

    def arrivals(flow: Traffic) -> Process:
        for gap, size in zip(flow.gaps.tolist(), flow.sizes.tolist(), strict=True):
            yield env.timeout(gap)
            env.process(customer(size, flow.cls))

    flows = (
        Traffic(poisson(rng, 400, 0.4), exponential(rng, 400)),
        Traffic(poisson(rng, 400, 0.4), exponential(rng, 400), TransferClass.BACKGROUND),
    )
    for flow in flows:
        env.process(arrivals(flow))
    env.run()
    assert present == 0
    assert area == sojourn
    # Whenever somebody is there, the link serves a byte a tick; shares are rounded down to whole bytes a
    # second and ends up to whole ticks, which costs at most a tick or two an event.
    total = int(sum(flow.sizes.sum() for flow in flows))
    assert total <= busy <= total + 4 * 800
