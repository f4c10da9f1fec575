"""A prefetch policy that guesses what it is told to, call by call."""

from __future__ import annotations

from collections.abc import Sequence

from kvsim.policies.base import PrefetchPolicy, ResidencyView


class Scripted(PrefetchPolicy):
    """In each call the next of the lists of guesses, with its lead (0: none); then nothing any more."""

    name = "scripted"

    def __init__(self, view: ResidencyView, guesses: list[list[int]], leads: list[int]) -> None:
        super().__init__(view)
        self._script = list(zip(guesses, leads, strict=True))

    def accessed(self, layer: int, pages: Sequence[int]) -> Sequence[int]:
        guesses, lead = self._script.pop(0) if self._script else ([], 0)
        self.lead = lead or None
        return guesses
