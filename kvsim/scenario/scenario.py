"""One scenario: everything a run depends on."""

from kvsim.scenario.base import Index, Name, Spec
from kvsim.scenario.catalog import FP16, GpuSpec, LlmSpec, SchemeSpec
from kvsim.scenario.execution import ExecutionSpec
from kvsim.scenario.hierarchy import HierarchySpec
from kvsim.scenario.policy import PolicySpec
from kvsim.scenario.serving import ServingSpec
from kvsim.scenario.workload import WorkloadSpec

__all__ = ["Scenario"]


class Scenario(Spec):
    """What is simulated. Two runs of equal scenarios give equal results."""

    name: Name
    """Name of the scenario. In a file: default the file's name."""
    description: str = ""
    """What it shows. Default empty."""
    seed: Index = 0
    """Seed of all random numbers. Default 0."""
    model: LlmSpec | None = None
    """The language model. Default: none; then the workload must not need one."""
    gpu: GpuSpec | None = None
    """The GPU. Default: none; then `execution.compute_time` must be given."""
    scheme: SchemeSpec = FP16
    """Storage format of pages, where a tier has none of its own. Default fp16."""
    hierarchy: HierarchySpec
    """The memories and the links between them."""
    workload: WorkloadSpec
    """What is asked for."""
    policy: PolicySpec = PolicySpec()
    """Who decides."""
    execution: ExecutionSpec = ExecutionSpec()
    """How it runs."""
    serving: ServingSpec = ServingSpec()
    """How requests are served, where the workload is one of requests."""
