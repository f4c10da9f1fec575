"""The reader of Mooncake traces: samples by hand, a corpus of damaged files, and the published trace."""

from __future__ import annotations

import gzip
import json
from collections import OrderedDict
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from kvsim.errors import TraceError
from kvsim.workloads.mooncake_trace import LATEST_MS, MooncakeRequest, read_mooncake

PUBLISHED = Path(__file__).parents[3] / "shared" / "traces" / "mooncake_synthetic.jsonl"
GOOD: dict[str, Any] = {"timestamp": 5, "input_length": 1000, "output_length": 7, "hash_ids": [3, 9]}


def line(**changes: Any) -> bytes:
    """A good line with some fields replaced, those set to ... left out."""
    record = {**GOOD, **changes}
    return json.dumps({key: value for key, value in record.items() if value is not ...}).encode() + b"\n"


def written(folder: Path, content: bytes, name: str = "trace.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_request_is_read_field_by_field(tmp_path: Path) -> None:
    later = line(timestamp=5.5, input_length=1, output_length=0, hash_ids=[0])
    requests = list(read_mooncake(written(tmp_path, line() + b"\n" + later)))
    assert requests == [MooncakeRequest(1, 5, 1000, 7, [3, 9]), MooncakeRequest(3, 5.5, 1, 0, [0])]


@pytest.mark.parametrize(("tokens", "blocks"), [(1, 1), (511, 1), (512, 1), (513, 2), (1024, 2), (1025, 3)])
def test_the_last_block_may_be_partial(tmp_path: Path, tokens: int, blocks: int) -> None:
    path = written(tmp_path, line(input_length=tokens, hash_ids=list(range(blocks))))
    assert [len(request.hash_ids) for request in read_mooncake(path)] == [blocks]


def test_blocks_of_another_size_are_counted_so(tmp_path: Path) -> None:
    path = written(tmp_path, line(input_length=33, hash_ids=[1, 2, 3]))
    assert len(list(read_mooncake(path, block_tokens=16))) == 1


@pytest.mark.parametrize("name", ["trace.jsonl.gz", "trace.jsonl"])
def test_a_compressed_trace_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, gzip.compress(line() + line(timestamp=6)), name)
    assert [request.timestamp_ms for request in read_mooncake(path)] == [5, 6]


def test_fields_beyond_the_format_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf" + line(session_id="s") + b"\r\n")
    assert len(list(read_mooncake(path))) == 1


def test_requests_before_a_bad_line_are_given(tmp_path: Path) -> None:
    requests = read_mooncake(written(tmp_path, line() + b"{"))
    assert next(requests).line == 1
    with pytest.raises(TraceError):
        next(requests)


BAD_LINES = {
    "cut": (line()[:40], "", "is not JSON"),
    "no JSON": (b"timestamp,input_length\n", "", "is not JSON"),
    "two values": (line()[:-1] + line(), "", "is not JSON: Extra data"),
    "NaN": (line(timestamp=float("nan")), "", "NaN is no number"),
    "list": (b"[1, 2]\n", "", "must be a JSON object, not a list"),
    "null": (b"null\n", "", "must be a JSON object, not null"),
    "deep": (b"[" * 100_000, "", "is not usable JSON"),
    "long number": (b'{"timestamp": ' + b"9" * 5000 + b"}\n", "", "is not usable JSON"),
    "latin-1": (b'{"timestamp": "\xe9"}\n', "", "is not UTF-8"),
    "utf-16": (line().decode().encode("utf-16"), "", "is not UTF-8"),
    "no timestamp": (line(timestamp=...), "timestamp", "is missing"),
    "no input": (line(input_length=...), "input_length", "is missing"),
    "no output": (line(output_length=...), "output_length", "is missing"),
    "no blocks": (line(hash_ids=...), "hash_ids", "is missing"),
    "timestamp text": (line(timestamp="5"), "timestamp", "must be a number of milliseconds, not text"),
    "timestamp true": (line(timestamp=True), "timestamp", "not true"),
    "timestamp null": (line(timestamp=None), "timestamp", "not null"),
    "timestamp negative": (line(timestamp=-1), "timestamp", f"must be 0 to {LATEST_MS} ms"),
    "timestamp epoch": (line(timestamp=1.7e12), "timestamp", "after the start of the trace"),
    "input float": (line(input_length=1000.0), "input_length", "must be a whole number of tokens"),
    "input none": (line(input_length=0, hash_ids=[]), "input_length", "must be 1 to"),
    "input huge": (line(input_length=2**40), "input_length", "must be 1 to"),
    "output negative": (line(output_length=-1), "output_length", "must be 0 to"),
    "output list": (line(output_length=[1]), "output_length", "not a list"),
    "blocks text": (line(hash_ids="3 9"), "hash_ids", "must be a list of block ids, not text"),
    "block float": (line(hash_ids=[3, 9.5]), "hash_ids[1]", "must be a whole number, not the number 9.5"),
    "block object": (line(hash_ids=[{}, 9]), "hash_ids[0]", "not an object"),
    "block negative": (line(hash_ids=[3, -9]), "hash_ids[1]", "must not be negative: -9"),
    "too few blocks": (line(hash_ids=[3]), "hash_ids", "has 1 ids, but 1000 tokens are 2 blocks of 512"),
    "too many blocks": (line(hash_ids=[3, 4, 5]), "hash_ids", "has 3 ids"),
    "block twice": (line(hash_ids=[3, 3]), "hash_ids[1]", "block 3 comes twice"),
    "back in time": (line(timestamp=4), "timestamp", "4 comes after 5 of line 1"),
}


@pytest.mark.parametrize(("content", "field", "message"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_refused_with_file_line_and_field(
    tmp_path: Path, content: bytes, field: str, message: str
) -> None:
    path = written(tmp_path, line() + b"\n" + content)
    with pytest.raises(TraceError) as caught:
        list(read_mooncake(path))
    problem = caught.value.problem
    assert (problem.file, problem.line, problem.field) == (str(path), 3, field)
    assert message in problem.message
    assert str(type(caught.value)(*caught.value.args)) == str(caught.value)


def test_where_json_ends_is_told_by_column(tmp_path: Path) -> None:
    with pytest.raises(TraceError) as caught:
        list(read_mooncake(written(tmp_path, b'{"timestamp": ?}')))
    assert (caught.value.problem.line, caught.value.problem.column) == (1, 15)


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b"")], ids=["nothing", "blank", "packed"])
def test_a_trace_without_requests_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TraceError, match="is empty"):
        list(read_mooncake(written(tmp_path, content)))


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        list(read_mooncake(tmp_path / "missing.jsonl"))
    with pytest.raises(TraceError, match="Is a directory"):
        list(read_mooncake(tmp_path))


def test_a_compressed_trace_cut_short_or_damaged_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(line(timestamp=t, hash_ids=[t * t, t * t + 1]) for t in range(5, 500)))
    with pytest.raises(TraceError, match="cut short") as caught:
        list(read_mooncake(written(tmp_path, whole[: len(whole) // 2])))
    assert caught.value.problem.line is not None
    assert caught.value.problem.line > 1
    half = len(whole) // 2
    damaged = whole[:half] + bytes(64) + whole[half + 64 :]
    with pytest.raises(TraceError):
        list(read_mooncake(written(tmp_path, damaged)))
    with pytest.raises(TraceError, match="damaged"):
        list(read_mooncake(written(tmp_path, whole[:-8] + bytes(8))))


def lru_hit_rate(blocks: list[int], capacity: int) -> float:
    """A flat cache of equal blocks; the least recently used one leaves."""
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for block in blocks:
        if block in cache:
            hits += 1
            cache.move_to_end(block)
        else:
            if len(cache) == capacity:
                cache.popitem(last=False)
            cache[block] = None
    return hits / len(blocks)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/traces/mooncake_synthetic.jsonl")
def test_the_published_trace_gives_the_published_hit_rates() -> None:
    requests = list(read_mooncake(PUBLISHED))
    blocks = list(chain.from_iterable(request.hash_ids for request in requests))
    assert (len(requests), len(blocks), len(set(blocks))) == (3_993, 121_877, 43_924)
    rates = [round(lru_hit_rate(blocks, capacity), 4) for capacity in (1_000, 5_859, 10_000, 30_000, 50_000)]
    assert rates == [0.0825, 0.3094, 0.4235, 0.6242, 0.6396]
