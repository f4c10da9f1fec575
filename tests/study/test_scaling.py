"""Overrides that multiply what a machine has, and elasticities over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvsim.errors import ScenarioError
from kvsim.study.loader import load
from kvsim.study.select import Results, Row, Unknown
from kvsim.study.spec import ClaimSpec

STUDY = """\
base: long_context_decode
axes:
  - name: machine
    variants:
      pcie: {}
      c2c: {hierarchy.links.pcie.link: nvlink-c2c, hierarchy.tiers.hbm.capacity: 2000 pages}
  - name: part
    variants:
      size: {hierarchy.tiers.hbm.capacity: {times: factor}}
      link:
        hierarchy.links.pcie.technology: faster than any
        hierarchy.links.pcie.bandwidth: {times: factor}
        hierarchy.links.pcie.setup: {times: factor}
      chunk: {hierarchy.links.pcie.chunk: {times: factor}}
  - {name: factor, variants: {"0.5": {}, "1.25": {}}}
claims:
  - name: c
    metric: step_latency_s.mean
    where: {factor: "1.25"}
    relative_to: {where: {factor: "0.5"}}
    relation: elasticity
    over: factor
    operator: <
    value: 0
"""


def write(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in STUDY
    path = folder / "mine.yaml"
    path.write_text(STUDY.replace(old, new, 1), encoding="utf-8")
    return path


def test_what_a_machine_has_is_multiplied_whatever_its_catalog_entry_says(tmp_path: Path) -> None:
    """12 GB, 52.5 GiB/s and 3.27 us against 2000 pages, 378 GB/s and no set-up; a link without chunks."""
    study = load(write(tmp_path))
    found = {
        tuple(cell.coordinates.values()): scenario.hierarchy
        for cell, scenario in zip(study.cells, study.scenarios, strict=True)
    }
    assert found["pcie", "size", "0.5"].tiers[0].capacity == 6_000_000_000
    assert str(found["c2c", "size", "1.25"].tiers[0].capacity) == "2500 pages"
    pcie, c2c = (found[machine, "link", "1.25"].links[0] for machine in ("pcie", "c2c"))
    assert (pcie.bandwidth, pcie.setup) == (52.5 * 1.25 * 2**30, 4_087_500)
    assert (c2c.bandwidth, c2c.setup) == (472_500_000_000, 0)
    assert c2c.bandwidth_down == 297_000_000_000, "only what is named"
    assert found["pcie", "chunk", "0.5"] == found["pcie", "chunk", "1.25"], "what is unset stays so"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pcie.chunk:", "pcie.chnk:", "there is no hierarchy.links.pcie.chnk to multiply"),
        ("pcie.chunk:", "nvlink.chunk:", "there is no hierarchy.links.nvlink.chunk to multiply"),
        ("links.pcie.chunk:", "links.pcie.duplex:", "is 'full', which is no quantity to multiply"),
        ("{times: factor}}\n      link", "{times: fctor}}\n      link", "'fctor' is no axis of this study"),
        ('"0.5": {}, ', 'half: {}, "0.5": {}, ', "factor has the value 'half'; factors are numbers above 0"),
        ('"0.5": {}, ', '"-1": {}, "0.5": {}, ', "factor has the value '-1'; factors are numbers above 0"),
        ("    over: factor\n", "", "claims.c.over: is required with elasticity"),
        ("over: factor", "over: machine", "claims.c.over: machine has the value 'pcie'; factors are"),
        ('    relative_to: {where: {factor: "0.5"}}\n', "", "claims.c.relative_to: is required with elas"),
        ('{where: {factor: "0.5"}}', "{where: {machine: c2c}}", "both sides must name one value of factor"),
        ('{where: {factor: "0.5"}}', '{where: {factor: "1.25"}}', "value of factor, not the same"),
    ],
)  # fmt: skip
def test_a_problem_is_told_at_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = write(tmp_path, old, new)
    with pytest.raises(ScenarioError) as raised:
        load(path)
    found = [str(problem) for problem in raised.value.problems]
    assert any(told in problem for problem in found), found
    assert all(problem.startswith(f"{path}:") for problem in found), found


def test_what_the_product_must_not_be_is_told_at_the_factor(tmp_path: Path) -> None:
    """Half of a share of 0.9 is fine, but not one and a quarter times as much."""
    path = write(tmp_path, "hierarchy.links.pcie.chunk:", "execution.bandwidth_efficiency:")
    path.write_text(path.read_text().replace("axes:", "set: {execution.bandwidth_efficiency: 0.9}\naxes:"))
    with pytest.raises(ScenarioError) as raised:
        load(path)
    assert {problem.field for problem in raised.value.problems} == {
        "axes.part.variants.chunk.execution.bandwidth_efficiency"
    }


CLAIM = ClaimSpec.model_validate(
    {
        "name": "c",
        "metric": "wait_s",
        "where": {"factor": "1.25"},
        "relative_to": {"where": {"factor": "0.8"}},
        "relation": "elasticity",
        "over": "factor",
        "operator": "<",
        "value": 0,
    }
)


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 2.0])
def test_the_elasticity_of_a_power_is_its_exponent(power: float) -> None:
    rows = [Row({"factor": text}, {"wait_s": 3 * float(text) ** power}) for text in ("0.8", "1.25")]
    results = Results({"factor": ("0.8", "1.25")}, rows)
    assert results.measured(CLAIM, CLAIM.where) == pytest.approx(power, abs=1e-12)


def test_nothing_has_no_elasticity() -> None:
    rows = [Row({"factor": text}, {"wait_s": wait}) for text, wait in (("0.8", 1.0), ("1.25", 0.0))]
    with pytest.raises(Unknown, match="above 0"):
        Results({"factor": ("0.8", "1.25")}, rows).measured(CLAIM, CLAIM.where)
