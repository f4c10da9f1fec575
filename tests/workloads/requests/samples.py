"""A hand-written trace in every format, and the requests that it means: the tests of all formats use them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from kvsim.workloads.requests import Request

MS, S, NS = 10**9, 10**12, 10**3


def plain(request: Request) -> dict[str, Any]:
    """A request that can be compared, its blocks as lists."""
    lists = {"blocks": list(request.blocks), "output_blocks": list(request.output_blocks)}
    turn = request.follow_up
    return {**asdict(replace(request, follow_up=None)), **lists, "follow_up": turn and plain(turn)}


@dataclass(frozen=True)
class Sample:
    """A trace as lines, and what it means."""

    lines: tuple[str, ...]
    requests: tuple[Request, ...]
    header: bool = False
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self.lines)


BLOCK = tuple(range(40))

SAMPLES: dict[str, Sample] = {
    "mooncake": Sample(
        (
            '{"timestamp": 0, "input_length": 1000, "output_length": 7, "hash_ids": [3, 9]}',
            # Dynamo's names; 0.1 ms has no exact double, it is 10^8 ticks all the same
            '{"created_time": 0.1, "input_tokens": 1, "output_tokens": 0, "hash_ids": '
            "[18446744073709551615]}",
            '{"timestamp": 5, "input_length": 512, "output_length": 2, "hash_ids": [3], "session_id": "b", '
            '"priority": -2}',
            '{"timestamp": 5, "input_length": 513, "output_length": 1, "hash_ids": [3, 4], '
            '"session_id": "a"}',
            '{"input_length": 1024, "hash_ids": [3, 5], "session_id": "b", "delay_ms": 2.5, '
            '"output_token_ids": [8, 8, 1], "priority": 4}',
            '{"timestamp": 9, "input_length": 514, "output_length": 1, "hash_ids": [3, 6], '
            '"session_id": "a"}',
            '{"timestamp": 6, "input_length": 2, "output_length": 1, "hash_ids": [7]}',
            '{"timestamp": 20, "input_length": 1025, "output_length": 0, "hash_ids": [3, 5, 8], '
            '"session_id": "b", "delay": 0}',
        ),
        (
            Request(0, 1000, 7, [3, 9]),
            Request(MS // 10, 1, 0, [2**64 - 1]),
            Request(
                5 * MS,
                512,
                2,
                [3],
                session=0,
                priority=-2,
                follow_up=Request(
                    5 * MS // 2,
                    1024,
                    3,
                    [3, 5],
                    session=0,
                    priority=4,
                    follow_up=Request(0, 1025, 0, [3, 5, 8], session=0),
                ),
            ),
            # the second turn of a: 9 ms - 5 ms of thinking
            Request(5 * MS, 513, 1, [3, 4], session=1, follow_up=Request(4 * MS, 514, 1, [3, 6], session=1)),
            Request(6 * MS, 2, 1, [7]),
        ),
    ),
    "bailian": Sample(
        (
            '{"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 33, '
            '"output_length": 132, "type": "text", "turn": 1, "hash_ids": [1089, 1090, 6326]}',
            '{"chat_id": 160, "parent_chat_id": 12, "timestamp": 61.114, "input_length": 16, '
            '"output_length": 0, "type": "search", "turn": 4, "hash_ids": [5]}',
            '{"chat_id": 161, "parent_chat_id": 159, "timestamp": 62, "input_length": 17, '
            '"output_length": 1, "type": "text", "turn": 2, "hash_ids": [1089, 7]}',
            '{"chat_id": 170, "parent_chat_id": 161, "timestamp": 63, "input_length": 1, "output_length": 1, '
            '"type": "text", "turn": 3, "hash_ids": [1]}',
            '{"chat_id": 171, "parent_chat_id": 12, "timestamp": 64, "input_length": 1, "output_length": 1, '
            '"type": "text", "turn": 5, "hash_ids": [1]}',
        ),
        (
            Request(61_114 * MS, 33, 132, [1089, 1090, 6326], session=0),
            Request(61_114 * MS, 16, 0, [5], session=1),  # its parent came before the trace begins
            Request(62 * S, 17, 1, [1089, 7], session=0),
            Request(63 * S, 1, 1, [1], session=0),
            Request(64 * S, 1, 1, [1], session=1),
        ),
    ),
    "azure": Sample(
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens",
            "2023-11-16 23:59:59.6805900,374,44",
            "2023-11-17 00:00:00.6805901,396,0",
            "2023-11-17T01:00:01+01:00,879,55",
        ),
        (
            Request(0, 374, 44),
            Request(S + 10**5, 396, 0),  # 1.0000001 s later
            Request(1_319_410_000_000, 879, 55),  # 00:00:01 UTC: 1 s and 1 - .68059 s after the first
        ),
        header=True,
    ),
    "burstgpt": Sample(
        (
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type",
            "5,ChatGPT,472,18,490,Conversation log",
            "45.25,GPT-4,1087,0,1087,API log",
            '118,"GPT-4",417,276,693,"log, of an API"',
        ),
        (Request(5 * S, 472, 18), Request(118 * S, 417, 276)),
        header=True,
        left_out=(("failed: 0 response tokens", 1),),
    ),
    "llmservingsim": Sample(
        (
            '{"input_toks": 128, "output_toks": 64, "arrival_time_ns": 0}',
            f'{{"input_toks": 20, "output_toks": 14, "arrival_time_ns": 1, '
            f'"input_tok_ids": {list(BLOCK[:20])}, "output_tok_ids": {list(BLOCK[20:34])}}}',
            f'{{"input_toks": 40, "output_toks": 0, "arrival_time_ns": 5, "input_tok_ids": {list(BLOCK)}, '
            '"output_tok_ids": []}',
            f'{{"input_toks": 32, "output_toks": 1, "arrival_time_ns": 5, "input_tok_ids": '
            f"{[*BLOCK[16:32], *BLOCK[16:32]]}}}",
        ),
        (
            Request(0, 128, 64),
            # tokens 0-15 and 16-19; with the output 0-15 as before, 16-31, 32-33
            Request(NS, 20, 14, [0, 1], [2, 3]),
            # 0-15 and 16-31 are there already, 32-39 is new
            Request(5 * NS, 40, 0, [0, 2, 4]),
            # the same tokens twice are two blocks, and neither is the block of those tokens after others
            Request(5 * NS, 32, 1, [5, 6]),
        ),
    ),
    "csv": Sample(
        (
            "arrival_s,input_tokens,output_tokens,tenant,session,priority,blocks,output_blocks,think_s,note",
            '0,40,3,"a, b",4,-1,7;8 9,10,,hello',
            ",41,1,,,,,,0.000000000001,",
            "12.5,1,0,,,,,,,",
            "1e2,16,1,z,4,2,3,,,",
        ),
        (
            Request(
                0, 40, 3, [7, 8, 9], [10], tenant="a, b", session=4, priority=-1, follow_up=Request(1, 41, 1)
            ),
            Request(12_500 * MS, 1, 0),
            Request(100 * S, 16, 1, [3], tenant="z", session=4, priority=2),
        ),
        header=True,
    ),
}
"""By format."""
