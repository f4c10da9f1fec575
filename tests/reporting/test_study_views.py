"""Tables, figures and questions of a study in its reports; every number here is worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
import pytest

from kvsim.reporting.study_drawing import draw_figure
from kvsim.reporting.study_measures import axis_title, describe, measure_text, spread_text
from kvsim.reporting.study_panels import Grid, fit_labels, text_width, wrapped
from kvsim.reporting.study_report import study_html, study_markdown
from kvsim.reporting.study_views import table_of
from kvsim.study.claims import check_claims
from kvsim.study.grid import labels
from kvsim.study.select import Results, Row
from kvsim.study.spec import FigureSpec, MeasureSpec, StudySpec, TableSpec

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

WORKS, POLICIES, MODES = ("rag", "chat"), ("lru", "fifo", "<arc>"), ("serial", "async")
TIMES_MS = {
    ("rag", "serial"): (3.0, 6.0, 9.0),
    ("rag", "async"): (2.0, 1.0, 1.0),
    ("chat", "serial"): (5.0, 5.0, 5.0),
    ("chat", "async"): (1.0, 2.0, 3.0),
}
"""Mean step times of the policies; the seeds lie a tenth above and below."""
KEPT: dict[str, Any] = {
    "relative_to": {"where": {"mode": "serial"}},
    "relation": "rank_correlation",
    "over": "policy",
}


def rows() -> list[Row]:
    return [
        Row(
            {"work": work, "policy": policy, "mode": mode, "seed": seed},
            {"wait_s": time * 1e-3 * share, "hit_rate": 0.25 * share, "misses": round(100 * time)},
        )
        for (work, mode), times in TIMES_MS.items()
        for policy, time in zip(POLICIES, times, strict=True)
        for seed, share in (("1", 0.9), ("2", 1.1))
    ]


def study(**parts: Any) -> StudySpec:
    names = {"work": WORKS, "policy": POLICIES, "mode": MODES}
    axes = [{"name": name, "path": name, "values": values} for name, values in names.items()]
    given = {"name": "mine", "base": "quickstart", "axes": axes, "seeds": [1, 2], "metrics": ["wait_s"]}
    return StudySpec.model_validate({**given, **parts})


def results(kept: list[Row] | None = None) -> Results:
    return Results(labels(study()), rows() if kept is None else kept)


def table(kept: list[Row] | None = None, **fields: Any) -> Any:
    given = {"name": "t", "title": "T", "metric": "wait_s", "rows": "work", "columns": "policy", **fields}
    return table_of(TableSpec.model_validate(given), results(kept))


def figure(kind: str, **fields: Any) -> FigureSpec:
    down = {"x": "policy", "y": "work"}
    axes = {"heat": down, "tornado": down, "waterfall": {"x": "policy"}}.get(
        kind, {"x": "mode", "colour": "policy"}
    )
    given = {"name": "f", "title": "It <says> so", "kind": kind, "metric": "wait_s", **axes, **fields}
    return FigureSpec.model_validate(given)


def drawn(kind: str, kept: list[Row] | None = None, **fields: Any) -> go.Figure:
    made = draw_figure(figure(kind, **fields), results(kept))
    assert made is not None
    return made


def texts(made: go.Figure) -> list[str]:
    return [annotation.text for annotation in made.layout.annotations]


def test_a_table_follows_the_order_of_the_study() -> None:
    found = table(list(reversed(rows())), where={"mode": "async"})
    assert found.heads == ("work", "lru", "fifo", "<arc>")
    assert found.body == (("rag", "2.00 ms", "1.00 ms", "1.00 ms"), ("chat", "1.00 ms", "2.00 ms", "3.00 ms"))
    assert found.how == "Mean of wait_s at mode async; across: policy."


def test_rows_of_several_axes_and_no_columns() -> None:
    found = table(rows=["mode", "work"], columns=None, metric="misses", aggregate="max")
    assert found.heads == ("mode", "work", "misses")
    assert found.body[:2] == (("serial", "rag", "900"), ("serial", "chat", "500"))


def test_the_spread_is_the_deviation_of_the_sample() -> None:
    """0.9 and 1.1 times the mean: each lies 0.1 from it, so the sample's std is sqrt(2 * 0.1²) = 0.1414."""
    found = table(where={"mode": "serial"}, spread=True)
    assert found.body[0] == ("rag", "3.00 ± 0.42 ms", "6.00 ± 0.85 ms", "9.00 ± 1.27 ms")
    shares = table(where={"mode": "serial"}, spread=True, metric="hit_rate")
    assert shares.body[0][1] == "25.0 ± 3.5 %"
    alone = table(where={"mode": "serial", "seed": 1}, spread=True)
    assert alone.body[0][1] == "2.70 ms", "one run has no spread"


def test_a_table_of_what_is_relative() -> None:
    change = table(rows="mode", where={"work": "rag"}, relative_to={"where": {"policy": "lru"}})
    assert change.body == (
        ("serial", "+0.0 %", "+100.0 %", "+200.0 %"),
        ("async", "+0.0 %", "-50.0 %", "-50.0 %"),
    )
    assert change.how == "Mean of wait_s at work rag: change against policy lru; across: policy."


def test_cells_without_a_number_are_marked_and_explained() -> None:
    """rag: ranks 1, 2, 3 against 3, 1.5, 1.5: the sum of products is -1.5, of squares 2 and 1.5."""
    found = table(columns="mode", **KEPT)
    assert found.body == (("rag", "1.00", "-0.87"), ("chat", "–", "–"))
    assert found.lacking.startswith(
        "2 cells have no value, the first because all 3 values of policy have the"
    )
    some = [row for row in rows() if (row.coordinates["work"], row.coordinates["policy"]) != ("chat", "fifo")]
    missing = table(some, where={"mode": "async"})
    assert missing.body[1] == ("chat", "1.00 ms", "–", "3.00 ms")
    assert missing.lacking == "", "a run that is not there needs no reason"


@pytest.mark.parametrize(
    ("fields", "value", "text"),
    [
        ({}, 0.00125, "1.25 ms"),
        ({"metric": "bytes_by_class.total"}, 2048.0, "2.00 KiB"),
        ({"metric": "hit_rate"}, 0.5, "50.0 %"),
        ({"metric": "misses"}, 1234.0, "1,234"),
        ({"metric": "misses"}, 12.5, "12.5"),
        ({"metric": "bounds.max_law_s"}, 0.5, "500 ms"),
        ({"metric": "bounds.max_law_ratio"}, 1.5, "1.50"),
        ({"metric": "bounds.overlapped"}, 0.25, "25.0 %"),
        ({"aggregate": "count"}, 12.0, "12"),
        ({"relative_to": {}}, -0.263, "-26.3 %"),
        ({"relative_to": {}, "relation": "ratio"}, 1.5, "1.50"),
        ({"relative_to": {}, "relation": "difference"}, 0.002, "+2.00 ms"),
        ({"relative_to": {}, "relation": "difference", "metric": "hit_rate"}, -0.031, "-3.1 points"),
        ({"relative_to": {}, "relation": "rank_correlation"}, -0.001, "0.00"),
    ],
)
def test_numbers_have_their_units(fields: dict[str, Any], value: float, text: str) -> None:
    assert measure_text(MeasureSpec.model_validate({"metric": "wait_s", **fields}), value) == text


def test_a_small_spread_keeps_its_digits() -> None:
    measure = MeasureSpec(metric="wait_s")
    assert spread_text(measure, 0.348, 0.00012) == "348 ± 0.120 ms"
    assert spread_text(measure, 0.348, 0.0) == "348 ± 0 ms"


def test_measures_in_words() -> None:
    kept = MeasureSpec.model_validate({"metric": "wait_s", "where": {"work": ["rag", "chat"]}, **KEPT})
    assert describe(kept) == (
        "Spearman's rank correlation over policy: mean of wait_s at work rag or chat, with mode serial"
    )
    assert axis_title(kept, "") == "rank correlation over policy of wait_s with mode serial"
    other = {"metric": "wait_s", "aggregate": "max", "relation": "ratio", "relative_to": {"aggregate": "min"}}
    assert axis_title(MeasureSpec.model_validate(other), "") == "greatest of wait_s, ratio to least of wait_s"


def test_bars_in_panels_have_one_trace_a_colour_and_panel() -> None:
    made = drawn("bars", panels="work", spread="range")
    assert [trace.type for trace in made.data] == ["bar"] * 6
    assert [trace.name for trace in made.data[:3]] == ["lru", "fifo", "&lt;arc&gt;"]
    assert [trace.showlegend for trace in made.data] == [True] * 3 + [False] * 3
    assert tuple(made.data[0].y) == pytest.approx((3, 2))
    assert tuple(made.data[0].error_y.array) == pytest.approx((0.3, 0.2))
    assert texts(made) == [
        "<b>It &lt;says&gt; so</b>",
        "<b>rag</b>",
        "<b>chat</b>",
        "wait_s (ms), whiskers from least to greatest",
    ]
    assert [made.layout.xaxis.title.text, made.layout.xaxis2.title.text] == ["mode", "mode"]
    assert made.layout.yaxis2.matches == "y"


def test_lines_run_along_numbers_where_the_labels_are_numbers() -> None:
    words = drawn("lines", spread="std")
    assert {(trace.type, trace.mode) for trace in words.data} == {("scatter", "lines+markers")}
    # Over both workloads and seeds: serial lru 2.7, 3.3, 4.5 and 5.5 have the mean 4, so that the squares
    # of the differences sum to 1.69 + 0.49 + 0.25 + 2.25 = 4.68, and std² is a third of that.
    assert words.data[0].error_y.array[0] == pytest.approx((4.68 / 3) ** 0.5)
    alone = drawn("lines", spread="std", where={"work": "rag", "seed": 1})
    assert tuple(alone.data[0].error_y.array) == (None, None), "one run has no whisker"
    numbers = drawn("lines", x="seed", colour=None)
    assert tuple(numbers.data[0].x) == (1.0, 2.0)
    assert (numbers.layout.xaxis.type, numbers.data[0].showlegend) == ("linear", False)


def test_heat_writes_its_numbers_and_leaves_cells_blank() -> None:
    some = [row for row in rows() if (row.coordinates["work"], row.coordinates["policy"]) != ("chat", "fifo")]
    made = drawn("heat", some, where={"mode": "serial"})
    (trace,) = made.data
    assert [list(row) for row in trace.text] == [["3.00", "6.00", "9.00"], ["5.00", "", "5.00"]]
    assert trace.z[1][1] is None
    assert tuple(made.layout.yaxis.range) == (1.5, -0.5), "the first label is on top"
    assert made.layout.coloraxis.colorbar.title.text == "ms"


@pytest.mark.parametrize(
    ("relation", "ends", "text"),
    [
        ("change", (-100, 100), "+200"),  # nothing falls by more than 100 %, so the colours end there
        ("difference", (-6, 6), "6.00"),
        ("ratio", (0, 2), "3"),
    ],
)
def test_heat_is_centred_on_no_difference(relation: str, ends: tuple[float, float], text: str) -> None:
    baseline = {"where": {"policy": "lru"}}
    made = drawn("heat", where={"mode": "serial"}, relative_to=baseline, relation=relation)
    assert (made.layout.coloraxis.cmin, made.layout.coloraxis.cmax) == pytest.approx(ends)
    assert made.data[0].text[0][2].removesuffix(".00") == text.removesuffix(".00")


def test_heat_of_a_correlation_goes_from_minus_one_to_one() -> None:
    made = drawn("heat", x="mode", **KEPT)
    assert (made.layout.coloraxis.cmin, made.layout.coloraxis.cmax) == (-1, 1)
    assert [list(row) for row in made.data[0].text] == [["1.00", "−0.87"], ["", ""]]


def test_ranks_join_average_ranks_and_name_every_line_in_a_place_of_its_own() -> None:
    made = drawn("ranks", panels="work")
    assert len(made.data) == 6
    lru, fifo, arc = made.data[:3]
    assert [trace.text[-1].strip() for trace in (lru, fifo, arc)] == ["lru", "fifo", "&lt;arc&gt;"]
    assert tuple(lru.y) == (1, 3, 3)
    # fifo and arc share rank 1.5 in async: side by side around it, named at 1 and 2
    assert (fifo.y[1] + arc.y[1]) / 2 == 1.5
    assert 0 < arc.y[1] - fifo.y[1] < 0.2
    assert (fifo.y[-1], arc.y[-1]) == (1, 2)
    assert fifo.customdata[1] == "fifo, async: rank 1.5, 1.00 ms"
    assert tuple(made.layout.yaxis.range) == (3.6, 0.4)
    assert "rank by wait_s, 1 for the least; equal ranks side by side" in texts(made)


def test_ranks_leave_out_who_has_no_number_there() -> None:
    some = [row for row in rows() if (row.coordinates["mode"], row.coordinates["policy"]) != ("async", "lru")]
    made = drawn("ranks", some, where={"work": "rag"})
    assert tuple(made.data[0].y) == (1, None), "no rank there, and no name at the end"


def falls(made: go.Figure) -> list[Any]:
    return [trace for trace in made.data if trace.type == "waterfall"]


def test_a_waterfall_adds_what_each_case_adds_to_the_one_before() -> None:
    """rag: serial 3, 6, 9 and async 2, 1, 1; the last two differ by nothing."""
    made = drawn("waterfall", where={"work": "rag"}, panels="mode", reference={"where": {"policy": "fifo"}})
    serial, asynchronous = falls(made)
    assert tuple(serial.measure) == ("absolute", "relative", "relative", "absolute")
    assert tuple(serial.y) == pytest.approx((3, 3, 3, 9))
    assert tuple(asynchronous.y) == pytest.approx((2, -1, 0, 1))
    assert serial.increasing.marker.color != serial.decreasing.marker.color == "#0072B2", "less is better"
    scatter = [trace for trace in made.data if trace.type == "scatter"]
    numbers = [trace for trace in scatter if trace.mode == "markers+text"]
    assert [trace.text for trace in numbers] == [
        ("3.00", "+3.00", "+3.00", "9.00"),
        ("2.00", "−1.00", "0", "1.00"),
    ]
    assert tuple(numbers[1].y) == pytest.approx((2, 2, 1, 1)), "each above the upper end of its bar"
    assert serial.customdata[1] == "fifo: +3.00 ms (+100.0 %), together 6.00 ms"
    assert made.layout.xaxis.ticktext == ("lru", "fifo", "&lt;arc&gt;", "total")
    assert made.layout.yaxis.range == made.layout.yaxis2.range, "panels of one metric share its scale"
    lines = [trace.y[0] for trace in scatter if trace.mode == "lines+markers+text"]
    assert lines == pytest.approx([6, 1])
    assert [trace.name for trace in made.data if trace.name] == [
        *("first and total", "better than the case before", "worse", "policy fifo")
    ]
    assert texts(made) == ["<b>It &lt;says&gt; so</b>", "<b>serial</b>", "<b>async</b>", "wait_s (ms)"]


def test_metrics_of_a_waterfall_have_panels_units_and_directions_of_their_own() -> None:
    made = drawn("waterfall", also=["hit_rate", "misses", "hidden_s"], more_is_better="hit_rate")
    assert texts(made)[1:] == ["<b>wait_s (ms)</b>", "<b>hit_rate (%)</b>", "<b>misses</b>"]
    wait, hit_rate, _ = falls(made)
    assert hit_rate.increasing.marker.color == wait.decreasing.marker.color
    assert tuple(hit_rate.y) == pytest.approx((25, 0, 0, 25))
    assert made.layout.yaxis.range != made.layout.yaxis2.range
    two = drawn("waterfall", also="misses", panels="mode")
    assert texts(two)[1:3] == ["<b>serial: wait_s (ms)</b>", "<b>async: wait_s (ms)</b>"]
    part = figure("waterfall", also="misses").model_dump(exclude_none=True, exclude_defaults=True)
    assert "Mean of wait_s. Mean of misses." in study_html(study(figures=[part]), rows(), [])
    alone = drawn("waterfall", metric="hidden_s", also="misses")
    assert texts(alone)[-1] == "misses", "a metric without numbers takes no panel"


def test_numbers_of_a_waterfall_have_as_many_decimals_as_the_largest() -> None:
    values = {"lru": 0.012345, "fifo": 0.0123, "<arc>": 0.00234, "none": 0.00234 + 1e-18}
    kept = [Row({"policy": policy}, {"wait_s": value}) for policy, value in values.items()]
    made = draw_figure(figure("waterfall"), Results({"policy": tuple(values)}, kept))
    assert made is not None
    (numbers,) = [trace for trace in made.data if trace.type == "scatter" and trace.mode == "markers+text"]
    # 45 ns are too few of a millisecond for one decimal, but more than 0; rounding of the clock's seconds
    # is nothing.
    assert numbers.text == ("12.3", "≈ 0", "−10.0", "0", "2.3")


def test_a_waterfall_ends_its_chain_where_a_case_has_no_number() -> None:
    some = [row for row in rows() if row.coordinates["policy"] != "fifo"]
    row = Row({**some[0].coordinates, "policy": "fifo"}, {}, "failed")
    (fall,) = falls(drawn("waterfall", [*some, row], where={"work": "rag", "mode": "serial"}))
    assert tuple(fall.x) == (0, 3)
    assert tuple(fall.y) == pytest.approx((3, 9))
    only = [row for row in rows() if row.coordinates["policy"] == "fifo"]
    rest = [
        Row({**row.coordinates, "policy": name}, {}, "failed") for row in only for name in ("lru", "<arc>")
    ]
    (fall,) = falls(drawn("waterfall", [*only, *rest]))
    assert not fall.x, "neither a beginning nor an end"


def test_a_tornado_has_the_longest_bar_on_top_and_says_what_is_better() -> None:
    values = {
        ("small", "half"): 0.010,
        ("small", "twice"): 0.010,
        ("short", "half"): 0.011,  # + 10 %
        ("short", "twice"): 0.0100001,  # rounds to nothing
        ("long", "half"): 0.015,  # + 50 %
        ("long", "twice"): 0.008,  # - 20 %
        ("as_is", "once"): 0.010,
    }
    kept = [Row({"part": part, "size": size}, {"wait_s": value}) for (part, size), value in values.items()]
    axes = {"part": ("as_is", "small", "short", "long"), "size": ("once", "half", "twice")}
    spec = figure(
        "tornado",
        x="size",
        y="part",
        where={"size": ["half", "twice"]},
        relative_to={"where": {"part": "as_is", "size": "once"}},
    )
    made = draw_figure(spec, Results(axes, kept))
    assert made is not None
    bars, numbers = made.data[:2]
    assert made.layout.yaxis.ticktext == ("long", "short", "small")
    assert tuple(made.layout.yaxis.range) == (2.5, -0.5), "the first on top"
    assert tuple(bars.x) == pytest.approx((50, -20, 10, 0.001, 0))
    assert bars.marker.color[:2] == ("#D55E00", "#0072B2"), "less waiting is better"
    assert bars.y[0] == bars.y[1] == 0, "to both sides"
    assert bars.y[2] < 1 < bars.y[3], "to one side, the row is shared"
    assert numbers.text == (
        "size half: +50.0 %",
        "size twice: −20.0 %",
        "size half: +10.0 %",
        "size twice: ≈ 0",
        "0",
    )
    assert numbers.textposition[:2] == ("middle right", "middle left")
    more = draw_figure(spec.model_copy(update={"more_is_better": ("wait_s",)}), Results(axes, kept))
    assert more is not None
    assert more.data[0].marker.color[:2] == ("#0072B2", "#D55E00")


def test_panels_of_a_tornado_have_an_order_of_their_own_and_one_scale() -> None:
    """Against lru: rag fifo doubles in serial and halves in async."""
    base = {"where": {"policy": "lru"}}
    made = drawn("tornado", x="policy", y="work", panels="mode", where={"policy": "fifo"}, relative_to=base)
    first, second = made.layout.yaxis.ticktext, made.layout.yaxis2.ticktext
    assert {*first} == {*second} == {"rag", "chat"}
    assert made.layout.xaxis.range == made.layout.xaxis2.range


def test_panels_wrap_into_even_rows() -> None:
    assert [Grid.across_for(count, 100, 100) for count in (1, 2, 3, 4, 5, 6, 7, 9)] == [
        1,
        2,
        3,
        4,
        3,
        3,
        4,
        3,
    ]
    assert Grid.across_for(4, 300, 100) == 2, "two of three panels would be narrower than 300"
    assert Grid.across_for(4, 2000, 100) == 1


def test_labels_are_broken_or_turned_where_they_do_not_fit() -> None:
    assert fit_labels(["lru", "fifo"], 60).texts == ["lru", "fifo"]
    broken = fit_labels(["windowed_recency", "a<b"], 80)
    assert (broken.texts, broken.angle) == (["windowed_<br>recency", "a&lt;b"], 0)
    assert fit_labels(["windowed_recency"], 40).angle == -40
    assert fit_labels(["windowed_recency"], 12).angle == -90
    assert all(text_width(line) <= 100 for line in wrapped("to be or not to be, that is", 100))


def test_a_figure_without_a_number_says_so() -> None:
    spec = study(figures=[figure("bars", metric="hidden_s").model_dump(exclude_none=True)])
    assert draw_figure(spec.figures[0], results()) is None
    assert "The results give no number to draw." in study_html(spec, rows(), [])


def full() -> StudySpec:
    claim = {"metric": "wait_s", "operator": ">", "value": 0.5}
    kept = {**claim, **KEPT, "where": {"mode": "async"}, "each": ["work"], "question": True}
    rank = figure("ranks", panels="work").model_dump(exclude_none=True, exclude_defaults=True)
    return study(
        claims=[
            {**claim, "name": "c", "value": 0, "note": "The book | says <less>."},
            {**kept, "name": "yes", "operator": "<"},
            {**kept, "name": "no"},
            {**kept, "name": "none", "where": {"mode": "async", "work": "chat"}},
        ],
        tables=[
            {"name": "t", "title": "Two | columns", "metric": "wait_s", "rows": "work", "columns": "mode"}
        ],
        figures=[rank],
    )


def test_questions_are_counted_apart_and_answered() -> None:
    spec = full()
    verdicts = check_claims(spec, labels(spec), rows())
    text = study_markdown(spec, rows(), verdicts)
    assert "1 of 1 claims hold; of 3 questions 1 is answered yes, 1 cannot be evaluated." in text
    assert (
        "[1 of 1 cases: yes, 1 undefined: all 3 values of policy have the same wait_s at mode serial, work"
        in text
    )
    assert "| no | -0.866 | > 0.5 |" in text
    assert (
        "| work chat | undefined (all 3 values of policy have the same wait_s at mode serial, work ch" in text
    )
    assert "- c: The book \\| says \\<less>." in text
    assert [verdict.to_dict()["verdict"] for verdict in verdicts] == [
        *("holds", "holds", "does not hold", "cannot be evaluated")
    ]
    assert '<div class="note">The book | says &lt;less&gt;.</div>' in study_html(spec, rows(), verdicts)


def test_the_markdown_has_tables_always_and_images_where_they_are() -> None:
    plain, shown = (study_markdown(full(), rows(), [], images) for images in ((), ("f",)))
    lines = "| work | serial | async |\n|---|---|---|\n"
    lines += "| rag | 6.00 ms | 1.33 ms |\n| chat | 5.00 ms | 2.00 ms |\n"
    assert f"## Two \\| columns\n\nMean of wait_s; across: mode.\n\n{lines}" in plain
    picture = "## It \\<says> so\n\n![It \\<says> so](figures/f.svg)\n\n"
    assert picture in shown
    assert shown.replace(picture, "") == plain


def test_the_page_draws_what_the_study_asks_for_in_place_of_the_metrics() -> None:
    page = study_html(full(), rows(), [])
    assert page == study_html(full(), rows(), [])
    assert 'id="figure-f"' in page
    assert 'id="metric-0"' not in page
    assert "<h2>It &lt;says&gt; so</h2>" in page


@pytest.mark.browser
def test_a_browser_draws_every_kind_without_complaint(browser: Chrome, tmp_path: Path) -> None:
    kinds = ("bars", "lines", "heat", "ranks", "waterfall", "tornado", "pareto")
    base: dict[str, dict[str, Any]] = {"tornado": {"relative_to": {"where": {"policy": "lru"}}}}
    base["pareto"] = {"against": "misses"}
    figures = [figure(kind, name=kind, **base.get(kind, {})) for kind in kinds]
    spec = study(figures=[one.model_dump(exclude_none=True, exclude_defaults=True) for one in figures])
    path = tmp_path / "report.html"
    path.write_text(study_html(spec, rows(), []), encoding="utf-8")
    browser.get("about:blank")
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.get(path.as_uri())
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('.figure')].filter(f => f.querySelector('svg')).map(f => f.id)"
    )
    assert drawn == [f"figure-{kind}" for kind in kinds]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []  # type: ignore[no-untyped-call]
