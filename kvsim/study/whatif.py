"""Single changes to a scenario, each found out by running again: which would shorten the steps most?

A change doubles one resource or takes one step in one setting and leaves all else as it is. What cannot be
run, or is no change here, is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import ValidationError

from kvsim.analysis.metrics import summarise
from kvsim.errors import KvsimError, ScenarioWarning
from kvsim.policies import check_policies
from kvsim.scenario.catalog import SchemeSpec
from kvsim.scenario.checks import cross_check
from kvsim.scenario.hierarchy import LinkSpec, TierSpec
from kvsim.scenario.references import catalog
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tree import plain
from kvsim.sim.engine import simulate
from kvsim.units import PageCount
from kvsim.workloads import check_workload, make_workload

__all__ = ["MOST_READS", "Change", "Effect", "Kind", "changes", "effects", "shortened"]

Kind = Literal["bandwidth", "latency", "channels", "depth", "capacity", "copies", "scheme"]
"""What a change gives more of, or does in another way."""

MOST_READS = 50_000
"""Page reads after which the runs of an explanation end: a second or two each."""

_NARROWER = {"fp16": "fp8", "fp8": "int4"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that could be different."""

    kind: Kind
    of: str
    """The link, bus or tier that gets it; empty for the run as a whole."""
    text: str
    """For people: `twice the bandwidth of pcie`."""
    scenario: Scenario
    """The scenario with the change."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does, in seconds."""

    change: Change
    mean_step_s: float
    makespan_s: float


def changes(scenario: Scenario) -> tuple[Change, ...]:
    """Every change that gives a scenario which can be run; it keeps only a summary."""
    plain_run = _with(scenario, execution={"records": "summary"})
    found = (
        *_of_links(plain_run),
        *_of_ports(plain_run),
        *_of_depth(plain_run),
        *_of_capacity(plain_run),
        *_of_scheme(plain_run),
    )
    return tuple(change for change in found if _valid(change.scenario))


def effects(
    options: Sequence[Change], progress: Callable[[int, int], None] | None = None
) -> tuple[Effect, ...]:
    """Run each change; the shortest mean step first, then the shortest makespan, then the given order.

    A change whose run cannot go on is left out. `progress` is told how many of how many are done.
    """
    found: list[Effect] = []
    for done, change in enumerate(options, start=1):
        try:
            summary = summarise(simulate(change.scenario))
        except KvsimError:
            continue
        finally:
            if progress is not None:
                progress(done, len(options))
        found.append(Effect(change, summary.step_latency_s["mean"], summary.makespan_s))
    return tuple(sorted(found, key=lambda effect: (effect.mean_step_s, effect.makespan_s)))


def shortened(scenario: Scenario, at_least: int = 0) -> tuple[Scenario, int | None]:
    """The scenario with `max_steps` such that it reads about MOST_READS pages, but `at_least` so many steps.

    The second value is that limit, None if the scenario is shorter anyway. The steps are drawn, not run.
    """
    most = scenario.execution.max_steps
    reads = 0
    for before, step in enumerate(islice(make_workload(scenario).steps(), most)):
        if reads >= MOST_READS and before >= at_least:
            return _with(scenario, execution={"max_steps": before}), before
        reads += sum(len(layer.pages) for layer in step.layers)
    return scenario, None


def _with(scenario: Scenario, **parts: dict[str, Any]) -> Scenario:
    """The scenario with some fields of some of its parts replaced."""
    update = {name: getattr(scenario, name).model_copy(update=values) for name, values in parts.items()}
    return scenario.model_copy(update=update)


def _valid(scenario: Scenario) -> bool:
    """Whether it passes the checks that a scenario from a file passes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScenarioWarning)
        try:
            Scenario.model_validate(scenario.model_dump(mode="json"))
        except ValidationError:
            return False
        return not any(list(check(scenario)) for check in (cross_check, check_policies, check_workload))


# -- links ---------------------------------------------------------------------------


def _of_links(scenario: Scenario) -> Iterator[Change]:
    for link in scenario.hierarchy.links:
        text = f"twice the bandwidth of {link.name}"
        yield Change("bandwidth", link.name, text, _twice_the_bandwidth(scenario, link))
        halved = _half_the_latency(scenario, link)
        if halved is not None:
            yield Change("latency", link.name, f"half the latency of {link.name}", halved)
        if link.arbitration != "fair":  # which serves everybody at once
            more = link.model_copy(update={"channels": 2 * link.channels})
            changed = _replaced(scenario, links={link.name: more})
            yield Change("channels", link.name, f"twice the channels of {link.name}", changed)
        if link.compute_share:
            changed = _replaced(scenario, links={link.name: link.model_copy(update={"compute_share": 0})})
            text = f"a copy engine in place of copies by a kernel on {link.name}"
            yield Change("copies", link.name, text, changed)


def _twice_the_bandwidth(scenario: Scenario, link: LinkSpec) -> Scenario:
    """The link's own, and that of its bus, its channels and the tiers at its ends where they would limit it.

    Channels that together do not fill the link are left alone: what they lack is not the link's bandwidth.
    """
    channel = link.channel_bandwidth
    filled = channel is not None and link.channels * channel > link.bandwidth
    names = ("bandwidth", "bandwidth_down", *(["channel_bandwidth"] if filled else []))
    update = {name: 2 * value for name in names if (value := getattr(link, name)) is not None}
    wider = link.model_copy(update=update)
    ends = [tier for tier in scenario.hierarchy.tiers if tier.name in link.between]
    changed = _replaced(
        scenario, links={link.name: wider}, tiers={tier.name: _as_wide(tier, wider) for tier in ends}
    )
    buses = tuple(
        bus.model_copy(update={"bandwidth": 2 * bus.bandwidth}) if bus.name == link.bus else bus
        for bus in scenario.hierarchy.buses
    )
    return _with(changed, hierarchy={"buses": buses})


def _as_wide(tier: TierSpec, link: LinkSpec) -> TierSpec:
    most = max(link.bandwidth, link.bandwidth_down or 0)
    limits = {name: getattr(tier, name) for name in ("read_bandwidth", "write_bandwidth")}
    return tier.model_copy(
        update={name: 2 * value for name, value in limits.items() if value is not None and value < most}
    )


def _half_the_latency(scenario: Scenario, link: LinkSpec) -> Scenario | None:
    """Of the link, set-up included, and of the tier at its far end; None if there is none to halve."""
    far = next(tier for tier in scenario.hierarchy.tiers if tier.name == link.between[1])
    nearer = link.model_copy(update={name: getattr(link, name) // 2 for name in ("latency", "setup")})
    faster = far.model_copy(
        update={name: getattr(far, name) // 2 for name in ("read_latency", "write_latency")}
    )
    if nearer == link and faster == far:
        return None
    return _replaced(scenario, links={link.name: nearer}, tiers={far.name: faster})


def _replaced(
    scenario: Scenario, links: dict[str, LinkSpec] | None = None, tiers: dict[str, TierSpec] | None = None
) -> Scenario:
    hierarchy = scenario.hierarchy
    return _with(
        scenario,
        hierarchy={
            "links": tuple((links or {}).get(link.name, link) for link in hierarchy.links),
            "tiers": tuple((tiers or {}).get(tier.name, tier) for tier in hierarchy.tiers),
        },
    )


# -- everything else -----------------------------------------------------------------


def _of_ports(scenario: Scenario) -> Iterator[Change]:
    for tier in scenario.hierarchy.tiers:
        if tier.ports is not None:
            more = tier.model_copy(update={"ports": 2 * tier.ports})
            changed = _replaced(scenario, tiers={tier.name: more})
            yield Change("channels", tier.name, f"twice the ports of {tier.name}", changed)


def _of_depth(scenario: Scenario) -> Iterator[Change]:
    if scenario.execution.overlap not in ("layered", "async"):
        return
    depth = scenario.execution.depth
    for more in dict.fromkeys((depth + 1, 2 * depth)):
        changed = _with(scenario, execution={"depth": more})
        yield Change("depth", "", f"depth {more} in place of {depth}", changed)


def _of_capacity(scenario: Scenario) -> Iterator[Change]:
    for tier in scenario.hierarchy.tiers[:-1]:
        room = tier.capacity
        more = PageCount(2 * room.pages) if isinstance(room, PageCount) else 2 * room
        changed = _replaced(scenario, tiers={tier.name: tier.model_copy(update={"capacity": more})})
        yield Change("capacity", tier.name, f"twice the capacity of {tier.name}", changed)


def _of_scheme(scenario: Scenario) -> Iterator[Change]:
    """The next narrower format, where pages are counted in scalars and not in bytes."""
    scheme = scenario.scheme
    name = _NARROWER.get(scheme.name)
    in_bytes = any(
        getattr(scenario.workload, field, None) is not None for field in ("block_bytes", "page_bytes")
    )
    if name is None or in_bytes:
        return
    narrower = SchemeSpec.model_validate(plain(catalog("schemes")[name]))
    changed = scenario.model_copy(update={"scheme": narrower.model_copy(update={"mixed": scheme.mixed})})
    yield Change("scheme", "", f"{name} in place of {scheme.name}", changed)
