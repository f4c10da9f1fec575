"""`trace.json`: a run in the Chrome trace event format, for https://ui.perfetto.dev.

Processes are `decode` (steps, compute, waits), `lanes` and `tiers`. Complete slices of one track never
overlap: transfers that share a lane are packed into as many sub-tracks as ever run at once. A flow ties each
wait to the transfer it waited for; counters show how full each tier is.

Times are microseconds with all six decimals, so no picosecond is lost in the file (Perfetto itself rounds
down to nanoseconds).

Format: "Trace Event Format", Google, https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kvsim.analysis.frames import CAUSE_NAMES, CLASS_NAMES
from kvsim.analysis.intervals import pack_rows
from kvsim.analysis.occupancy import occupancy
from kvsim.analysis.summaries import AnyResult
from kvsim.reporting.text import WEIGHTS, cause_title, class_title
from kvsim.sim.result import RunResult
from kvsim.sim.serving.result import ServingResult

_DECODE, _LANES, _TIERS = 1, 2, 3
_STEPS, _COMPUTE, _WAITS = 1, 2, 3
_TICKS_PER_US = 10**6
_NONE = -1


def write_trace(events: Iterable[str], path: Path) -> None:
    """Write a trace event by event; a long one is never in memory as a whole."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
        first = True
        for event in events:
            file.write(event if first else ",\n" + event)
            first = False
        file.write("\n]}\n")


def trace_events(result: RunResult) -> Iterator[str]:
    """Every event as one line of JSON; each slice comes before the flow events that bind to it."""
    tracks = _lane_tracks(result)
    yield from _metadata(result, tracks)
    yield from _steps(result)
    yield from _compute(result)
    yield from _waits(result)
    yield from _transfers(result, tracks)
    yield from _flows(result, tracks)
    yield from counter_events(result)


def _lane_tracks(result: AnyResult) -> NDArray[np.int64]:
    """Track of every hop: the lanes one after another, each with as many tracks as it needs."""
    lane, start, end = (result.records.hops.column(name) for name in ("lane", "start", "end"))
    tracks = np.zeros(lane.shape, np.int64)
    used = 0
    for index in range(len(result.lanes)):
        mine = np.flatnonzero(lane == index)
        rows = pack_rows(start[mine], end[mine])
        tracks[mine] = used + 1 + rows
        used += int(rows.max(initial=0)) + 1
    return tracks


def _metadata(result: RunResult, tracks: NDArray[np.int64]) -> Iterator[str]:
    named = ((_STEPS, "steps"), (_COMPUTE, "compute"), (_WAITS, "step waits"))
    yield from track_events(_DECODE, "decode", named)
    yield from _lane_names(result, tracks)


def track_events(process: int, name: str, tracks: Iterable[tuple[int, str]]) -> Iterator[str]:
    """A process and its tracks, with their names."""
    yield _named("process_name", process, 0, name)
    yield _sorted("process_sort_index", process, 0, process)
    for track, title in tracks:
        yield from _track(process, track, title)


def lane_events(result: AnyResult) -> Iterator[str]:
    """The lanes with their transfers."""
    tracks = _lane_tracks(result)
    yield from _lane_names(result, tracks)
    yield from _transfers(result, tracks)


def _lane_names(result: AnyResult, tracks: NDArray[np.int64]) -> Iterator[str]:
    yield from track_events(_LANES, "lanes", ())
    yield from track_events(_TIERS, "tiers", ())
    lane = result.records.hops.column("lane")
    number = 0
    for index, info in enumerate(result.lanes):
        count = np.unique(tracks[lane == index]).size or 1
        for row in range(count):
            number += 1
            yield from _track(_LANES, number, info.name if count == 1 else f"{info.name} {row + 1}")


def _track(process: int, track: int, name: str) -> Iterator[str]:
    yield _named("thread_name", process, track, name)
    yield _sorted("thread_sort_index", process, track, track)


def _sorted(kind: str, process: int, track: int, place: int) -> str:
    return f'{{"ph":"M","name":"{kind}","pid":{process},"tid":{track},"args":{{"sort_index":{place}}}}}'


def _named(kind: str, process: int, track: int, name: str) -> str:
    return f'{{"ph":"M","name":"{kind}","pid":{process},"tid":{track},"args":{{"name":{json.dumps(name)}}}}}'


def ticks_text(ticks: int) -> str:
    """Microseconds with every picosecond, exact for any length of run."""
    return f"{ticks // _TICKS_PER_US}.{ticks % _TICKS_PER_US:06d}"


def slice_event(process: int, track: int, name: str, start: int, end: int, args: str) -> str:
    """A complete slice; `args` are members of a JSON object."""
    return (
        f'{{"ph":"X","pid":{process},"tid":{track},"name":"{name}","ts":{ticks_text(start)},'
        f'"dur":{ticks_text(end - start)},"args":{{{args}}}}}'
    )


def rows_of(columns: Iterable[NDArray[np.int64]]) -> Iterator[tuple[int, ...]]:
    """Rows of some columns, as plain numbers."""
    return zip(*(column.tolist() for column in columns), strict=True)


def _steps(result: RunResult) -> Iterator[str]:
    names = ("step", "start", "end", "accesses", "hits", "absent")
    for step, start, end, accesses, hits, absent in rows_of(map(result.records.steps.column, names)):
        args = f'"accesses":{accesses},"hits":{hits},"absent":{absent}'
        yield slice_event(_DECODE, _STEPS, f"step {step}", start, end, args)


def _compute(result: RunResult) -> Iterator[str]:
    columns = map(result.records.layers.column, ("step", "layer", "start", "end"))
    for step, layer, start, end in rows_of(columns):
        yield slice_event(_DECODE, _COMPUTE, f"layer {layer}", start, end, f'"step":{step}')


def _waits(result: RunResult) -> Iterator[str]:
    names = [cause_title(name) for name in CAUSE_NAMES]
    columns = ("step", "layer", "start", "end", "cause", "lane", "transfer")
    for step, layer, start, end, cause, lane, transfer in rows_of(map(result.records.stalls.column, columns)):
        args = f'"step":{step},"layer":{layer}'
        if lane != _NONE:
            args += f',"lane":{json.dumps(result.lanes[lane].name)}'
        if transfer != _NONE:
            args += f',"transfer":{transfer}'
        yield slice_event(_DECODE, _WAITS, names[cause], start, end, args)


def _transfers(result: AnyResult, tracks: NDArray[np.int64]) -> Iterator[str]:
    names = [class_title(name) for name in CLASS_NAMES]
    words = ("block", "request") if isinstance(result, ServingResult) else ("page", "step")
    tiers = [json.dumps(tier.name) for tier in result.tiers]
    columns = ("transfer", "issued_cls", "page", "pages", "source", "target", "step")
    moves = {row[0]: row[1:] for row in rows_of(map(result.records.transfers.column, columns))}
    hops = map(result.records.hops.column, ("transfer", "queued", "start", "end", "bytes"))
    for transfer, queued, start, end, size, track in rows_of([*hops, tracks]):
        args = f'"transfer":{transfer},"bytes":{size},"queued_us":{ticks_text(start - queued)}'
        cls, page, pages, source, target, step = moves.get(transfer, (_NONE,) * 6)
        if cls != _NONE:
            args += f',"{words[0]}":{page},"{words[0]}s":{pages}' if pages else ""
            args += f',"{words[1]}":{step}'
            args += f',"from":{tiers[source]}' if source != _NONE else ""
            args += f',"to":{tiers[target]}' if target != _NONE else ""
        name = "transfer" if cls == _NONE else names[cls] if pages else WEIGHTS
        yield slice_event(_LANES, track, name, start, end, args)


def _flows(result: RunResult, tracks: NDArray[np.int64]) -> Iterator[str]:
    """One flow for each wait for a transfer, at times inside both slices and never backwards.

    It runs from the wait to the hop, or from the hop to the wait where the hop was over before.
    """
    hops, stalls = result.records.hops, result.records.stalls
    places: dict[tuple[int, int], tuple[int, int, int]] = {}
    for transfer, lane, start, end, track in rows_of(
        [*map(hops.column, ("transfer", "lane", "start", "end")), tracks]
    ):
        if end > start:
            places[transfer, lane] = places[transfer, _NONE] = (start, end, track)
    seen: set[tuple[int, int, int]] = set()
    columns = ("step", "layer", "start", "end", "lane", "transfer")
    for step, layer, start, end, lane, transfer in rows_of(map(stalls.column, columns)):
        place = places.get((transfer, lane)) or places.get((transfer, _NONE))
        if place is None or end <= start or (step, layer, transfer) in seen:
            continue
        seen.add((step, layer, transfer))
        begin, finish, track = place
        number = len(seen)
        if finish > start:
            yield _flow("s", number, _DECODE, _WAITS, start)
            yield _flow("f", number, _LANES, track, max(begin, start))
        else:
            yield _flow("s", number, _LANES, track, begin)
            yield _flow("f", number, _DECODE, _WAITS, start)


def _flow(phase: str, number: int, process: int, track: int, time: int) -> str:
    binding = ',"bp":"e"' if phase == "f" else ""
    return (
        f'{{"ph":"{phase}","cat":"wait","name":"waits for","id":{number},"pid":{process},"tid":{track},'
        f'"ts":{ticks_text(time)}{binding}}}'
    )


def counter_events(result: AnyResult) -> Iterator[str]:
    """How full each tier is."""
    for curve in occupancy(result):
        name = json.dumps(f"{curve.tier} used")
        for time, used in rows_of((curve.times, curve.used_bytes)):
            yield (
                f'{{"ph":"C","pid":{_TIERS},"tid":0,"name":{name},"ts":{ticks_text(time)},"args":{{"bytes":{used}}}}}'
            )
