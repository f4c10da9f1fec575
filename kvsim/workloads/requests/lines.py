"""The lines of a trace file: opened, counted, and refused or left out one by one."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, NoReturn, TypeVar, cast

from kvsim.errors import Problem, TraceError

__all__ = ["LATEST_TICKS", "BadLine", "Lines", "OnError", "opened"]

OnError = Literal["strict", "skip"]
LATEST_TICKS = 2**62
"""Latest time in a trace, 53 days: half of what the clock of picoseconds can count."""
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
T = TypeVar("T")


@contextmanager
def opened(path: str | Path, line: Callable[[], int | None] = lambda: None) -> Iterator[IO[bytes]]:
    """A file, decompressed if its first bytes say so; what goes wrong while it is read becomes a TraceError.

    `line` tells where damage was met.
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if compressed else file
        return
    except EOFError:
        place, message = line(), "the compressed file is cut short"
    except (gzip.BadGzipFile, zlib.error) as error:
        place, message = line(), f"the compressed file is damaged: {error}"
    except OSError as error:
        place, message = None, f"cannot be read: {error.strerror or error}"
    raise TraceError(Problem(str(path), place, None, "", message))


class BadLine(Exception):
    """A line that cannot be used: the field, what is wrong, and in a few words why, to count by."""

    def __init__(self, field: str, message: str, reason: str, column: int | None = None) -> None:
        super().__init__(field, message, reason, column)
        self.field = field
        self.message = message
        self.reason = reason if not field else f"{field.partition('[')[0]}: {reason}"
        self.column = column


class Lines:
    """One pass over the lines of a file, plain or compressed by gzip, which its first bytes tell.

    A line that cannot be used raises TraceError, with file, line and field; with `skip` it is left out and
    counted, by reason, in `left_out`. A file that cannot be read, or is cut short, is refused in any case.
    """

    def __init__(self, path: str | Path, on_error: OnError = "strict") -> None:
        self.path = str(path)
        self.number = 0
        """Line of the file, from 1."""
        self.left_out: Counter[str] = Counter()
        self._strict = on_error == "strict"

    def each(self, parse: Callable[[bytes], T | None]) -> Iterator[T]:
        """What `parse` makes of each line that is not blank, one by one; None is passed over.

        It raises BadLine for a line that cannot be used.
        """
        with opened(self.path, lambda: self.number + 1) as file:
            for self.number, raw in enumerate(file, 1):
                text = (raw.removeprefix(_BOM) if self.number == 1 else raw).rstrip()
                if not text:
                    continue
                try:
                    item = parse(text)
                except BadLine as bad:
                    self._leave_out(bad)
                    continue
                if item is not None:
                    yield item

    def count(self, reason: str) -> None:
        """Count a line that is left out on purpose."""
        self.left_out[reason] += 1

    def refuse(self, message: str, field: str = "", *, whole: bool = True) -> NoReturn:
        """Raise the TraceError of the whole file, or of this line."""
        raise TraceError(Problem(self.path, None if whole else self.number, None, field, message)) from None

    def refuse_empty(self, what: str = "request") -> NoReturn:
        """Raise the TraceError of a file in which nothing was found, or nothing of use."""
        if self.left_out:
            listing = "; ".join(f"{reason} {count}" for reason, count in self.left_out.items())
            self.refuse(f"there is no {what} of use in it (left out: {listing})")
        self.refuse(f"is empty: there is no {what} in it")

    def _leave_out(self, bad: BadLine) -> None:
        if self._strict:
            problem = Problem(self.path, self.number, bad.column, bad.field, bad.message)
            raise TraceError(problem) from None
        self.left_out[bad.reason] += 1
