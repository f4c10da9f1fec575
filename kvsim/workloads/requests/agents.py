"""Agents that work in a loop, call tools, and start others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from kvsim.scenario.request_patterns import Agents as Spec
from kvsim.workloads.requests import draws
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.blocks import Text
from kvsim.workloads.requests.contexts import ContextRequests, Turns
from kvsim.workloads.requests.registry import register_requests

__all__ = ["Agents"]


@register_requests
class Agents(ContextRequests[Spec]):
    """Each step's prompt is the one before, what it put out, and the result of a tool.

    Agents that another one starts go on from its context, each in its own way; it goes on from its context
    itself, with what they put out last.
    """

    name: ClassVar[str] = "agents"

    def planned(self) -> int | None:
        """Known for fixed numbers of steps that no limit cuts short."""
        spec = self.spec
        steps, branches = round(spec.steps.mean), 0
        if spec.steps.distribution != "fixed" or spec.context_limit is not None:
            return None
        if spec.branches:
            if spec.branch_steps.distribution != "fixed":
                return None
            steps = max(steps, spec.branch_after + 1)
            branches = spec.branches * round(spec.branch_steps.mean)
        return spec.runs * (steps + branches)

    def asked(self) -> Iterator[Request]:
        """The first steps of all runs."""
        spec = self.spec
        turns = self.turns(spec.task_tokens, spec.tool_tokens, spec.output_tokens, spec.tool_time)
        steps = draws.turns(spec.steps, self.random("steps"))
        branch_steps = draws.turns(spec.branch_steps, self.random("branch_steps"))
        for session, text in self.begun(spec.runs):
            if spec.branches:
                yield self._branching(turns, text, session, next(steps), branch_steps)
            else:
                yield turns.loop(text, session, next(steps))[0]

    def _branching(
        self, turns: Turns, text: Text, session: int, steps: int, branch_steps: Iterator[int]
    ) -> Request:
        before = self.spec.branch_after
        first, last = turns.loop(text, session, before)
        if not turns.has_room(text):
            return first
        branches = [turns.loop(text.fork(), session, next(branch_steps)) for _ in range(self.spec.branches)]
        last.forks = tuple(begin for begin, _ in branches)
        found = sum(end.output_tokens for _, end in branches)
        back = turns.go_on_with(found, last, text, session)
        if back is not None:
            turns.go_on(back, text, session, steps - before - 1)
        return first
