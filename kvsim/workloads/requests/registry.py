"""The registry of the workloads of requests, and their construction from a scenario."""

from __future__ import annotations

from kvsim.errors import RegistryError
from kvsim.registry import BadReference, Registry
from kvsim.scenario.requests import RequestSpec
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import Custom
from kvsim.workloads.requests.base import RequestWorkload

__all__ = ["REQUEST_WORKLOADS", "asks_requests", "make_requests", "register_requests"]


def _of_requests(cls: type[object]) -> bool:
    """A class that has steps too is a workload of steps."""
    return callable(getattr(cls, "requests", None)) and not callable(getattr(cls, "steps", None))


REQUEST_WORKLOADS: Registry[RequestWorkload] = Registry(
    "request workload", "kvsim.request_workloads", _of_requests
)

register_requests = REQUEST_WORKLOADS.register
"""Class decorator: the workload becomes known under its `name`, the `kind` of its spec."""

_ATTRIBUTES = ("block_tokens", "block_bytes", "total_requests")


def asks_requests(scenario: Scenario) -> bool:
    """Whether the scenario's workload is one of requests, not of steps.

    Of a custom class its methods tell; one that cannot be had counts as one of steps.
    """
    spec = scenario.workload
    if not isinstance(spec, Custom):
        return isinstance(spec, RequestSpec)
    try:
        REQUEST_WORKLOADS.get(spec.workload_class)
    except RegistryError:
        return False
    return True


def make_requests(scenario: Scenario) -> RequestWorkload:
    """The workload of requests that the scenario asks for.

    Raises RegistryError or BadOption for a custom class that cannot be had, and TraceError for a trace
    whose beginning cannot be read.
    """
    spec = scenario.workload
    if not isinstance(spec, Custom):
        return REQUEST_WORKLOADS.make(spec.kind, scenario)
    workload = REQUEST_WORKLOADS.make(spec.workload_class, scenario, spec.options)
    missing = [attribute for attribute in _ATTRIBUTES if not hasattr(workload, attribute)]
    if missing:
        reason = f"lacks {', '.join(missing)} of kvsim.workloads.requests.RequestWorkload"
        raise BadReference(REQUEST_WORKLOADS.kind, spec.workload_class, REQUEST_WORKLOADS.names(), reason)
    return workload
