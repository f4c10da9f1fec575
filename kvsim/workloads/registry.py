"""The registry of the workloads, and their construction from a scenario."""

from __future__ import annotations

from kvsim.errors import KvsimError
from kvsim.registry import BadReference, Registry
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import Custom, LanguageModel
from kvsim.workloads.base import Workload
from kvsim.workloads.requests.registry import asks_requests

__all__ = ["WORKLOADS", "make_workload", "names", "register_workload"]

WORKLOADS: Registry[Workload] = Registry(
    "workload", "kvsim.workloads", lambda cls: callable(getattr(cls, "steps", None))
)

register_workload = WORKLOADS.register
"""Class decorator: the workload becomes known under its `name`, the `kind` of its spec."""

_ATTRIBUTES = ("absent", "initial_pages", "page_scalars", "total_steps")


def make_workload(scenario: Scenario) -> Workload:
    """The workload that the scenario asks for.

    Raises KvsimError for one of requests, RegistryError or BadOption for a custom class that cannot be had,
    and TraceError for a trace whose beginning cannot be read.
    """
    spec = scenario.workload
    if asks_requests(scenario):
        raise KvsimError(f"{scenario.name}: the workload is one of requests, and this needs one of steps")
    if isinstance(spec, LanguageModel):  # of a floor above, which few scenarios need
        return WORKLOADS.make("kvsim.lm.workload:LanguageModel", scenario)
    if not isinstance(spec, Custom):
        return WORKLOADS.make(spec.kind, scenario)
    workload = WORKLOADS.make(spec.workload_class, scenario, spec.options)
    missing = [attribute for attribute in _ATTRIBUTES if not hasattr(workload, attribute)]
    if missing:
        reason = f"lacks {', '.join(missing)} of kvsim.workloads.Workload"
        raise BadReference(WORKLOADS.kind, spec.workload_class, names(), reason)
    return workload


def names() -> tuple[str, ...]:
    """The known workloads, sorted."""
    return WORKLOADS.names()
