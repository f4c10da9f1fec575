"""What is in a trace of requests, in a dozen figures."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from kvsim.units import format_duration
from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.loops import turns

__all__ = ["request_info"]


def request_info(requests: Iterable[Request], block_tokens: int) -> dict[str, str]:
    """Figures by name, as text; takes memory for each request (24 bytes) and each distinct block."""
    arrivals, inputs, outputs = array("q"), array("q"), array("q")
    sessions: set[int] = set()
    tenants: set[str] = set()
    blocks: set[int] = set()
    references = 0
    for request in requests:
        arrivals.append(request.arrival_ticks)
        for turn in turns(request):
            inputs.append(turn.input_tokens)
            outputs.append(turn.output_tokens)
            tenants.add(turn.tenant)
            if turn.session is not None:
                sessions.add(turn.session)
            references += len(turn.blocks)
            blocks.update(turn.blocks)
    found = {"requests": f"{len(inputs):,}"}
    if len(inputs) > len(arrivals):
        found["of them later turns of closed loops"] = f"{len(inputs) - len(arrivals):,}"
    found |= _arrivals(np.array(arrivals))
    for name, counts in (("input tokens", np.array(inputs)), ("output tokens", np.array(outputs))):
        parts = [f"{counts.mean():,.1f} on average"]
        parts += [f"p{each} {int(np.percentile(counts, each)):,}" for each in (50, 99)]
        found[name] = ", ".join([*parts, f"most {counts.max():,}"])
    if sessions:
        found["sessions"] = f"{len(sessions):,}"
    if tenants != {""}:
        found["tenants"] = f"{len(tenants):,}"
    if references:
        found["blocks"] = f"{references:,} of {block_tokens} tokens"
        found["distinct blocks"] = f"{len(blocks):,}"
        found["hit rate of a cache without end"] = f"{1 - len(blocks) / references:.4f}"
    return found


def _arrivals(ticks: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> dict[str, str]:
    """How long requests come, how many a second, and how unevenly."""
    span = int(ticks[-1] - ticks[0])
    if span == 0:
        return {"arrivals": "all at once"}
    gaps = np.diff(ticks)
    return {
        "time of the arrivals": format_duration(span),
        "requests a second": f"{len(gaps) / (span / 1e12):,.4g}",
        "variation of the gaps": f"{gaps.std() / gaps.mean():.3g}",
    }
