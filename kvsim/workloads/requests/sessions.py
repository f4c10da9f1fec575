"""Conversations that come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from kvsim.scenario.request_patterns import ChatSessions as Spec
from kvsim.workloads.requests import draws
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.contexts import ContextRequests
from kvsim.workloads.requests.registry import register_requests

__all__ = ["ChatSessions"]


@register_requests
class ChatSessions(ContextRequests[Spec]):
    """Each prompt is the whole conversation so far and what the user adds.

    The full blocks of prompt and answer are found again in the next turn, and those of a system prompt in
    every conversation that begins with it.
    """

    name: ClassVar[str] = "chat_sessions"

    def planned(self) -> int | None:
        """Known for fixed numbers of turns that no limit cuts short."""
        turns = self.spec.turns
        if turns.distribution == "fixed" and self.spec.context_limit is None:
            return self.spec.sessions * round(turns.mean)
        return None

    def asked(self) -> Iterator[Request]:
        """The first turns of all conversations."""
        spec = self.spec
        turns = self.turns(spec.first_tokens, spec.user_tokens, spec.output_tokens, spec.think)
        lengths = draws.turns(spec.turns, self.random("lengths"))
        for session, text in self.begun(spec.sessions):
            first, _ = turns.loop(text, session, next(lengths))
            yield first
