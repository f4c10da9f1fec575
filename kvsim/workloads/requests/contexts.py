"""Requests whose prompts hold all that was said before: what conversations and agents share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from kvsim.scenario.request_patterns import ContextSpec, PauseSpec, TokensSpec
from kvsim.workloads.requests import draws
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.blocks import Text
from kvsim.workloads.requests.loops import opened
from kvsim.workloads.requests.pattern import SyntheticRequests

__all__ = ["ContextRequests", "Turns"]

C = TypeVar("C", bound=ContextSpec)


class ContextRequests(SyntheticRequests[C]):
    """Loops of requests, each of which is made whole when it starts."""

    def requests(self) -> Iterator[Request]:
        """The first of each loop, or, if loops are open, all, in order of arrival."""
        first = super().requests()
        return opened(first) if self.spec.loop == "open" else first

    def turns(self, first: TokensSpec, later: TokensSpec, output: TokensSpec, pause: PauseSpec) -> Turns:
        """What requests are drawn from, given the distributions."""
        return Turns(
            draws.tokens(first, self.random("first")),
            draws.tokens(later, self.random("later")),
            draws.tokens(output, self.random("output")),
            draws.pauses(pause, self.random("pause")),
            self.spec.context_limit,
            self.lane.tenant,
        )

    def begun(self, loops: int) -> Iterator[tuple[int, Text]]:
        """For each loop the number of its session, and a text that holds a system prompt."""
        spec, numbers = self.spec, self.lane.numbers()
        full = spec.system_tokens // spec.block_tokens
        blocks = numbers.take(spec.system_prompts * full)
        prompts = draws.ranks(spec.system_prompts, spec.alpha, self.random("system"))
        for number, prompt in enumerate(islice(prompts, loops)):
            mine = blocks[prompt * full : (prompt + 1) * full]
            yield self.lane.session(number), Text(numbers, spec.block_tokens, mine, spec.system_tokens)


@dataclass(frozen=True, slots=True)
class Turns:
    """What the requests of loops are drawn from."""

    first: Iterator[int]
    """Tokens that a loop begins with."""
    later: Iterator[int]
    """Tokens added in each turn after the first."""
    output: Iterator[int]
    """Tokens generated."""
    pause: Iterator[int]
    """Ticks between turns."""
    limit: int | None
    """Most tokens of prompt and output."""
    tenant: str

    def loop(self, text: Text, session: int, turns: int) -> tuple[Request, Request]:
        """The first and the last request of so many that go on from the text; fewer at the limit.

        The first is cut to the limit.
        """
        added, output = next(self.first), next(self.output)
        if self.limit is not None:
            added = max(min(added, self.limit - text.tokens - 1), 1)
            output = max(min(output, self.limit - text.tokens - added), 0)
        first = self._request(0, text, added, output, session)
        return first, self.go_on(first, text, session, turns - 1)

    def go_on(self, last: Request, text: Text, session: int, turns: int) -> Request:
        """The last of so many more requests after that one; fewer at the limit."""
        for _ in range(turns):
            pause, added, output = next(self.pause), next(self.later), next(self.output)
            if not self.has_room(text, added + output):
                break
            last.follow_up = self._request(pause, text, added, output, session)
            last = last.follow_up
        return last

    def go_on_with(self, added: int, last: Request, text: Text, session: int) -> Request | None:
        """The request that comes at once after that one, with so many tokens more; None at the limit."""
        output = next(self.output)
        if not self.has_room(text, added + output):
            return None
        last.follow_up = self._request(0, text, added, output, session)
        return last.follow_up

    def has_room(self, text: Text, tokens: int = 1) -> bool:
        """Whether so many more tokens are within the limit."""
        return self.limit is None or text.tokens + tokens <= self.limit

    def _request(self, pause: int, text: Text, added: int, output: int, session: int) -> Request:
        text.add(added)
        prompt, blocks = text.tokens, text.blocks()
        text.add(output)
        return Request(pause, prompt, output, blocks, text.full_since(prompt), self.tenant, session)
