"""`kvsim pool` as users call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., Any]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two requests at once: 10 tokens of prompt and 6 of output, and 3 and 0."""
    path = tmp_path / "requests.jsonl"
    rows = [(0, 10, 6), (0, 3, 0)]
    lines = [
        {"timestamp": t, "input_length": i, "output_length": o, "hash_ids": [n]}
        for n, (t, i, o) in enumerate(rows)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_compares_the_ways_to_allocate(trace: Path, invoke: Invoke) -> None:
    data = json.loads(invoke("pool", trace, "--block", "4", "--maximum", "20", "--json").out)
    peaks = [row["peak_slots"] for row in data.values()]
    # paged: at the start 12 and 4; the second is gone (0.3 ms) before the first grows to 16
    # maximum: 20 each; power of two: 10 + 8 and 3; exact: 16 and 3; doubling: 16 and 4
    assert peaks == [16, 40, 21, 19, 20]
    assert all(sum(row["shares"].values()) == pytest.approx(1) for row in data.values())


def test_says_who_is_refused(trace: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    told = invoke("pool", trace, "--maximum", "20", "--capacity", "20").out
    paged, maximum = (line for line in told.splitlines() if "blocks of 16" in line or "maximum of 20" in line)
    assert "50.0 %" in paged  # one whole block
    assert "50.0 %" in maximum
    assert [line for line in told.splitlines() if "oracle" in line and " 0 % " in line]  # 16 + 3


def test_refuses_what_makes_no_sense(trace: Path, invoke: Invoke) -> None:
    short = invoke("pool", trace, "--maximum", "15")
    assert (short.code, short.err) == (
        2,
        "error: --maximum: the longest request has 16 tokens, so at least that, not 15\n",
    )
    assert (
        "requests.jsonl:1: a request ends before the clock does"
        in invoke("pool", trace, "--decode", "2000 h").err
    )
    assert "--decode: " in invoke("pool", trace, "--decode", "fast").err
    assert "absent.jsonl" in invoke("pool", trace.with_name("absent.jsonl")).err
