"""Classes to register: what a policy or workload looks like to a registry."""

from __future__ import annotations


class Thing:
    name = "thing"

    def __init__(
        self, subject: object, size: int = 3, share: float = 0.5, labels: list[str] | None = None
    ) -> None:
        self.options = (size, share, labels)


class Demanding(Thing):
    name = "demanding"

    def __init__(self, subject: object, depth: int, **rest: object) -> None:
        super().__init__(subject)
        self.options = (depth, 0.0, sorted(rest))
