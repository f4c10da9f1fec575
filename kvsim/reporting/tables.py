"""What a run prints: a few tables, the answer first. Readable in 80 columns and without colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.analysis.metrics import LaneSummary, Summary
from kvsim.analysis.summaries import AnySummary
from kvsim.reporting.bounds import bounds_of
from kvsim.reporting.energy import component_title, missing_sentence, per_unit_text, spent
from kvsim.reporting.fates import prefetch_lines
from kvsim.reporting.text import (
    NOT_RECORDED,
    bytes_text,
    cause_title,
    class_title,
    count_text,
    duration_text,
    energy_text,
    number_text,
    percent_text,
)
from kvsim.reporting.verdict import verdict
from kvsim.scenario.scenario import Scenario

_BAR = 20
_WIDTH = 100


def print_summary(console: Console, summary: Summary, scenario: Scenario) -> None:
    """Print the figures of a run: where the time went, hits, bytes, lanes, prefetches."""
    width = min(console.width, _WIDTH)
    execution, policy = scenario.execution, scenario.policy
    console.print(Text(scenario.name, style="bold"), width=width)
    about = (
        f"{scenario.workload.kind} · overlap {execution.overlap} · eviction {policy.eviction.name} · "
        f"prefetch {policy.prefetch.name}"
    )
    console.print(Text(about, style="dim"), width=width)
    console.print(Text(verdict(summary)), width=width)
    for table in _tables(summary):
        if table.row_count:
            console.print()
            console.print(table, width=width)
    console.print()
    for line in _closing(summary):
        console.print(Text(line, style="dim"), width=width)


def _tables(summary: Summary) -> Iterator[Table]:
    for table in (_latency, _time, _bounds, _hits, _lanes, bytes_table, _energy):
        yield table(summary)


def compact_table(title: str, *heads: str, left: int = 1) -> Table:
    """A table in the style of the command line; the first `left` columns hold words, the others numbers."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
        header_style="dim",
    )
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index < left else "right", no_wrap=True)
    return table


def _latency(summary: Summary) -> Table:
    table = compact_table("step latency", "", "mean", "p50", "p95", "p99", "max")
    rows = [("start to end", summary.step_latency_s)]
    if summary.step_response_s != summary.step_latency_s:
        rows.append(("arrival to end", summary.step_response_s))
    for name, row in rows:
        table.add_row(name, *(duration_text(row[key]) for key in ("mean", "p50", "p95", "p99", "max")))
    return table


def _time(summary: Summary) -> Table:
    """Compute and exposed time add up to the time of all steps."""
    exposed = summary.exposed_s["total"]
    whole = summary.compute_s + exposed
    table = compact_table("where the time of steps went", "", "time", "share", "")
    table.columns[3].justify = "left"

    def add(name: str, time_s: float, style: str = "") -> None:
        share = time_s / whole if whole else 0.0
        bar = "█" * round(share * _BAR) or ("▏" if time_s else "")
        table.add_row(Text(name, style=style), duration_text(time_s), percent_text(share), bar)

    add("compute", summary.compute_s)
    add("exposed (waiting)", exposed, "bold")
    for name, time_s in summary.exposed_s.items():
        if name != "total" and time_s:
            add(f"  {cause_title(name)}", time_s)
    table.add_section()
    table.add_row("hidden transfer time", duration_text(summary.hidden_s), "", "")
    efficiency = percent_text(summary.overlap_efficiency)
    table.add_row("overlap efficiency", "", efficiency, "hidden / (hidden + exposed)")
    return table


def _bounds(summary: Summary) -> Table:
    table = compact_table("makespan between its bounds", "", "time", "makespan", "")
    table.columns[3].justify = "left"
    for bound in bounds_of(summary):
        style = "bold" if bound.ratio is None else ""
        table.add_row(
            Text(bound.name, style=style), duration_text(bound.time_s), bound.ratio_text, Text(bound.note)
        )
    return table


def _hits(summary: Summary) -> Table:
    heads = ("tier", "reads found here", "evictions", "peak use", "capacity", "full")
    table = compact_table("page reads by tier", *heads)
    for tier, rate in summary.tier_hit_rate.items():
        peak, capacity = summary.peak_bytes[tier], summary.capacity_bytes[tier]
        table.add_row(
            tier,
            percent_text(rate),
            count_text(summary.evictions_by_tier[tier]),
            bytes_text(peak),
            bytes_text(capacity),
            percent_text(peak / capacity if capacity else 0.0),
        )
    if summary.absent_rate:
        table.add_row("nowhere", percent_text(summary.absent_rate), "", "", "", "")
    return table


def _lanes(summary: Summary) -> Table:
    more = {
        "hidden": lambda lane: duration_text(lane.hidden_s),
        "waited": lambda lane: duration_text(lane.exposed_s),
    }
    return lanes_table(summary, more)


def lanes_table(summary: AnySummary, more: Mapping[str, Callable[[LaneSummary], str]]) -> Table:
    """Lanes that were used: how much, how long one queued there; by heading, what else is told of each."""
    heads = ("lane", "in use", "mean queue", "in system", "transfers", *more)
    table = compact_table("links, ports and codecs", *heads)
    for name, lane in summary.links.items():
        if lane.transfers:
            table.add_row(
                name,
                percent_text(lane.utilisation),
                duration_text(lane.mean_queue_s),
                number_text(lane.mean_in_system),
                count_text(lane.transfers),
                *(told(lane) for told in more.values()),
            )
    return table


def bytes_table(summary: AnySummary) -> Table:
    """Bytes over each link that was used, by class."""
    names = list(summary.bytes_by_class)
    table = compact_table("bytes over each link", "link", *(class_title(name) for name in names))
    for link, sizes in summary.bytes_by_link.items():
        if sizes["total"]:
            table.add_row(link, *(bytes_text(sizes[name]) for name in names))
    return table


def _energy(summary: Summary) -> Table:
    table = compact_table("energy", "", "energy", "share", "")
    table.columns[3].justify = "left"
    if summary.energy is not None:
        for name, energy_j, share in spent(summary.energy):
            bar = "█" * round(share * _BAR) or "▏"
            table.add_row(Text(component_title(name)), energy_text(energy_j), percent_text(share), bar)
        table.add_section()
        total = energy_text(summary.energy.energy_j["total"])
        table.add_row(Text("total", style="bold"), total, "", per_unit_text(summary.energy))
    return table


def _fidelity(summary: Summary) -> Iterator[str]:
    """What compression and lossy discards have cost the reads; nothing where they cannot have."""
    parts = [
        f"{name} {percent_text(reads / summary.accesses if summary.accesses else 0.0)}"
        for name, reads in (summary.reads_by_format or {}).items()
    ]
    if summary.lost_reads:
        parts.append(f"lost {percent_text(summary.lost_reads / summary.accesses)}")
    if summary.kept_share < 1:
        parts.append(f"tokens kept {percent_text(summary.kept_share)}")
    if parts:
        yield f"reads by what is left of pages: {' · '.join(parts)}"


def _closing(summary: Summary) -> Iterator[str]:
    yield from prefetch_lines(summary)
    yield (
        f"{count_text(summary.steps)} steps · {count_text(summary.accesses)} page reads · "
        f"{count_text(summary.evictions)} evictions · {count_text(summary.discards)} discards"
    )
    yield from _fidelity(summary)
    if summary.hit_mass is not None:
        yield f"attention on pages found in the first tier: {percent_text(summary.hit_mass)}"
    if summary.energy is not None and summary.energy.missing:
        yield missing_sentence(summary.energy)
    yield (
        f"makespan {duration_text(summary.makespan_s)} · idle {duration_text(summary.idle_s)} · "
        f"{count_text(summary.events)} events"
    )
    if summary.records != "all":
        yield f"{NOT_RECORDED}: needs execution.records: all"
