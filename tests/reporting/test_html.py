from __future__ import annotations

import re

import pytest
from analysis.synthetic import busy_run, make_run, make_scenario, step_row

from kvsim.analysis.metrics import summarise
from kvsim.reporting.html import report_html
from kvsim.sim.result import RunResult


def page(run: RunResult) -> str:
    return report_html(run, summarise(run))


def body(text: str) -> str:
    return text[text.index("<body>") :]


def test_the_page_is_the_same_each_time() -> None:
    assert page(busy_run(400)) == page(busy_run(400))


def test_the_page_forbids_itself_every_request() -> None:
    text = page(busy_run(100))
    assert "default-src 'none'" in text
    assert not re.search(r'(src|href)="(?!data:)', body(text))
    assert text.count("plotly.js v") == 1


def test_no_button_sends_the_figures_anywhere() -> None:
    assert "showSendToCloud:false" in page(busy_run(100))


def test_names_and_descriptions_cannot_inject_markup() -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    text = body(page(busy_run(100, scenario=make_scenario("plain", evil))))
    assert evil not in text
    assert "&lt;/script&gt;&lt;img" in text


def test_every_section_has_its_figure() -> None:
    text = page(busy_run(400))
    for name in ("steps", "bounds", "timeline", "tiers", "latency", "lanes"):
        assert f'<div id="{name}" class="figure"' in text


def test_headline_figures_are_on_cards() -> None:
    text = body(page(busy_run(400)))
    names = re.findall(r'<div class="name">([^<]*)</div>', text)
    assert names[:4] == [
        "Step latency (median)",
        "Time spent waiting",
        "Overlap efficiency",
        "Hit rate of hbm",
    ]


def test_with_summary_records_sections_say_what_is_missing_and_the_rest_stays() -> None:
    text = page(busy_run(400, keep_events=False))
    assert text.count("kept only summary records") == 3
    for name in ("steps", "latency", "lanes"):
        assert f'<div id="{name}" class="figure"' in text
    assert 'id="timeline"' not in text


@pytest.mark.parametrize(
    "run",
    [
        make_run(),
        make_run(steps=[step_row(0, 0, 5)]),
        make_run(steps=[step_row(n, 7 * n, 7 * n + 7) for n in range(3)]),
    ],
    ids=["no steps", "one step", "equal steps"],
)
def test_degenerate_runs_have_a_page(run: RunResult) -> None:
    assert "</html>" in page(run)
