"""What a run of requests prints: a few tables, the answer first. Readable in 80 columns without colours."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.analysis.serving import ServingSummary
from kvsim.analysis.serving_times import PARTS, STATISTICS
from kvsim.analysis.summaries import AnySummary
from kvsim.reporting.serving_text import (
    LATENCIES,
    PART_TITLES,
    objectives_text,
    phase_title,
    serving_verdict,
    tier_rows,
)
from kvsim.reporting.tables import bytes_table, compact_table, lanes_table, print_summary
from kvsim.reporting.text import (
    NOT_RECORDED,
    bytes_text,
    count_text,
    duration_text,
    number_text,
    percent_text,
)
from kvsim.scenario.scenario import Scenario

__all__ = ["print_any", "print_serving"]

_BAR = 20
_WIDTH = 100
_SHORT = {
    "ttft_s": "TTFT",
    "tpot_s": "TPOT",
    "itl_s": "ITL",
    "latency_s": "latency",
    "queue_s": "  queueing",
    "exposed_s": "  exposed",
}
assert set(_SHORT) == set(LATENCIES)


def print_any(console: Console, summary: AnySummary, scenario: Scenario) -> None:
    """Print the figures of a run of steps or of requests."""
    if isinstance(summary, ServingSummary):
        print_serving(console, summary, scenario)
    else:
        print_summary(console, summary, scenario)


def print_serving(console: Console, summary: ServingSummary, scenario: Scenario) -> None:
    """Print the figures of a run: latencies, where the time went, hits, links, tenants."""
    width = min(console.width, _WIDTH)
    console.print(Text(scenario.name, style="bold"), width=width)
    console.print(Text(about_serving(scenario), style="dim"), width=width)
    console.print(Text(serving_verdict(summary)), width=width)
    for table in _tables(summary):
        if table.row_count:
            console.print()
            console.print(table, width=width)
    console.print()
    for line in _closing(summary):
        console.print(Text(line, style="dim"), width=width)


def about_serving(scenario: Scenario) -> str:
    """How requests are served, in a line."""
    spec = scenario.serving
    parts: list[str] = [scenario.workload.kind]
    if spec.instances.count > 1:
        apart = f", {spec.instances.prefill} for prompts" if spec.instances.prefill else ""
        parts.append(f"{spec.instances.count} instances{apart} ({spec.instances.routing})")
    parts += [f"eviction {scenario.policy.eviction.name}", f"match {spec.reuse.match}"]
    parts += [f"load {spec.reuse.load}, {spec.reuse.loading}", f"write {spec.reuse.write}"]
    return " · ".join(parts)


def _tables(summary: ServingSummary) -> Iterator[Table]:
    makers = (_latency, _time, _hits, _lanes, bytes_table)
    yield from (make(summary) for make in makers)
    if len(summary.by_instance) > 1:
        yield _instances(summary)
    if len(summary.by_tenant) > 1:
        yield _tenants(summary)


def _latency(summary: ServingSummary) -> Table:
    table = compact_table("latency of requests", "", *STATISTICS)
    for name, title in _SHORT.items():
        row = getattr(summary, name)
        table.add_row(title, *(duration_text(row[key]) for key in STATISTICS))
    return table


def _time(summary: ServingSummary) -> Table:
    """Queueing, exposed time and compute add up to the latencies of all requests."""
    whole = summary.parts_s["latency"]
    table = compact_table("where the time of requests went", "", "mean", "share", "")
    table.columns[3].justify = "left"

    def add(name: str, time_s: float, style: str = "") -> None:
        share = time_s / whole if whole else 0.0
        bar = "█" * round(share * _BAR) or ("▏" if time_s else "")
        mean = duration_text(time_s / summary.requests)
        table.add_row(Text(name, style=style), mean, percent_text(share), bar)

    for part, phases in PARTS.items():
        add(PART_TITLES[part], summary.parts_s[part], "bold")
        for phase in phases:
            if len(phases) > 1 and summary.phases_s[phase]:
                add(f"  {phase_title(phase)}", summary.phases_s[phase])
    return table


def _hits(summary: ServingSummary) -> Table:
    heads = ("tier", "blocks found here", "evictions", "lost", "peak use", "capacity", "full")
    table = compact_table("blocks of prompts by tier", *heads)
    for title, found, tier in tier_rows(summary):
        if tier is None:
            table.add_row(title, found, *[""] * 5)
            continue
        peak, capacity = summary.peak_bytes[tier], summary.capacity_bytes[tier]
        table.add_row(
            title,
            found,
            count_text(summary.evictions_by_tier[tier]),
            count_text(summary.discards_by_tier[tier]),
            bytes_text(peak),
            bytes_text(capacity),
            percent_text(peak / capacity if capacity else 0.0),
        )
    return table


def _lanes(summary: ServingSummary) -> Table:
    return lanes_table(summary, {"bytes": lambda lane: bytes_text(lane.bytes)})


def _instances(summary: ServingSummary) -> Table:
    heads = ("instance", "requests", "in use", "mean batch", "iterations", "prompt tokens", "decoded")
    table = compact_table("instances", *heads)
    for name, each in summary.by_instance.items():
        table.add_row(
            name,
            count_text(each.requests),
            percent_text(each.utilisation),
            number_text(each.mean_batch),
            count_text(each.iterations),
            count_text(each.prompt_tokens),
            count_text(each.decoded_tokens),
        )
    return table


def _tenants(summary: ServingSummary) -> Table:
    heads = ("tenant", "requests", "TTFT p50", "TTFT p99", "TPOT p50", "latency p99", "hits")
    table = compact_table("tenants", *heads)
    for name, each in summary.by_tenant.items():
        table.add_row(
            Text(name),
            count_text(each.requests),
            duration_text(each.ttft_s["p50"]),
            duration_text(each.ttft_s["p99"]),
            duration_text(each.tpot_s["p50"]),
            duration_text(each.latency_s["p99"]),
            percent_text(each.hit_rate),
        )
    return table


def _closing(summary: ServingSummary) -> Iterator[str]:
    tokens = summary.tokens
    if summary.goodput_share is not None:
        yield f"{objectives_text(summary)}: goodput {number_text(summary.goodput_per_s)} requests/s"
    yield (
        f"{number_text(summary.requests_per_s)} requests/s · "
        f"{number_text(summary.output_tokens_per_s)} output tokens/s · "
        f"{number_text(summary.tokens_per_s)} tokens/s in all"
    )
    again = f" · {count_text(tokens['recomputed'])} recomputed" if tokens["recomputed"] else ""
    yield (
        f"prompts: {count_text(tokens['input'])} tokens = {count_text(tokens['reused'])} reused + "
        f"{count_text(tokens['loaded'])} loaded + {count_text(tokens['computed'])} computed{again}"
    )
    yield (
        f"{count_text(summary.requests)} requests · {count_text(tokens['output'])} output tokens · "
        f"{count_text(summary.iterations)} iterations · mean batch {number_text(summary.mean_batch)} · "
        f"{count_text(summary.preemptions)} preemptions"
    )
    yield (
        f"makespan {duration_text(summary.makespan_s)} · {count_text(summary.events)} events, "
        f"{number_text(summary.events_per_request)} a request"
    )
    if summary.skipped:
        reasons = ", ".join(f"{count_text(count)} {reason}" for reason, count in summary.skipped.items())
        yield f"lines of the trace left out: {reasons}"
    if summary.records != "all":
        yield f"{NOT_RECORDED}: needs execution.records: all"
