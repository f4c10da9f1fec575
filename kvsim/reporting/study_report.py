"""`report.md` and `report.html` of a study: claims first. The same results give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from plotly.offline import get_plotlyjs

from kvsim.reporting import page
from kvsim.reporting.html import POLICY
from kvsim.reporting.study_drawing import draw_figure
from kvsim.reporting.study_figures import metric_figure
from kvsim.reporting.study_images import FOLDER
from kvsim.reporting.study_measures import described
from kvsim.reporting.study_text import (
    case_row,
    claim_heads,
    claim_row,
    columns,
    result_row,
    score_text,
    varied,
)
from kvsim.reporting.study_views import table_of
from kvsim.reporting.style import embed
from kvsim.study.claims import Verdict
from kvsim.study.grid import labels
from kvsim.study.select import Results, Row
from kvsim.study.spec import StudySpec

__all__ = ["study_html", "study_markdown"]

MAX_ROWS = 1_000
"""Runs in the tables of a report; results.csv has them all."""
MAX_CASES = 40
"""Cases of a claim in the Markdown report."""
MAX_FIGURES = 12
_COLOURS = {"holds": "#00684C", "does not hold": "#A64500", "cannot be evaluated": "#5B6875"}
_ANSWERED = "#1F2933"
"""Of a question: either answer is fine."""
_STYLE = """
table.claims td{white-space:normal;text-align:left;vertical-align:top}
table.claims th{text-align:left}.note{color:var(--quiet);font-size:13px}
.word{font-weight:600;white-space:nowrap}
"""


def study_markdown(
    spec: StudySpec, rows: Sequence[Row], verdicts: Sequence[Verdict], images: Sequence[str] = ()
) -> str:
    """The report as Markdown; it shows those figures of the study of which there are `images`, by name."""
    lines = [f"# {spec.name}", ""]
    lines += [text for part in (spec.description, _source(spec)) if part for text in (_inline(part), "")]
    lines += [_about(spec, rows), ""]
    lines += ["## Axes", "", *_pipes(("axis", "values"), _axes(rows)), ""]
    if verdicts:
        claims = [claim_row(verdict) for verdict in verdicts]
        lines += ["## Claims", "", score_text(verdicts) + ".", "", *_pipes(claim_heads, claims), ""]
        notes = [verdict.claim for verdict in verdicts if verdict.claim.note]
        lines += [f"- {_inline(claim.name)}: {_inline(claim.note)}" for claim in notes]
        lines += [""] if notes else []
    for figure in spec.figures:
        if figure.name in images:
            lines += [f"## {_inline(figure.title)}", ""]
            lines += [f"![{_alternative(figure.title)}]({FOLDER}/{figure.name}.svg)", ""]
    lines += _tables(spec, rows)
    cases = [line for verdict in verdicts for line in _cases(verdict)]
    lines += ["## Claims, case by case", "", *cases] if cases else []
    heads = columns(rows, spec.metrics)
    body = [result_row(row, spec.metrics, "error" in heads) for row in rows[:MAX_ROWS]]
    lines += ["## Results", "", *_pipes(heads, body), ""]
    if len(rows) > MAX_ROWS:
        lines += [f"The first {MAX_ROWS} of {len(rows)} runs; `results.csv` has all.", ""]
    return "\n".join(lines)


def study_html(spec: StudySpec, rows: Sequence[Row], verdicts: Sequence[Verdict]) -> str:
    """The report as one page that works offline."""
    title = escape(f"kvsim: {spec.name}")
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in (spec.description, _source(spec)) if text)
    sections = "\n".join(_sections(spec, rows, verdicts))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>{page.STYLE}{_STYLE}</style>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>{page.PLOT}</script>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(spec.name)}</h1>\n{paragraphs}\n<p class="quiet">{escape(_about(spec, rows))}</p>\n'
        f'<p class="verdict">{escape(score_text(verdicts))}</p>\n'
        f"{sections}\n</main>\n</body>\n</html>\n"
    )


def _sections(spec: StudySpec, rows: Sequence[Row], verdicts: Sequence[Verdict]) -> Iterator[str]:
    if verdicts:
        yield _section("Claims", "", _claims(verdicts))
    for table in spec.tables:
        view = table_of(table, _results(spec, rows))
        lacking = f'<p class="how">{escape(view.lacking)}</p>\n' if view.lacking else ""
        yield _section(table.title, view.how, _table(view.heads, view.body) + lacking)
    yield from _figures(spec, rows) if spec.figures else _metric_figures(spec, rows)
    yield _section("Axes", "", _table(("axis", "values"), _axes(rows)))
    heads = columns(rows, spec.metrics)
    body = [result_row(row, spec.metrics, "error" in heads) for row in rows[:MAX_ROWS]]
    cut = f"The first {MAX_ROWS} of {len(rows)} runs; results.csv has all." if len(rows) > MAX_ROWS else ""
    yield _section("Results", cut, _table(heads, body))


def _figures(spec: StudySpec, rows: Sequence[Row]) -> Iterator[str]:
    """The figures that the study asks for."""
    for figure in spec.figures:
        drawn = draw_figure(figure, _results(spec, rows), titled=False)
        nothing = '<p class="empty">The results give no number to draw.</p>'
        body = nothing if drawn is None else embed(drawn, f"figure-{figure.name}")
        yield _section(figure.title, described(figure), body)


def _metric_figures(spec: StudySpec, rows: Sequence[Row]) -> Iterator[str]:
    """One figure a metric, for a study that asks for none."""
    for number, metric in enumerate(spec.metrics[:MAX_FIGURES]):
        figure = metric_figure(metric, rows)
        if figure is not None:
            how = "Means over what the figure does not tell apart; whiskers reach from least to greatest."
            yield _section(metric, how, embed(figure, f"metric-{number}"))


def _results(spec: StudySpec, rows: Sequence[Row]) -> Results:
    return Results(labels(spec), rows)


def _tables(spec: StudySpec, rows: Sequence[Row]) -> list[str]:
    """The tables of a study in Markdown."""
    lines = []
    for table in spec.tables:
        view = table_of(table, _results(spec, rows))
        lines += [f"## {_inline(table.title)}", "", _inline(view.how), "", *_pipes(view.heads, view.body), ""]
        lines += [_inline(view.lacking), ""] if view.lacking else []
    return lines


def _claims(verdicts: Sequence[Verdict]) -> str:
    body = []
    for verdict in verdicts:
        name, word, *rest = map(escape, claim_row(verdict))
        coloured = f'<span class="word" style="color:{_colour(verdict)}">{word}</span>'
        if verdict.claim.note:
            name += f'<div class="note">{escape(verdict.claim.note)}</div>'
        body.append("".join(f"<td>{cell}</td>" for cell in (name, coloured, *rest)))
    heads = "".join(f"<th>{head}</th>" for head in claim_heads)
    lines = "\n".join(f"<tr>{cells}</tr>" for cells in body)
    return (
        f'<div class="scroll"><table class="claims"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></div>"
    )


def _colour(verdict: Verdict) -> str:
    if verdict.claim.question and verdict.verdict != "cannot be evaluated":
        return _ANSWERED
    return _COLOURS[verdict.verdict]


def _cases(verdict: Verdict) -> list[str]:
    """The cases of a claim with several; of very many those that decide, for claims.json has them all."""
    if len(verdict.cases) < 2:
        return []
    shown = verdict.cases
    if len(shown) > MAX_CASES:
        shown = tuple(case for case in shown if case.verdict not in ("holds", "undefined"))[:MAX_CASES]
    rows = [(case.describe(), *case_row(verdict.claim, case)) for case in shown]
    heads = ("case", "verdict", "measured", "claimed", "runs")
    left_out = len(verdict.cases) - len(shown)
    lines = [f"### {_inline(verdict.claim.name)}", ""]
    lines += [*_pipes(heads, rows), ""] if rows else []
    lines += [f"{left_out} more of {len(verdict.cases)} cases are in `claims.json`.", ""] if left_out else []
    return lines


def _axes(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(axis, ", ".join(dict.fromkeys(row.coordinates[axis] for row in rows))) for axis in varied(rows)]


def _about(spec: StudySpec, rows: Sequence[Row]) -> str:
    failed = sum(row.error is not None for row in rows)
    base = spec.base or ", ".join(spec.bases.values())
    return f"{len(rows)} runs of {base}, {failed} failed."


def _source(spec: StudySpec) -> str:
    return f"Source: {spec.source}" if spec.source else ""


def _section(title: str, how: str, body: str) -> str:
    note = f'<p class="how">{escape(how)}</p>\n' if how else ""
    return f"<section>\n<h2>{escape(title)}</h2>\n{note}{body}\n</section>"


def _table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    lines = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>'
    )


def _pipes(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(map(_inline, heads)) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(map(_inline, row)) + " |" for row in body]


def _alternative(text: str) -> str:
    """Text between the brackets of an image."""
    return _inline(text).replace("[", "\\[").replace("]", "\\]")


def _inline(text: str) -> str:
    """Text on one line, in which nothing ends a table cell or begins markup."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<")
