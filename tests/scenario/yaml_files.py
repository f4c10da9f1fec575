"""A small valid scenario as text, to be spoiled one way at a time, and its places by content."""

from __future__ import annotations

import pytest

from kvsim.errors import Problem, ScenarioError
from kvsim.scenario.checks import Check
from kvsim.scenario.loader import loads
from kvsim.scenario.scenario import Scenario

VALID = """\
name: small
seed: 3
hierarchy:
  tiers:
    - name: hbm
      capacity: 64 KiB
    - name: dram
      capacity: 8 MiB
  links:
    - name: pcie
      between: [hbm, dram]
      bandwidth: 16 GB/s
workload:
  kind: rag_burst
  length: 60
execution:
  compute_time: 2 us
"""


def spoiled(*changes: tuple[str, str], text: str = VALID) -> str:
    """The text with each first string replaced, once, by the second."""
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text


def place(text: str, part: str) -> tuple[int, int]:
    """Line and column of a part that occurs once, counted from 1."""
    assert text.count(part) == 1, f"{part!r} occurs {text.count(part)} times"
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def problems(text: str, *overrides: str, checks: tuple[Check, ...] = ()) -> list[Problem]:
    """What is wrong with a text, in order; it must not load."""
    with pytest.raises(ScenarioError) as caught:
        loads(text, overrides, checks, file="s.yaml")
    return list(caught.value.problems)


def only(text: str, *overrides: str, checks: tuple[Check, ...] = ()) -> Problem:
    """The single thing that is wrong with a text."""
    found = problems(text, *overrides, checks=checks)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


def valid(*changes: tuple[str, str], overrides: tuple[str, ...] = ()) -> Scenario:
    """The small scenario with changes that leave it valid."""
    return loads(spoiled(*changes), overrides)
