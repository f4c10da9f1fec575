"""Requests of a workload, and what must hold of the blocks of any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from workloads.scenarios import scenario

from kvsim.workloads.requests import Request, make_requests


def made(workload: dict[str, Any], seed: int = 0) -> list[Request]:
    """The requests that are no follow-ups."""
    return list(make_requests(scenario(workload, seed)).requests())


def loop(request: Request | None) -> Iterator[Request]:
    """A request and all its follow-ups, forks aside."""
    while request is not None:
        yield request
        request = request.follow_up


def everyone(requests: Iterable[Request]) -> Iterator[Request]:
    """All requests, follow-ups and forks too."""
    for first in requests:
        for request in loop(first):
            yield request
            yield from everyone(request.forks)


def plain(requests: Iterable[Request]) -> list[Any]:
    """Everything about requests, comparable."""
    told = attrgetter("arrival_ticks", "input_tokens", "output_tokens", "tenant", "session")
    return [
        (*told(request), [*request.blocks], [*request.output_blocks], len(request.forks))
        for request in everyone(requests)
    ]


def full(request: Request, block_tokens: int) -> list[int]:
    """Full blocks of prompt and output."""
    return [*request.blocks[: request.input_tokens // block_tokens], *request.output_blocks]


def assert_blocks_stand_for_prefixes(requests: Iterable[Request], block_tokens: int) -> None:
    """Each prompt has as many blocks as its length says, none twice, each behind the same one everywhere."""
    before: dict[int, int] = {}
    for request in everyone(requests):
        blocks = list(request.blocks)
        assert len(blocks) == -(-request.input_tokens // block_tokens)
        ended = full(request, block_tokens)
        assert len(ended) == (request.input_tokens + request.output_tokens) // block_tokens
        for prompt in (blocks, ended):
            assert len(set(prompt)) == len(prompt)
            for one, following in zip([-1, *prompt], prompt, strict=False):
                assert following >= 0
                assert before.setdefault(following, one) == one
