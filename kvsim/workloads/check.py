"""What is wrong with a scenario's workload, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import Custom, Mooncake
from kvsim.workloads.geometry import required_page_scalars
from kvsim.workloads.registry import WORKLOADS

__all__ = ["check_workload"]


def check_workload(scenario: Scenario) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Problems of `scenario.workload` that its fields alone do not show.

    A check for `kvsim.scenario.loader.load`: yields the path of the field and the message.
    """
    work = scenario.workload
    if isinstance(work, Custom):
        for path, message in WORKLOADS.check(work.workload_class, work.options):
            yield ("workload", *(path or ("workload_class",))), message
    if isinstance(work, Mooncake) and work.block_bytes is not None:
        size = scenario.scheme.bytes(required_page_scalars(scenario))
        if size != work.block_bytes:
            text = f"{work.block_bytes} bytes are no whole number of {scenario.scheme.name} scalars"
            yield ("workload", "block_bytes"), f"{text}; the next larger block has {size} bytes"
