"""Figures of a trace of requests, by hand."""

from __future__ import annotations

from kvsim.analysis.request_info import request_info
from kvsim.workloads.requests import Request

S = 10**12


def test_turns_and_forks_of_closed_loops_count_as_requests() -> None:
    last = Request(S, 40, 5, [1, 2, 4], session=3)
    fork = Request(0, 17, 1, [1, 9], session=3, tenant="a")
    first = Request(S, 20, 2, [1, 2], session=3, forks=[fork], follow_up=last)
    found = request_info([first, Request(3 * S, 3, 0, [7]), Request(7 * S, 20, 2, [1, 2])], 16)
    assert found == {
        "requests": "5",
        "of them later turns of closed loops": "2",
        "time of the arrivals": "6 s",
        "requests a second": "0.3333",  # two gaps in 6 s
        "variation of the gaps": "0.333",  # 2 s and 4 s: 1 s around 3 s
        "input tokens": "20.0 on average, p50 20, p99 39, most 40",  # 3, 17, 20, 20, 40
        "output tokens": "2.0 on average, p50 2, p99 4, most 5",
        "sessions": "1",
        "tenants": "2",
        "blocks": "10 of 16 tokens",
        "distinct blocks": "5",  # 1, 2, 4, 7, 9
        "hit rate of a cache without end": "0.5000",
    }


def test_what_a_trace_does_not_tell_is_left_out() -> None:
    assert request_info([Request(5, 7, 1)], 16) == {
        "requests": "1",
        "arrivals": "all at once",
        "input tokens": "7.0 on average, p50 7, p99 7, most 7",
        "output tokens": "1.0 on average, p50 1, p99 1, most 1",
    }
