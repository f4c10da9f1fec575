"""The summary of any run."""

from __future__ import annotations

from kvsim.analysis.metrics import Summary, summarise
from kvsim.analysis.serving import ServingSummary, summarise_serving
from kvsim.sim.result import RunResult
from kvsim.sim.serving.result import ServingResult

__all__ = ["AnyResult", "AnySummary", "summary_of"]

AnyResult = RunResult | ServingResult
"""What a run of steps or one of requests leaves."""
AnySummary = Summary | ServingSummary
"""Its figures."""


def summary_of(result: AnyResult) -> AnySummary:
    """The figures of a run of steps, or of one of requests."""
    return summarise_serving(result) if isinstance(result, ServingResult) else summarise(result)
