"""The report as a browser sees it: loads, draws, zooms, explains, and asks nothing of the network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from analysis.synthetic import busy_run

from kvsim.analysis.metrics import summarise
from kvsim.reporting.html import report_html
from kvsim.sim.result import RunResult

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.browser

LOAD_LIMIT_S = 8
ZOOM_LIMIT_S = 3

AFTER_FRAMES = "requestAnimationFrame(() => requestAnimationFrame(done));"
ZOOM = f"""
const done = arguments[0], graph = document.getElementById("timeline");
graph.on("plotly_afterplot", () => {{ {AFTER_FRAMES} }});
Plotly.relayout(graph, {{"xaxis.range": [100, 100.4]}});
"""
DRAWN = """
return kvsim.traces.map(trace => {
  const drawn = document.getElementById("timeline")._fullData[trace.number];
  return [trace.name, Array.from(drawn.x).filter(value => value === value).length / 2];
});
"""


def open_report(browser: Chrome, run: RunResult, path: Path) -> float:
    """Open the report of a run; returns the seconds until it is drawn."""
    path.write_text(report_html(run, summarise(run)), encoding="utf-8")
    browser.get("about:blank")
    console(browser)
    begin = time.perf_counter()
    browser.get(path.as_uri())
    browser.execute_async_script(f"const done = arguments[0]; {AFTER_FRAMES}")
    return time.perf_counter() - begin


def console(browser: Chrome) -> list[dict[str, Any]]:
    """What the page has written to the console since the last call."""
    entries: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return entries


def severe(browser: Chrome) -> list[dict[str, Any]]:
    return [entry for entry in console(browser) if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def large(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> tuple[Chrome, float]:
    """A browser that shows a run of 100,000 transfers, and the time it took."""
    path = tmp_path_factory.mktemp("large") / "report.html"
    return browser, open_report(browser, busy_run(100_000), path)


def test_a_hundred_thousand_transfers_load_quickly_and_without_an_error(large: tuple[Chrome, float]) -> None:
    browser, seconds = large
    assert severe(browser) == []
    assert seconds < LOAD_LIMIT_S


def test_every_figure_is_drawn(large: tuple[Chrome, float]) -> None:
    browser, _ = large
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('.figure')].filter(f => f.querySelector('svg')).map(f => f.id)"
    )
    assert drawn == ["steps", "bounds", "timeline", "tiers", "latency", "lanes"]


def test_nothing_is_requested_beside_the_page(large: tuple[Chrome, float]) -> None:
    browser, _ = large
    assert browser.execute_script("return performance.getEntriesByType('resource').map(r => r.name)") == []


def test_zooming_is_quick_shows_every_transfer_and_takes_the_tiers_along(large: tuple[Chrome, float]) -> None:
    browser, _ = large
    begin = time.perf_counter()
    browser.execute_async_script(ZOOM)
    assert time.perf_counter() - begin < ZOOM_LIMIT_S
    time.sleep(0.3)
    range_of = "return document.getElementById('{}')._fullLayout.xaxis.range"
    assert browser.execute_script(range_of.format("timeline")) == [100, 100.4]
    assert browser.execute_script(range_of.format("tiers")) == [100, 100.4]
    hops = busy_run(100_000).records.hops
    low, high = (100 - 0.2) * 1e9, (100.4 + 0.2) * 1e9
    seen = ((hops.column("end") > low) & (hops.column("start") < high)).sum()
    lanes = ("demand", "write-back", "prefetch", "background")
    assert sum(count for name, count in browser.execute_script(DRAWN) if name in lanes) == seen


def test_pointing_at_a_transfer_shows_its_pages_bytes_and_times(large: tuple[Chrome, float]) -> None:
    browser, _ = large
    browser.execute_async_script(ZOOM)
    text = browser.execute_script(
        """
        const graph = document.getElementById("timeline"), box = graph.getBoundingClientRect();
        const x = graph._fullLayout.xaxis, y = graph._fullLayout.yaxis;
        const slot = graph._fullLayout.meta.titles.indexOf("pcie up");
        const item = kvsim.slots[slot].find(each => each[0] > 100.1);
        graph.dispatchEvent(new MouseEvent("mousemove", {
          clientX: box.left + x._offset + x.d2p((item[0] + item[1]) / 2),
          clientY: box.top + y._offset + y.d2p(slot), bubbles: true}));
        return document.getElementById("tip").innerText;
        """
    )
    first, second, third, fourth = text.split("\n")
    assert first.endswith("on pcie up")
    assert "page " in second
    assert "256 KiB" in second
    assert third.startswith("queued ")
    assert fourth.startswith("100.1")
    assert fourth.endswith("ms (4 µs)")


def test_a_dense_row_is_dithered_so_that_colours_keep_their_share_of_time(
    large: tuple[Chrome, float],
) -> None:
    browser, _ = large
    shares = browser.execute_script(
        """
        const slot = document.getElementById("timeline")._fullLayout.meta.titles.indexOf("pcie up");
        const list = kvsim.slots[slot], end = list[list.length - 1][1];
        const drawing = kvsim.draw([0, end], 1000), share = {};
        kvsim.traces.forEach((trace, which) => {
          const x = drawing.x[which], y = drawing.y[which];
          let shown = 0, real = 0;
          for (let k = 0; k < x.length; k += 3) if (y[k] === slot) shown += x[k + 1] - x[k];
          list.forEach(item => { if (item[2] === which) real += item[1] - item[0]; });
          if (real) share[trace.name] = [shown / end, real / end];
        });
        return share;
        """
    )
    assert set(shares) == {"demand", "prefetch"}
    for shown, real in shares.values():
        assert shown == pytest.approx(real, abs=0.01)


def test_a_small_report_draws_bars(browser: Chrome, tmp_path: Path) -> None:
    open_report(browser, busy_run(200), tmp_path / "report.html")
    assert severe(browser) == []
    bars = browser.execute_script("return document.querySelectorAll('#timeline .barlayer .point').length")
    assert bars > 200


def test_a_report_of_summary_records_loads_without_an_error(browser: Chrome, tmp_path: Path) -> None:
    open_report(browser, busy_run(2_000, keep_events=False), tmp_path / "report.html")
    assert severe(browser) == []
    assert browser.execute_script("return document.querySelectorAll('.figure svg.main-svg').length") > 0
