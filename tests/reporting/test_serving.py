"""What people see of a run of requests: in the terminal, in files, in figures."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analysis.serving_runs import busy_serving, plain, served, tight
from rich.console import Console

import kvsim
from kvsim.analysis.serving import summarise_serving
from kvsim.errors import KvsimError
from kvsim.reporting.output import FILES, SERVING_FILES, write_run
from kvsim.reporting.serving_figures import latencies_figure, load_figure, phases_figure
from kvsim.reporting.serving_html import serving_html
from kvsim.reporting.serving_perfetto import serving_events
from kvsim.reporting.serving_tables import print_serving
from kvsim.reporting.serving_text import serving_verdict
from kvsim.reporting.serving_timeline import MAX_BARS, serving_timeline
from kvsim.scenario.loader import load
from kvsim.sim.serving.result import ServingResult

Invoke = Callable[..., Any]


def printed(run: ServingResult, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False, color_system=None)
    print_serving(console, summarise_serving(run), run.scenario)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def busy() -> ServingResult:
    return busy_serving()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_summary_fits_the_terminal_and_cuts_nothing_off(busy: ServingResult, width: int) -> None:
    text = printed(busy, width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    assert "…" not in text


def test_the_parts_of_the_time_of_requests_in_a_table() -> None:
    """The second waits 0.75 ms for the end of an iteration; they are computed for 2 ms and 1 ms."""
    lines = [
        " ".join(line.split()) for line in printed(served([plain(0, 8, 2), plain(250, 8, 1)])).splitlines()
    ]
    at = lines.index("where the time of requests went")
    assert lines[at + 3 : at + 7] == [
        "queueing 375 µs 20.0 % ████",
        "its turn 375 µs 20.0 % ████",
        "exposed to transfers 0 s 0 %",
        "in iterations 1.50 ms 80.0 % ████████████████",
    ]


def test_what_is_there_several_times_is_told_one_by_one(busy: ServingResult) -> None:
    text = printed(busy)
    for wanted in (
        "hbm/0",
        "hbm/1",
        "chat",
        "rag",
        "TTFT p99",
        "mean batch",
        "recomputed",
        "requests keep TTFT",
    ):
        assert wanted in text
    alone = printed(served([plain(0, 4, 1)]))
    assert "tenant" not in alone
    assert "instances" not in alone


def test_the_verdict_says_how_long_users_wait_and_what_most_of_it_is_for() -> None:
    waiting = summarise_serving(served([plain(0, 8, 2), plain(250, 8, 1)]))
    assert serving_verdict(waiting) == (
        "Users wait 1.00 ms for their first token (median; p99 1.75 ms), then 1.00 ms a token. "
        "Requests spend 20.0 % in queues (100 % of it: its turn)."
    )
    assert serving_verdict(summarise_serving(served([plain(0, 8, 2)]))).endswith(
        "all of their time is compute."
    )
    assert serving_verdict(summarise_serving(served([]))) == "There were no requests."


def test_a_run_leaves_exactly_its_files_the_same_each_time(busy: ServingResult, tmp_path: Path) -> None:
    first, second = (
        {path.name: path.read_bytes() for path in run.iterdir()}
        for run in (
            write_run(busy, summarise_serving(busy), tmp_path / "a"),
            write_run(busy_serving(), summarise_serving(busy_serving()), tmp_path / "b"),
        )
    )
    assert sorted(first) == sorted(SERVING_FILES)
    assert first == second
    assert load(tmp_path / "a" / "scenario.yaml") == busy.scenario
    assert json.loads(first["summary.json"])["requests"] == busy.requests
    assert len(pd.read_csv(tmp_path / "a" / "requests.csv")) == busy.requests


def test_a_run_of_steps_may_be_replaced_by_one_of_requests_and_nothing_else(
    busy: ServingResult, tiny: Path, tmp_path: Path
) -> None:
    kvsim.run(tiny).write(tmp_path / "out")
    write_run(busy, summarise_serving(busy), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(SERVING_FILES)
    assert set(FILES) - set(SERVING_FILES) == {"steps.csv"}
    (tmp_path / "out" / "mine.txt").write_text("", encoding="utf-8")
    with pytest.raises(KvsimError, match=r"mine\.txt"):
        write_run(busy, summarise_serving(busy), tmp_path / "out")


class TestCommand:
    @pytest.fixture
    def users(self, tmp_path: Path) -> Path:
        path = tmp_path / "users.yaml"
        path.write_text(
            "hierarchy: {tiers: [{name: hbm, capacity: 1 GB}]}\n"
            "workload: {kind: users, users: 3, requests: 9, block_bytes: 2 kB, output_tokens: {mean: 4}}\n"
            "execution: {compute_time: 1 ms}\n",
            encoding="utf-8",
        )
        return path

    def test_runs_prints_and_writes(self, users: Path, tmp_path: Path, invoke: Invoke) -> None:
        told = invoke("run", users, "--out", tmp_path / "out")
        assert told.code == 0
        assert "9 requests" in told.out
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(SERVING_FILES)

    def test_the_api_gives_tables(self, users: Path) -> None:
        run = kvsim.run(users)
        assert isinstance(run, kvsim.ServingRun)
        assert len(run.requests) == run.summary.requests == 9
        assert run.requests is run.requests
        assert len(run.transfers) == 0
        assert run.iterations["iterations"].sum() == run.summary.iterations

    def test_progress_counts_requests(self, users: Path) -> None:
        seen: list[int] = []
        kvsim.run(users, progress=seen.append)
        assert seen == list(range(1, 10))


class TestFigures:
    def test_curves_end_at_all_requests_and_objectives_stand_beside_them(self, busy: ServingResult) -> None:
        figure = latencies_figure(busy, summarise_serving(busy))
        for trace in figure.data:
            assert trace.y[-1] == 100
            assert (np.diff(trace.x) >= 0).all()
            assert (np.diff(trace.y) >= 0).all()
        ttft = busy.records.requests.column("first_token") - busy.records.requests.column("arrival")
        assert figure.data[0].x[-1] == ttft.max() / 10**12
        assert sorted(note.text for note in figure.layout.annotations) == ["TPOT ≤ 3.00 ms", "TTFT ≤ 20.0 ms"]

    def test_bars_of_phases_add_up_to_the_latency(self, busy: ServingResult) -> None:
        figure = phases_figure(busy)
        table = busy.records.requests
        order = np.argsort(table.column("request"))
        latency = (table.column("end") - table.column("arrival"))[order] / 10**9
        assert figure.layout.yaxis.title.text == "time per request (ms)"
        assert np.sum([trace.y for trace in figure.data], axis=0) == pytest.approx(latency)

    def test_the_load_is_that_of_the_run_on_average(self, busy: ServingResult) -> None:
        """The mean of the bins is the integral over the run: of requests, all time queued and served."""
        curves = {trace.name: trace.y[:-1] for trace in load_figure(busy).data}
        of = busy.records.requests
        for name, start, end in (("queue", "arrival", "admitted"), ("admitted", "admitted", "end")):
            spent = (of.column(end) - of.column(start)).sum()
            assert curves[name].mean() == pytest.approx(spent / busy.makespan_ticks)
        width_s = busy.makespan_ticks / 10**12 / curves["arrive"].size
        assert curves["arrive"].sum() * width_s == pytest.approx(busy.requests)
        assert curves["end"].sum() * width_s == pytest.approx(busy.requests)

    def test_the_timeline_has_a_bar_for_every_iteration_and_transfer_of_a_small_run(
        self, busy: ServingResult
    ) -> None:
        figure = serving_timeline(busy)
        bars = Counter(row for trace in figure.data for row in trace.y)
        assert bars["instance 0"] + bars["instance 1"] == len(busy.records.iterations.array())
        for lane in busy.lanes:
            assert bars[lane.name] == lane.transfers

    def test_a_large_run_has_a_heatmap_of_how_much_was_in_use(self) -> None:
        rows = [plain(1000 * n, 8, 1, 2 * n, 2 * n + 1) for n in range(MAX_BARS)]
        run = served(rows, hierarchy=tight())
        (heat,) = serving_timeline(run).data
        assert list(heat.y) == ["with prompts", "pcie down"]
        assert np.mean(heat.z[0]) == pytest.approx(100 * run.busy_ticks[0] / run.makespan_ticks, abs=1)


def test_a_page_is_one_file_that_asks_for_nothing(busy: ServingResult) -> None:
    page = serving_html(busy, summarise_serving(busy))
    assert "http://" not in page.split("<main>")[1]
    for wanted in ("latencies", "phases", "load", "hits", "timeline", "tiers", "lanes"):
        assert f'id="{wanted}"' in page
    assert "<script>alert" not in serving_html(*renamed("<script>alert(1)</script>"))
    assert "There were no requests" in serving_html(*renamed("empty", requests=False))


def renamed(name: str, *, requests: bool = True) -> tuple[ServingResult, Any]:
    result = served([plain(0, 4, 1, tenant=name), plain(0, 4, 1)] if requests else [], name=name)
    return result, summarise_serving(result)


def test_a_trace_has_every_slice_and_its_requests_open_and_close(busy: ServingResult) -> None:
    events = [json.loads(event) for event in serving_events(busy)]
    kinds = Counter(event["ph"] for event in events)
    transfers = sum(lane.transfers for lane in busy.lanes)
    assert kinds["X"] == len(busy.records.iterations.array()) + transfers
    assert kinds["b"] == kinds["e"] >= 3 * busy.requests - 1
    whole = [event for event in events if event["ph"] == "b" and event["name"].startswith("request ")]
    assert len(whole) == busy.requests
    for event in events:
        if event["ph"] == "X" and event["pid"] == 2:
            assert {"request", "blocks"} <= set(event["args"])
