"""`trace.json` of a run of requests, for https://ui.perfetto.dev: see `kvsim.reporting.perfetto`.

Processes are `instances` (iterations), `requests` (each an asynchronous track of its own: queue, prompt,
decode), `lanes` and `tiers`.
"""

from __future__ import annotations

from collections.abc import Iterator

from kvsim.reporting.perfetto import (
    counter_events,
    lane_events,
    rows_of,
    slice_event,
    ticks_text,
    track_events,
)
from kvsim.sim.serving.result import ServingResult

__all__ = ["serving_events"]

_INSTANCES, _REQUESTS = 1, 4


def serving_events(result: ServingResult) -> Iterator[str]:
    """Every event as one line of JSON."""
    names = [(number + 1, f"instance {number}") for number in range(len(result.busy_ticks))]
    yield from track_events(_INSTANCES, "instances", names)
    yield from track_events(_REQUESTS, "requests", [])
    yield from _iterations(result)
    yield from _requests(result)
    yield from lane_events(result)
    yield from counter_events(result)


def _iterations(result: ServingResult) -> Iterator[str]:
    columns = ("instance", "start", "end", "iterations", "decoding", "prompt", "stall")
    for instance, start, end, steps, decoding, prompt, stall in rows_of(
        map(result.records.iterations.column, columns)
    ):
        name = "decode" if not prompt else "prompts and decode" if decoding else "prompts"
        args = f'"iterations":{steps},"decoding":{decoding},"prompt_tokens":{prompt}'
        if stall:
            args += f',"stall_us":{ticks_text(stall)}'
        yield slice_event(_INSTANCES, instance + 1, name, start, end, args)


def _requests(result: ServingResult) -> Iterator[str]:
    columns = ("request", "arrival", "admitted", "first_token", "end", "input", "output")
    for request, arrival, admitted, first, end, prompt, output in rows_of(
        map(result.records.requests.column, columns)
    ):
        about = f'"input_tokens":{prompt},"output_tokens":{output}'
        whole = f"request {request}"
        yield _edge("b", request, whole, arrival, about)
        for name, start, stop in (
            ("queue", arrival, admitted),
            ("prompt", admitted, first),
            ("decode", first, end),
        ):
            if stop > start:
                yield _edge("b", request, name, start)
                yield _edge("e", request, name, stop)
        yield _edge("e", request, whole, end)


def _edge(phase: str, request: int, name: str, time: int, args: str = "") -> str:
    return (
        f'{{"ph":"{phase}","cat":"request","id":{request},"pid":{_REQUESTS},"tid":0,"name":"{name}",'
        f'"ts":{ticks_text(time)},"args":{{{args}}}}}'
    )
