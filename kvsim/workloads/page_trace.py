"""Page traces: one row a page read, as csv, JSON lines, libCacheSim's oracleGeneral or Mooncake's requests.

csv (with a header line) and jsonl rows have the fields `step` and `page`, and may have `layer`,
`head_group`, `tokens`, `bytes` and `mass`; others are ignored. Rows come in the order of their steps. Files
may be compressed by gzip, which is told by their first bytes.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, NoReturn, cast

from kvsim.errors import Problem, TraceError
from kvsim.workloads.mooncake_trace import read_mooncake
from kvsim.workloads.requests.lines import opened

__all__ = [
    "FORMATS",
    "Format",
    "PageId",
    "PageRow",
    "format_of",
    "opened",
    "read_pages",
    "replacing",
    "write_pages",
]

Format = Literal["csv", "jsonl", "oracle_general", "mooncake"]
PageId = int | str

FORMATS: tuple[Format, ...] = ("csv", "jsonl", "oracle_general", "mooncake")
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".oraclegeneral": "oracle_general",  # libCacheSim: NAME.oracleGeneral or NAME.oracleGeneral.bin
}
_FIELDS = ("step", "page", "layer", "head_group", "tokens", "bytes", "mass")
_BOM = b"\xef\xbb\xbf"
_MOST = 2**62
_MOST_MASS = 1 + 1e-6
"""A share, with room for the rounding of whoever wrote it."""


@dataclass(frozen=True, slots=True)
class PageRow:
    """One read of one page."""

    line: int
    """Line of the file, or number of the record, from 1."""
    step: int
    page: PageId
    layer: int | None = None
    head_group: PageId | None = None
    tokens: int | None = None
    """Tokens the page holds."""
    bytes: int | None = None
    """Bytes the page takes."""
    mass: float | None = None
    """Share of the layer's attention that the page receives, 0 to 1."""


def format_of(path: str | Path) -> Format:
    """The format of a file that is there, by its name; a jsonl file of requests is Mooncake's.

    Raises TraceError if the name says none, or the file cannot be read.
    """
    found = _named_format(path)
    return "mooncake" if found == "jsonl" and _is_of_requests(path) else found


def _named_format(path: str | Path) -> Format:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]  # such as .csv.gz or .oracleGeneral.bin
    found = next((_SUFFIXES[suffix] for suffix in reversed(suffixes) if suffix in _SUFFIXES), None)
    if found is None:
        known = ", ".join(_SUFFIXES)
        refuse(path, None, "", f"its name does not tell the format (known: {known}); say which")
    return found


def read_pages(path: str | Path, format: Format | Literal["auto"] = "auto") -> Iterator[PageRow]:
    """The rows of a trace, one by one; a file of any length is read in constant memory.

    Each of Mooncake's requests is a step, each of its blocks a row; each record of oracleGeneral is a step.
    Raises TraceError, with line and field, for a file that cannot be read or has no rows, and for a row
    that lacks a field, has a value of the wrong kind or out of range, or goes back to an earlier step.
    """
    kind = format_of(path) if format == "auto" else format
    if kind == "mooncake":
        for step, request in enumerate(read_mooncake(path)):
            for block in request.hash_ids:
                yield PageRow(request.line, step, block, tokens=512)
        return
    if kind == "oracle_general":
        from kvsim.workloads.oracle_general import read_oracle_general

        yield from read_oracle_general(path)
        return
    yield from _in_order(str(path), _read_csv(path) if kind == "csv" else _read_jsonl(path))


def write_pages(path: str | Path, rows: Iterable[PageRow], format: Format | Literal["auto"] = "auto") -> int:
    """Write rows as csv, jsonl or oracleGeneral (by the name of the file) and return their number.

    What is None is left out. The file appears when it is complete; a name that ends in `.gz` is compressed.
    Raises TraceError for a format that cannot be written or cannot carry a row, OSError if the file cannot
    be written.
    """
    kind = _named_format(path) if format == "auto" else format
    if kind == "mooncake":
        refuse(path, None, "", "requests cannot be made of page reads; write csv, jsonl or oracle_general")
    with replacing(Path(path)) as file:
        if kind == "oracle_general":
            from kvsim.workloads.oracle_general import write_oracle_general

            return write_oracle_general(file, rows, str(path))
        text = TextIOWrapper(file, encoding="utf-8", newline="")
        count = _write_csv(text, rows) if kind == "csv" else _write_jsonl(text, rows)
        text.detach()
        return count


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes its name when all went well, and vanishes when it did not."""
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            if path.suffix.lower() == ".gz":
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def refuse(path: str | Path, line: int | None, field: str, message: str) -> NoReturn:
    """Raise the TraceError of that place."""
    raise TraceError(Problem(str(path), line, None, field, message)) from None


def _is_of_requests(path: str | Path) -> bool:
    with opened(path) as file:
        first = next((line for line in file if line.strip()), b"")
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "hash_ids" in record


def _in_order(file: str, rows: Iterator[PageRow]) -> Iterator[PageRow]:
    last: PageRow | None = None
    for row in rows:
        if last is not None and row.step < last.step:
            refuse(file, row.line, "step", f"{row.step} comes after {last.step} of line {last.line}")
        last = row
        yield row
    if last is None:
        refuse(file, None, "", "is empty: there is no row in it")


def _read_csv(path: str | Path) -> Iterator[PageRow]:
    with opened(path) as file:
        lines = (raw.decode("utf-8") for raw in chain([next(file, b"").removeprefix(_BOM)], file))
        reader = csv.reader(lines, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    refuse(path, reader.line_num, "", f"has {len(cells)} cells, the header {len(header)}")
                values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
                yield _row(path, reader.line_num, {name: text for name, text in values.items() if text})
        except UnicodeDecodeError as error:
            refuse(path, reader.line_num + 1, "", f"is not UTF-8: {error.reason}")
        except csv.Error as error:
            refuse(path, reader.line_num, "", f"is not csv: {error}")


def _check_header(path: str | Path, header: list[str]) -> None:
    if not header:
        refuse(path, None, "", "is empty: there is no row in it")
    for field in ("step", "page"):
        if field not in header:
            refuse(path, 1, field, f"the header has no such column (it has: {', '.join(header)})")
    twice = next((name for name in header if name in _FIELDS and header.count(name) > 1), None)
    if twice is not None:
        refuse(path, 1, twice, "two columns have this name")


def _read_jsonl(path: str | Path) -> Iterator[PageRow]:
    with opened(path) as file:
        for number, raw in enumerate(file, 1):
            if raw.isspace():
                continue
            try:
                record = json.loads((raw.removeprefix(_BOM) if number == 1 else raw).decode("utf-8"))
            except UnicodeDecodeError as error:
                refuse(path, number, "", f"is not UTF-8: {error.reason}")
            except json.JSONDecodeError as error:
                raise TraceError(
                    Problem(str(path), number, error.colno, "", f"is not JSON: {error.msg}")
                ) from None
            except (RecursionError, ValueError) as error:
                refuse(path, number, "", f"is not usable JSON: {error}")
            if not isinstance(record, dict):
                refuse(path, number, "", "must be a JSON object")
            yield _row(path, number, {key: value for key, value in record.items() if value is not None})


def _row(path: str | Path, line: int, values: Mapping[str, Any]) -> PageRow:
    for field in ("step", "page"):
        if field not in values:
            refuse(path, line, field, "is missing")
    return PageRow(
        line,
        _count(path, line, "step", values["step"], 0),
        _id(path, line, "page", values["page"]),
        _count(path, line, "layer", values["layer"], 0) if "layer" in values else None,
        _id(path, line, "head_group", values["head_group"]) if "head_group" in values else None,
        _count(path, line, "tokens", values["tokens"], 1) if "tokens" in values else None,
        _count(path, line, "bytes", values["bytes"], 1) if "bytes" in values else None,
        _mass(path, line, values["mass"]) if "mass" in values else None,
    )


def _count(path: str | Path, line: int, field: str, value: Any, least: int) -> int:
    """A whole number; csv cells are text."""
    number = value
    if isinstance(value, str) and len(value) < 20:
        with suppress(ValueError):
            number = int(value)
    if type(number) is not int:
        refuse(path, line, field, f"must be a whole number, not {value!r}")
    if not least <= number <= _MOST:
        refuse(path, line, field, f"must be {least} to {_MOST}, not {number}")
    return number


def _id(path: str | Path, line: int, field: str, value: Any) -> PageId:
    """A whole number also if it is written as text (7, but not 007), as csv has nothing else."""
    if isinstance(value, str):
        number = int(value) if len(value) < 40 and value.removeprefix("-").isdecimal() else None
        return number if str(number) == value and number is not None else value
    if type(value) is not int:
        refuse(path, line, field, f"must be a whole number or text, not {value!r}")
    return value


def _mass(path: str | Path, line: int, value: Any) -> float:
    try:
        number = float(value) if type(value) in (int, float, str) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= _MOST_MASS:
        refuse(path, line, "mass", f"must be a share, 0 to 1, not {value!r}")
    return number


def _write_csv(file: IO[str], rows: Iterable[PageRow]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_FIELDS)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the last one is the number of rows
        writer.writerow([getattr(row, field) for field in _FIELDS])
    return count


def _write_jsonl(file: IO[str], rows: Iterable[PageRow]) -> int:
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the last one is the number of rows
        values = {field: getattr(row, field) for field in _FIELDS}
        record = {field: value for field, value in values.items() if value is not None}
        file.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
    return count
