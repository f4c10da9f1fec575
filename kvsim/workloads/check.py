"""What is wrong with a scenario's workload, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kvsim.registry import Registry
from kvsim.scenario.requests import RequestSpec
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.serving import ServingSpec
from kvsim.scenario.workload import Custom, Mooncake
from kvsim.workloads.geometry import required_page_scalars
from kvsim.workloads.registry import WORKLOADS
from kvsim.workloads.requests.registry import REQUEST_WORKLOADS, asks_requests

__all__ = ["check_workload"]


def check_workload(scenario: Scenario) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Problems of `scenario.workload` that its fields alone do not show.

    A check for `kvsim.scenario.loader.load`: yields the path of the field and the message.
    """
    work = scenario.workload
    if isinstance(work, Custom):
        of_requests = asks_requests(scenario)
        registry: Registry[Any] = REQUEST_WORKLOADS if of_requests else WORKLOADS
        for path, message in registry.check(work.workload_class, work.options):
            yield ("workload", *(path or ("workload_class",))), message
        if not of_requests and scenario.serving != ServingSpec():
            yield ("serving",), "only a workload of requests is served, not one of steps"
    if isinstance(work, (Mooncake, RequestSpec)) and work.block_bytes is not None:
        size = scenario.scheme.bytes(required_page_scalars(scenario))
        if size != work.block_bytes:
            text = f"{work.block_bytes} bytes are no whole number of {scenario.scheme.name} scalars"
            yield ("workload", "block_bytes"), f"{text}; the next larger block has {size} bytes"
