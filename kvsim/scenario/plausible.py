"""Settings that no hardware has, or of which a part is not simulated: reasons for a warning."""

import re
from collections.abc import Iterator

from kvsim.scenario.checks import Finding
from kvsim.scenario.hierarchy import LinkSpec
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import DenseDecode, Mooncake, SparseDecode
from kvsim.units import format_bandwidth

__all__ = ["doubts"]

_PCIE_X16_GB = {"3": 16, "4": 32, "5": 64, "6": 128, "7": 256}
_PCIE_NEWEST_GB = 128
_PCIE = re.compile(r"pci-?e[ _-]?(?:gen[ _-]?)?([3-7])?(?!\d)(?:.*?\bx(\d+)\b)?", re.IGNORECASE)
_OTHERS_GB = (
    (re.compile(r"nvlink[ _-]?c2c|\bc2c\b", re.IGNORECASE), 450, "NVLink-C2C"),
    (re.compile(r"nvlink", re.IGNORECASE), 900, "NVLink 5 of one GPU"),
)


def doubts(scenario: Scenario) -> Iterator[Finding]:
    """What is hard to believe about a scenario that can be simulated, or not simulated about it."""
    yield from _window(scenario)
    for index, link in enumerate(scenario.hierarchy.links):
        limit = _limit(link)
        if limit is None:
            continue
        gigabytes, what = limit
        for field in ("bandwidth", "bandwidth_down"):
            value = getattr(link, field)
            if value is not None and value > gigabytes * 10**9:
                excess = (
                    f"{format_bandwidth(value)} is more than {what} can carry, {gigabytes:g} GB/s a direction"
                )
                yield ("hierarchy", "links", index, field), excess


def _window(scenario: Scenario) -> Iterator[Finding]:
    """A model's sliding window that is shorter than the contexts of the workload."""
    model, work = scenario.model, scenario.workload
    if model is None or model.sliding_window is None:
        return
    if isinstance(work, (DenseDecode, SparseDecode)):
        exceeded = work.context_tokens + work.steps > model.sliding_window
    else:  # the contexts of requests stand in their trace
        exceeded = isinstance(work, Mooncake) and work.block_bytes is None
    if exceeded:
        window = f"the window of {model.sliding_window} tokens of layers {model.sliding_layers}"
        message = f"{window} is not modelled: they keep and read the whole context"
        yield ("model", "sliding_window"), message


def _limit(link: LinkSpec) -> tuple[float, str] | None:
    """Raw bandwidth of one direction in GB/s of what the link says it is, and how to call that."""
    text = link.technology or link.name
    for pattern, gigabytes, what in _OTHERS_GB:
        if pattern.search(text):
            return gigabytes, what
    match = _PCIE.search(text)
    if match is None:
        return None
    generation, lanes = match[1], int(match[2] or 16)
    gigabytes = _PCIE_X16_GB[generation] if generation else _PCIE_NEWEST_GB
    return gigabytes * lanes / 16, f"PCIe{f' {generation}' if generation else ''} x{lanes}"
