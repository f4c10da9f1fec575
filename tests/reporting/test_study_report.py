"""The reports of a study: claims first, nothing in a name can break them, figures follow the axes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kvsim.reporting.study_figures import metric_figure
from kvsim.reporting.study_output import results_csv
from kvsim.reporting.study_report import study_html, study_markdown
from kvsim.reporting.study_text import figure_text, kind_of
from kvsim.study.claims import Verdict, check_claims
from kvsim.study.select import Row
from kvsim.study.spec import StudySpec

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NASTY = "a|b </script> & c"


def study() -> tuple[StudySpec, list[Row], list[Verdict]]:
    spec = StudySpec.model_validate(
        {
            "name": "mine",
            "description": NASTY,
            "base": "quickstart",
            "axes": [
                {"name": "size", "path": "p", "values": [1, 2, 4]},
                {"name": "kind", "path": "q", "values": ["x", NASTY]},
            ],
            "metrics": ["exposed_s.total", "misses", "bytes_by_class.total"],
            "claims": [
                {"name": "good", "metric": "misses", "operator": "<", "value": 100, "source": "the book"},
                {"name": "bad", "metric": "misses", "operator": ">", "value": 100, "each": ["size"]},
                {"name": "open", "metric": "hidden_s", "operator": ">", "value": 0},
            ],
        }
    )
    rows = [
        Row(
            {"size": size, "kind": kind, "seed": "0"},
            {"exposed_s.total": int(size) * 1e-3, "misses": 7, "bytes_by_class.total": 2048},
        )
        for size in ("1", "2", "4")
        for kind in ("x", NASTY)
    ]
    rows[3] = Row(rows[3].coordinates, {}, "SimulationError: stuck, at last")
    axes = {"size": ("1", "2", "4"), "kind": ("x", NASTY)}
    return spec, rows, check_claims(spec, axes, [row for row in rows if row.error is None])


def test_the_markdown_tells_claims_with_numbers_and_keeps_its_tables_whole() -> None:
    text = study_markdown(*study())
    assert "1 of 3 claims hold, 1 cannot be evaluated." in text
    assert (
        "| good: mean misses < 100 | holds | 7 | \\< 100 | 5 | the book |".replace(" < 100 |", " \\< 100 |")
        in text
    )
    assert "[0 of 3 cases hold; shown: size 1]" in text
    assert "cannot be evaluated (5 of 5 runs at all runs have no hidden_s)" in text
    assert "| 2 | a\\|b \\</script> & c | 0 |  |  |  | SimulationError: stuck, at last |" in text
    tables = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in tables if line.startswith(("| 1 ", "| 2 ", "| 4 "))} == {8}


def test_the_page_is_whole_and_escaped() -> None:
    page = study_html(*study())
    assert page == study_html(*study())
    assert page.count("</script>") == page.count("<script>")
    assert "a|b &lt;/script&gt; &amp; c" in page
    assert "src=" not in page.partition("</style>")[0]


def test_the_table_of_results_quotes_what_it_must() -> None:
    spec, rows, _ = study()
    lines = results_csv(spec, rows).splitlines()
    assert lines[0] == "size,kind,seed,exposed_s.total,misses,bytes_by_class.total,hidden_s,error"
    assert lines[1] == "1,x,0,0.001,7,2048,,"
    assert lines[4] == '2,a|b </script> & c,0,,,,,"SimulationError: stuck, at last"'


def rows_of(**axes: list[str]) -> list[Row]:
    rows = [Row({}, {})]
    for axis, labels in axes.items():
        rows = [Row({**row.coordinates, axis: label}, {}) for row in rows for label in labels]
    return [Row(row.coordinates, {"misses": number}) for number, row in enumerate(rows)]


def drawn(rows: list[Row], metric: str = "misses") -> Any:
    figure = metric_figure(metric, rows)
    assert figure is not None
    return figure


def test_numbers_along_x_give_lines_and_words_give_bars() -> None:
    assert {trace.type for trace in drawn(rows_of(size=["1", "2", "4"], kind=["a", "b"])).data} == {"scatter"}
    assert {trace.type for trace in drawn(rows_of(size=["s", "m", "l"], kind=["a", "b"])).data} == {"bar"}


def test_the_last_axis_is_the_colour_and_the_third_last_the_panel() -> None:
    figure = drawn(
        rows_of(far=["1", "2"], panel=["p", "q"], x=["a", "b"], colour=["r", "g", "b"], seed=["1", "2"])
    )
    assert [trace.name for trace in figure.data] == ["r", "r", "g", "g", "b", "b"]
    assert [annotation.text for annotation in figure.layout.annotations] == ["<b>p</b>", "<b>q</b>"]
    first = figure.data[0]
    assert tuple(first.x) == ("a", "b")
    # far 1 and 2, seeds 1 and 2, at panel p, x a, colour r: rows 0, 1, 24, 25
    assert first.y[0] == 12.5
    assert (first.error_y.arrayminus[0], first.error_y.array[0]) == (12.5, 12.5)


@pytest.mark.parametrize(
    "axes", [{}, {"seed": ["1", "2"]}, {"one": ["a"], "seed": ["1"]}, {"one": ["a", "b"]}]
)
def test_few_axes_are_no_trouble(axes: dict[str, list[str]]) -> None:
    assert len(drawn(rows_of(**axes)).data) == 1


def test_a_metric_that_no_run_has_has_no_figure() -> None:
    assert metric_figure("hits", rows_of(a=["1"])) is None


@pytest.mark.parametrize(
    ("metric", "value", "kind", "text"),
    [
        ("exposed_s.total", 0.0015, "time", "1.50 ms"),
        ("links.nvme up.mean_queue_s", None, "time", "n/a"),
        ("links.nvme up.arrival_rate_per_s", 2.5, "number", "2.50"),
        ("bytes_by_class.total", 2048, "bytes", "2.00 KiB"),
        ("links.nvme up.bytes", 10, "bytes", "10 B"),
        ("tier_hit_rate.hbm", 0.25, "share", "25.0 %"),
        ("misses", 1234, "number", "1,234"),
    ],
)
def test_figures_have_units(metric: str, value: float | None, kind: str, text: str) -> None:
    assert kind_of(metric) == kind
    assert figure_text(metric, value) == text


@pytest.mark.browser
def test_a_browser_draws_every_figure_without_complaint(browser: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(study_html(*study()), encoding="utf-8")
    browser.get("about:blank")
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.get(path.as_uri())
    count = browser.execute_script("return document.querySelectorAll('.figure .main-svg').length")
    assert count >= 3
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []  # type: ignore[no-untyped-call]
