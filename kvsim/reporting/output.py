"""The files of a run, written whole or not at all, and the same for the same run byte for byte."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from kvsim.analysis.frames import frames
from kvsim.analysis.metrics import Summary
from kvsim.analysis.serving import ServingSummary
from kvsim.analysis.serving_frames import iterations_frame, moves_frame, requests_frame
from kvsim.analysis.summaries import AnyResult, AnySummary
from kvsim.errors import KvsimError
from kvsim.reporting.html import report_html
from kvsim.reporting.perfetto import trace_events, write_trace
from kvsim.reporting.serving_html import serving_html
from kvsim.reporting.serving_perfetto import serving_events
from kvsim.scenario.loader import dump
from kvsim.sim.serving.result import ServingResult

FILES = ("scenario.yaml", "summary.json", "steps.csv", "transfers.csv", "report.html", "trace.json")
"""Everything the directory of a run of steps holds."""
SERVING_FILES = (
    *("scenario.yaml", "summary.json", "requests.csv", "iterations.csv", "transfers.csv"),
    *("report.html", "trace.json"),
)
"""The same of a run of requests."""


def write_run(result: AnyResult, summary: AnySummary, directory: str | Path) -> Path:
    """Write the files of a run into `directory` and return it.

    The files are built beside the directory and renamed into place together. An earlier run there is
    replaced. Raises KvsimError, leaving everything as it was, when the directory holds anything else or
    cannot be written.
    """
    target = Path(directory).resolve()
    try:
        check_directory(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise KvsimError(f"cannot write to {target}: {error}") from error
    try:
        built = workshop / "new"
        built.mkdir()
        _write_files(result, summary, built)
        _swap(built, target, workshop / "old")
    except OSError as error:
        raise KvsimError(f"cannot write to {target}: {error}") from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return target


def check_directory(directory: str | Path) -> None:
    """See that a run may be written there: a missing or empty directory, or an earlier run.

    Raises KvsimError for anything else, OSError if it cannot be read.
    """
    target = Path(directory).resolve()
    if not target.exists():
        return
    if not target.is_dir():
        raise KvsimError(f"{target} is not a directory")
    if target == Path.cwd() or target in Path.cwd().parents:
        raise KvsimError(f"{target} is the current directory or holds it; choose a directory below it")
    entries = target.iterdir()
    strangers = sorted(
        entry.name for entry in entries if entry.name not in {*FILES, *SERVING_FILES} or not entry.is_file()
    )
    if strangers:
        shown = ", ".join(strangers[:5]) + (", …" if len(strangers) > 5 else "")
        raise KvsimError(f"{target} holds files that are not of a run: {shown}; choose another directory")


def _write_files(result: AnyResult, summary: AnySummary, directory: Path) -> None:
    _write(directory / "scenario.yaml", dump(result.scenario))
    _write(directory / "summary.json", summary_json(summary))
    if isinstance(result, ServingResult):
        assert isinstance(summary, ServingSummary)
        tables = {"requests": requests_frame(result), "iterations": iterations_frame(result)}
        tables["transfers"] = moves_frame(result)
        page, events = serving_html(result, summary), serving_events(result)
    else:
        assert isinstance(summary, Summary)
        of = frames(result)
        tables = {"steps": of.steps, "transfers": of.transfers}
        page, events = report_html(result, summary), trace_events(result)
    for name, table in tables.items():
        table.to_csv(directory / f"{name}.csv", index=False, lineterminator="\n")
    _write(directory / "report.html", page)
    write_trace(events, directory / "trace.json")


def summary_json(summary: AnySummary) -> str:
    """The summary as JSON with sorted keys."""
    return json.dumps(summary.to_dict(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _swap(built: Path, target: Path, aside: Path) -> None:
    """Rename `built` to `target`; what was there goes to `aside`, and back again if the rename fails."""
    replaced = target.exists()
    if replaced:
        target.rename(aside)
    try:
        built.rename(target)
    except OSError:
        if replaced:
            aside.rename(target)
        raise
