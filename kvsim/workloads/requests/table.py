"""The rows of a csv file by the names of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from kvsim.workloads.requests.fields import cells, number
from kvsim.workloads.requests.lines import BadLine, Lines

__all__ = ["Row", "Table"]


class Row(Mapping[str, "int | Decimal | str"]):
    """The cells of a row that are not empty, by column: as numbers where they are numbers."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        """The cells as they stand."""

    def __getitem__(self, column: str) -> int | Decimal | str:
        return number(self.texts[column])

    def __contains__(self, column: object) -> bool:
        return column in self.texts

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


class Table:
    """Reads the header, which the first line must be, and then rows; other columns are ignored."""

    def __init__(self, lines: Lines, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
        self._lines = lines
        self._needed = needed
        self._known = (*needed, *optional)
        self._width = 0
        self._columns: list[tuple[str, int]] = []

    def row(self, raw: bytes) -> Row | None:
        """The row of a line; None if it is the header."""
        found = cells(raw)
        if not self._columns:
            self._read_header(found)
            return None
        if len(found) != self._width:
            text = f"has {len(found)} cells, the header {self._width}"
            raise BadLine("", text, "has another number of cells than the header")
        return Row({name: found[index] for name, index in self._columns if found[index]})

    def _read_header(self, header: list[str]) -> None:
        """A header that cannot be used is refused in any case."""
        for name in self._known:
            if header.count(name) > 1:
                self._lines.refuse("two columns have this name", name, whole=False)
        for name in self._needed:
            if name not in header:
                has = f"the header has no such column (it has: {', '.join(header)})"
                self._lines.refuse(has, name, whole=False)
        self._width = len(header)
        self._columns = [(name, header.index(name)) for name in self._known if name in header]
