"""The report of a run of requests as a browser sees it, on wide and on narrow screens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from analysis.serving_runs import busy_serving, plain, served, tight

from kvsim.analysis.serving import summarise_serving
from kvsim.reporting.serving_html import serving_html
from kvsim.reporting.serving_timeline import MAX_BARS
from kvsim.sim.serving.result import ServingResult

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.browser

FIGURES = ["latencies", "phases", "load", "hits", "timeline", "tiers", "lanes"]
AFTER_FRAMES = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
DRAWN = "return [...document.querySelectorAll('.figure')].filter(f => f.querySelector('svg')).map(f => f.id)"
COVERED = """
const bars = [...document.querySelectorAll('.modebar-group')].map(b => b.getBoundingClientRect());
const texts = [...document.querySelectorAll('.legendtext, .annotation-text')].map(t => [
  t.textContent, t.getBoundingClientRect()]);
return texts.filter(([_, t]) => bars.some(b => b.width && t.left < b.right && t.right > b.left &&
  t.top < b.bottom && t.bottom > b.top)).map(([text, _]) => text);
"""


def open_report(browser: Chrome, run: ServingResult, path: Path) -> None:
    path.write_text(serving_html(run, summarise_serving(run)), encoding="utf-8")
    browser.get("about:blank")
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.get(path.as_uri())
    browser.execute_async_script(AFTER_FRAMES)


def severe(browser: Chrome) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry for entry in entries if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def report(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Chrome:
    open_report(browser, busy_serving(), tmp_path_factory.mktemp("serving") / "report.html")
    return browser


def test_every_figure_is_drawn_without_an_error_or_a_request(report: Chrome) -> None:
    assert severe(report) == []
    assert report.execute_script(DRAWN) == FIGURES
    assert report.execute_script("return performance.getEntriesByType('resource').map(r => r.name)") == []


@pytest.mark.parametrize("width", [1400, 800, 500])
def test_nothing_runs_off_the_page_or_under_the_buttons(report: Chrome, width: int) -> None:
    report.set_window_size(width, 1000)
    time.sleep(0.5)
    report.execute_async_script(AFTER_FRAMES)
    try:
        inner = report.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert inner[0] <= inner[1]
        assert report.execute_script(COVERED) == []
    finally:
        report.set_window_size(1400, 1000)


def test_the_tiers_zoom_with_the_timeline(report: Chrome) -> None:
    report.execute_async_script(
        "const done = arguments[0], graph = document.getElementById('timeline');"
        "graph.on('plotly_afterplot', () => requestAnimationFrame(() => requestAnimationFrame(done)));"
        "Plotly.relayout(graph, {'xaxis.range': [5, 10]});"
    )
    time.sleep(0.3)
    assert report.execute_script("return document.getElementById('tiers')._fullLayout.xaxis.range") == [5, 10]


def test_a_long_run_and_one_of_summary_records_load_without_an_error(browser: Chrome, tmp_path: Path) -> None:
    long = served([plain(1000 * n, 8, 1, 2 * n, 2 * n + 1) for n in range(MAX_BARS)], hierarchy=tight())
    for name, run in {"long": long, "short": busy_serving("summary")}.items():
        open_report(browser, run, tmp_path / f"{name}.html")
        assert severe(browser) == []
        drawn = browser.execute_script(DRAWN)
        assert drawn == [each for each in FIGURES if name == "long" or each != "tiers"]
