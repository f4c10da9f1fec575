"""The files of a study: each written whole or not at all, and the same for the same study byte for byte."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from kvsim.errors import KvsimError
from kvsim.reporting.study_report import study_html, study_markdown
from kvsim.study.claims import Row, Verdict
from kvsim.study.journal import JOURNAL, write_whole
from kvsim.study.spec import StudySpec

__all__ = ["FILES", "prepare", "results_csv", "write_study"]

FILES = ("claims.json", "report.md", "report.html", "results.csv")
"""What a finished study leaves, besides the journal; results.csv is written last."""


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
        strangers = [name for name in entries if name not in ours]
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
            if name != JOURNAL or not resume:
                (target / name).unlink()
    except OSError as error:
        raise KvsimError(f"cannot write to {target}: {error}") from error


def write_study(spec: StudySpec, rows: Sequence[Row], verdicts: Sequence[Verdict], directory: Path) -> None:
    """Write the results, claims and reports of a finished study."""
    claims = {"study": spec.name, "claims": [verdict.to_dict() for verdict in verdicts]}
    texts = {
        "claims.json": json.dumps(claims, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": study_markdown(spec, rows, verdicts),
        "report.html": study_html(spec, rows, verdicts),
        "results.csv": results_csv(spec, rows),
    }
    try:
        for name in FILES:
            write_whole(directory / name, texts[name])
    except OSError as error:
        raise KvsimError(f"cannot write to {directory}: {error}") from error


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
