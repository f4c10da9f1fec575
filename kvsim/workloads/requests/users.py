"""Users who wait for the answer, think, and ask again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from operator import attrgetter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.request_patterns import Users as Spec
from kvsim.workloads.requests import draws
from kvsim.workloads.requests.arrivals import arriving
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.pattern import SyntheticRequests
from kvsim.workloads.requests.registry import register_requests

__all__ = ["Users"]


@register_requests
class Users(SyntheticRequests[Spec]):
    """A closed queue: so many users, each of whom has one request at a time.

    Follow-ups are made when they are asked for, so that what is kept of each is three numbers.
    """

    name: ClassVar[str] = "users"

    def planned(self) -> int | None:
        """Requests of all users together."""
        return self.spec.requests

    def requests(self) -> Iterator[Request]:
        """The first request of each user, by arrival."""
        return arriving(self.asked(), self.spec.arrivals, self.seed, self.name, self.lane.tenant)

    def asked(self) -> Iterator[Request]:
        """The same, each at the time its user has thought."""
        spec, total = self.spec, self.total_requests or 0
        prompts = _drawn(draws.tokens(spec.input_tokens, self.random("input")), total)
        outputs = _drawn(draws.tokens(spec.output_tokens, self.random("output")), total)
        pauses = _drawn(draws.pauses(spec.think, self.random("think")), total)

        def made(number: int) -> Request:
            """The request of that number; a user's next is that of as many more as there are users."""
            request = _Lazy(
                int(pauses[number]),
                int(prompts[number]),
                int(outputs[number]),
                tenant=self.lane.tenant,
                session=self.lane.session(number % spec.users),
            )
            if number + spec.users < total:
                request.make = lambda: made(number + spec.users)
            return request

        waiting = sorted(map(made, range(min(spec.users, total))), key=attrgetter("arrival_ticks"))[::-1]
        while waiting:  # what has been yielded is not kept, nor all that hangs on it
            yield waiting.pop()


class _Lazy(Request):
    """A request whose follow-up is made when it is first asked for."""

    make: Callable[[], Request] | None = None

    @property
    def follow_up(self) -> Request | None:
        if self.make is not None:
            self._follow_up: Request | None = self.make()
            self.make = None
        return self._follow_up

    @follow_up.setter
    def follow_up(self, request: Request | None) -> None:
        self._follow_up = request


def _drawn(values: Iterator[int], count: int) -> NDArray[np.int64]:
    return np.fromiter(islice(values, count), dtype=np.int64, count=count)
