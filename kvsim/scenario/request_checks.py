"""What a workload of requests, and how it is served, needs to fit together."""

from __future__ import annotations

from collections.abc import Iterator

from kvsim.scenario.request_patterns import ContextSpec, MultiTenant, PatternSpec, SharedDocuments
from kvsim.scenario.requests import ArrivalSpec, RequestSpec
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.serving import ServingSpec
from kvsim.scenario.workload import Custom

__all__ = [
    "arrival_problems",
    "arrivals",
    "patterns",
    "serves_requests",
    "serving_shares",
    "serving_tiers",
    "without_effect",
]

Finding = tuple[tuple[str | int, ...], str]
_ONLY_FOR = {
    "rate": ("poisson", "gamma", "bursts"),
    "variation": ("gamma",),
    "burst": ("bursts",),
    "speedup": ("trace",),
    "jitter": ("trace",),
}
"""The processes that look at a field."""


def arrival_problems(spec: ArrivalSpec) -> Iterator[tuple[str, str]]:
    """Fields of arrivals that are missing, or that their process does not look at, and what is wrong."""
    for field, processes in _ONLY_FOR.items():
        given = getattr(spec, field) != ArrivalSpec.model_fields[field].default
        if given and spec.process not in processes:
            wanted = " and ".join(f"`{each}`" for each in processes)
            yield field, f"has no effect with the process `{spec.process}`, only with {wanted}"
        elif field == "rate" and not given and spec.process in processes:
            yield field, f"the process `{spec.process}` needs it: requests a second on average"


def arrivals(scenario: Scenario) -> Iterator[Finding]:
    """Arrivals have what their process needs, and nothing else."""
    work = scenario.workload
    if isinstance(work, RequestSpec):
        for field, message in arrival_problems(work.arrivals):
            yield ("workload", "arrivals", field), message


def serves_requests(scenario: Scenario) -> Iterator[Finding]:
    """Serving is for requests; of a custom workload only its class tells what it is."""
    work = scenario.workload
    if isinstance(work, (RequestSpec, Custom)) or scenario.serving == ServingSpec():
        return
    yield ("serving",), f"only a workload of requests is served, and {work.kind!r} is one of steps"


def serving_tiers(scenario: Scenario) -> Iterator[Finding]:
    """The tiers that serving names are there, and can be what they are named for."""
    known = [tier.name for tier in scenario.hierarchy.tiers]
    named: dict[tuple[str, ...], str | None] = {
        ("instances", "shared_from"): scenario.serving.instances.shared_from,
        ("reuse", "lookahead_tier"): scenario.serving.reuse.lookahead_tier,
    }
    warm = scenario.serving.reuse.warm
    if warm is not None:
        named["reuse", "warm", "tier"] = warm.tier
    if scenario.serving.reuse.lookup == "in_turn" and len(known) > 1:
        text = f"blocks are looked up in turn in a flat cache: one tier, not {len(known)}"
        yield ("serving", "reuse", "lookup"), text
    for path, name in named.items():
        if name is None:
            continue
        if name not in known:
            yield ("serving", *path), f"there is no tier {name!r} (known: {', '.join(known)})"
        elif path[1] == "shared_from" and name == known[0]:
            yield (
                ("serving", *path),
                f"each instance has a first tier, {name!r}, of its own; name one below it",
            )


def serving_shares(scenario: Scenario) -> Iterator[Finding]:
    """What is divided is no more than there is."""
    instances, tenants = scenario.serving.instances, scenario.serving.tenants
    if instances.prefill >= instances.count:
        text = f"of {instances.count} instances at most {instances.count - 1} can leave decoding to others"
        yield ("serving", "instances", "prefill"), text
    shares = [tenant.cache_share for tenant in tenants.values() if tenant.cache_share is not None]
    if sum(shares) > 1 + 1e-9:
        text = f"the tenants' `cache_share` add up to {sum(shares):g}, more than the whole"
        yield ("serving", "tenants"), text


def patterns(scenario: Scenario) -> Iterator[Finding]:
    """Made-up requests can be made as described; tenants agree on what a block is."""
    work = scenario.workload
    if isinstance(work, MultiTenant):
        for name, pattern in work.tenants.items():
            at = ("workload", "tenants", name)
            yield from ((at + path, message) for path, message in _of_tenant(pattern, work.block_tokens))
            yield from (
                ((*at, "arrivals", field), text) for field, text in arrival_problems(pattern.arrivals)
            )
    elif isinstance(work, PatternSpec):
        yield from ((("workload", field), message) for field, message in _pattern(work))


def _of_tenant(pattern: PatternSpec, block_tokens: int) -> Iterator[Finding]:
    if pattern.block_tokens != block_tokens:
        text = f"all tenants have blocks of the same size; the first one's have {block_tokens} tokens"
        yield ("block_tokens",), text
    if pattern.block_bytes is not None:
        yield ("block_bytes",), "blocks of all tenants have the same size: give `workload.block_bytes`"
    yield from (((field,), message) for field, message in _pattern(pattern))


def _pattern(pattern: PatternSpec) -> Iterator[tuple[str, str]]:
    if isinstance(pattern, SharedDocuments) and pattern.retrieved > pattern.documents:
        yield "retrieved", f"must be at most the number of documents, {pattern.documents}"
    if isinstance(pattern, ContextSpec) and pattern.context_limit is not None:
        least = pattern.system_tokens + 2
        if pattern.context_limit < least:
            text = (
                f"must be at least {least}, two more than `system_tokens`: a prompt and an output of a token"
            )
            yield "context_limit", text


def without_effect(scenario: Scenario) -> Iterator[Finding]:
    """Requests are served by rules of their own: what steps alone look at would be ignored."""
    if not isinstance(scenario.workload, RequestSpec):
        return
    for section, spec, names in (
        (("policy",), scenario.policy, _OF_STEPS["policy"]),
        (("execution",), scenario.execution, _OF_STEPS["execution"]),
        (("execution", "dma"), scenario.execution.dma, _OF_STEPS["dma"]),
    ):
        for name in names:
            if getattr(spec, name) != type(spec).model_fields[name].default:
                yield (*section, name), "has no effect on requests, only on steps; leave it out"
    for index, tier in enumerate(scenario.hierarchy.tiers):
        if tier.access != "promote":
            yield (
                ("hierarchy", "tiers", index, "access"),
                "what requests read is in the first tier: `promote`",
            )
    for index, link in enumerate(scenario.hierarchy.links):
        if link.compute_share:
            text = "has no effect on requests, whose compute no copy slows; leave it out"
            yield ("hierarchy", "links", index, "compute_share"), text


_OF_STEPS = {
    "policy": ("prefetch", "placement", "lossy", "decision_time", "decision_time_per_page"),
    "execution": ("overlap", "depth", "tile", "in_place", "max_steps"),
    "dma": ("max_in_flight", "classes", "prefetch_limit", "prefetch_queue", "pressure"),
}
"""Fields that mean nothing where requests are served."""
