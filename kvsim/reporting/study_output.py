"""The files of a study: each written whole or not at all, and the same for the same study byte for byte."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from kvsim.errors import KvsimError
from kvsim.reporting.study_drawing import draw_figure
from kvsim.reporting.study_images import FOLDER, svg_images
from kvsim.reporting.study_report import study_html, study_markdown
from kvsim.study.claims import Verdict
from kvsim.study.grid import labels
from kvsim.study.journal import JOURNAL, write_whole
from kvsim.study.select import Results, Row
from kvsim.study.spec import StudySpec

__all__ = ["FILES", "prepare", "results_csv", "write_study"]

FILES = ("claims.json", "report.md", "report.html", "results.csv")
"""What a finished study leaves, besides the journal and images; results.csv is written last."""


def prepare(directory: Path, *, resume: bool) -> None:
    """Make the directory of a study, or see that it is one.

    Without `resume` a finished study there makes room. Raises KvsimError, leaving everything as it was, when
    the directory holds anything else, an unfinished study that is not resumed, or cannot be written.
    """
    target = directory.resolve()
    ours = {JOURNAL, *FILES}
    ours |= {f".{name}.new" for name in ours}
    try:
        if target.exists() and not target.is_dir():
            raise KvsimError(f"{target} is not a directory")
        target.mkdir(parents=True, exist_ok=True)
        entries = sorted(entry.name for entry in target.iterdir())
        images = target / FOLDER
        strangers = [name for name in entries if name not in ours and name != FOLDER]
        strangers += _strange_in(images)
        if strangers:
            shown = ", ".join(strangers[:5]) + (", …" if len(strangers) > 5 else "")
            raise KvsimError(
                f"{target} holds files that are not of a study: {shown}; choose another directory"
            )
        journal = target / JOURNAL
        unfinished = journal.exists() and journal.stat().st_size > 0 and not (target / "results.csv").exists()
        if unfinished and not resume:
            raise KvsimError(
                f"{target} holds the finished runs of a study that was stopped; "
                "go on with --resume, or remove the directory"
            )
        for name in entries:
            if name != FOLDER and (name != JOURNAL or not resume):
                (target / name).unlink()
        if images.is_dir():
            for image in images.iterdir():
                image.unlink()
            images.rmdir()
    except OSError as error:
        raise KvsimError(f"cannot write to {target}: {error}") from error


def _strange_in(images: Path) -> list[str]:
    """What a study does not put into its folder of images, or the folder if it is none."""
    if images.is_symlink() or (images.exists() and not images.is_dir()):
        return [FOLDER]
    if not images.exists():
        return []
    found = sorted(images.iterdir())
    return [
        f"{FOLDER}/{path.name}"
        for path in found
        if path.is_dir() or not path.name.removesuffix(".new").endswith(".svg")
    ]


def write_study(
    spec: StudySpec,
    rows: Sequence[Row],
    verdicts: Sequence[Verdict],
    directory: Path,
    *,
    images: bool = False,
) -> None:
    """Write the results, claims and reports of a finished study, and with `images` its figures.

    Raises KvsimError if they cannot be written, or an image not made.
    """
    claims = {"study": spec.name, "claims": [verdict.to_dict() for verdict in verdicts]}
    pictures = svg_images(_drawings(spec, rows)) if images else {}
    texts = {
        "claims.json": json.dumps(claims, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": study_markdown(spec, rows, verdicts, images=tuple(pictures)),
        "report.html": study_html(spec, rows, verdicts),
        "results.csv": results_csv(spec, rows),
    }
    try:
        if pictures:
            (directory / FOLDER).mkdir(exist_ok=True)
        for name, picture in pictures.items():
            write_whole(directory / FOLDER / f"{name}.svg", picture)
        for name in FILES:
            write_whole(directory / name, texts[name])
    except OSError as error:
        raise KvsimError(f"cannot write to {directory}: {error}") from error


def _drawings(spec: StudySpec, rows: Sequence[Row]) -> dict[str, go.Figure]:
    """The figures that the study asks for and the results give, by name."""
    results = Results(labels(spec), rows)
    drawn = {figure.name: draw_figure(figure, results) for figure in spec.figures}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def results_csv(spec: StudySpec, rows: Sequence[Row]) -> str:
    """One line a run in the order of the cells: axes, seed, figures with all their digits, error."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    metrics = spec.kept_metrics
    writer.writerow([*(rows[0].coordinates if rows else ()), *metrics, "error"])
    for row in rows:
        figures = ["" if row.metrics.get(name) is None else repr(row.metrics[name]) for name in metrics]
        writer.writerow([*row.coordinates.values(), *figures, row.error or ""])
    return text.getvalue()
