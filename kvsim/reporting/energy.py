"""The energy of a run for people: names of its components, what is missing, and the figure of the shares."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from kvsim.analysis.energy import EnergySummary
from kvsim.reporting import palette
from kvsim.reporting.style import new_figure
from kvsim.reporting.text import energy_text, percent_text

_TITLES = {
    "weights": "weights",
    "weights_link": "weights over {}",
    "kv": "KV in {}",
    "link": "KV over {}",
    "codec": "codecs",
    "macs": "multiply-accumulates",
    "idle": "idle power",
    "links": "links",
}
_COLOURS = {
    "weights": palette.CAUSE_COLOURS["demand_queueing"],
    "weights_link": palette.CAUSE_COLOURS["copy_kernel"],
    "kv": palette.CLASS_COLOURS["write_back"],
    "link": palette.CLASS_COLOURS["background"],
    "macs": palette.CLASS_COLOURS["prefetch"],
    "idle": palette.COMPUTE,
}
"""By kind of component: reading memories dark, the same bytes on their way light."""


def component_title(name: str) -> str:
    """How a component is written for people: `KV over pcie` for `link.pcie`."""
    kind, _, place = name.partition(".")
    return _TITLES[kind].format(place)


def spent(energy: EnergySummary) -> Iterator[tuple[str, float, float]]:
    """Components that took any energy: name, joules, share."""
    for name, share in energy.shares.items():
        if energy.energy_j[name]:
            yield name, energy.energy_j[name], share


def per_unit_text(energy: EnergySummary) -> str:
    """Energy per token, or else per step."""
    if energy.energy_per_token_j is not None:
        return f"{energy_text(energy.energy_per_token_j)} per token"
    return f"{energy_text(energy.energy_per_step_j)} per step"


def missing_sentence(energy: EnergySummary) -> str:
    """What the sums lack, and why; components that lack the same together."""
    named: dict[str, list[str]] = {}
    for name, reason in energy.missing.items():
        named.setdefault(reason, []).append(component_title(name))
    parts = [f"{', '.join(names)} ({reason})" for reason, names in named.items()]
    return f"energy without {'; '.join(parts)}"


def energy_sentence(energy: EnergySummary) -> str:
    """What stands above the figure."""
    least = " at least" if energy.missing else ""
    sentence = f"The run spent{least} {energy_text(energy.energy_j['total'])}, {per_unit_text(energy)}."
    if energy.missing:
        sentence += f" Not counted: {missing_sentence(energy).removeprefix('energy without ')}."
    return sentence


def energy_figure(energy: EnergySummary) -> go.Figure:
    """A bar for each component: its share of the energy."""
    rows = list(spent(energy))
    longest = max((share for _, _, share in rows), default=1.0)
    figure = new_figure(
        96 + 34 * max(1, len(rows)),
        margin={"l": 160, "t": 14},
        bargap=0.35,
        showlegend=False,
        xaxis={"title": {"text": "share of the energy (%)"}, "range": [0, 128 * longest]},
        yaxis={"autorange": "reversed", "ticks": "", "showgrid": False},
    )
    figure.add_bar(
        y=[component_title(name) for name, _, _ in rows],
        x=[share * 100 for _, _, share in rows],
        orientation="h",
        marker={"color": [_COLOURS[name.partition(".")[0]] for name, _, _ in rows], "line": {"width": 0}},
        text=[f"{percent_text(share)} · {energy_text(joules)}" for _, joules, share in rows],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return figure
