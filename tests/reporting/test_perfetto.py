from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from analysis.synthetic import Lane, busy_run, make_run, step_row

from kvsim.reporting.perfetto import trace_events, write_trace
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult

Event = dict[str, Any]


def events(run: RunResult) -> list[Event]:
    return [json.loads(line, parse_float=Decimal) for line in trace_events(run)]


def slices(found: list[Event]) -> dict[tuple[int, int], list[Event]]:
    tracks = defaultdict(list)
    for event in found:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    return tracks


def two_channels() -> RunResult:
    """Two transfers at once on one lane, the second waited for; a third over before its wait begins."""
    return make_run(
        steps=[step_row(0, 0, 2_000_001, (0, 1_000_000, 0, 0, 0))],
        layers=[(0, 0, 1_000_000, 2_000_001)],
        stalls=[
            (0, 0, 0, 900_000, Cause.DEMAND_SERVICE, 0, 1),
            (0, 1, 900_000, 950_000, Cause.DEMAND_SERVICE, 0, 2),
            (0, 1, 950_000, 1_000_000, Cause.ROOM, -1, -1),
        ],
        transfers=[
            (0, 0, 0, 5, 1, 64, 1, 0, 0, 0, 0, 800_000),
            (1, 0, 2, 6, 1, 64, 1, 0, 0, 0, 0, 900_000),
            (2, 0, 0, 7, 1, 64, 1, 0, 0, 0, 0, 1_000_000),
        ],
        hops=[
            (0, 0, 0, 0, 800_000, 64, 1),
            (1, 0, 0, 100_001, 900_000, 64, 1),
            (2, 0, 0, 0, 50, 64, 1),
        ],
        lanes=[Lane("pcie up", "pcie", "up", channels=2)],
        space=[(0, 0, 100), (7, 0, -40)],
    )


@pytest.mark.parametrize("run", [two_channels(), busy_run(3_000)], ids=["two channels", "busy"])
def test_slices_of_one_track_never_overlap(run: RunResult) -> None:
    for track in slices(events(run)).values():
        spans = sorted((Decimal(event["ts"]), Decimal(event["dur"])) for event in track)
        assert all(ts + dur <= following for (ts, dur), (following, _) in pairwise(spans))


@pytest.mark.parametrize("run", [two_channels(), busy_run(3_000)], ids=["two channels", "busy"])
def test_every_flow_binds_to_a_slice_at_both_ends_and_runs_forward(run: RunResult) -> None:
    found = events(run)
    tracks = slices(found)
    flows: dict[int, dict[str, Event]] = defaultdict(dict)
    for event in found:
        if event["ph"] in "sf":
            flows[event["id"]][event["ph"]] = event
    assert flows
    for ends in flows.values():
        assert set(ends) == {"s", "f"}
        assert ends["s"]["ts"] <= ends["f"]["ts"]
        for event in ends.values():
            around = tracks[event["pid"], event["tid"]]
            assert any(item["ts"] <= event["ts"] < item["ts"] + item["dur"] for item in around)


def test_each_wait_is_tied_to_the_transfer_it_waited_for() -> None:
    waits, up = (1, 3), (2, 1)
    ends = [
        (event["ph"], (event["pid"], event["tid"])) for event in events(two_channels()) if event["ph"] in "sf"
    ]
    in_service, over_before = ends[:2], ends[2:]
    assert in_service == [("s", waits), ("f", up)]
    assert over_before == [("s", up), ("f", waits)]


def test_times_keep_every_picosecond() -> None:
    step = slices(events(two_channels()))[1, 1][0]
    assert (step["ts"], step["dur"]) == (Decimal(0), Decimal("2.000001"))
    transfers = [
        event for key, track in slices(events(two_channels())).items() if key[0] == 2 for event in track
    ]
    assert {event["ts"] for event in transfers} == {Decimal(0), Decimal("0.100001")}


def test_tracks_are_named_and_a_shared_lane_gets_numbered_ones() -> None:
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events(two_channels())
        if event["ph"] == "M" and event["name"] == "thread_name"
    }
    assert names[1, 1] == "steps"
    assert [names[2, 1], names[2, 2]] == ["pcie up 1", "pcie up 2"]


def test_counters_follow_the_occupancy_of_each_tier() -> None:
    counters = [event for event in events(two_channels()) if event["ph"] == "C"]
    hbm = [(event["ts"], event["args"]["bytes"]) for event in counters if event["name"] == "hbm used"]
    assert hbm == [(0, 100), (Decimal("0.000007"), 60)]


def test_a_transfer_says_what_it_moves_and_how_long_it_queued() -> None:
    moved = [
        event for track in slices(events(two_channels())).values() for event in track if event["pid"] == 2
    ]
    late = next(event for event in moved if event["args"]["transfer"] == 1)
    assert late["name"] == "prefetch"
    assert late["args"]["page"] == 6
    assert late["args"]["queued_us"] == Decimal("0.100001")
    assert (late["args"]["from"], late["args"]["to"]) == ("dram", "hbm")


def test_the_file_is_one_json_document_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_trace(trace_events(busy_run(300)), tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert len(document["traceEvents"]) == len(list(trace_events(busy_run(300))))


def test_a_run_with_summary_records_still_shows_its_steps() -> None:
    run = busy_run(300, keep_events=False)
    assert len(slices(events(run))[1, 1]) == run.steps
