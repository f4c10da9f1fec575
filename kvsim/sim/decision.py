"""What it takes to decide: the time of a placement policy on the step."""

from __future__ import annotations

from kvsim.policies.base import PlacementPolicy
from kvsim.scenario.policy import PolicySpec


class DecisionCost:
    """Ticks that a placement policy takes in a step: a fixed part, and one for each page that it weighs."""

    def __init__(self, placement: PlacementPolicy, fixed: int, per_page: int) -> None:
        self._placement = placement
        self._fixed = fixed
        self._per_page = per_page

    def ticks(self) -> int:
        """Of the decision that is due now; 0 if the policy weighs nothing."""
        pages = self._placement.weighs()
        return self._fixed + pages * self._per_page if pages else 0


def decision_cost(spec: PolicySpec, placement: PlacementPolicy) -> DecisionCost | None:
    """None if decisions take no time, or the policy never makes any in a run."""
    if not placement.watches or not (spec.decision_time or spec.decision_time_per_page):
        return None
    return DecisionCost(placement, spec.decision_time, spec.decision_time_per_page)
