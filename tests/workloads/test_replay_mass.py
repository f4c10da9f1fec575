"""How much of the attention falls on what the first tier holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvsim.analysis.metrics import summarise
from kvsim.scenario.loader import loads
from kvsim.sim.engine import simulate

SCENARIO = """\
name: mass
hierarchy:
  tiers: [{name: fast, capacity: 2 pages}, {name: slow, capacity: 9 pages}]
  links: [{name: way, between: [fast, slow], bandwidth: 1 GB/s}]
workload: {kind: replay, path: PATH, page_bytes: 8 B}
execution: {overlap: demand, compute_time: 1 us}
"""


@pytest.mark.parametrize("overlap", ["demand", "serial", "ideal"])
def test_reads_count_by_the_attention_they_receive(tmp_path: Path, overlap: str) -> None:
    """Two pages fit. Page 1 comes first, nothing is found (.5). Of 1 and 2 then 1 is there (.75 of 1). 3
    (.25) pushes out 1, the first of those least recently used. Of 1 and 2 then 2 is there (.125 of .5)."""
    rows = ["step,page,mass", "0,1,0.5", "1,1,0.75", "1,2,0.25", "2,3,0.25", "3,1,0.375", "3,2,0.125"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    scenario = loads(SCENARIO.replace("PATH", str(tmp_path / "t.csv")), [f"execution.overlap={overlap}"])
    summary = summarise(simulate(scenario))
    assert summary.hit_mass == (0.75 + 0.125) / (0.5 + 1 + 0.25 + 0.5)
    assert summary.hit_rate == 2 / 6


def test_nothing_is_said_where_no_mass_is_known(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("step,page\n0,1\n1,1\n")
    assert summarise(simulate(loads(SCENARIO.replace("PATH", str(tmp_path / "t.csv"))))).hit_mass is None
