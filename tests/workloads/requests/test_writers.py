"""What is written is read again: every writer, over made-up requests."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads.requests.samples import MS, SAMPLES, S, plain

from kvsim.errors import KvsimError
from kvsim.workloads.page_trace import read_pages
from kvsim.workloads.requests import Request
from kvsim.workloads.requests.formats import FORMATS, TraceReader
from kvsim.workloads.requests.loops import in_time
from kvsim.workloads.requests.writers import (
    BLOCK_WRITERS,
    WRITERS,
    BlockSize,
    write_requests,
)

BLOCK = 16
SIZE = BlockSize(BLOCK, 4096)


def there_and_back(requests: list[Request], name: str) -> list[Request]:
    """What a format's reader makes of what its writer wrote."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "trace.gz")
        write_requests(path, iter(requests), name, SIZE)
        return list(TraceReader(path, name, BLOCK).requests())


@st.composite
def made_up(draw: st.DrawFn, *, blocks: bool, loops: bool) -> list[Request]:
    """Requests in order; times with every digit that a tick has, ids up to 64 bits."""
    requests: list[Request] = []
    time = 0

    def turn(at: int) -> Request:
        tokens = draw(st.integers(1, 40))
        count = -(-tokens // BLOCK) if blocks else 0
        ids = draw(st.lists(st.integers(0, 2**64 - 1), min_size=count, max_size=count, unique=True))
        return Request(at, tokens, draw(st.integers(0, 99)), ids, priority=draw(st.integers(-9, 9)))

    for _ in range(draw(st.integers(1, 5))):
        time += draw(st.integers(0, 2**59))
        request = turn(time)
        requests.append(request)
        for _ in range(draw(st.integers(0, 2)) if loops else 0):
            request.follow_up = turn(draw(st.integers(0, 10**15)))
            request = request.follow_up
    return requests


def turns(requests: list[Request]) -> Iterator[Request]:
    for request in requests:
        turn: Request | None = request
        while turn is not None:
            yield turn
            turn = turn.follow_up


@st.composite
def for_csv(draw: st.DrawFn) -> list[Request]:
    """All that a request can say."""
    told = draw(st.booleans())
    requests = draw(made_up(blocks=told, loops=True))
    names = st.sampled_from(["", "a", 'b "c", d', "é;"])
    for turn in turns(requests):
        turn.tenant = draw(names)
        turn.session = draw(st.none() | st.integers(0, 99))
        if draw(st.booleans()) and turn.blocks:
            turn.output_blocks = [max(turn.blocks) + 1, max(turn.blocks) + 2]
    return requests


@st.composite
def for_mooncake(draw: st.DrawFn) -> list[Request]:
    """Sessions are closed loops, numbered as they appear."""
    requests = draw(made_up(blocks=True, loops=True))
    for number, request in enumerate(each for each in requests if each.follow_up is not None):
        for turn in turns([request]):
            turn.session = number
    return requests


@st.composite
def for_burstgpt(draw: st.DrawFn) -> list[Request]:
    """Times and lengths, and always some output."""
    requests = draw(made_up(blocks=False, loops=False))
    return [replace(each, output_tokens=each.output_tokens + 1, priority=0) for each in requests]


IDENTITY = {"csv": for_csv(), "mooncake": for_mooncake(), "burstgpt": for_burstgpt()}


def test_every_format_that_is_written_and_read_is_tested() -> None:
    assert set(IDENTITY) == set(WRITERS) & set(FORMATS)
    assert set(WRITERS) - set(IDENTITY) == {"mlperf_storage"}
    assert set(BLOCK_WRITERS) == {"page_csv", "page_jsonl", "oracle_general"}


@pytest.mark.parametrize("name", IDENTITY)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_writing_then_reading_changes_nothing(name: str, data: Any) -> None:
    requests = data.draw(IDENTITY[name])
    found = there_and_back(requests, name)
    assert [plain(each) for each in found] == [plain(each) for each in requests]


@pytest.mark.parametrize("name", SAMPLES)
def test_plain_csv_holds_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.csv"
    tokens = TraceReader(_sample(tmp_path, name)).block_tokens
    assert write_requests(path, iter(SAMPLES[name].requests), "csv", SIZE) == len(
        list(turns(list(SAMPLES[name].requests)))
    )
    found = TraceReader(path, block_tokens=tokens).requests()
    assert [plain(each) for each in found] == [plain(each) for each in SAMPLES[name].requests]


def _sample(folder: Path, name: str) -> Path:
    path = folder / "sample"
    path.write_text(SAMPLES[name].text, encoding="utf-8")
    return path


def loop() -> list[Request]:
    """A closed loop of three turns, and another request amid them."""
    last = Request(2 * S, 33, 1, [1, 2, 5])
    second = Request(3 * S, 32, 2, [1, 2], follow_up=last)
    first = Request(S, 20, 2, [1, 4], [2], follow_up=second)
    return [first, Request(4 * S + MS, 16, 1, [1])]


def test_mooncake_is_written_as_dynamo_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    assert write_requests(path, loop(), "mooncake", SIZE) == 4
    assert path.read_text().splitlines() == [
        '{"timestamp": 1000, "input_length": 20, "output_length": 2, "hash_ids": [1, 4], "session_id": "0"}',
        '{"delay": 3000, "input_length": 32, "output_length": 2, "hash_ids": [1, 2], "session_id": "0"}',
        '{"delay": 2000, "input_length": 33, "output_length": 1, "hash_ids": [1, 2, 5], "session_id": "0"}',
        '{"timestamp": 4001, "input_length": 16, "output_length": 1, "hash_ids": [1]}',
    ]


def test_where_no_request_tells_its_blocks_each_gets_its_own(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_requests(path, [Request(0, 17, 1), Request(0, 1, 1), Request(0, 32, 1)], "mooncake", SIZE)
    found = TraceReader(path, block_tokens=BLOCK).requests()
    assert [list(each.blocks) for each in found] == [[0, 1], [2], [3, 4]]


def test_requests_are_in_time_as_if_serving_took_none() -> None:
    # 1, 1 + 3, 1 + 3 + 2 s; the other at 4.001 s
    found = [(time, request.input_tokens) for time, request in in_time(loop())]
    assert found == [(S, 20), (4 * S, 32), (4 * S + MS, 16), (6 * S, 33)]


@pytest.mark.parametrize("name", BLOCK_WRITERS)
def test_block_references_are_written_as_page_traces(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t"
    assert write_requests(path, loop(), name, SIZE) == 8
    format_: Any = BLOCK_WRITERS[name]
    rows = list(read_pages(path, format_))
    assert [row.page for row in rows] == [1, 4, 1, 2, 1, 1, 2, 5]
    assert {row.bytes for row in rows} == {4096}
    if name != "oracle_general":  # whose reader makes each record a step
        assert [row.step for row in rows] == [0, 0, 1, 1, 2, 3, 3, 3]


def test_mlperf_storage_sees_new_blocks_written_and_old_ones_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert write_requests(path, loop(), "mlperf_storage", SIZE) == 9
    header, *rows = csv.reader(io.StringIO(path.read_text()))
    assert header == ["Timestamp", "Operation", "Object_Size_Bytes", "Tier", "Key", "Phase"]
    assert {(row[2], row[3]) for row in rows} == {("4096", "Tier-2")}
    assert [(row[0], row[1], row[4], row[5]) for row in rows] == [
        ("1.000000", "Write", "block1", "Prefill"),
        ("1.000000", "Write", "block4", "Prefill"),
        ("1.000000", "Write", "block2", "Decode"),  # of the output: the second turn finds it
        ("4.000000", "Read", "block1", "Decode"),
        ("4.000000", "Read", "block2", "Decode"),
        ("4.001000", "Read", "block1", "Decode"),
        ("6.000000", "Read", "block1", "Decode"),
        ("6.000000", "Read", "block2", "Decode"),
        ("6.000000", "Write", "block5", "Prefill"),
    ]


@pytest.mark.parametrize(
    ("requests", "name", "size", "said"),
    [
        ([Request(0, 1, 0)], "burstgpt", SIZE, "request 1 has no output, which in BurstGPT's format means"),
        ([Request(0, 1, 1, [1]), Request(0, 1, 1)], "mooncake", SIZE, "some requests tell their blocks"),
        ([Request(0, 1, 1, [1])], "mlperf_storage", BlockSize(16), "say how many bytes a block has"),
        ([Request(0, 1, 1, tenant="a\nb")], "csv", SIZE, "csv holds no line break in a name"),
        ([Request(0, 1, 1, forks=[Request(0, 1, 1)])], "csv", SIZE, "starts several others at once"),
        (
            [Request(0, 1, 1, [1], follow_up=Request(0, 1, 1, [1], forks=[Request(0, 1, 1, [1])]))],
            "mooncake",
            SIZE,
            "starts several others at once",
        ),
        ([Request(0, 1, 1)], "moon", SIZE, "unknown format to write requests in 'moon'"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_leaves_nothing(
    tmp_path: Path, requests: list[Request], name: str, size: BlockSize, said: str
) -> None:
    with pytest.raises(KvsimError, match=said):
        write_requests(tmp_path / "t", requests, name, size)
    assert list(tmp_path.iterdir()) == []
