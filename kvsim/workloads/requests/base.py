"""What a request workload hands to the serving engine: a stream of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

__all__ = ["Request", "RequestWorkload"]


# Not frozen, because a frozen one takes several times as long to make: nobody changes them all the same.
@dataclass(slots=True, eq=False)
class Request:
    """One prompt and how much is generated for it."""

    arrival_ticks: int
    """When it arrives, in picoseconds; of a `follow_up` the time from the end of the one before to its own
    arrival (think time)."""
    input_tokens: int
    """Tokens of the prompt, at least 1."""
    output_tokens: int
    """Tokens generated, at least 0."""
    blocks: Sequence[int] = ()
    """Blocks of the prompt in order, ceil(input_tokens / block tokens) of them, the last perhaps partial;
    none where nothing is known of the prompt but its length: then nothing of it is ever found again. A
    block's number, not negative, stands for the whole prefix up to its end, so no number comes twice."""
    output_blocks: Sequence[int] = ()
    """Blocks that hold prompt and output when the request has ended, from the first that is not one of
    `blocks` with the same content on: the partial last block of the prompt filled up, then those of the
    output. A later prompt that goes on from here has them. None: the output is never found again."""
    tenant: str = ""
    """Who asks, for quotas and fairness."""
    session: int | None = None
    """What conversation it belongs to; None: to none."""
    priority: int = 0
    """Higher goes first where `serving.order` looks at it."""
    follow_up: Request | None = None
    """The next turn of a closed loop: it arrives `arrival_ticks` after this one has ended, or, if there are
    `forks`, after all of them and of their own follow-ups have."""
    forks: Sequence[Request] = ()
    """More that arrive, each its own `arrival_ticks`, after this one has ended, beside each other."""


class RequestWorkload(Protocol):
    """A stream of requests; built from its spec, or a class of a user's own."""

    name: ClassVar[str]

    @property
    def block_tokens(self) -> int:
        """Tokens of a block."""
        ...

    @property
    def block_bytes(self) -> int:
        """Bytes of a block, of all layers together, in the scenario's scheme."""
        ...

    @property
    def total_requests(self) -> int | None:
        """Number of requests, follow-ups included, if known beforehand (for the progress bar)."""
        ...

    def requests(self) -> Iterator[Request]:
        """Yields those that are no follow-ups, in order of arrival, from the first each time it is called.

        May raise TraceError while reading a trace.
        """
        ...
