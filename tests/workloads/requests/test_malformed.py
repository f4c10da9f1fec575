"""What is wrong with a trace is said exactly, with its place; or left out and counted. One corpus for all."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from workloads.requests.samples import SAMPLES

from kvsim.errors import TraceError
from kvsim.workloads.requests.formats import FORMATS, TraceReader

EVERY = pytest.mark.parametrize("name", FORMATS)
MOST = 2**31 - 1
JSONL: dict[str, dict[str, Any]] = {
    "mooncake": {"timestamp": 5, "input_length": 1000, "output_length": 7, "hash_ids": [3, 9]},
    "bailian": {
        "chat_id": 8,
        "parent_chat_id": -1,
        "timestamp": 5,
        "input_length": 20,
        "output_length": 7,
        "type": "text",
        "turn": 1,
        "hash_ids": [3, 9],
    },
    "llmservingsim": {
        "input_toks": 2,
        "output_toks": 3,
        "arrival_time_ns": 5,
        "input_tok_ids": [1, 2],
        "output_tok_ids": [1, 2, 3],
    },
}
"""A sound line of each format, changed below; another sound line comes before and after it."""


class Bad(NamedTuple):
    """A line, what is said of it behind the file and its line, and what it is counted as."""

    line: str
    said: str
    reason: str


def line(name: str, **changes: Any) -> str:
    """The sound line with fields replaced, those set to ... left out."""
    record = {**JSONL[name], **changes}
    return json.dumps({key: value for key, value in record.items() if value is not ...})


def in_json(name: str, time: str, tokens: tuple[str, str], unit: str) -> dict[str, Bad]:
    """What can be wrong with every format of JSON lines."""
    short = {"milliseconds": "ms", "seconds": "s", "nanoseconds": "ns"}[unit]
    latest = 2**62 // {"milliseconds": 10**9, "seconds": 10**12, "nanoseconds": 10**3}[unit]
    late = f"{time}: must be 0 to {latest} {short} after the start of the trace, not"
    whole = line(name)
    given, made = tokens
    found = {
        "truncated": Bad(whole[:6], "2: is not JSON: Unterminated string starting at", "is not JSON"),
        "two objects": Bad(whole * 2, f"{len(whole) + 1}: is not JSON: Extra data", "is not JSON"),
        "list": Bad("[1]", " must be a JSON object, not a list", "is not a JSON object"),
        "NaN": Bad(line(name, **{time: float("nan")}), " is not JSON: NaN is no number", "is not JSON"),
        "time as text": Bad(
            line(name, **{time: "5"}),
            f" {time}: must be a number of {unit}, not text '5'",
            f"{time}: wrong type",
        ),
        "time true": Bad(
            line(name, **{time: True}),
            f" {time}: must be a number of {unit}, not true",
            f"{time}: wrong type",
        ),
        "time negative": Bad(line(name, **{time: -0.5}), f" {late} -0.5", f"{time}: out of range"),
        "time too late": Bad(line(name, **{time: 10**30}), f" {late} 1{'0' * 30}", f"{time}: out of range"),
        "unsorted": Bad(
            line(name, **{time: 4.5}), f" {time}: 4.5 comes after 5 of line 1", f"{time}: goes back in time"
        ),
    }
    for field in (time, given, made):
        found[f"no {field}"] = Bad(
            line(name, **{field: ...}), f" {field}: is missing", f"{field}: is missing"
        )
    for field, least in ((given, 1), (made, 0)):
        found |= {
            f"{field} null": Bad(
                line(name, **{field: None}),
                f" {field}: must be a whole number of tokens, not null",
                f"{field}: wrong type",
            ),
            f"{field} with a point": Bad(
                line(name, **{field: 7.0}),
                f" {field}: must be a whole number of tokens, not the number 7.0",
                f"{field}: wrong type",
            ),
            f"{field} too small": Bad(
                line(name, **{field: least - 1}),
                f" {field}: must be {least} to {MOST} tokens, not {least - 1}",
                f"{field}: out of range",
            ),
            f"{field} too large": Bad(
                line(name, **{field: MOST + 1}),
                f" {field}: must be {least} to {MOST} tokens, not {MOST + 1}",
                f"{field}: out of range",
            ),
        }
    return found


def in_hash_ids(name: str, block: int) -> dict[str, Bad]:
    """What can be wrong with the blocks of a prompt of two."""
    tokens = JSONL[name]["input_length"]
    number = "hash_ids: wrong number of blocks"
    return {
        "no blocks": Bad(line(name, hash_ids=...), " hash_ids: is missing", "hash_ids: is missing"),
        "blocks as text": Bad(
            line(name, hash_ids="3 9"),
            " hash_ids: must be a list of block ids, not text '3 9'",
            "hash_ids: wrong type",
        ),
        "block as text": Bad(
            line(name, hash_ids=[3, "9"]),
            " hash_ids[1]: must be a whole number, not text '9'",
            "hash_ids: wrong type",
        ),
        "block negative": Bad(
            line(name, hash_ids=[3, -9]), " hash_ids[1]: must not be negative: -9", "hash_ids: out of range"
        ),
        "too few blocks": Bad(
            line(name, hash_ids=[3]),
            f" hash_ids: has 1 ids, but {tokens} tokens are 2 blocks of {block}",
            number,
        ),
        "block twice": Bad(
            line(name, hash_ids=[3, 3]),
            " hash_ids[1]: block 3 comes twice in one request",
            "hash_ids: a block comes twice",
        ),
    }


def in_csv(time: str, given: str, made: str, row: str, columns: int) -> dict[str, Bad]:
    """What can be wrong with every csv; `row` is sound once time, prompt and output are filled in."""
    return {
        "truncated": Bad(
            "9,10",
            f" has 2 cells, the header {columns}",
            "has another number of cells than the header",
        ),
        "cells too many": Bad(
            row.format("9", "10", "3") + ",1",
            f" has {columns + 1} cells, the header {columns}",
            "has another number of cells than the header",
        ),
        "quote left open": Bad('"9,10,3', " is not csv: unexpected end of data", "is not csv"),
        "prompt as text": Bad(
            row.format(TIMES[time], "ten", "3"),
            f" {given}: must be a whole number of tokens, not text 'ten'",
            f"{given}: wrong type",
        ),
        "prompt with a point": Bad(
            row.format(TIMES[time], "1.5", "3"),
            f" {given}: must be a whole number of tokens, not the number 1.5",
            f"{given}: wrong type",
        ),
        "prompt empty": Bad(
            row.format(TIMES[time], "", "3"), f" {given}: is missing", f"{given}: is missing"
        ),
        "prompt zero": Bad(
            row.format(TIMES[time], "0", "3"),
            f" {given}: must be 1 to {MOST} tokens, not 0",
            f"{given}: out of range",
        ),
        "output negative": Bad(
            row.format(TIMES[time], "10", "-3"),
            f" {made}: must be 0 to {MOST} tokens, not -3",
            f"{made}: out of range",
        ),
        "no time": Bad(row.format("", "10", "3"), f" {time}: is missing", f"{time}: is missing"),
    }


def in_seconds(time: str, row: str) -> dict[str, Bad]:
    """What can be wrong with times in seconds in a csv."""
    latest = 2**62 // 10**12
    return {
        "time as text": Bad(
            row.format("noon", "10", "3"),
            f" {time}: must be a number of seconds, not text 'noon'",
            f"{time}: wrong type",
        ),
        "time not finite": Bad(
            row.format("inf", "10", "3"),
            f" {time}: must be a number of seconds, not text 'inf'",
            f"{time}: wrong type",
        ),
        "time negative": Bad(
            row.format("-1", "10", "3"),
            f" {time}: must be 0 to {latest} s after the start of the trace, not -1",
            f"{time}: out of range",
        ),
        "time absurd": Bad(
            row.format("1e999999", "10", "3"),
            f" {time}: must be 0 to {latest} s after the start of the trace, not 1E+999999",
            f"{time}: out of range",
        ),
        "unsorted": Bad(
            row.format("4.5", "10", "3"),
            f" {time}: 4.5 comes after 5 of line 2",
            f"{time}: goes back in time",
        ),
    }


TIMES = {"TIMESTAMP": "2023-11-16 18:15:50", "Timestamp": "9", "arrival_s": "9"}
A_DATE = "must be a date and time such as 2023-11-16 18:15:46.6805900"
SOUND: dict[str, tuple[str, ...]] = {
    "mooncake": (line("mooncake"), line("mooncake", timestamp=6)),
    "bailian": (line("bailian", chat_id=1), line("bailian", chat_id=2, timestamp=6)),
    "llmservingsim": (line("llmservingsim"), line("llmservingsim", arrival_time_ns=6)),
    "azure": (
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        "2023-11-16 18:15:46.6805900,374,44",
        "2023-11-16 18:16:46,374,44",
    ),
    "burstgpt": ("Timestamp,Request tokens,Response tokens", "5,472,18", "60,472,18"),
    "csv": (
        "arrival_s,input_tokens,output_tokens,session,priority,blocks,output_blocks,think_s",
        "5,20,1,1,,1;2,,",
        "60,20,1,1,,1;2,,",
    ),
}
"""Lines before and after a bad one."""
LAST_TURN = {"session_id": "s", "input_length": 1, "hash_ids": [3]}
CSV_ROW = "{},{},{},,,,,"

CORPUS: dict[str, dict[str, Bad]] = {
    "mooncake": {
        **in_json("mooncake", "timestamp", ("input_length", "output_length"), "milliseconds"),
        **in_hash_ids("mooncake", 512),
        "session as a list": Bad(
            line("mooncake", session_id=[1]),
            " session_id: must be a text or a number, not a list",
            "session_id: wrong type",
        ),
        "priority as text": Bad(
            line("mooncake", priority="high"),
            " priority: must be a whole number, not text 'high'",
            "priority: wrong type",
        ),
        "output ids of another number": Bad(
            line("mooncake", output_token_ids=[1]),
            " output_token_ids: has 1 tokens, but output_length says 7",
            "output_token_ids: wrong number of tokens",
        ),
        "output ids as text": Bad(
            line("mooncake", output_token_ids=["a"]),
            " output_token_ids: must be a list of whole numbers",
            "output_token_ids: wrong type",
        ),
    },
    "bailian": {
        **in_json("bailian", "timestamp", ("input_length", "output_length"), "seconds"),
        **in_hash_ids("bailian", 16),
        "chat twice": Bad(
            line("bailian", chat_id=1), " chat_id: chat 1 comes twice", "chat_id: a chat comes twice"
        ),
        "no chat": Bad(line("bailian", chat_id=...), " chat_id: is missing", "chat_id: is missing"),
        "chat as text": Bad(
            line("bailian", chat_id="8"),
            " chat_id: must be a whole number, not text '8'",
            "chat_id: wrong type",
        ),
        "no parent": Bad(
            line("bailian", parent_chat_id=...), " parent_chat_id: is missing", "parent_chat_id: is missing"
        ),
        "parent negative": Bad(
            line("bailian", parent_chat_id=-2),
            f" parent_chat_id: must be -1 to {2**63 - 1}, not -2",
            "parent_chat_id: out of range",
        ),
        "turn as text": Bad(
            line("bailian", turn="first"),
            " turn: must be a whole number, not text 'first'",
            "turn: wrong type",
        ),
    },
    "llmservingsim": {
        **in_json("llmservingsim", "arrival_time_ns", ("input_toks", "output_toks"), "nanoseconds"),
        "tokens of another number": Bad(
            line("llmservingsim", input_tok_ids=[1]),
            " input_tok_ids: has 1 tokens, but input_toks says 2",
            "input_tok_ids: wrong number of tokens",
        ),
        "tokens as text": Bad(
            line("llmservingsim", input_tok_ids="1 2"),
            " input_tok_ids: must be a list of token ids, not text '1 2'",
            "input_tok_ids: wrong type",
        ),
        "token with a point": Bad(
            line("llmservingsim", output_tok_ids=[1, 2, 3.5]),
            " output_tok_ids[2]: must be a whole number, not the number 3.5",
            "output_tok_ids: wrong type",
        ),
        "token negative": Bad(
            line("llmservingsim", input_tok_ids=[1, -2]),
            f" input_tok_ids[1]: must be 0 to {2**63 - 1}, not -2",
            "input_tok_ids: out of range",
        ),
    },
    "azure": {
        **in_csv("TIMESTAMP", "ContextTokens", "GeneratedTokens", "{},{},{}", 3),
        "time as a number": Bad("17,10,3", f" TIMESTAMP: {A_DATE}, not '17'", "TIMESTAMP: wrong type"),
        "no such day": Bad(
            "2023-02-30 00:00:00,10,3",
            f" TIMESTAMP: {A_DATE}, not '2023-02-30 00:00:00'",
            "TIMESTAMP: wrong type",
        ),
        "unsorted": Bad(
            "2023-11-16 18:15:46.6805899,10,3",
            " TIMESTAMP: 2023-11-16 18:15:46.6805899 comes after 2023-11-16 18:15:46.6805900 of line 2",
            "TIMESTAMP: goes back in time",
        ),
    },
    "burstgpt": {
        **in_csv("Timestamp", "Request tokens", "Response tokens", "{},{},{}", 3),
        **in_seconds("Timestamp", "{},{},{}"),
    },
    "csv": {
        **in_csv("arrival_s", "input_tokens", "output_tokens", CSV_ROW, 8),
        **in_seconds("arrival_s", CSV_ROW),
        "session and text": Bad(
            "9,1,1,me,,,,", " session: must be a whole number, not text 'me'", "session: wrong type"
        ),
        "priority with a point": Bad(
            "9,1,1,,0.5,,,", " priority: must be a whole number, not the number 0.5", "priority: wrong type"
        ),
        "block as text": Bad(
            "9,20,1,,,3;x,,", " blocks[1]: must be a whole number, not text 'x'", "blocks: wrong type"
        ),
        "block negative": Bad(
            "9,20,1,,,3;-4,,", " blocks[1]: must not be negative: -4", "blocks: out of range"
        ),
        "too few blocks": Bad(
            "9,20,1,,,3,,",
            " blocks: has 1 ids, but 20 tokens are 2 blocks of 16",
            "blocks: wrong number of blocks",
        ),
        "block twice": Bad(
            "9,20,1,,,3 3,,",
            " blocks[1]: block 3 comes twice in one request",
            "blocks: a block comes twice",
        ),
        "output block of the prompt": Bad(
            "9,20,1,,,3 4,4,",
            " output_blocks[0]: block 4 comes twice in one request",
            "output_blocks: a block comes twice",
        ),
        "think time negative": Bad(
            ",1,1,,,,,-1",
            f" think_s: must be 0 to {2**62 // 10**12} s after the start of the trace, not -1",
            "think_s: out of range",
        ),
    },
}
CASES = [
    pytest.param(name, bad, id=f"{name}: {what}") for name in CORPUS for what, bad in CORPUS[name].items()
]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "trace"
    path.write_bytes(content)
    return path


def read(path: Path, name: str, on_error: Any = "strict") -> tuple[int, dict[str, int]]:
    reader = TraceReader(path, name, on_error=on_error)
    return len(list(reader.requests())), dict(reader.left_out)


def refused(path: Path, name: str, on_error: Any = "strict") -> str:
    """What is said, without the file."""
    with pytest.raises(TraceError) as caught:
        read(path, name, on_error)
    assert str(type(caught.value)(*caught.value.args)) == str(caught.value)
    return str(caught.value).removeprefix(f"{path}:")


def test_the_corpus_covers_every_format() -> None:
    assert set(CORPUS) == set(SOUND) == set(FORMATS)


@pytest.mark.parametrize(("name", "bad"), CASES)
def test_a_bad_line_is_refused_with_its_place_or_left_out_and_counted(
    tmp_path: Path, name: str, bad: Bad
) -> None:
    *before, after = SOUND[name]
    path = written(tmp_path, "\n".join([*before, bad.line, after]).encode() + b"\n")
    assert refused(path, name) == f"{len(before) + 1}:{bad.said}"
    assert read(path, name, "skip") == (2, {bad.reason: 1})


@EVERY
def test_a_line_that_is_not_utf8_is_refused_or_left_out(tmp_path: Path, name: str) -> None:
    *before, after = SOUND[name]
    path = written(tmp_path, b"\n".join([*(each.encode() for each in before), b"\xe9", after.encode()]))
    assert refused(path, name) == f"{len(before) + 1}:1: is not UTF-8: unexpected end of data"
    assert read(path, name, "skip") == (2, {"is not UTF-8": 1})


@EVERY
@pytest.mark.parametrize("on_error", ["strict", "skip"])
def test_a_file_that_cannot_be_read_is_refused_in_any_case(tmp_path: Path, name: str, on_error: str) -> None:
    said = " is empty: there is no request in it"
    nothing = [b"", b"\n \r\n", gzip.compress(b""), b"\xef\xbb\xbf"]
    if SAMPLES[name].header:
        nothing.append(SAMPLES[name].lines[0].encode())
    for content in nothing:
        assert refused(written(tmp_path, content), name, on_error) == said
    assert refused(written(tmp_path, b""), "auto", on_error) == said
    missing = tmp_path / "missing"
    for which in (name, "auto"):
        assert refused(missing, which, on_error) == " cannot be read: No such file or directory"
        assert refused(tmp_path, which, on_error) == " cannot be read: Is a directory"


@EVERY
@pytest.mark.parametrize("on_error", ["strict", "skip"])
def test_a_compressed_file_cut_short_or_damaged_is_refused_in_any_case(
    tmp_path: Path, name: str, on_error: str
) -> None:
    *before, after = SOUND[name]
    packed = gzip.compress("\n".join([*before, after, ""]).encode())
    lines = len(before) + 1
    cut = written(tmp_path, packed[:-8])  # all of the text is there, its length is not
    assert refused(cut, name, on_error) == f"{lines + 1}: the compressed file is cut short"
    wrong = written(tmp_path, packed[:-8] + bytes(8))
    said = refused(wrong, name, on_error)
    assert said.startswith(f"{lines + 1}: the compressed file is damaged: CRC check failed")
    assert refused(written(tmp_path, packed[:12]), name, on_error) == "1: the compressed file is cut short"


@EVERY
def test_a_trace_of_which_nothing_is_left_says_why(tmp_path: Path, name: str) -> None:
    header = SOUND[name][:1] if SAMPLES[name].header else ()
    path = written(tmp_path, "\n".join([*header, '"', '"']).encode())
    reason = "is not csv" if header else "is not JSON"
    said = f" there is no request of use in it (left out: {reason} 2)"
    assert refused(path, name, "skip") == said


@pytest.mark.parametrize("name", [name for name in FORMATS if SAMPLES[name].header])
@pytest.mark.parametrize("on_error", ["strict", "skip"])
def test_a_header_that_cannot_be_used_is_refused_in_any_case(
    tmp_path: Path, name: str, on_error: str
) -> None:
    header, *rows = SOUND[name]
    columns = header.split(",")
    for gone in columns[:3]:
        rest = [column for column in columns if column != gone]
        said = f"1: {gone}: the header has no such column (it has: {', '.join(rest)})"
        path = written(tmp_path, "\n".join([",".join(rest), *rows]).encode())
        assert refused(path, name, on_error) == said
        path = written(tmp_path, "\n".join([f"{header},{gone}", *rows]).encode())
        assert refused(path, name, on_error) == f"1: {gone}: two columns have this name"


class TestClosedLoops:
    """Turns that follow others need one before them, and a time."""

    FIRST = line("mooncake", session_id="s")

    def turn(self, **changes: Any) -> str:
        return line("mooncake", **{"timestamp": ..., "session_id": "s", **changes})

    @pytest.mark.parametrize(
        ("changes", "said", "reason"),
        [
            (
                {},
                "delay: is missing: a later turn of session 's' needs it, or timestamps",
                "delay: is missing",
            ),
            (
                {"timestamp": 4},
                "timestamp: 4 comes before the last turn of session 's'",
                "timestamp: goes back in time",
            ),
            (
                {"delay_ms": -1},
                f"delay_ms: must be 0 to {2**62 // 10**9} ms after the start of the trace, not -1",
                "delay_ms: out of range",
            ),
            ({"delay": True}, "delay: must be a number of milliseconds, not true", "delay: wrong type"),
        ],
    )
    def test_of_mooncake(self, tmp_path: Path, changes: dict[str, Any], said: str, reason: str) -> None:
        path = written(tmp_path, f"{self.FIRST}\n{self.turn(**changes)}\n{self.turn(delay=1)}\n".encode())
        assert refused(path, "mooncake") == f"2: {said}"
        assert read(path, "mooncake", "skip") == (1, {reason: 1})
        reader = TraceReader(path, on_error="skip")
        [first] = reader.requests()
        assert first.follow_up is not None  # the turn after the one that was left out
        assert first.follow_up.follow_up is None

    def test_a_session_begins_with_a_timestamp(self, tmp_path: Path) -> None:
        assert refused(written(tmp_path, self.turn(delay=1).encode()), "mooncake") == (
            "1: timestamp: is missing"
        )

    def test_of_csv(self, tmp_path: Path) -> None:
        header, first, last = SOUND["csv"]
        turn = ",1,1,,,,,0.5"
        path = written(tmp_path, "\n".join([header, turn, first, "x", turn, last]).encode())
        assert refused(path, "csv") == "2: think_s: there is no row above it that it could follow"
        cells = "has another number of cells than the header"
        assert read(path, "csv", "skip") == (2, {"think_s: without a first turn": 2, cells: 1})
