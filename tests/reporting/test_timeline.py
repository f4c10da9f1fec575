from __future__ import annotations

import numpy as np
from analysis.synthetic import Lane, Row, busy_run, make_run, step_row

from kvsim.reporting.palette import CLASS_COLOURS
from kvsim.reporting.timeline import MAX_BARS, timeline_figure
from kvsim.reporting.timeline_data import collect, window
from kvsim.sim.records import Cause, TransferClass

MS = 10**9


def demand(number: int) -> Row:
    """A transfer of one page whose times do not matter."""
    return (number, TransferClass.DEMAND, TransferClass.DEMAND, number, 1, 64, 1, 0, 0, 0, 0, 0)


def test_every_recorded_interval_is_drawn_once() -> None:
    run = busy_run(900)
    records = run.records
    tables = (records.steps, records.layers, records.stalls, records.hops)
    assert collect(run).count == sum(table.array().shape[0] for table in tables)


def test_a_small_run_is_drawn_as_bars_with_their_details() -> None:
    run = make_run(
        steps=[step_row(3, 0, 4 * MS, (0, 2 * MS, 0, 0, 0))],
        layers=[(3, 1, 2 * MS, 4 * MS)],
        stalls=[(3, 1, 0, 2 * MS, Cause.DEMAND_SERVICE, 0, 0)],
        transfers=[(0, TransferClass.DEMAND, TransferClass.DEMAND, 12, 4, 1536, 1, 0, 3, 0, 0, 2 * MS)],
        hops=[(0, 0, 0, MS, 2 * MS, 1536, MS)],
    )
    figure = timeline_figure(run)
    assert {trace.type for trace in figure.data} == {"bar"}
    texts = {trace.name: trace.customdata[0] for trace in figure.data}
    assert texts["demand"] == (
        "<b>demand on pcie up</b><br>pages 12 to 15 · 1.50 KiB · step 3<br>"
        "queued 1.00 ms<br>1 to 2 ms (1.00 ms)"
    )
    assert texts["demand service"].startswith("<b>waits: demand service</b><br>pages 12 to 15")
    assert texts["compute"] == "<b>compute, step 3, layer 1</b><br>2 to 4 ms (2.00 ms)"


def test_a_large_run_is_drawn_as_segments_under_an_overview() -> None:
    run = busy_run(MAX_BARS)
    figure = timeline_figure(run)
    kinds = [trace.type for trace in figure.data]
    assert set(kinds) == {"scattergl", "heatmap"}
    segments = [trace for trace in figure.data if trace.type == "scattergl"]
    assert sum(np.isnan(trace.x).sum() for trace in segments) == collect(run).count
    for trace in segments:
        assert len(trace.customdata) * 3 == len(trace.x) == len(trace.y)


def test_the_overview_shows_the_share_of_time_in_use() -> None:
    half = [(n, 0, 2 * n * MS, 2 * n * MS, (2 * n + 1) * MS, 64, MS) for n in range(3_000)]
    run = make_run(
        steps=[step_row(0, 0, 6_000 * MS)],
        transfers=[demand(n) for n in range(3_000)],
        hops=half,
        lanes=[Lane("pcie up", "pcie", "up")],
    )
    heat = next(trace for trace in timeline_figure(run).data if trace.type == "heatmap")
    steps, *_, lane = heat.z
    assert set(steps) == {100}
    assert lane.mean() == 50


def test_colours_tell_the_classes_of_traffic_apart() -> None:
    figure = timeline_figure(busy_run(3_000))
    colours = {trace.name: trace.line.color for trace in figure.data if trace.legend == "legend2"}
    assert colours["demand"] == CLASS_COLOURS["demand"]
    assert len(set(colours.values())) == len(colours) == 4


def test_transfers_at_once_on_one_lane_get_slots_of_their_own() -> None:
    hops = [(0, 0, 0, 0, 10, 1, 10), (1, 0, 0, 5, 15, 1, 10), (2, 0, 0, 10, 20, 1, 10)]
    moves = [demand(n) for n in range(3)]
    lanes = [Lane("pcie up", "pcie", "up", channels=2)]
    timeline = collect(make_run(transfers=moves, hops=hops, lanes=lanes))
    assert timeline.rows[-1].slots == 2
    (drawn,) = (group for group in timeline.groups if group.kind == "transfer" and group.start.size)
    assert drawn.slot.tolist() == [3, 4, 3]


def test_a_prefetch_that_turned_urgent_keeps_the_colour_of_a_prefetch() -> None:
    run = make_run(
        transfers=[(0, TransferClass.DEMAND, TransferClass.PREFETCH, 1, 1, 64, 1, 0, 0, 0, 0, 9)],
        hops=[(0, 0, 0, 0, 9, 64, 9)],
    )
    drawn = [group.title for group in collect(run).groups if group.kind == "transfer" and group.start.size]
    assert drawn == ["prefetch"]


def test_of_too_many_intervals_the_stretch_with_the_most_waiting_is_shown() -> None:
    layers = [(0, n, 10 * n, 10 * n + 5) for n in range(1_000)]
    stalls = [(0, n, 10 * n + 5, 10 * n + 10, Cause.ROOM, -1, -1) for n in range(700, 760)]
    whole = collect(make_run(layers=layers, stalls=stalls))
    shown, (low, high) = window(whole, 150)
    assert shown.count <= 150
    assert low <= 7_005
    assert high >= 7_590
    assert sum(group.start.size for group in shown.groups if group.kind == "stall") == 60


def test_a_small_timeline_is_shown_whole() -> None:
    whole = collect(busy_run(100))
    assert window(whole, 10_000) == (whole, (0, whole.end))
