"""Where the batches of a study run: loky on this machine, dask or ray on a cluster, all through joblib.

dask: the cluster whose scheduler the environment variable DASK_SCHEDULER_ADDRESS names, the client that is
already there, or a cluster of processes on this machine. ray: as `ray.init()` finds it (RAY_ADDRESS). The
workers must be able to import kvsim, and modules of custom policies and workloads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any, Literal, TypeVar

import joblib

from kvsim.errors import KvsimError

__all__ = ["BACKENDS", "Backend", "parallel"]

Backend = Literal["loky", "dask", "ray"]
BACKENDS: tuple[Backend, ...] = ("loky", "dask", "ray")

_CHUNK = 4  # batches a worker gets at once where results do not come one by one

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def parallel(backend: Backend, jobs: int) -> Iterator[Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]]:
    """A parallel map that yields results as they come, in any order; `jobs` as in joblib: -1 for all CPUs.

    The items are taken one by one, shortly before they are worked on. Raises KvsimError if the backend is
    not there.
    """
    with _ready(backend, jobs), joblib.parallel_config(backend=backend, n_jobs=jobs):
        yield _map


def _map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    calls = (joblib.delayed(function)(item) for item in items)
    try:
        workers = joblib.Parallel(batch_size=1, return_as="generator_unordered")
    except ValueError:  # a backend that gives results only all together, such as ray
        yield from _in_chunks(joblib.Parallel(batch_size=1), calls)
        return
    results: Generator[R, None, None] = workers(calls)
    try:
        yield from results
    finally:
        results.close()


def _in_chunks(workers: Any, calls: Iterator[Any]) -> Iterator[Any]:
    count = _CHUNK * int(joblib.effective_n_jobs())
    while chunk := list(islice(calls, count)):
        yield from workers(chunk)


@contextmanager
def _ready(backend: Backend, jobs: int) -> Iterator[None]:
    if backend == "dask":
        with _dask(jobs):
            yield
    elif backend == "ray":
        with _ray(jobs):
            yield
    else:
        yield


@contextmanager
def _ray(jobs: int) -> Iterator[None]:
    try:
        ray: Any = import_module("ray")
        ray_joblib: Any = import_module("ray.util.joblib")
    except ImportError:
        raise KvsimError("the ray backend needs the package ray: pip install ray") from None
    ray_joblib.register_ray()
    started = not ray.is_initialized()
    if started:
        elsewhere = bool(os.environ.get("RAY_ADDRESS"))
        ray.init(num_cpus=None if elsewhere or jobs < 0 else jobs, log_to_driver=False)
    try:
        yield
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _dask(jobs: int) -> Iterator[None]:
    try:
        distributed: Any = import_module("distributed")  # its classes have no types
    except ImportError:
        raise KvsimError("the dask backend needs the extra `dask`: pip install 'kvsim[dask]'") from None
    try:
        distributed.get_client()
    except ValueError:
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        count = joblib.cpu_count() if jobs < 0 else jobs
        if address:
            client = distributed.Client(address)
            yield from _while(client)
        else:
            with distributed.LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster:
                yield from _while(distributed.Client(cluster))
    else:
        yield


def _while(client: Any) -> Iterator[None]:
    with client:
        yield
