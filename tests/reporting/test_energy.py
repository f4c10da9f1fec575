from __future__ import annotations

import io

import plotly.graph_objects as go
import pytest
from rich.console import Console
from workloads.scenarios import GPU, scenario

from kvsim.analysis.energy import EnergySummary
from kvsim.analysis.metrics import summarise
from kvsim.reporting.energy import energy_figure, energy_sentence, missing_sentence
from kvsim.reporting.html import report_html
from kvsim.reporting.tables import print_summary
from kvsim.sim.engine import simulate
from kvsim.sim.result import RunResult

HALVES = EnergySummary(
    energy_j={"weights": 0.25, "link.pcie": 0.0, "idle": 0.75, "total": 1.0},
    shares={"weights": 0.25, "link.pcie": 0.0, "idle": 0.75},
    energy_per_token_j=0.002,
    energy_per_step_j=0.004,
    missing={"kv.hbm": "no hbm.read_energy", "macs": "no gpu.mac_energy", "weights_link.x": "no x.energy"},
)


def decode(**gpu: object) -> RunResult:
    work = {"kind": "dense_decode", "context_tokens": 64, "steps": 2}
    return simulate(scenario(work, gpu=GPU | gpu))


def test_the_figure_has_a_bar_for_each_component_that_took_any() -> None:
    figure = energy_figure(HALVES)
    (bars,) = figure.data
    assert isinstance(bars, go.Bar)
    assert dict(zip(bars.y, bars.x, strict=True)) == {"weights": 25, "idle power": 75}


def test_what_is_missing_is_said_beside_the_sums() -> None:
    kv = "KV in hbm (no hbm.read_energy)"
    missing = f"{kv}; multiply-accumulates (no gpu.mac_energy); weights over x (no x.energy)"
    assert missing_sentence(HALVES) == f"energy without {missing}"
    assert energy_sentence(HALVES) == (
        f"The run spent at least 1.00 J, 2.00 mJ per token. Not counted: {missing}."
    )


@pytest.mark.parametrize("width", [80, 100])
def test_the_command_line_shows_components_shares_and_joules_per_token(width: int) -> None:
    """Each of 2 steps reads 2,000,000 bytes of weights: 16 Mbit at 5 pJ, 80 uJ."""
    run = decode(read_energy="5 pJ/bit", idle_power_w=10)
    console = Console(width=width, file=io.StringIO(), force_terminal=False, color_system=None)
    print_summary(console, summarise(run), run.scenario)
    assert isinstance(console.file, io.StringIO)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    table = lines[lines.index("energy") :]
    assert table[3].startswith("weights 160 µJ ")
    assert any(line.startswith("total ") and line.endswith(" per token") for line in table)
    assert any(line.startswith("energy without KV in hbm (no hbm.read_energy)") for line in table)


def test_the_report_has_a_section_where_figures_are_known() -> None:
    known, unknown = decode(idle_power_w=10), decode()
    assert '<div id="energy" class="figure"' in report_html(known, summarise(known))
    assert "Where the energy went" not in report_html(unknown, summarise(unknown))
