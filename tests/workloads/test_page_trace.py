"""Page traces: fields, formats, a corpus of damaged files, and what is written reads back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvsim.errors import TraceError
from kvsim.workloads.oracle_general import RECORD, next_access
from kvsim.workloads.page_trace import PageRow, format_of, read_pages, write_pages

PUBLISHED = Path(__file__).parents[3] / "shared" / "traces" / "mooncake_synthetic.jsonl"


def written(folder: Path, content: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_rows_are_read_field_by_field(tmp_path: Path) -> None:
    head = "\ufeffpage,step, mass ,layer,note,head_group,tokens,bytes"
    text = f"{head}\r\n7,0,.5,3,x,k,16,4096\r\n\r\n007,2,,,,1,,\r\n"
    assert list(read_pages(written(tmp_path, text))) == [
        PageRow(2, 0, 7, 3, "k", 16, 4096, 0.5),
        PageRow(4, 2, "007", None, 1),
    ]


def test_jsonl_rows_are_read_field_by_field(tmp_path: Path) -> None:
    lines = [
        {"step": 0, "page": "a", "layer": 3, "head_group": "k", "tokens": 16, "bytes": 9, "mass": 1},
        {"step": 0, "page": -4, "mass": None, "other": []},
        {"step": 5, "page": "12"},
    ]
    path = written(tmp_path, "\n\n".join(map(json.dumps, lines)), "t.jsonl")
    assert list(read_pages(path)) == [
        PageRow(1, 0, "a", 3, "k", 16, 9, 1.0),
        PageRow(3, 0, -4),
        PageRow(5, 5, 12),
    ]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv"])
def test_compression_is_told_by_the_content(tmp_path: Path, name: str) -> None:
    assert [row.page for row in read_pages(written(tmp_path, gzip.compress(b"step,page\n1,2\n"), name))] == [
        2
    ]


def test_blocks_of_requests_are_rows(tmp_path: Path) -> None:
    request = {"timestamp": 0, "input_length": 1000, "output_length": 1, "hash_ids": [4, 9]}
    path = written(tmp_path, (json.dumps(request) + "\n") * 2, "t.jsonl")
    assert format_of(path) == "mooncake"
    assert [(row.step, row.page, row.tokens) for row in read_pages(path)] == [
        (0, 4, 512),
        (0, 9, 512),
        (1, 4, 512),
        (1, 9, 512),
    ]


HEAD = "step,page,layer,tokens,bytes,mass\n4,1,0,1,1,0\n"
BAD_CSV = {
    "cells": (HEAD + "4,1", 3, "", "has 2 cells, the header 6"),
    "no step": (HEAD + ",1,0,1,1,0", 3, "step", "is missing"),
    "no page": (HEAD + "4, ,0,1,1,0", 3, "page", "is missing"),
    "step text": (HEAD + "four,1,0,1,1,0", 3, "step", "must be a whole number, not 'four'"),
    "step float": (HEAD + "4.0,1,0,1,1,0", 3, "step", "must be a whole number"),
    "step negative": (HEAD + "-1,1,0,1,1,0", 3, "step", "must be 0 to"),
    "step back": (HEAD + "\n3,1,0,1,1,0", 4, "step", "3 comes after 4 of line 2"),
    "layer": (HEAD + "4,1,x,1,1,0", 3, "layer", "must be a whole number"),
    "tokens": (HEAD + "4,1,0,0,1,0", 3, "tokens", "must be 1 to"),
    "bytes huge": (HEAD + "4,1,0,1,9999999999999999999,0", 3, "bytes", "must be 1 to"),
    "mass": (HEAD + "4,1,0,1,1,1.5", 3, "mass", "must be a share, 0 to 1"),
    "mass nan": (HEAD + "4,1,0,1,1,nan", 3, "mass", "must be a share, 0 to 1"),
    "quote": (HEAD + '4,"1,0,1,1,0\n', 3, "", "is not csv"),
    "no column": ("step,pages\n1,2\n", 1, "page", "the header has no such column (it has: step, pages)"),
    "column twice": ("step,page,page\n1,2,3\n", 1, "page", "two columns have this name"),
    "empty": ("", None, "", "is empty"),
    "header alone": ("step,page\n", None, "", "is empty"),
}


@pytest.mark.parametrize(("text", "line", "field", "message"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_a_bad_csv_is_refused_with_file_line_and_field(
    tmp_path: Path, text: str, line: int | None, field: str, message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TraceError) as caught:
        list(read_pages(path))
    problem = caught.value.problem
    assert (problem.file, problem.line, problem.field) == (str(path), line, field)
    assert message in problem.message
    assert str(type(caught.value)(*caught.value.args)) == str(caught.value)


BAD_JSONL = {
    "no JSON": ("{step: 1}", "", "is not JSON"),
    "list": ("[1]", "", "must be a JSON object"),
    "no page": ('{"step": 1}', "page", "is missing"),
    "page null": ('{"step": 1, "page": null}', "page", "is missing"),
    "page float": ('{"step": 1, "page": 1.5}', "page", "must be a whole number or text, not 1.5"),
    "page true": ('{"step": 1, "page": true}', "page", "not True"),
    "step true": ('{"step": true, "page": 1}', "step", "must be a whole number"),
    "mass text": ('{"step": 1, "page": 1, "mass": "much"}', "mass", "must be a share"),
    "deep": ("[" * 100_000, "", "is not usable JSON"),
}


@pytest.mark.parametrize(("text", "field", "message"), BAD_JSONL.values(), ids=BAD_JSONL.keys())
def test_a_bad_jsonl_is_refused_with_file_line_and_field(
    tmp_path: Path, text: str, field: str, message: str
) -> None:
    path = written(tmp_path, '{"step": 0, "page": 0}\n' + text, "t.jsonl")
    with pytest.raises(TraceError) as caught:
        list(read_pages(path))
    problem = caught.value.problem
    assert (problem.file, problem.line, problem.field) == (str(path), 2, field)
    assert message in problem.message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    for name, start in (("t.csv", b"step,page\n"), ("t.jsonl", b'{"step": 0, "page": 0}\n')):
        with pytest.raises(TraceError, match=f"{name}:2: is not UTF-8"):
            list(read_pages(written(tmp_path, start + b"1,\xff\n", name)))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"step,page\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(5000)))
    with pytest.raises(TraceError, match="cut short"):
        list(read_pages(written(tmp_path, whole[: len(whole) // 2])))
    with pytest.raises(TraceError, match="No such file"):
        list(read_pages(tmp_path / "none.csv"))
    with pytest.raises(TraceError, match="Is a directory"):
        list(read_pages(tmp_path, "csv"))
    with pytest.raises(TraceError, match="does not tell the format"):
        list(read_pages(written(tmp_path, "step,page\n", "t.txt")))


def test_rows_before_a_bad_one_are_given(tmp_path: Path) -> None:
    rows = read_pages(written(tmp_path, "step,page\n0,1\nx,2\n"))
    assert next(rows).page == 1
    with pytest.raises(TraceError):
        next(rows)


some_rows = st.lists(
    st.builds(
        PageRow,
        line=st.just(1),
        step=st.integers(0, 9),
        page=st.integers(-5, 2**64 - 1) | st.text("abc 7,\"'é", min_size=1).map(lambda t: f"p{t}p"),
        layer=st.integers(0, 3),
        head_group=st.none() | st.integers(0, 3),
        tokens=st.none() | st.integers(1, 64),
        bytes=st.none() | st.integers(1, 2**32 - 1),
        mass=st.none() | st.floats(0, 1),
    ),
    min_size=1,
).map(lambda rows: sorted(rows, key=lambda row: row.step))


def without_line(row: PageRow) -> tuple[Any, ...]:
    return row.step, row.page, row.layer, row.head_group, row.tokens, row.bytes, row.mass


@settings(deadline=None)  # it writes files
@given(rows=some_rows)
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.jsonl.gz"])
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[PageRow]
) -> None:
    path = tmp_path_factory.mktemp("trace") / name
    assert write_pages(path, rows) == len(rows)
    assert [without_line(row) for row in read_pages(path)] == [without_line(row) for row in rows]
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


@settings(deadline=None)  # it writes files
@given(rows=some_rows)
def test_oracle_general_knows_the_next_request_of_each_page(
    tmp_path_factory: pytest.TempPathFactory, rows: list[PageRow]
) -> None:
    path = tmp_path_factory.mktemp("trace") / "t.oracleGeneral.bin"
    assert write_pages(path, rows) == len(rows)
    records = np.fromfile(path, RECORD)
    assert RECORD.itemsize == 24
    pages = [row.page for row in rows]
    for number, (record, row) in enumerate(zip(records.tolist(), rows, strict=True), 1):
        later = [index + 1 for index, page in enumerate(pages) if page == row.page and index + 1 > number]
        assert (record[0], record[2], record[3]) == (row.step, row.bytes or 1, min(later, default=-1))
    ids = [row.page for row in read_pages(path)]
    if all(isinstance(page, int) and page >= 0 for page in pages):
        assert ids == pages
    else:
        dense = {page: index for index, page in enumerate(dict.fromkeys(pages))}
        assert ids == [dense[page] for page in pages]


def test_an_oracle_general_trace_is_read_record_by_record(tmp_path: Path) -> None:
    raw = bytes.fromhex("05000000070000000000008000100000ffffffffffffffff")
    path = written(tmp_path, raw * 2, "x.oracleGeneral")
    assert list(read_pages(path)) == [
        PageRow(1, 0, 2**63 + 7, bytes=4096),
        PageRow(2, 1, 2**63 + 7, bytes=4096),
    ]
    with pytest.raises(TraceError, match=r"x\.oracleGeneral:2: ends within a record, after 23"):
        list(read_pages(written(tmp_path, (raw * 2)[:-1], "x.oracleGeneral")))
    with pytest.raises(TraceError, match="is empty"):
        list(read_pages(written(tmp_path, b"", "x.oracleGeneral")))


def test_what_oracle_general_cannot_carry_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = written(tmp_path, b"old", "x.oracleGeneral")
    for row, field in ((PageRow(3, 2**32, 1), "step"), (PageRow(3, 0, 1, bytes=2**32), "bytes")):
        with pytest.raises(TraceError, match=f"x.oracleGeneral:3: {field}: 4294967296 does not fit"):
            write_pages(path, [row])
    with pytest.raises(TraceError, match="cannot be made of page reads"):
        write_pages(path, [], "mooncake")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_next_access_of_a_short_sequence() -> None:
    assert next_access(np.array([4, 7, 4, 4, 9], np.uint64)).tolist() == [3, -1, 4, -1, -1]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/traces/mooncake_synthetic.jsonl")
def test_libcachesim_finds_the_published_hit_rates_in_our_oracle_general(tmp_path: Path) -> None:
    sim = pytest.importorskip("libcachesim")
    path = tmp_path / "mooncake.oracleGeneral"
    assert write_pages(path, read_pages(PUBLISHED)) == 121_877
    published = {
        ("LRU", 1_000): 0.0825,
        ("FIFO", 10_000): 0.3990,
        ("Belady", 1_000): 0.2766,
        ("Belady", 5_859): 0.5499,
    }
    for (policy, capacity), rate in published.items():
        kind = sim.TraceType.ORACLE_GENERAL_TRACE
        reader = sim.TraceReader(str(path), kind, sim.ReaderInitParam(ignore_obj_size=True))
        missed, _ = getattr(sim, policy)(cache_size=capacity).process_trace(reader)
        assert round(1 - missed, 4) == rate
