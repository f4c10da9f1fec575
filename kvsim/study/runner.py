"""Runs the cells of a study, on any number of workers and with the same results.

Results come in any order and are put in the order of the cells at the end. Runs that are equal are made
once. Runs of a few milliseconds travel in batches, sized by what runs have taken so far, so that handing
them over costs little beside them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import joblib

from kvsim.errors import KvsimError
from kvsim.study.backends import Backend, parallel
from kvsim.study.journal import Journal, run_key
from kvsim.study.loader import Study
from kvsim.study.measure import Measured, Task, measure
from kvsim.study.select import Row

__all__ = ["Progress", "run_study"]

Progress = Callable[[int, int], None]
"""Called with the number of finished runs and of all runs."""

BATCH_S = 0.1
"""What a batch should take; twice the least that pays on dask."""


def run_study(
    study: Study,
    version: str,
    *,
    directory: Path | None = None,
    resume: bool = False,
    jobs: int = 1,
    backend: Backend = "loky",
    progress: Progress | None = None,
) -> list[Row]:
    """Run every cell; the rows of the results, in the order of the cells.

    With a `directory`, finished runs are kept there as they come, and `resume` takes those that are there
    already. `version` is that of kvsim. `jobs` as in joblib: -1 for all CPUs. A run that fails gives a row
    with its error; KvsimError is raised when the workers themselves are lost.
    """
    metrics = study.spec.kept_metrics
    keys = [run_key(scenario, version) for scenario in study.scenarios]
    tasks = {key: Task(key, scenario, metrics) for key, scenario in zip(keys, study.scenarios, strict=True)}
    done: dict[str, Measured] = {}
    if directory is None:
        _run(tasks, done, None, jobs, backend, progress)
    else:
        with Journal(directory, resume=resume) as journal:
            for key in tasks:
                kept = journal.find(key, metrics)
                if kept is not None:
                    done[key] = Measured(key, kept, None, 0.0)
            _run(tasks, done, journal, jobs, backend, progress)
    return [_row(study, index, done[key], metrics) for index, key in enumerate(keys)]


def _row(study: Study, index: int, run: Measured, metrics: Sequence[str]) -> Row:
    coordinates = dict(study.cells[index].coordinates)
    coordinates.setdefault("seed", str(study.scenarios[index].seed))
    return Row(coordinates, {name: run.metrics.get(name) for name in metrics}, run.error)


def _run(
    tasks: dict[str, Task],
    done: dict[str, Measured],
    journal: Journal | None,
    jobs: int,
    backend: Backend,
    progress: Progress | None,
) -> None:
    """Run what is not done yet."""
    waiting = [task for key, task in tasks.items() if key not in done]
    if progress is not None:
        progress(len(done), len(tasks))
    if not waiting:
        return
    workers = joblib.cpu_count() if jobs < 0 else jobs
    batches = Batches(waiting, workers)
    try:
        with parallel(backend, jobs) as results:
            for finished in results(measure, batches):
                if journal is not None:
                    journal.add(finished)
                done.update((run.key, run) for run in finished)
                batches.learn(finished)
                if progress is not None:
                    progress(len(done), len(tasks))
    except (joblib.externals.loky.process_executor.TerminatedWorkerError, MemoryError) as error:
        kept = "finished runs are kept; go on with --resume" if journal is not None else "nothing was kept"
        raise KvsimError(f"a worker process died (out of memory?); {kept}: {error}") from error


class Batches:
    """The waiting tasks in batches; the sizes follow what finished runs have taken."""

    def __init__(self, tasks: Sequence[Task], workers: int) -> None:
        self._tasks = deque(tasks)
        self._workers = workers
        self._runs = 0
        self._time_s = 0.0
        self._lock = threading.Lock()

    def learn(self, finished: Sequence[Measured]) -> None:
        """Take note of how long runs took."""
        with self._lock:
            self._runs += len(finished)
            self._time_s += sum(run.time_s for run in finished)

    def __iter__(self) -> Iterator[list[Task]]:
        return self

    def __next__(self) -> list[Task]:
        """The next batch: single runs until the first results, then what takes BATCH_S."""
        with self._lock:
            left = len(self._tasks)
            if not left:
                raise StopIteration
            size = 1
            if self._runs:
                size = round(BATCH_S * self._runs / max(self._time_s, 1e-9))
            fair = -(-left // self._workers)  # the last runs are shared out, not given to one worker
            return self._take(max(1, min(size, fair)))

    def _take(self, size: int) -> list[Task]:
        return [self._tasks.popleft() for _ in range(size)]
