from __future__ import annotations

import io

import pytest
from analysis.synthetic import busy_run, make_run, make_scenario, step_row
from rich.console import Console

from kvsim.analysis.metrics import summarise
from kvsim.reporting.bounds import bounds_sentence
from kvsim.reporting.tables import print_summary
from kvsim.reporting.verdict import verdict
from kvsim.sim.records import Cause
from kvsim.sim.result import RunResult


def printed(run: RunResult, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False, color_system=None)
    print_summary(console, summarise(run), run.scenario)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_summary_fits_the_terminal_and_cuts_nothing_off(width: int) -> None:
    text = printed(busy_run(5_000), width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    assert "…" not in text


def test_a_summary_answers_first_how_much_steps_wait_and_for_what() -> None:
    text = printed(busy_run(5_000), 100)
    lines = [line.strip() for line in text.splitlines()]
    assert lines[2].startswith("Steps wait for 5")
    for wanted in (
        "p50",
        "p95",
        "p99",
        "compute",
        "exposed (waiting)",
        "late prefetch",
        "overlap efficiency",
    ):
        assert wanted in text
    for wanted in ("hbm", "pcie up", "mean queue", "write-back", "900 prefetches: timely 77.8 %"):
        assert wanted in text


def test_a_run_stands_between_its_bounds_in_the_table() -> None:
    """100 ns of compute, then a wait of 50 for the second half of a transfer of 100."""
    run = make_run(
        steps=[step_row(0, 0, 150_000, (0, 50_000, 0, 0, 0))],
        layers=[(0, 0, 0, 100_000)],
        stalls=[(0, 1, 100_000, 150_000, Cause.DEMAND_SERVICE, 0, 0)],
        transfers=[(0, 0, 0, 7, 1, 500, 1, 0, 50_000, 50_000, 50_000, 150_000)],
        hops=[(0, 0, 50_000, 50_000, 150_000, 500, 100_000)],
    )
    lines = [" ".join(line.split()) for line in printed(run, 80).splitlines()]
    at = lines.index("makespan between its bounds")
    assert lines[at + 3 : at + 6] == [
        "additive law 200 ns 0.750 × one after another",
        "this run 150 ns as simulated",
        "max law 100 ns 1.50 × perfect overlap: compute alone",
    ]
    assert bounds_sentence(summarise(run)) == (
        "One after another, compute and transfers would take 200 ns, with perfect overlap 100 ns "
        "(the time of compute); 50.0 % of the difference was saved."
    )


def test_what_bounds_a_run_that_moved_nothing_needs_no_words() -> None:
    assert "nothing to overlap" in bounds_sentence(summarise(make_run(steps=[step_row(0, 0, 100)])))
    short = make_run(steps=[step_row(0, 0, 100)], keep_events=False)
    assert bounds_sentence(summarise(short)) == ""
    assert "bounds" not in printed(short, 80)


def test_figures_that_were_not_recorded_are_marked_and_explained() -> None:
    text = printed(busy_run(500, keep_events=False), 100)
    assert "n/a: needs execution.records: all" in text


def test_a_run_without_steps_prints() -> None:
    assert "Steps took no time." in printed(make_run(), 80)


def test_brackets_in_a_name_are_not_markup() -> None:
    run = make_run(scenario=make_scenario("mine-[bold]-x"))
    assert "mine-[bold]-x" in printed(run, 80)


def test_the_verdict_names_the_worst_cause() -> None:
    run = make_run(steps=[step_row(0, 0, 100, (0, 10, 30, 0, 0))])
    assert (
        verdict(summarise(run))
        == "Steps wait for 40.0 % of their time, 75.0 % of it because of waiting for room."
    )


def test_the_verdict_of_a_run_that_never_waits_says_so() -> None:
    assert verdict(summarise(make_run(steps=[step_row(0, 0, 100)]))).startswith("Steps never wait")
