"""The finished runs of a study, kept line by line, so that a kill loses only what was being run.

One JSON object a line: the key of a run and its figures. The key is a digest of the resolved scenario, the
version of kvsim and the state of the trace file, so a line is good for any study that needs the same run.
What a custom policy or workload does is not in the key: after changing one, start anew. Failed runs are not
kept: a resumed study tries them again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from kvsim.scenario.scenario import Scenario
from kvsim.study.measure import Measured, Number

__all__ = ["JOURNAL", "Journal", "run_key", "write_whole"]

JOURNAL = "journal.jsonl"
"""Its name in the directory of a study."""


def run_key(scenario: Scenario, version: str) -> str:
    """What a run is kept under: equal for runs that give equal results."""
    parts = [version, scenario.model_dump_json()]
    trace = getattr(scenario.workload, "path", None)
    if trace is not None and os.path.exists(trace):
        state = os.stat(trace)
        parts.append(f"{state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or not at all, whenever the process ends."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class Journal:
    """The journal of a directory, open for appending; use it as a context manager."""

    def __init__(self, directory: Path, *, resume: bool) -> None:
        self._path = directory / JOURNAL
        self._kept: dict[str, dict[str, Number]] = _read(self._path) if resume else {}
        # Written anew, because the last line may have been cut off by the kill.
        write_whole(self._path, "".join(_line(key, metrics) for key, metrics in self._kept.items()))
        self._file = self._path.open("a", encoding="utf-8", newline="\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def find(self, key: str, metrics: Iterable[str]) -> dict[str, Number] | None:
        """The wanted figures of a run that was finished before; None if it was not, or lacks one."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        wanted = list(metrics)
        return {name: kept[name] for name in wanted} if all(name in kept for name in wanted) else None

    def add(self, finished: Iterable[Measured]) -> None:
        """Keep finished runs; after this returns, killing the process does not lose them."""
        text = "".join(_line(run.key, run.metrics) for run in finished if run.error is None)
        if text:
            self._file.write(text)
            self._file.flush()


def _line(key: str, metrics: Mapping[str, Number]) -> str:
    return json.dumps({"key": key, "metrics": dict(metrics)}, ensure_ascii=False) + "\n"


def _read(path: Path) -> dict[str, dict[str, Number]]:
    """The runs of a journal; a line that was cut off is left out."""
    kept: dict[str, dict[str, Number]] = {}
    if not path.exists():
        return kept
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("metrics"), dict):
            kept.setdefault(str(entry.get("key")), {}).update(entry["metrics"])
    return kept
