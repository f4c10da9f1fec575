"""`report.html`: one self-contained page that works offline; the same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from plotly.offline import get_plotlyjs

from kvsim.analysis.metrics import LaneSummary, Summary
from kvsim.reporting import figures, page
from kvsim.reporting.bounds import bounds_figure, bounds_sentence
from kvsim.reporting.energy import energy_figure, energy_sentence
from kvsim.reporting.fates import fate_count, side_effects
from kvsim.reporting.style import embed
from kvsim.reporting.text import (
    bytes_text,
    class_title,
    count_text,
    duration_text,
    number_text,
    percent_text,
)
from kvsim.reporting.tiers import occupancy_figure
from kvsim.reporting.timeline import timeline_figure, timeline_note
from kvsim.reporting.verdict import verdict
from kvsim.scenario.scenario import Scenario
from kvsim.sim.result import RunResult

# Forbids the page every request, so that nothing in it can depend on the network. WebGL code of plotly.js
# is compiled at run time, hence 'unsafe-eval'.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:"
)
_HOW_TIMELINE = (
    "Drag to zoom into a stretch of time, double-click to go back, click a legend entry to hide it; point at "
    "a bar for its pages, bytes and times. "
)
HOW_TIERS = (
    "Bytes used or reserved; the dashed line is the capacity where it is near. Zooms with the timeline."
)
NO_EVENTS = (
    '<p class="empty">Not recorded: this run kept only summary records. Run it with '
    "<code>execution.records: all</code> to see this section.</p>"
)
NO_TRANSFERS = '<p class="empty">Nothing moved.</p>'
_NO_STEPS = '<p class="empty">The run has no steps.</p>'


def report_html(result: RunResult, summary: Summary) -> str:
    """The whole page."""
    return document(summary.scenario, [_head(result, summary), *_sections(result, summary)])


def document(name: str, parts: Sequence[str]) -> str:
    """The page of a run of that name, of parts in HTML."""
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(f"kvsim: {name}")}</title>\n'
        f"<style>{page.STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n<script>{page.PLOT}</script>\n</head>\n<body>\n<main>\n"
        f"{body}\n</main>\n<script>{page.SCRIPT}</script>\n</body>\n</html>\n"
    )


def _head(result: RunResult, summary: Summary) -> str:
    scenario = result.scenario
    about = (
        f"{scenario.workload.kind} workload · overlap {scenario.execution.overlap} · "
        f"eviction {scenario.policy.eviction.name} · prefetch {scenario.policy.prefetch.name} · "
        f"{' → '.join(tier.name for tier in result.tiers)}"
    )
    return head(scenario, about, verdict(summary), _cards(summary))


def head(scenario: Scenario, about: str, answer: str, cards: Iterable[tuple[str, str, str]]) -> str:
    """The top of a page: the scenario, what is to be said of its run, and cards of name, value and note."""
    description = f"<p>{escape(scenario.description)}</p>\n" if scenario.description else ""
    shown = "\n".join(
        f'<div class="card"><div class="name">{escape(name)}</div><div class="value">{escape(value)}</div>'
        f'<div class="note">{escape(note)}</div></div>'
        for name, value, note in cards
    )
    return (
        f'<h1>{escape(scenario.name)}</h1>\n{description}<p class="quiet">{escape(about)}</p>\n'
        f'<p class="verdict">{escape(answer)}</p>\n<div class="cards">\n{shown}\n</div>'
    )


def _cards(summary: Summary) -> Iterator[tuple[str, str, str]]:
    latency, exposed = summary.step_latency_s, summary.exposed_s["total"]
    step_time = summary.compute_s + exposed
    yield (
        "Step latency (median)",
        duration_text(latency["p50"]),
        f"p95 {duration_text(latency['p95'])} · p99 {duration_text(latency['p99'])}",
    )
    yield (
        "Time spent waiting",
        percent_text(exposed / step_time if step_time else 0.0),
        f"{duration_text(exposed)} exposed · {duration_text(summary.compute_s)} compute",
    )
    yield (
        "Overlap efficiency",
        percent_text(summary.overlap_efficiency),
        "not recorded"
        if summary.hidden_s is None
        else f"{duration_text(summary.hidden_s)} of transfers hidden",
    )
    tier = next(iter(summary.tier_hit_rate))
    yield f"Hit rate of {tier}", percent_text(summary.hit_rate), f"{count_text(summary.accesses)} page reads"
    moved = summary.bytes_by_class["total"]
    transfers = "" if summary.transfers is None else f"{count_text(summary.transfers)} transfers"
    yield "Bytes over links", bytes_text(moved), transfers
    links = {name: lane for name, lane in summary.links.items() if lane.kind == "link"}
    if links:
        name = max(links, key=lambda lane: links[lane].utilisation)
        yield "Busiest link", percent_text(links[name].utilisation), f"{name}"
    issued = fate_count(summary, "issued")
    if issued:
        late, wasted = fate_count(summary, "late") / issued, fate_count(summary, "wasted") / issued
        note = f"{percent_text(late)} late · {percent_text(wasted)} wasted"
        yield "Timely prefetches", percent_text(fate_count(summary, "timely") / issued), note
        side = side_effects(summary)
        if side:
            yield "Prefetch, side effects", side[0], " · ".join(side[1:])
    yield "Makespan", duration_text(summary.makespan_s), f"{count_text(summary.steps)} steps"


def _sections(result: RunResult, summary: Summary) -> Iterator[str]:
    complete, stepped = result.records.keep_events, result.records.steps.array().shape[0] > 0
    yield section(
        "Where each step's time went",
        "Grey is compute; every other colour is time the step waited, by cause.",
        embed(figures.steps_figure(result), "steps") if stepped else _NO_STEPS,
    )
    yield section(
        "How much of the possible overlap took place",
        bounds_sentence(summary),
        embed(bounds_figure(summary), "bounds") if complete else NO_EVENTS,
    )
    yield section(
        "What ran when: transfers under a grey compute bar are hidden, the rest may be waited for",
        _HOW_TIMELINE + timeline_note(result) if complete else "",
        embed(timeline_figure(result), "timeline") if complete else NO_EVENTS,
    )
    yield section(
        "How full each tier was",
        HOW_TIERS if complete else "",
        embed(occupancy_figure(result), "tiers") if complete else _tier_table(result, summary),
    )
    yield section(
        "How long steps took",
        "Bars count steps; the line is the share of steps at or below a latency. The right tail hurts.",
        embed(figures.latency_figure(result, summary), "latency") if stepped else _NO_STEPS,
    )
    used = any(lane.transfers for lane in result.lanes)
    yield section(
        "Which lane is the bottleneck",
        "Left: how much of the run each lane was in use, and whether compute hid it. Right: a long queue on "
        "a busy lane says widen it; a long queue on an idle lane means bursts.",
        (embed(figures.lanes_figure(result, summary), "lanes") if used else NO_TRANSFERS)
        + _lane_table(summary),
    )
    if summary.energy is not None:
        yield section(
            "Where the energy went",
            energy_sentence(summary.energy),
            embed(energy_figure(summary.energy), "energy"),
        )


def section(title: str, how: str, body: str) -> str:
    """A part of the page: what it answers, how to read it, and the figure or table."""
    return f'<section>\n<h2>{escape(title)}</h2>\n<p class="how">{escape(how)}</p>\n{body}\n</section>'


def _lane_table(summary: Summary) -> str:
    classes = list(next(iter(summary.links.values())).bytes_by_class) if summary.links else []
    heads = ["lane", "in use", "mean queue", "mean in system", "transfers", "waited for"]
    rows = [_lane_cells(name, lane) for name, lane in summary.links.items()]
    return table([*heads, *(class_title(name) for name in classes)], rows)


def _lane_cells(name: str, lane: LaneSummary) -> list[str]:
    return [
        name,
        percent_text(lane.utilisation),
        duration_text(lane.mean_queue_s),
        number_text(lane.mean_in_system),
        count_text(lane.transfers),
        duration_text(lane.exposed_s),
        *(bytes_text(size) for size in lane.bytes_by_class.values()),
    ]


def _tier_table(result: RunResult, summary: Summary) -> str:
    rows = [
        [
            tier.name,
            bytes_text(tier.capacity_bytes),
            bytes_text(tier.peak_bytes),
            percent_text(summary.tier_hit_rate[tier.name]),
            count_text(tier.evictions),
        ]
        for tier in result.tiers
    ]
    return NO_EVENTS + table(["tier", "capacity", "peak", "reads found here", "evictions"], rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    top = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'
