"""libCacheSim's oracleGeneral: binary records that know when their object is requested again.

A record has 24 bytes, little-endian: u32 time, u64 object id, u32 size, i64 virtual time of the next access
to the object: the number of that request, counted from 1, or -1 if there is none.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from kvsim.workloads.page_trace import PageRow, refuse
from kvsim.workloads.requests.lines import opened

__all__ = ["RECORD", "next_access", "read_oracle_general", "write_oracle_general"]

RECORD = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
NEVER = -1
_CHUNK = 1 << 14
_U32 = 2**32
_U64 = 2**64


def read_oracle_general(path: str | Path) -> Iterator[PageRow]:
    """Each record as a step of its own, its size as bytes (none if 0); time and next access are not kept.

    Raises TraceError for a file that cannot be read, is empty, or ends within a record.
    """
    count = 0
    with opened(path) as file:
        while block := file.read(_CHUNK * RECORD.itemsize):
            whole, rest = divmod(len(block), RECORD.itemsize)
            records = np.frombuffer(block, RECORD, whole)
            for page, size in zip(records["id"].tolist(), records["size"].tolist(), strict=True):
                count += 1
                yield PageRow(count, count - 1, page, bytes=size or None)
            if rest:
                refuse(path, count + 1, "", f"ends within a record, after {rest} of its 24 bytes")
    if count == 0:
        refuse(path, None, "", "is empty: there is no record in it")


def write_oracle_general(file: IO[bytes], rows: Iterable[PageRow], name: str) -> int:
    """Write the rows and return their number; takes about 60 bytes of memory a row.

    Time is the step. A page without bytes has size 1. Ids that are whole numbers of 64 bits stay as they
    are; if there are others, all are numbered from 0 in order of first appearance. Layer, head group,
    tokens and attention mass are lost. Raises TraceError, with the name of the file, for a step or a size
    beyond 32 bits.
    """
    ids: list[int | str] = []
    times, sizes = array("L"), array("L")
    for row in rows:
        for field, value in (("step", row.step), ("bytes", row.bytes or 1)):
            if value >= _U32:
                refuse(name, row.line, field, f"{value} does not fit the 32 bits there are for it")
        ids.append(row.page)
        times.append(row.step)
        sizes.append(row.bytes or 1)
    records = np.zeros(len(ids), RECORD)
    records["time"], records["size"] = times, sizes
    records["id"] = _numbers(ids)
    records["next"] = next_access(records["id"])
    file.write(records.tobytes())
    return len(ids)


def next_access(ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each request the number, from 1, of the next request for the same object; -1 if there is none."""
    following = np.full(len(ids), NEVER, dtype=np.int64)
    order = np.argsort(ids, kind="stable")
    same = ids[order[1:]] == ids[order[:-1]]
    following[order[:-1][same]] = order[1:][same] + 1
    return following


def _numbers(ids: list[int | str]) -> NDArray[np.uint64]:
    if all(isinstance(page, int) and 0 <= page < _U64 for page in ids):
        return np.array(ids, dtype=np.uint64)
    dense: dict[int | str, int] = {}
    return np.array([dense.setdefault(page, len(dense)) for page in ids], dtype=np.uint64)
