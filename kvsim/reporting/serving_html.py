"""`report.html` of a run of requests: one self-contained page, in the style of that of steps."""

from __future__ import annotations

from collections.abc import Iterator

from kvsim.analysis.serving import ServingSummary
from kvsim.analysis.serving_times import STATISTICS
from kvsim.reporting.figures import lanes_figure
from kvsim.reporting.html import HOW_TIERS, NO_EVENTS, NO_TRANSFERS, document, head, section, table
from kvsim.reporting.serving_figures import hits_figure, latencies_figure, load_figure, phases_figure
from kvsim.reporting.serving_tables import about_serving
from kvsim.reporting.serving_text import LATENCIES, objectives_text, serving_verdict, tier_rows
from kvsim.reporting.serving_timeline import serving_timeline
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
from kvsim.sim.serving.result import ServingResult

__all__ = ["serving_html"]

_NO_REQUESTS = '<p class="empty">The run has no requests.</p>'
_NO_LANES = (
    '<p class="empty">Transfers were not recorded: this run kept only summary records. Run it with '
    "<code>execution.records: all</code> to see them here.</p>"
)


def serving_html(result: ServingResult, summary: ServingSummary) -> str:
    """The whole page."""
    tiers = " → ".join(tier.name for tier in result.scenario.hierarchy.tiers)
    about = f"{about_serving(result.scenario)} · {tiers}"
    top = head(result.scenario, about, serving_verdict(summary), _cards(summary))
    sections = _sections(result, summary) if result.requests else iter((_NO_REQUESTS,))
    return document(summary.scenario, [top, *sections])


def _cards(summary: ServingSummary) -> Iterator[tuple[str, str, str]]:
    for name, row in (
        ("Time to first token (median)", summary.ttft_s),
        ("Time per output token (median)", summary.tpot_s),
        ("Arrival to end (median)", summary.latency_s),
    ):
        rest = f"p95 {duration_text(row['p95'])} · p99 {duration_text(row['p99'])}"
        yield name, duration_text(row["p50"]), rest
    whole = summary.parts_s["latency"]
    queue, exposed = (summary.parts_s[part] / whole if whole else 0.0 for part in ("queue", "exposed"))
    yield (
        "Time spent waiting",
        percent_text(queue + exposed),
        f"{percent_text(queue)} queueing · {percent_text(exposed)} for transfers",
    )
    if summary.goodput_share is not None:
        yield "Goodput", f"{number_text(summary.goodput_per_s)} requests/s", objectives_text(summary)
    yield (
        "Throughput",
        f"{number_text(summary.output_tokens_per_s)} tokens/s",
        f"generated · {number_text(summary.tokens_per_s)} with prompts · "
        f"{number_text(summary.requests_per_s)} requests/s",
    )
    tokens = summary.tokens
    yield (
        "Hit rate of blocks",
        percent_text(summary.hit_rate),
        f"{percent_text(summary.token_hit_rate)} of prompt tokens not computed",
    )
    if tokens["recomputed"] or summary.preemptions:
        yield (
            "Preemptions",
            count_text(summary.preemptions),
            f"{count_text(tokens['recomputed'])} tokens computed again",
        )
    yield "Mean batch", number_text(summary.mean_batch), f"{count_text(summary.iterations)} iterations"
    links = {name: lane for name, lane in summary.links.items() if lane.kind == "link"}
    if links:
        name = max(links, key=lambda lane: links[lane].utilisation)
        moved = bytes_text(summary.bytes_by_class["total"])
        yield "Busiest link", percent_text(links[name].utilisation), f"{name} · {moved} over all links"
    yield (
        "Makespan",
        duration_text(summary.makespan_s),
        f"{count_text(summary.requests)} requests · {count_text(summary.events)} events",
    )


def _sections(result: ServingResult, summary: ServingSummary) -> Iterator[str]:
    complete = result.records.keep_events
    yield section(
        "How long users wait",
        "A curve says which share of requests (for ITL, of tokens) is served within a time; the further left "
        "the better, and the upper end hurts. Objectives are dotted.",
        embed(latencies_figure(result, summary), "latencies") + _latency_table(summary),
    )
    yield section(
        "Where the time of requests went",
        "Grey is time in iterations; violet and pink is queueing, by what for; the strong colours are time "
        "exposed to transfers. Together they are the latency.",
        embed(phases_figure(result), "phases"),
    )
    yield section(
        "Load: who came, who waited, who was served",
        "A queue that grows says that more comes than can be served; drag to zoom, double-click to go back.",
        embed(load_figure(result), "load"),
    )
    yield section(
        "Where the blocks of prompts were found",
        "What is found in the first tier costs nothing, what is further down is loaded, what is nowhere is "
        "computed.",
        embed(hits_figure(result), "hits") if summary.blocks else _NO_BLOCKS,
    )
    yield section(
        "What ran when",
        "Iterations by what they compute, transfers by class; the darker, the more of the time in use, where "
        "there is too much for bars.",
        embed(serving_timeline(result), "timeline") + ("" if complete else _NO_LANES),
    )
    yield section(
        "How full each tier was",
        HOW_TIERS if complete else "",
        (embed(occupancy_figure(result), "tiers") if complete else NO_EVENTS) + _tier_table(summary),
    )
    used = any(lane.transfers for lane in result.lanes)
    yield section(
        "Which lane is the bottleneck",
        "Left: how much of the run each lane was in use. Right: a long queue on a busy lane says widen it; a "
        "long queue on an idle lane means bursts.",
        (embed(lanes_figure(result, summary), "lanes") if used else NO_TRANSFERS) + _lane_table(summary),
    )
    if len(summary.by_tenant) > 1:
        yield section("Tenants", "Who waits how long, and who finds what.", _tenant_table(summary))
    if len(summary.by_instance) > 1:
        yield section("Instances", "Whether the load is shared evenly.", _instance_table(summary))


_NO_BLOCKS = '<p class="empty">Nothing is known of the prompts but their length: nothing can be found.</p>'


def _latency_table(summary: ServingSummary) -> str:
    rows = []
    for name, title in LATENCIES.items():
        row = getattr(summary, name)
        rows.append([title, *(duration_text(row[key]) for key in STATISTICS)])
    return table(["", *STATISTICS], rows)


def _tier_table(summary: ServingSummary) -> str:
    heads = ["tier", "blocks found here", "evictions", "lost", "read", "written", "peak", "capacity"]
    rows = [
        [
            title.strip(),
            found,
            count_text(summary.evictions_by_tier[tier]),
            count_text(summary.discards_by_tier[tier]),
            bytes_text(summary.read_bytes[tier]),
            bytes_text(summary.written_bytes[tier]),
            bytes_text(summary.peak_bytes[tier]),
            bytes_text(summary.capacity_bytes[tier]),
        ]
        if tier is not None
        else [title, found, *[""] * 6]
        for title, found, tier in tier_rows(summary)
    ]
    return table(heads, rows)


def _lane_table(summary: ServingSummary) -> str:
    classes = list(summary.bytes_by_class)[:-1]
    heads = ["lane", "in use", "mean queue", "mean in system", "transfers"]
    rows = [
        [
            name,
            percent_text(lane.utilisation),
            duration_text(lane.mean_queue_s),
            number_text(lane.mean_in_system),
            count_text(lane.transfers),
            *(bytes_text(lane.bytes_by_class[cls]) for cls in classes),
        ]
        for name, lane in summary.links.items()
    ]
    return table([*heads, *(class_title(name) for name in classes)], rows)


def _tenant_table(summary: ServingSummary) -> str:
    heads = ["tenant", "requests", "TTFT p50", "TTFT p99", "TPOT p50", "TPOT p99", "latency p99"]
    heads += ["queueing mean", "hits", "output tokens/s", "preemptions"]
    rows = [
        [
            name,
            count_text(each.requests),
            duration_text(each.ttft_s["p50"]),
            duration_text(each.ttft_s["p99"]),
            duration_text(each.tpot_s["p50"]),
            duration_text(each.tpot_s["p99"]),
            duration_text(each.latency_s["p99"]),
            duration_text(each.queue_s["mean"]),
            percent_text(each.hit_rate),
            number_text(each.output_tokens_per_s),
            count_text(each.preemptions),
        ]
        for name, each in summary.by_tenant.items()
    ]
    return table(heads, rows)


def _instance_table(summary: ServingSummary) -> str:
    heads = ["instance", "requests", "in use", "stalled", "iterations", "mean batch", "prompt tokens"]
    heads += ["decoded tokens", "tokens an iteration"]
    rows = [
        [
            name,
            count_text(each.requests),
            percent_text(each.utilisation),
            duration_text(each.stalled_s),
            count_text(each.iterations),
            number_text(each.mean_batch),
            count_text(each.prompt_tokens),
            count_text(each.decoded_tokens),
            number_text(each.tokens_per_iteration),
        ]
        for name, each in summary.by_instance.items()
    ]
    return table(heads, rows)
