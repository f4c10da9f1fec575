"""Request traces that others have published: Bailian, Azure, BurstGPT; and those of LLMServingSim."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from kvsim.workloads.requests.base import Request
from kvsim.workloads.requests.fields import Clock, count, json_object, kind, required, ticks, whole
from kvsim.workloads.requests.ids import Blocks, Numbering, TokenBlocks
from kvsim.workloads.requests.lines import BadLine, Lines
from kvsim.workloads.requests.table import Table

__all__ = ["read_azure", "read_bailian", "read_burstgpt", "read_llmservingsim"]

TICKS_PER_NS = 1000
TICKS_PER_S = 10**12
FAILED = "failed: 0 response tokens"
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:?\d\d)?")


def read_bailian(lines: Lines, block_tokens: int) -> Iterator[Request]:
    """Alibaba's traces of Qwen, `qwen-bailian-usagetraces-anon`: JSON lines, blocks of 16 tokens.

    A chat belongs to the session of its parent (-1: it begins one; a parent that the trace does not have
    begins one too); sessions are numbered in order of first appearance, and chats arrive at their timestamps,
    in seconds. Memory grows with the chats.
    """
    blocks, clock, sessions = Blocks(block_tokens), Clock(lines), Numbering()
    roots: dict[int, int] = {}

    def request(raw: bytes) -> Request:
        record = json_object(raw)
        chat = whole(required(record, "chat_id"), "chat_id", 0)
        parent = whole(required(record, "parent_chat_id"), "parent_chat_id", -1)
        if "turn" in record:
            whole(record["turn"], "turn", 0)
        at = ticks(required(record, "timestamp"), "timestamp", TICKS_PER_S, "seconds")
        tokens = count(record, "input_length", 1)
        made = Request(
            at,
            tokens,
            count(record, "output_length", 0),
            blocks.of(required(record, "hash_ids"), "hash_ids", tokens),
        )
        if chat in roots:
            raise BadLine("chat_id", f"chat {chat} comes twice", "a chat comes twice")
        clock.advance(at, record["timestamp"], "timestamp")
        roots[chat] = chat if parent == -1 else roots.setdefault(parent, parent)
        made.session = sessions(roots[chat])
        return made

    return lines.each(request)


def read_llmservingsim(lines: Lines, block_tokens: int) -> Iterator[Request]:
    """LLMServingSim's data sets: JSON lines; blocks follow from `input_tok_ids`, if there are any.

    Blocks are numbered in order of first appearance, prompts that begin with the same tokens share them;
    with `output_tok_ids` those of the output are known too. Memory grows with the distinct blocks.
    """
    blocks, clock = TokenBlocks(block_tokens), Clock(lines)

    def request(raw: bytes) -> Request:
        record = json_object(raw)
        arrival = required(record, "arrival_time_ns")
        at = ticks(arrival, "arrival_time_ns", TICKS_PER_NS, "nanoseconds")
        made = Request(at, count(record, "input_toks", 1), count(record, "output_toks", 0))
        prompt, output = (
            _tokens(record.get(field), field, needed)
            for field, needed in (
                ("input_tok_ids", made.input_tokens),
                ("output_tok_ids", made.output_tokens),
            )
        )
        clock.advance(at, arrival, "arrival_time_ns")
        if prompt:
            made.blocks, made.output_blocks = blocks.split(prompt, output)
        return made

    return lines.each(request)


def read_azure(lines: Lines, block_tokens: int) -> Iterator[Request]:
    """Azure's traces of LLM inference: csv with date-times, to ten millionths of a second or finer.

    Times count from the first request. Nothing is known of the prompts but their length.
    """
    table, clock = Table(lines, ("TIMESTAMP", "ContextTokens", "GeneratedTokens")), Clock(lines)
    start: list[int] = []

    def request(raw: bytes) -> Request | None:
        row = table.row(raw)
        if row is None:
            return None
        shown = required(row.texts, "TIMESTAMP")
        at = _date_time(shown)
        made = Request(at, count(row, "ContextTokens", 1), count(row, "GeneratedTokens", 0))
        clock.advance(at, shown, "TIMESTAMP")
        if not start:
            start.append(at)
        made.arrival_ticks -= start[0]
        return made

    return lines.each(request)


def read_burstgpt(lines: Lines, block_tokens: int) -> Iterator[Request]:
    """BurstGPT's traces: csv with seconds since its beginning. A request without a response has failed.

    Those that failed are left out and counted. `Session ID`, in newer ones, becomes the session, numbered in
    order of first appearance. Nothing is known of the prompts but their length.
    """
    table = Table(lines, ("Timestamp", "Request tokens", "Response tokens"), ("Session ID",))
    clock, sessions = Clock(lines), Numbering()

    def request(raw: bytes) -> Request | None:
        row = table.row(raw)
        if row is None:
            return None
        at = ticks(required(row, "Timestamp"), "Timestamp", TICKS_PER_S, "seconds")
        answer = count(row, "Response tokens", 0)
        if answer == 0:
            lines.count(FAILED)
            return None
        made = Request(at, count(row, "Request tokens", 1), answer)
        clock.advance(at, row["Timestamp"], "Timestamp")
        if "Session ID" in row:
            made.session = sessions(row["Session ID"])
        return made

    return lines.each(request)


def _tokens(ids: object, field: str, needed: int) -> list[int]:
    """A list of token ids as long as it should be; empty if there is none."""
    if ids is None:
        return []
    if type(ids) is not list:
        raise BadLine(field, f"must be a list of token ids, not {kind(ids)}", "wrong type")
    if ids and set(map(type, ids)) != {int}:
        index = next(index for index, each in enumerate(ids) if type(each) is not int)
        text = f"must be a whole number, not {kind(ids[index])}"
        raise BadLine(f"{field}[{index}]", text, "wrong type")
    if ids and not 0 <= min(ids) <= max(ids) < 2**63:
        index = next(index for index, each in enumerate(ids) if not 0 <= each < 2**63)
        raise BadLine(f"{field}[{index}]", f"must be 0 to {2**63 - 1}, not {ids[index]}", "out of range")
    if len(ids) != needed:
        counted = field.replace("tok_ids", "toks")
        text = f"has {len(ids)} tokens, but {counted} says {needed}"
        raise BadLine(field, text, "wrong number of tokens")
    return ids


def _date_time(text: str) -> int:
    """A date and time as ticks since 1970, in UTC if it does not say."""
    found = _DATE_TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        seconds, fraction, zone = found.groups()
        at = datetime.fromisoformat(seconds + (zone or "+00:00"))
    except ValueError:
        wanted = "a date and time such as 2023-11-16 18:15:46.6805900"
        raise BadLine("TIMESTAMP", f"must be {wanted}, not {text!r}", "wrong type") from None
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * TICKS_PER_S + int((fraction or "0").ljust(12, "0"))
