"""Whole numbers and other values of a model's file by key, with one line about what is missing or wrong."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Entries"]


class Entries:
    """The values of a file, of which the same may be called differently; a null counts as missing."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._missing: list[str] = []

    def get(self, *names: str) -> Any:
        """The value of the first of the names that has one; None if none has."""
        return next((self._values[name] for name in names if self._values.get(name) is not None), None)

    def find(self, *names: str, least: int = 1) -> int | None:
        """The same for a whole number, `least` or more; ValueError if it is something else."""
        for name in names:
            value = self._values.get(name)
            if value is None:
                continue
            if type(value) is not int or value < least:
                raise ValueError(f"`{name}` must be a whole number, {least} or more, not {str(value)[:40]!r}")
            return value
        return None

    def need(self, *names: str) -> int:
        """A whole number, 1 or more. If it is missing, 1 in its place, until `complete` is called."""
        found = self.find(*names)
        if found is None:
            self._missing.append(names[0])
        return found or 1

    def complete(self) -> None:
        """Raise ValueError with all that was needed and is missing."""
        if self._missing:
            listing = ", ".join(f"`{name}`" for name in dict.fromkeys(self._missing))
            raise ValueError(f"{listing} {'is' if len(set(self._missing)) == 1 else 'are'} missing")
