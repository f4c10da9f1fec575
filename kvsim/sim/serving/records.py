"""What a run of requests writes down, besides transfers, hops and room."""

from __future__ import annotations

from kvsim.sim.records import HOP_COLUMNS, SPACE_COLUMNS, TRANSFER_COLUMNS, Table
from kvsim.sim.serving.sequence import PHASES

__all__ = [
    "GAP_COLUMNS",
    "ITERATION_COLUMNS",
    "PHASES",
    "REQUEST_COLUMNS",
    "ServingRecords",
    "request_columns",
]

REQUEST_COLUMNS = (
    "request",  # running number, in order of arrival
    "arrival",
    "admitted",  # first admission
    "first_token",  # of a request without output: when its prompt was computed
    "end",
    "tenant",  # position among the names of the result
    "session",  # -1: none
    "instance",  # where it ended
    "input",  # tokens of the prompt
    "output",  # tokens generated
    "blocks",  # of the prompt
    "reused",  # tokens of the prompt that were in the first tier, at the first admission
    "loaded",  # tokens of the prompt that were loaded from further down, at the first admission
    "computed",  # tokens computed for it beside decoding, those computed again after a preemption included
    "preemptions",
    *PHASES,  # its time by phase; they add up to end - arrival
)
"""Then, for each level from the first tier on, the blocks found there at the first admission."""
ITERATION_COLUMNS = (
    "instance",
    "start",
    "end",
    "iterations",  # in a row, all with the same sequences
    "decoding",  # sequences that decode a token in each
    "context",  # tokens in their caches, in the first
    "prompt",  # tokens of prompts computed
    "stall",  # time waited for parts of layers
    "gapped",  # of the decoding, those with a row in the table of gaps for the first of these iterations
)
GAP_COLUMNS = ("request", "gap")
"""Times between two tokens of a request that are not the length of one iteration."""


def request_columns(levels: int) -> tuple[str, ...]:
    """The columns of the table of requests in a machine of so many levels."""
    return (*REQUEST_COLUMNS, *(f"found_{level}" for level in range(levels)))


class ServingRecords:
    """The tables of one run. With `keep_events` off there are no transfers, hops and space."""

    def __init__(self, levels: int, keep_events: bool = True) -> None:
        self.keep_events = keep_events
        self.requests = Table(request_columns(levels))
        self.iterations = Table(ITERATION_COLUMNS)
        self.gaps = Table(GAP_COLUMNS)
        self.transfers = Table(TRANSFER_COLUMNS, keep_events)
        self.hops = Table(HOP_COLUMNS, keep_events)
        self.space = Table(SPACE_COLUMNS, keep_events)

    def pack(self) -> None:
        """Give every table the occasion to pack or drop its rows."""
        for table in (self.requests, self.iterations, self.gaps, self.transfers, self.hops, self.space):
            table.pack()
